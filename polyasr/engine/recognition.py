"""A segment under recognition: its audio on the event loop's side, its state on the model's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from polyasr.engine.backend import Backend, Decoding
from polyasr.engine.incremental import IncrementalSegment
from polyasr.pipeline.types import Hypothesis, Urgency
from polyasr.samples import Samples


@dataclass(slots=True, weakref_slot=True, eq=False)
class SegmentState:
    """What the model keeps of one segment; made and touched on the model thread alone.

    ``answer``, the tokens of the last one, outlives the model.
    """

    language: str | None
    context: str
    segment: IncrementalSegment[Any, Any] | None = None
    answer: tuple[int, ...] = ()

    def decoding(
        self, backend: Backend[Any, Any], samples: Samples, unchanged: int, committed: str
    ) -> Decoding:
        """As `IncrementalSegment.decoding`; a segment that failed begins anew with the next."""
        if self.segment is None:
            self.segment = IncrementalSegment(backend, self.language, self.context, self.answer)
        segment = self.segment
        try:
            hypothesis = yield from segment.decoding(samples, unchanged, committed)
        except Exception:
            self.segment = None
            raise
        self.answer = segment.answer
        return hypothesis


Decode = Callable[[SegmentState, Samples, int, str, Urgency], Awaitable[Hypothesis]]
"""Decodes audio of which so many samples are those of the last call, beginning with a text."""


class SegmentRecognition:
    """Holds one segment's audio, at most 30 s; what was worked out of it lies in its state."""

    def __init__(self, decode: Decode, language: str | None, context: str) -> None:
        self._decode = decode
        self._state = SegmentState(language, context)
        self._pieces: list[Samples] = []
        self._unchanged = 0

    @property
    def audio(self) -> Samples:
        """The audio held."""
        if len(self._pieces) != 1:
            self._pieces = [np.concatenate([np.empty(0, np.float32), *self._pieces])]
        return self._pieces[0]

    def append(self, samples: Samples) -> None:
        """Add audio at the end."""
        self._pieces.append(samples)

    def crop(self, length: int) -> None:
        """Keep the first ``length`` samples."""
        self._pieces = [self.audio[:length]]
        self._unchanged = min(self._unchanged, length)

    def split(self, length: int) -> SegmentRecognition:
        """Keep the first ``length`` samples; what came after them begins the returned segment."""
        rest = SegmentRecognition(self._decode, self._state.language, self._state.context)
        rest.append(self.audio[length:])
        self.crop(length)
        return rest

    async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
        """The greedy decode of the audio held, behind what is committed."""
        audio, unchanged = self.audio, self._unchanged
        decoded = await self._decode(self._state, audio, unchanged, committed, urgency)
        self._unchanged = len(audio)
        return decoded

    def close(self) -> None:
        """Let audio and state go."""
        self._pieces = []
        self._state = SegmentState(self._state.language, self._state.context)
