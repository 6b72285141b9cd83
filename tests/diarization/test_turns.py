"""Turns out of similarities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polyasr.diarization.regions import BRIDGED
from polyasr.diarization.turns import FRAME, Span, find_turns, in_order, likeliest, tidied
from polyasr.pipeline.types import Turn
from polyasr.samples import SAMPLE_RATE

STEP = 6400


def span(start: int, n: int) -> Span:
    """A region that n windows cover."""
    middles = start + 12800 + STEP * np.arange(n)
    return Span(start, int(middles[-1]) + 12800, middles)


def alike(*speakers: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Windows that each resemble one of two voices more, by 0.25."""
    return np.array([[0.85, 0.6] if who == 0 else [0.6, 0.85] for who in speakers], np.float32)


def test_a_change_is_where_the_windows_around_it_are_even() -> None:
    turns = find_turns([span(0, 20)], alike(*[0] * 10, *[1] * 10))
    middle = 12800 + STEP * 9.5
    assert [turn.speaker for turn in turns] == [0, 1]
    assert abs(turns[0].end - middle) <= FRAME
    assert (turns[0].start, turns[1].end) == (0, span(0, 20).end)


def test_one_odd_window_is_no_turn() -> None:
    assert len(find_turns([span(0, 21)], alike(*[0] * 10, 1, *[0] * 10))) == 1


def test_a_second_and_a_half_is_a_turn() -> None:
    turns = find_turns([span(0, 24)], alike(*[0] * 10, *[1] * 4, *[0] * 10))
    assert [turn.speaker for turn in turns] == [0, 1, 0]


def test_turns_end_with_the_speech_and_what_was_cut_in_two_is_one_again() -> None:
    first, second = span(0, 5), span(span(0, 5).end, 5)
    apart = span(second.end + SAMPLE_RATE, 5)
    turns = find_turns([first, second, apart], alike(*[0] * 15))
    assert turns == (Turn(0, second.end, 0), Turn(apart.start, apart.end, 0))


def test_less_than_a_frame_of_speech_is_still_a_turn() -> None:
    assert find_turns([Span(5, 105, np.array([55]))], alike(1)) == (Turn(5, 105, 1),)


@given(
    st.lists(
        st.tuples(st.integers(0, 40000), st.integers(1, 90000), st.integers(1, 6)), max_size=5
    ),
    st.integers(0, 2**32 - 1),
)
def test_turns_fill_the_speech_in_order_and_apart(
    regions: list[tuple[int, int, int]], seed: int
) -> None:
    spans, clock = [], 0
    for gap, length, n in regions:
        middles = np.linspace(clock + gap, clock + gap + length, n).astype(np.int64)
        spans.append(Span(clock + gap, clock + gap + length, middles))
        clock += gap + length
    rows = sum(n for _, _, n in regions)
    similarity = np.random.default_rng(seed).random((rows, 3)).astype(np.float32)
    turns = find_turns(spans, similarity)
    assert all(turn.start < turn.end for turn in turns)
    assert all(one.end <= other.start for one, other in pairwise(turns))
    assert sum(turn.end - turn.start for turn in turns) == sum(n for _, n, _ in regions)


def test_without_a_doubt_each_row_has_its_own_best() -> None:
    scores = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    assert likeliest(scores).tolist() == [0, 0, 0, 1, 1, 1]


def test_what_a_model_told_is_put_apart_and_bridged() -> None:
    second = SAMPLE_RATE
    told = [
        Turn(-100, 2 * second, 3),
        Turn(2 * second, 2 * second + FRAME - 1, 1),  # a blip
        Turn(2 * second + BRIDGED, 4 * second, 3),
        Turn(3 * second, 6 * second, 1),
        Turn(6 * second + BRIDGED + 1, 9 * second, 1),
    ]
    apart = tidied(told, 8 * second)
    assert apart == (
        Turn(0, 4 * second, 3),
        Turn(4 * second, 6 * second, 1),
        Turn(6 * second + BRIDGED + 1, 8 * second, 1),
    )
    ordered, before = in_order(apart)
    assert [turn.speaker for turn in ordered] == [0, 1, 1]
    assert before == [3, 1]


@given(
    st.lists(
        st.tuples(st.integers(-9, 60), st.integers(0, 20), st.integers(0, 3)), max_size=12
    ).map(sorted)
)
def test_turns_of_a_model_never_overlap_nor_leave_the_audio(
    told: list[tuple[int, int, int]],
) -> None:
    turns = [Turn(start * FRAME, (start + n) * FRAME, who) for start, n, who in told]
    found = tidied(turns, 50 * FRAME)
    assert all(0 <= turn.start < turn.end <= 50 * FRAME for turn in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
    assert {turn.speaker for turn in found} <= {turn.speaker for turn in turns}
