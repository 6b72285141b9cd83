"""How many voices there are among embeddings, and what each is like: spectral clustering.

The affinity is the cosine similarity as it is. Graphs of nearest neighbours and the number of
speakers by the eigengap, which are usual with other embeddings, measured worse with Resemblyzer's:
see `bench/README.md`. Pure and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_SPEAKERS = 8
"""Speakers looked for when nothing is said about their number."""
MOST_ASKED_FOR = 32
"""The largest number of speakers that can be asked for."""
SAME_VOICE = 0.79
"""Mean embeddings as similar as this are one voice. Those of different speakers measured up to 0.77
for readers and 0.81 for synthesizers, mostly below 0.75; the parts of one speaker 0.775 and more,
mostly above 0.82."""
MOST_CLUSTERED = 1000
"""Embeddings that are clustered, spread over the recording; time grows with the cube of it, memory
with the square. The others only go to the voice that they resemble most."""
LEAST_AFFINITY = 1e-3
"""Keeps the graph connected."""


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """Bounds on the number of speakers, both included: 1 <= least <= most."""

    least: int = 1
    most: int = MOST_SPEAKERS


def speaker_count(exact: int | None, least: int | None, most: int | None) -> SpeakerCount:
    """The bounds of what was asked for, None where nothing was; ``exact`` goes before the others.

    Raises ValueError, whose message says what was wrong, for numbers that cannot be.
    """
    for number in (exact, least, most):
        if number is not None and not 1 <= number <= MOST_ASKED_FOR:
            raise ValueError(
                f"the number of speakers is {number}; it goes from 1 to {MOST_ASKED_FOR}"
            )
    if least is not None and most is not None and least > most:
        raise ValueError(f"at least {least} speakers and at most {most} cannot be")
    if exact is not None:
        return SpeakerCount(exact, exact)
    least = least or 1
    return SpeakerCount(least, most or max(least, MOST_SPEAKERS))


def find_voices(embeddings: NDArray[np.float32], count: SpeakerCount) -> NDArray[np.float32]:
    """The voices in ``embeddings``, unit vectors of shape (n, dimensions) with n > 0, as unit
    vectors of shape (k, dimensions).

    Voices are split for as long as the parts are distinct, and at least into ``count.least``; there
    are fewer only where there are fewer different embeddings.
    """
    sample = embeddings[_spread(len(embeddings), MOST_CLUSTERED)]
    different = len(np.unique(sample.round(4), axis=0))
    least, most = min(count.least, different), min(count.most, different)
    coordinates = _spectral_coordinates(sample, most)
    voices = _split(sample, coordinates, least)
    for k in range(least + 1, most + 1):
        finer = _split(sample, coordinates, k)
        if _greatest_similarity(finer) >= SAME_VOICE:
            break
        voices = finer
    return voices


def _spread(n: int, most: int) -> NDArray[np.int64]:
    """At most so many indices below n, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)


def _spectral_coordinates(sample: NDArray[np.float32], dimensions: int) -> NDArray[np.float64]:
    """The first eigenvectors of the random walk on the affinity graph, shape (n, dimensions)."""
    from scipy.linalg import eigh

    affinity = np.clip(sample @ sample.T, LEAST_AFFINITY, 1).astype(np.float64)
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    n = len(sample)
    symmetric = affinity * np.outer(scale, scale)
    _, vectors = eigh(symmetric, subset_by_index=(n - dimensions, n - 1))
    coordinates: NDArray[np.float64] = vectors[:, ::-1] * scale[:, None]
    return coordinates


def _split(
    sample: NDArray[np.float32], coordinates: NDArray[np.float64], k: int
) -> NDArray[np.float32]:
    """The mean embeddings of k clusters as unit vectors."""
    from sklearn.cluster import KMeans

    if k == 1:
        return _unit(sample.mean(axis=0, keepdims=True))
    labels = KMeans(k, n_init=10, random_state=0).fit_predict(coordinates[:, :k])
    return _unit(np.stack([sample[labels == label].mean(axis=0) for label in range(k)]))


def _greatest_similarity(voices: NDArray[np.float32]) -> float:
    return float((voices @ voices.T)[np.triu_indices(len(voices), 1)].max())


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
