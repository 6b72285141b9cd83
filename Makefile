# `make demo` shows it working; `make serve` runs it; `make test` and `make lint` check it, and
# `make soak` for half an hour: a thousand broken networks, 200,000 hostile messages;
# `make bench` measures, in under ten minutes.
# All of them first set up what they need, in .venv and once: see tools/setup.sh.
# Another Python than the first that fits: make PYTHON=python3.12 demo

VENV := .venv
RUN := $(VENV)/bin/python -m
SETUP := tools/setup.sh setup.cfg pyproject.toml constraints.txt

.PHONY: demo serve test soak bench lint clean

demo: $(VENV)/.installed
	@$(RUN) polyasr demo

serve: $(VENV)/.installed
	@$(RUN) polyasr serve

test: $(VENV)/.installed-dev
	$(RUN) pytest -n 2 --dist loadfile

soak: $(VENV)/.installed-dev
	$(RUN) pytest -m seeds --soak

bench: $(VENV)/.installed-dev
	@mkdir -p .cache/bench
	$(RUN) bench dictation --run 32@1 8x28@8 16x28@16 \
		--out .cache/bench/bench.json --html .cache/bench/bench.html
	$(RUN) bench dictation --run 8@8 --ramp --objective commit_lag=2 --limit 32 --no-batch \
		--out .cache/bench/ramp.json --html .cache/bench/ramp.html

lint: $(VENV)/.installed-dev
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

$(VENV)/.installed: $(SETUP)
	@PYTHON='$(PYTHON)' tools/setup.sh $(VENV)
	@touch $@

$(VENV)/.installed-dev: $(SETUP)
	@PYTHON='$(PYTHON)' tools/setup.sh $(VENV) dev
	@touch $(VENV)/.installed $@

clean:
	rm -rf $(VENV) build polyasr.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
