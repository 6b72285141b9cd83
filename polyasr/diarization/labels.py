"""Turns laid over a transcript: where to cut it, and whose each part is. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from polyasr.diarization.found import Diarization


@dataclass(frozen=True, slots=True)
class Labels:
    """Who spoke when, and what the speakers are called."""

    found: Diarization
    names: Sequence[str]

    def changes(self) -> tuple[int, ...]:
        """The samples from which on another one speaks; in the middle of the pause if there is one.

        Text that is cut there is one speaker's each.
        """
        return tuple(
            (turn.end + following.start) // 2
            for turn, following in pairwise(self.found.turns)
            if turn.speaker != following.speaker
        )

    def of(self, start: int, end: int) -> str:
        """Who has most of [start, end), in samples; "" where nobody speaks in it."""
        turns = self.found.turns
        first = max(0, bisect_right(turns, start, key=lambda turn: turn.start) - 1)
        shares = [0] * len(self.names)
        for turn in turns[first:]:
            if turn.start >= end:
                break
            shares[turn.speaker] += max(0, min(end, turn.end) - max(start, turn.start))
        return self.names[shares.index(max(shares))] if any(shares) else ""

    def embeddings(self) -> Mapping[str, list[float]]:
        """The voice of each speaker."""
        return dict(zip(self.names, self.found.voices.tolist(), strict=True))
