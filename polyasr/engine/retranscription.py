"""Recognition by decoding a segment's audio again at every step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import numpy as np

from polyasr.pipeline.types import Hypothesis, Samples, Urgency

Transcribe = Callable[[Samples, Urgency], Awaitable[Hypothesis]]


class RetranscribingRecognition:
    """Holds one segment's audio, at most 30 s, and decodes all of it when asked."""

    def __init__(self, transcribe: Transcribe, samples: Samples | None = None) -> None:
        self._transcribe = transcribe
        self._pieces: list[Samples] = [] if samples is None else [samples]

    def append(self, samples: Samples) -> None:
        """Add audio at the end."""
        self._pieces.append(samples)

    def crop(self, length: int) -> None:
        """Keep the first ``length`` samples."""
        self._pieces = [self._audio()[:length]]

    def split(self, length: int) -> RetranscribingRecognition:
        """Keep the first ``length`` samples; what came after them begins the returned segment."""
        audio = self._audio()
        self._pieces = [audio[:length]]
        return RetranscribingRecognition(self._transcribe, audio[length:])

    async def hypothesis(self, urgency: Urgency) -> Hypothesis:
        """The greedy decode of the audio held."""
        return await self._transcribe(self._audio(), urgency)

    def close(self) -> None:
        """Let the audio go."""
        self._pieces = []

    def _audio(self) -> Samples:
        return np.concatenate(self._pieces) if self._pieces else np.empty(0, np.float32)
