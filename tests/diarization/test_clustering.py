"""Voices among made-up embeddings: how many there are, and which."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from polyasr.diarization import SpeakerCount, speaker_count
from polyasr.diarization.clustering import MOST_CLUSTERED, SAME_VOICE, find_voices

Vectors = NDArray[np.float32]


def people(n: int) -> Vectors:
    """Unit vectors that resemble each other as people do: by 0.5."""
    shared = np.zeros((n, 256), np.float32)
    shared[:, -1] = 1
    return (np.eye(n, 256, dtype=np.float32) + shared) / np.float32(2**0.5)


def windows(voice: Vectors, n: int, seed: int, spread: float = 0.03) -> Vectors:
    """Embeddings of one voice; the spread of 0.03 makes them resemble each other by 0.8."""
    noise = np.random.default_rng(seed).standard_normal((n, 256)) * spread
    noisy = voice + noise.astype(np.float32)
    unit: Vectors = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    return unit


def meeting(sizes: list[int]) -> Vectors:
    voices = people(len(sizes))
    return np.concatenate([windows(voices[i], n, seed=i) for i, n in enumerate(sizes)])


def matched(found: Vectors, voices: Vectors) -> bool:
    """Whether each found voice is another one of the people's."""
    nearest = (found @ voices.T).argmax(axis=1)
    return sorted(nearest) == list(range(len(voices))) and bool(
        ((found @ voices.T).max(axis=1) > 0.95).all()
    )


@pytest.mark.parametrize("sizes", [[40], [40, 40], [60, 12, 30], [30, 30, 30, 30], [200, 9]])
def test_the_number_of_voices_is_found_and_so_are_they(sizes: list[int]) -> None:
    assert matched(find_voices(meeting(sizes), SpeakerCount()), people(len(sizes)))


def test_the_same_embeddings_give_the_same_voices() -> None:
    embeddings = meeting([20, 30, 10])
    first, second = (find_voices(embeddings, SpeakerCount()) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_a_number_that_is_given_is_kept_to(k: int) -> None:
    assert len(find_voices(meeting([30, 30, 30]), SpeakerCount(k, k))) == k


@pytest.mark.parametrize(("least", "most", "found"), [(1, 2, 2), (4, 6, 4), (2, 8, 3), (1, 1, 1)])
def test_bounds_hold_and_between_them_the_number_is_found(
    least: int, most: int, found: int
) -> None:
    assert len(find_voices(meeting([30, 30, 30]), SpeakerCount(least, most))) == found


def test_voices_are_distinct_unless_their_number_was_given() -> None:
    found = find_voices(meeting([50, 50, 50, 50, 50]), SpeakerCount())
    similarity = found @ found.T
    assert similarity[np.triu_indices(len(found), 1)].max() < SAME_VOICE


def test_there_are_no_more_voices_than_embeddings() -> None:
    assert len(find_voices(meeting([2]), SpeakerCount(5, 5))) == 2
    assert len(find_voices(meeting([1]), SpeakerCount(3, 3))) == 1


def test_equal_embeddings_are_one_voice_whatever_was_asked_for() -> None:
    same = np.repeat(people(1), 20, axis=0)
    assert len(find_voices(same, SpeakerCount(3, 3))) == 1


def test_voices_that_have_nothing_in_common_are_told_apart() -> None:
    opposite = np.repeat(np.eye(2, 256, dtype=np.float32), 10, axis=0)
    assert matched(find_voices(opposite, SpeakerCount()), np.eye(2, 256, dtype=np.float32))


def test_of_a_long_recording_a_sample_spread_over_it_is_clustered() -> None:
    sizes = [4 * MOST_CLUSTERED, MOST_CLUSTERED]
    assert matched(find_voices(meeting(sizes), SpeakerCount()), people(2))


@pytest.mark.parametrize(
    ("asked", "bounds"),
    [
        ((None, None, None), (1, 8)),
        ((3, None, None), (3, 3)),
        ((3, 1, 2), (3, 3)),
        ((None, 2, None), (2, 8)),
        ((None, 12, None), (12, 12)),
        ((None, None, 4), (1, 4)),
    ],
)
def test_what_is_not_asked_for_has_a_default(
    asked: tuple[int | None, int | None, int | None], bounds: tuple[int, int]
) -> None:
    assert speaker_count(*asked) == SpeakerCount(*bounds)


@pytest.mark.parametrize("asked", [(0, None, None), (33, None, None), (None, -1, 2), (None, 3, 2)])
def test_numbers_that_cannot_be_are_refused(
    asked: tuple[int | None, int | None, int | None],
) -> None:
    with pytest.raises(ValueError, match="speakers"):
        speaker_count(*asked)
