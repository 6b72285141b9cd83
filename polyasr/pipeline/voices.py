"""Whose voice: what an embedding resembles, and where in speech voices change. Pure.

Embeddings are unit vectors, shape (256,), of windows of 1.6 s, and similarity is their cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from polyasr.samples import SAMPLE_RATE

VOICE_WINDOW = SAMPLE_RATE * 8 // 5
"""Samples that one embedding is made of: 1.6 s, what the voice encoder was trained on."""
MOST = 0.70
"""The similarity that one voice always has with several seconds behind both embeddings."""
EXPECTED, FADING, SLACK = 0.888, 0.4 * SAMPLE_RATE, 0.11
"""How the threshold falls with less speech; fitted by hand to what is known of Resemblyzer."""
SPREAD = SAMPLE_RATE // 4
"""How far around its middle a window speaks for (standard deviation, in samples)."""
CHANGE_COST = 0.3
"""What a change of voice has to gain, as a sum over pieces of 160 ms."""
HEAD_START = 0.12
"""By how much more than the speaker's a window must resemble another's voice that was heard."""


def threshold(enrolled: int, heard: int) -> float:
    """The least similarity of one voice, given the samples of speech behind both embeddings.

    Similarity grows with the amount of speech: each embedding is the voice and what happened to be
    said, and the latter fades with 1 / seconds. So 0.60 for 1.5 s and 2 s, which keeps and drops 97
    to 98 % of LibriSpeech test-other, where 0.70 would reject a third of the speaker's own; and
    0.70 with several seconds behind both. Below a second little can be told apart.
    """
    expected = EXPECTED / np.sqrt((1 + FADING / enrolled) * (1 + FADING / heard))
    return float(min(MOST, expected - SLACK))


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice: the mean of its embeddings, a unit vector, and the samples of speech behind it."""

    embedding: NDArray[np.float32]
    n_samples: int

    def similarity(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much each of the embeddings, shape (n, 256), resembles it: (n,)."""
        similarity: NDArray[np.float32] = embeddings @ self.embedding
        return similarity

    def grown(self, embedding: NDArray[np.float32], n_samples: int) -> Voice:
        """This voice with more speech of it, weighted by duration."""
        total = self.embedding * self.n_samples + embedding * n_samples
        return Voice(total / np.linalg.norm(total), self.n_samples + n_samples)


@dataclass(frozen=True, slots=True)
class Windows:
    """The embeddings of n > 0 windows, (n, 256), and their middles in samples, (n,), in order.

    ``n_samples`` of speech lie in each.
    """

    middles: NDArray[np.int64]
    embeddings: NDArray[np.float32]
    n_samples: int

    def nearest(self, place: int) -> NDArray[np.bool_]:
        """The one whose middle is nearest to that sample, (n,)."""
        distance = np.abs(self.middles - place)
        nearest: NDArray[np.bool_] = distance == distance.min()
        return nearest

    def weights(self, places: Sequence[int]) -> NDArray[np.float64]:
        """What each window says of each place, (places, n); a row sums to 1."""
        distance = (np.asarray(places)[:, None] - self.middles[None, :]) / SPREAD
        exponent = -(distance**2) / 2
        weights = np.exp(exponent - exponent.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
        return shares


def split(
    places: Sequence[int], windows: Windows, mine: Voice, other: Voice | None, begins: bool
) -> tuple[NDArray[np.bool_], int]:
    """Which of the pieces of a passage with these middles are another's than mine.

    Returns (n,) for n > 0 pieces, and how many of the first are so whatever follows. ``begins``:
    whether what came before is another's. A voice that is found here or was found before tells
    where it begins and ends: where it is nearer than mine.
    """
    is_other, n_sure = _likeliest(_margins(places, windows, mine, other), begins)
    inside = windows.weights(places).T @ is_other > 0.5 * windows.weights(places).sum(axis=0)
    found = theirs(windows, inside, mine, other)
    if found is other:
        return is_other, n_sure
    return _likeliest(_margins(places, windows, mine, found), begins)


def theirs(
    windows: Windows, chosen: NDArray[np.bool_], mine: Voice, known: Voice | None
) -> Voice | None:
    """Another's voice, after the chosen windows, (n,): the known one grown, or a new one.

    Only windows that are clearly not mine count; without one it is what was known.
    """
    unlike = mine.similarity(windows.embeddings) < threshold(mine.n_samples, windows.n_samples)
    for embedding in windows.embeddings[chosen & unlike]:
        if known is None or known.embedding @ embedding < MOST:
            known = Voice(embedding, windows.n_samples)
        else:
            known = known.grown(embedding, windows.n_samples)
    return known


def _margins(
    places: Sequence[int], windows: Windows, mine: Voice, other: Voice | None
) -> NDArray[np.float64]:
    """By how much more each piece resembles mine than it must, (n,)."""
    must = np.full(len(windows.embeddings), threshold(mine.n_samples, windows.n_samples))
    if other is not None:
        must = np.maximum(must, other.similarity(windows.embeddings) - HEAD_START)
    margins: NDArray[np.float64] = windows.weights(places) @ (
        mine.similarity(windows.embeddings) - must
    )
    return margins


def _likeliest(margins: NDArray[np.float64], begins: bool) -> tuple[NDArray[np.bool_], int]:
    """The pieces that are another's, for the greatest sum of margins, which count against another,
    less costs of changes (Viterbi); and where the best ways to end with either voice part."""
    scores = np.stack([margins, -margins], axis=1)
    before = np.empty((len(margins), 2), np.int64)
    best = np.where([begins, not begins], -CHANGE_COST, 0.0)
    for row, score in enumerate(scores):
        stays = best >= best[::-1] - CHANGE_COST
        before[row] = np.where(stays, [0, 1], [1, 0])
        best = np.where(stays, best, best[::-1] - CHANGE_COST) + score
    ways = np.empty((2, len(margins)), np.int64)
    ways[:, -1] = [0, 1]
    for row in range(len(margins) - 1, 0, -1):
        ways[:, row - 1] = before[row, ways[:, row]]
    parted = np.flatnonzero(ways[0] != ways[1])
    return ways[best.argmax()].astype(bool), int(parted[0]) if len(parted) else len(margins)
