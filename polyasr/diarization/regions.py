"""Regions of speech in a recording that comes piece by piece, and the windows laid over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyasr.pipeline.types import VoiceEngine
from polyasr.pipeline.vad import THRESHOLD, WINDOW, Window
from polyasr.pipeline.voices import VOICE_WINDOW
from polyasr.samples import SAMPLE_RATE, Samples

BRIDGED_WINDOWS = 4
BRIDGED = BRIDGED_WINDOWS * WINDOW
"""Silence (640 ms) that a region goes on through: people breathe within a turn."""
LONGEST_REGION = 30 * SAMPLE_RATE
"""Samples after which a region without a pause is cut, which bounds what lies in memory."""
VOICE_STEP = SAMPLE_RATE * 2 // 5
"""Samples at most from one window to the next: 400 ms."""
WINDOWS_A_CALL = 8
"""Voice windows that the model thread embeds at a time; a dictation waits for one call at most."""


@dataclass(frozen=True, slots=True)
class Region:
    """Speech without a longer pause, from ``start`` on."""

    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


class RegionFinder:
    """Gathers the windows of the speech detector to regions."""

    def __init__(self) -> None:
        self._speech: list[Window] = []
        self._pause: list[Window] = []

    def push(self, window: Window, probability: float) -> Iterator[Region]:
        """Take the next window and how likely it is speech; yield the region that it ends."""
        if probability >= THRESHOLD:
            self._speech += [*self._pause, window]
            self._pause = []
            if window.end_sample - self._speech[0].start_sample >= LONGEST_REGION:
                yield from self.finish()
        elif self._speech:
            self._pause.append(window)
            if len(self._pause) > BRIDGED_WINDOWS:
                yield from self.finish()

    def finish(self) -> Iterator[Region]:
        """Yield the region under way, without the pause after it."""
        if self._speech:
            samples = np.concatenate([window.samples for window in self._speech])
            yield Region(self._speech[0].start_sample, samples)
        self._speech, self._pause = [], []


def voice_windows(region: Region) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Windows that cover the region evenly, shape (n, VOICE_WINDOW), and their middles, shape (n,).

    A region that is shorter than a window is repeated until it fills one.
    """
    spare = len(region.samples) - VOICE_WINDOW
    if spare <= 0:
        middle = (region.start + region.end) // 2
        return np.resize(region.samples, (1, VOICE_WINDOW)), np.array([middle])
    starts = np.linspace(0, spare, -(-spare // VOICE_STEP) + 1).astype(np.int64)
    windows = np.stack([region.samples[start : start + VOICE_WINDOW] for start in starts])
    return windows, region.start + starts + VOICE_WINDOW // 2


async def embedded(
    engine: VoiceEngine, region: Region
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The embeddings of the windows over a region, shape (n, 256), and their middles, shape (n,).

    Raises InferenceFailed.
    """
    windows, middles = voice_windows(region)
    calls = range(0, len(windows), WINDOWS_A_CALL)
    found = [await engine.embed_windows(windows[first : first + WINDOWS_A_CALL]) for first in calls]
    return np.concatenate(found), middles
