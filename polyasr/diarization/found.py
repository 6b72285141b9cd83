"""What is found out of a recording: who spoke when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyasr.pipeline.types import Turn

DIMENSIONS = 256
BUILT_IN = "Silero VAD + Resemblyzer"

OnHeard = Callable[[int], Awaitable[object]]
"""Is told, again and again, how many samples have been listened to."""


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who spoke when: turns in order and apart, speakers counted in the order in which they first
    speak. ``voices``: a unit vector for each of them, shape (k, 256); k is 0, and there are no
    turns, where nobody speaks. ``model``: what told them apart."""

    turns: tuple[Turn, ...]
    voices: NDArray[np.float32]
    n_samples: int
    model: str = BUILT_IN

    def speech_of(self, speaker: int) -> int:
        """The samples that are a speaker's."""
        return sum(turn.end - turn.start for turn in self.turns if turn.speaker == speaker)


def nobody(n_samples: int, model: str = BUILT_IN) -> Diarization:
    """A recording in which nobody speaks."""
    return Diarization((), np.empty((0, DIMENSIONS), np.float32), n_samples, model)
