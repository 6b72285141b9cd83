"""From how much each window resembles each voice to turns. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyasr.diarization.regions import BRIDGED
from polyasr.pipeline.types import Turn
from polyasr.samples import SAMPLE_RATE

FRAME = SAMPLE_RATE // 10
"""Samples for which one speaker is decided: 100 ms."""
SPREAD = 0.4 * SAMPLE_RATE
"""How far around its middle a window speaks for (standard deviation, in samples)."""
CHANGE_COST = 0.6
"""What a change of speaker has to gain: a similarity greater by 0.2, as that of another voice is,
through three frames. It keeps a turn from falling to pieces."""


@dataclass(frozen=True, slots=True)
class Span:
    """A region of speech [start, end) and the middles of its windows, shape (n,), n > 0."""

    start: int
    end: int
    middles: NDArray[np.int64]


def find_turns(spans: Sequence[Span], similarity: NDArray[np.float32]) -> tuple[Turn, ...]:
    """The turns, in order and apart. Speakers are the columns of ``similarity``.

    ``similarity``: a row for each window of the spans, in order, and a column for each voice.
    """
    turns: list[Turn] = []
    row = 0
    for span in spans:
        rows = similarity[row : row + len(span.middles)]
        row += len(span.middles)
        for turn in _turns_of(span, rows):
            if turns and turns[-1].speaker == turn.speaker and turns[-1].end == turn.start:
                turn = Turn(turns.pop().start, turn.end, turn.speaker)
            turns.append(turn)
    return tuple(turns)


def tidied(turns: Iterable[Turn], n_samples: int) -> tuple[Turn, ...]:
    """Turns that a model told, in order of their starts, as ``find_turns`` has them: apart, inside
    the audio, without pauses for breath, and none that is shorter than a frame."""
    found: list[Turn] = []
    for turn in turns:
        if turn.end - turn.start < FRAME:
            continue
        start, end = max(turn.start, 0, found[-1].end if found else 0), min(turn.end, n_samples)
        if start >= end:
            continue
        if found and found[-1].speaker == turn.speaker and start - found[-1].end <= BRIDGED:
            start = found.pop().start
        found.append(Turn(start, end, turn.speaker))
    return tuple(found)


def in_order(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], list[int]]:
    """The turns with their speakers counted from 0 in the order in which they first speak, and what
    each was before."""
    order = list(dict.fromkeys(turn.speaker for turn in turns))
    return tuple(Turn(turn.start, turn.end, order.index(turn.speaker)) for turn in turns), order


def _turns_of(span: Span, similarity: NDArray[np.float32]) -> Iterator[Turn]:
    frames = np.arange(span.start, span.end, FRAME)
    distance = (frames[:, None] + FRAME / 2 - span.middles[None, :]) / SPREAD
    exponent = -(distance**2) / 2
    weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    speakers = likeliest(weights @ similarity / weights.sum(axis=1, keepdims=True))
    changes = np.flatnonzero(np.diff(speakers)) + 1
    edges = [span.start, *frames[changes].tolist(), span.end]
    for first, start, end in zip([0, *changes.tolist()], edges, edges[1:], strict=False):
        yield Turn(start, end, int(speakers[first]))


def likeliest(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column for each row with the greatest sum of scores less costs of changes (Viterbi).

    ``scores``: (n, k), n > 0; the answer: (n,).
    """
    n, k = scores.shape
    before = np.empty((n, k), np.int64)
    best = scores[0]
    for row in range(1, n):
        leader = int(best.argmax())
        stays = best >= best[leader] - CHANGE_COST
        before[row] = np.where(stays, np.arange(k), leader)
        best = np.where(stays, best, best[leader] - CHANGE_COST) + scores[row]
    path = np.empty(n, np.int64)
    path[-1] = best.argmax()
    for row in range(n - 1, 0, -1):
        path[row - 1] = before[row, path[row]]
    return path
