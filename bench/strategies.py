"""Three ways to make a partial each second, and the final."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bench.models import Models
from bench.scripted import Script, ScriptedBackend
from bench.tally import Tally
from bench.upstream import QwenAsr
from polyasr.engine.incremental import IncrementalSegment
from polyasr.samples import SAMPLE_RATE, Samples

WINDOW_SECONDS = 20
ROLLBACK_TOKENS = 5
"""``unfixed_token_num`` of ``qwen-asr``'s ``init_streaming_state``."""
UNFIXED_CHUNKS = 2
"""Its ``unfixed_chunk_num``: so many partials have no prefix yet."""


class Strategy(Protocol):
    """One way to recognize a recording while it goes on. Times are seconds into it."""

    tally: Tally
    stateful: bool
    """Whether a step's cost depends on the steps before it; else it can be taken alone."""

    def partial(self, now: float, before: float) -> None:
        """What was said until ``now``, after an answer for ``before``, 0 if there was none."""
        ...

    def final(self, now: float, before: float) -> None:
        """The same, where ``now`` is the end."""
        ...


class Window:
    """The last 20 s decoded anew, as servers do that call the model for each partial.

    Their final decodes the whole recording once more.
    """

    stateful = False

    def __init__(self, model: QwenAsr, script: Script, samples: Samples) -> None:
        self._model, self._script, self._samples = model, script, samples
        self.tally = Tally()

    def partial(self, now: float, before: float) -> None:
        """Decode the window."""
        self._decode(max(0.0, now - WINDOW_SECONDS), now)

    def final(self, now: float, before: float) -> None:
        """Decode all."""
        self._decode(0, now)

    def _decode(self, first: float, now: float) -> None:
        heard = self._samples[int(first * SAMPLE_RATE) : int(now * SAMPLE_RATE)]
        n_tokens = len(self._script.answer(first, now)) + 1
        self._model.generate(heard, "", n_tokens, self.tally)


class Prefix:
    """All audio so far, with the last text less five tokens written already.

    The streaming of ``qwen-asr`` does so, which has it for vLLM only.
    """

    stateful = False

    def __init__(self, model: QwenAsr, script: Script, samples: Samples) -> None:
        self._model, self._script, self._samples = model, script, samples
        self.tally = Tally()

    def partial(self, now: float, before: float) -> None:
        """Decode what the rollback leaves to be written."""
        known: list[int] = []
        if before >= UNFIXED_CHUNKS:
            known = self._script.answer(0, before)[:-ROLLBACK_TOKENS]
        n_tokens = len(self._script.answer(0, now)) - len(known) + 1
        heard = self._samples[: int(now * SAMPLE_RATE)]
        self._model.generate(heard, self._script.text(known), n_tokens, self.tally)

    final = partial


class Incremental:
    """This project's engine."""

    stateful = True

    def __init__(self, backend: Any, script: Script, samples: Samples) -> None:
        self._script, self._samples = script, samples
        self.tally = Tally()
        self._backend = ScriptedBackend(backend, self.tally)
        self._segment = IncrementalSegment(self._backend, "English", "")

    def partial(self, now: float, before: float) -> None:
        """Decode on."""
        self._backend.hear(self._script.answer(0, now))
        samples = self._samples[: int(now * SAMPLE_RATE)]
        self._segment.decode(samples, int(before * SAMPLE_RATE))

    final = partial


Strategies = dict[str, Callable[[Samples], Strategy]]
"""How to begin each of them on a recording; the last is what the others are compared with."""


def strategies(models: Models) -> Strategies:
    """All three. A model is loaded when the first strategy that needs it begins."""
    return {
        "window": lambda samples: Window(models.upstream, models.script, samples),
        "prefix": lambda samples: Prefix(models.upstream, models.script, samples),
        "incremental": lambda samples: Incremental(models.backend, models.script, samples),
    }
