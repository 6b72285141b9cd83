"""Segments: what is decoded as one piece.

A segment gathers passages. It is sealed at the first pause once it holds 8 s, so that short
passages ("yes", "stop") join their neighbours instead of being decoded alone; from 24 s on at the
first window without voice between others, a breath; and at 30 s, when there is none, at the
quietest point of the last 5 s. The rule sees the audio alone: stream and batch cut at the same
samples.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from polyasr.pipeline.types import Speech
from polyasr.samples import SAMPLE_RATE, Samples

SEAL_AT_PAUSE = 8 * SAMPLE_RATE
"""From here on a pause seals: one encoder window of Qwen3-ASR."""
LONGEST = 30 * SAMPLE_RATE
"""A segment never holds more: the clips that Qwen3-ASR was trained on, and memory, are bounded."""
SEARCH = 5 * SAMPLE_RATE
"""Where the quietest point of a segment without a pause is looked for: its last 5 s, or the last
third of a shorter one."""
HOP = SAMPLE_RATE // 100
"""Loudness is measured every 10 ms …"""
LULL_HOPS = 8
"""… and the quietest 80 ms are cut in the middle: about the closure of a stop consonant."""


class SegmentTimeline:
    """Which audio the open segment holds, and where each sample of it lies on the client's clock.

    Offsets count samples of the segment; positions count samples of the utterance, silences
    included.
    """

    def __init__(self) -> None:
        self.length = 0
        self._offsets: list[int] = []
        self._positions: list[int] = []
        self._energy: list[float] = []
        self._unmeasured: list[Samples] = []

    def append(self, speech: Speech) -> None:
        """Add audio that follows, in time, what is held."""
        if not self._offsets or self.position(self.length) != speech.start_sample:
            self._offsets.append(self.length)
            self._positions.append(speech.start_sample)
        self._unmeasured.append(speech.samples)
        self.length += len(speech.samples)

    def position(self, offset: int) -> int:
        """The place on the client's clock of the sample at ``offset`` (0 for an empty segment)."""
        if not self._offsets:
            return 0
        run = max(bisect_right(self._offsets, offset) - 1, 0)
        return self._positions[run] + offset - self._offsets[run]

    def end_position(self, offset: int) -> int:
        """The end, on the client's clock, of audio that ends before ``offset``."""
        return self.position(offset - 1) + 1 if offset else self.position(0)

    def offset(self, position: int) -> int:
        """How much of the segment lies before ``position`` on the client's clock."""
        run = bisect_right(self._positions, position) - 1
        if run < 0:
            return 0
        end = self._offsets[run + 1] if run + 1 < len(self._offsets) else self.length
        return min(self._offsets[run] + position - self._positions[run], end)

    def crop(self, length: int) -> None:
        """Forget what comes after the first ``length`` samples."""
        keep = [i for i, offset in enumerate(self._offsets) if offset < length]
        self._offsets, self._positions = self._offsets[: len(keep)], self._positions[: len(keep)]
        del self._measured()[-(-length // HOP) :]
        self.length = min(self.length, length)

    def split(self, length: int) -> SegmentTimeline:
        """Keep the first ``length`` samples (a multiple of HOP); the rest is returned."""
        rest = SegmentTimeline()
        rest.length = self.length - length
        rest._energy = self._measured()[length // HOP :]
        for run, offset in enumerate(self._offsets):
            end = self._offsets[run + 1] if run + 1 < len(self._offsets) else self.length
            if end > length:
                start = max(offset, length)
                rest._offsets.append(start - length)
                rest._positions.append(self._positions[run] + start - offset)
        self.crop(length)
        return rest

    def quietest(self, first: int, end: int) -> int:
        """The offset in [first, end) in the middle of the quietest 80 ms."""
        begin = first // HOP
        energy = np.asarray(self._measured()[begin : end // HOP])
        lulls = np.convolve(energy, np.ones(LULL_HOPS), mode="valid")
        return (begin + int(np.argmin(lulls)) + LULL_HOPS // 2) * HOP

    def _measured(self) -> list[float]:
        """The energy of each hop; few segments are ever asked for it."""
        for samples in self._unmeasured:
            self._energy += _energies(samples)
        self._unmeasured.clear()
        return self._energy


class Segmenter:
    """Decides where segments end. ``seal_at_pause``: samples after which a pause seals;
    ``longest``: samples that a segment holds at most, a second or more."""

    def __init__(self, seal_at_pause: int, longest: int = LONGEST) -> None:
        self._longest, self._search = longest, min(SEARCH, longest // 3)
        self._seal_at_pause = min(seal_at_pause, self.earliest_cut)

    @property
    def earliest_cut(self) -> int:
        """Samples before which a segment without a pause is never cut; what comes a piece at a time
        is under 1 s."""
        return max(0, self._longest - self._search - SAMPLE_RATE)

    def at_pause(self, segment: SegmentTimeline) -> bool:
        """Whether a pause here seals the segment."""
        return segment.length >= self._seal_at_pause

    def at_lull(
        self, segment: SegmentTimeline, before: Speech | None, piece: Speech, held: int | None
    ) -> int | None:
        """Where to cut once a voice goes on in the piece that came last, None: nowhere.

        That is in the piece ``before``, if there was no voice in it. What is said behind
        `earliest_cut` is promised only when it has been cut, so the first good place is taken
        rather than the best. ``held`` as for `forced`.
        """
        if before is None or before.is_voiced or not piece.is_voiced:
            return None
        end = (segment.length if held is None else held) - len(piece.samples)
        start = end - len(before.samples)
        if start < self.earliest_cut or len(before.samples) < LULL_HOPS * HOP:
            return None
        return segment.quietest(start, end)

    def forced(
        self, segment: SegmentTimeline, incoming: int, held: int | None = None
    ) -> int | None:
        """Where to cut before ``incoming`` more samples, or None while they fit.

        ``held``: so much of the segment counts, if not all of it does.
        """
        held = segment.length if held is None else held
        if held + incoming <= self._longest:
            return None
        return segment.quietest(held - self._search, held)


def _energies(samples: Samples) -> Sequence[float]:
    padded = np.zeros(-(-len(samples) // HOP) * HOP, np.float64)
    padded[: len(samples)] = samples
    energies: list[float] = np.square(padded).reshape(-1, HOP).sum(axis=1).tolist()
    return energies
