"""What the client keeps of its audio."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.client.capture import FRAME_BYTES, Capture


def full(n_frames: int, kept_frames: int) -> Capture:
    capture = Capture(kept_bytes=kept_frames * FRAME_BYTES)
    capture.add(bytes(n_frames * FRAME_BYTES))
    return capture


@given(st.lists(st.integers(0, 3 * FRAME_BYTES), max_size=8))
def test_audio_of_any_size_is_cut_into_frames_and_none_is_lost(sizes: list[int]) -> None:
    audio = b"".join(bytes([number % 256]) * size for number, size in enumerate(sizes))
    capture, taken = Capture(), 0
    for size in sizes:
        capture.add(audio[taken : taken + size])
        taken += size
    capture.finish()
    frames = [capture.payload(sequence) for sequence in range(capture.n_frames)]
    assert b"".join(frames) == audio[: len(audio) // 2 * 2]
    assert all(len(frame) == FRAME_BYTES for frame in frames[:-1])


def test_what_is_acknowledged_is_kept_while_there_is_room() -> None:
    capture = full(5, kept_frames=5)
    assert capture.acknowledge(4)
    assert capture.first_kept == 0
    assert not capture.is_full


def test_to_make_room_the_oldest_acknowledged_frames_are_let_go() -> None:
    capture = full(5, kept_frames=3)
    assert capture.is_full
    assert capture.acknowledge(0)
    assert (capture.first_kept, capture.is_full) == (1, True)
    assert capture.acknowledge(4)
    assert (capture.first_kept, capture.n_frames, capture.is_full) == (2, 5, False)


def test_what_is_not_acknowledged_is_never_let_go() -> None:
    capture = full(50, kept_frames=3)
    assert (capture.first_kept, capture.n_frames) == (0, 50)


def test_what_another_server_has_acknowledged_is_kept_for_the_one_that_lacks_it() -> None:
    capture = full(3, kept_frames=3)
    capture.acknowledge(2)
    capture.rewind(-1)
    capture.add(bytes(2 * FRAME_BYTES))
    assert (capture.first_kept, capture.is_full) == (0, True)


def test_what_is_not_kept_any_more_cannot_be_sent_again() -> None:
    capture = full(3, kept_frames=1)
    capture.acknowledge(2)
    capture.rewind(1)
    with pytest.raises(LookupError, match="first 2 frames"):
        capture.rewind(0)


def test_an_older_acknowledgement_and_one_of_frames_that_never_were_change_nothing() -> None:
    capture = full(2, kept_frames=1)
    assert capture.acknowledge(1)
    assert not capture.acknowledge(0)
    assert not capture.acknowledge(10**9)
    capture.add(bytes(3 * FRAME_BYTES))
    assert capture.first_kept == 2
