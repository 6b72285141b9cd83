"""What a partial costs: the incremental engine against decoding again what was heard.

Three ways to make a partial each second, in turn on the same model in one run:

- ``incremental``: this project's engine;
- ``window``: the last 20 s decoded anew, as servers do that call the model for each partial;
- ``prefix``: all audio so far, with the last text less five tokens as a prefix, as the streaming
  of Qwen3-ASR's own SDK does.

Random weights write nonsense, so the words are scripted: three tokens a second, the last of them
written otherwise at the next step. All of the compute is done, only its outcome is replaced.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from polyasr.engine.backend import Greedy
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.samples import SAMPLE_RATE, Samples

TOKENS_PER_SECOND = 3
WINDOW_SECONDS = 20
ROLLBACK_TOKENS = 5
MARKS = (5, 10, 20, 30)
END = -1
"""The scripted end token; no model has it."""


class ScriptedAnswers:
    """A backend that does all of the work and then answers by a script.

    ``hear`` says which seconds the next decode is about; the answer to them is their words, of
    which the last is another until more is heard.
    """

    def __init__(self, backend: QwenTorch) -> None:
        self._backend = backend
        self.end_ids = frozenset({END})
        self.answer: list[int] = []
        self._position = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def hear(self, first: int, last: int) -> None:
        """The next decode is about these seconds."""
        words = range(first * TOKENS_PER_SECOND, last * TOKENS_PER_SECOND - 1)
        self.answer = [100 + word for word in words] + [50, END]

    def extend(self, cache: Any, pieces: Sequence[Any], last: int) -> Greedy:
        """The work of the backend, the answer of the script."""
        logprobs = self._backend.extend(cache, pieces, last).logprobs
        if len(pieces) == 1:  # one token after another
            self._position += 1
            return Greedy([self.answer[self._position]], logprobs)
        draft, self._position = pieces[-1], 0
        while self._position < len(draft) and draft[self._position] == self.answer[self._position]:
            self._position += 1
        padded = self.answer + [END] * last
        return Greedy(padded[:last], logprobs)


@dataclass(frozen=True)
class Cost:
    """Seconds of compute of a partial after so many seconds of audio, by strategy."""

    seconds: dict[str, dict[int, float]]

    def total(self, strategy: str) -> float:
        """All partials of the recording together."""
        return sum(self.seconds[strategy].values())


def measure(backend: QwenTorch, n_seconds: int, repeats: int) -> Cost:
    """The median over ``repeats`` of each partial of a recording of ``n_seconds``."""
    audio = np.random.default_rng(0).standard_normal(n_seconds * SAMPLE_RATE) * 0.05
    samples = audio.astype(np.float32)
    runs: dict[str, list[dict[int, float]]] = {name: [] for name in STRATEGIES}
    for _ in range(repeats):
        for name, strategy in STRATEGIES.items():
            step = strategy(ScriptedAnswers(backend), samples)
            runs[name].append({second: _timed(step, second) for second in range(1, n_seconds + 1)})
    return Cost(
        {
            name: {s: statistics.median(run[s] for run in done) for s in done[0]}
            for name, done in runs.items()
        }
    )


Step = Callable[[int], None]


def _timed(step: Step, second: int) -> float:
    began = time.perf_counter()
    step(second)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _incremental(model: ScriptedAnswers, samples: Samples) -> Step:
    segment = IncrementalSegment(model, "English", "")

    def step(second: int) -> None:
        model.hear(0, second)
        segment.decode(samples[: second * SAMPLE_RATE], (second - 1) * SAMPLE_RATE)

    return step


def _window(model: ScriptedAnswers, samples: Samples) -> Step:
    def step(second: int) -> None:
        first = max(0, second - WINDOW_SECONDS)
        model.hear(first, second)
        window = samples[first * SAMPLE_RATE : second * SAMPLE_RATE]
        IncrementalSegment(model, "English", "").decode(window, 0)

    return step


def _prefix(model: ScriptedAnswers, samples: Samples) -> Step:
    def step(second: int) -> None:
        model.hear(0, second - 1)
        prefix = model.answer[: -1 - ROLLBACK_TOKENS]
        model.hear(0, second)
        IncrementalSegment(model, "English", "", prefix).decode(samples[: second * SAMPLE_RATE], 0)

    return step


STRATEGIES: dict[str, Callable[[ScriptedAnswers, Samples], Step]] = {
    "window": _window,
    "prefix": _prefix,
    "incremental": _incremental,
}


def report(cost: Cost, n_seconds: int) -> str:
    """A table in Markdown: seconds a partial, ratios to the incremental engine, and the whole."""
    lines = [
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "",
        "| audio so far | " + " | ".join(STRATEGIES) + " | window ÷ inc. | prefix ÷ inc. |",
        "|---|" + "---|" * (len(STRATEGIES) + 2),
    ]
    for mark in (mark for mark in MARKS if mark <= n_seconds):
        at = {name: cost.seconds[name][mark] for name in STRATEGIES}
        lines.append(_row(f"{mark} s", at))
    totals = {name: cost.total(name) for name in STRATEGIES}
    lines.append(_row(f"all of {n_seconds} s", totals))
    lines.append(f"\nReal-time factor, incremental: {totals['incremental'] / n_seconds:.2f}")
    return "\n".join(lines)


def _row(name: str, at: dict[str, float]) -> str:
    cells = [f"{seconds:.3f}" for seconds in at.values()]
    ratios = [f"{at[other] / at['incremental']:.1f}" for other in ("window", "prefix")]
    return f"| {name} | " + " | ".join([*cells, *ratios]) + " |"
