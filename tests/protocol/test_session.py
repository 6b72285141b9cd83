import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.errors import ProtocolError
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.session import AudioReceived, Limits, Session, Started, StopRequested


def started(limits: Limits | None = None, **fields: object) -> Session:
    session = Session(limits)
    session.receive(json.dumps({"type": "start", "protocol": 1, "sessionId": "a", **fields}))
    return session


def audio(sequence: int, payload: bytes = b"") -> bytes:
    return encode(Frame(sequence, payload or sequence.to_bytes(2, "big")))


def test_a_start_is_granted_what_it_asks_for_and_we_have() -> None:
    start = {"type": "start", "protocol": 1, "sessionId": "a", "control": 9, "language": "zh"}
    assert Session().receive(json.dumps(start)) == [
        Started("a", control=2, language="zh", context="", resumed=False, ack_seq=-1)
    ]


def test_a_resume_begins_an_empty_session_when_none_is_held() -> None:
    (event,) = Session().receive('{"type": "resume", "sessionId": "a"}')
    assert isinstance(event, Started)
    assert (event.resumed, event.ack_seq) == (True, -1)


def test_frames_in_order_come_out_as_they_came() -> None:
    session = started()
    assert session.receive(audio(0)) == [AudioReceived(b"\0\0", 1)]
    assert session.receive(audio(1)) == [AudioReceived(b"\0\1", 2)]
    assert session.ack_seq == 1


def test_a_gap_is_waited_for_and_then_released_at_once() -> None:
    session = started()
    assert session.receive(audio(1)) == session.receive(audio(2)) == []
    assert session.ack_seq == -1
    assert session.receive(audio(0)) == [AudioReceived(b"\0\0\0\1\0\2", 3)]


def test_a_frame_that_is_held_is_not_heard_twice() -> None:
    session = started()
    session.receive(audio(0))
    assert session.receive(audio(0, b"xx")) == []
    assert session.ack_seq == 0


payloads = st.lists(st.binary(max_size=6).map(lambda b: b[: len(b) // 2 * 2]), max_size=12)


@given(st.data(), payloads)
def test_any_order_with_any_repeats_gives_the_original_audio(
    data: st.DataObject, sent: list[bytes]
) -> None:
    order = data.draw(st.permutations(list(range(len(sent))) * 2))
    session, heard, held = started(), b"", set[int]()
    for sequence in order:
        for event in session.receive(encode(Frame(sequence, sent[sequence]))):
            assert isinstance(event, AudioReceived)
            heard += event.pcm
            assert event.through_seq == session.next_seq
        held.add(sequence)
        frontier = next(i for i in range(len(sent) + 1) if i not in held)
        assert session.ack_seq == frontier - 1
    assert heard == b"".join(sent)


def test_a_frame_without_audio_is_a_frame() -> None:
    session = started()
    assert session.receive(encode(Frame(0, b""))) == [AudioReceived(b"", 1)]


@pytest.mark.parametrize(
    ("captured", "complete"), [(None, True), (0, True), (2, True), (3, False), (2**63, False)]
)
def test_a_session_is_complete_when_all_that_was_captured_is_held(
    captured: int | None, complete: bool
) -> None:
    session = started()
    session.receive(audio(0))
    session.receive(audio(1))
    session.receive(audio(2**63, b"zz"))
    assert session.is_complete(captured) is complete


def test_a_stop_is_passed_on() -> None:
    stop = '{"type": "stop", "stopId": "s", "finalCapturedSeq": 4}'
    assert started().receive(stop) == [StopRequested("s", 4)]


def test_a_stop_that_is_repeated_is_passed_on_once() -> None:
    session = started()
    stop = '{"type": "stop", "stopId": "s", "finalCapturedSeq": 4}'
    session.receive(stop)
    assert session.receive(stop) == []


def test_frames_that_a_stop_has_overtaken_are_taken_and_later_ones_ignored() -> None:
    session = started()
    session.receive(audio(0))
    session.receive('{"type": "stop", "finalCapturedSeq": 3}')
    assert session.receive(audio(3)) == []
    assert session.receive(audio(2)) == []
    assert session.receive(audio(1)) == [AudioReceived(b"\0\1\0\2", 3)]
    assert session.ack_seq == 2


def test_a_stop_that_counts_no_frames_includes_those_held_in_sequence() -> None:
    session = started()
    session.receive(audio(0))
    session.receive('{"type": "stop"}')
    assert session.receive(audio(1)) == []
    assert session.ack_seq == 0


def test_a_start_after_a_stop_hears_again() -> None:
    session = started()
    session.receive('{"type": "stop", "finalCapturedSeq": 0}')
    session.receive('{"type": "start", "protocol": 1, "sessionId": "b"}')
    assert session.receive(audio(0)) == [AudioReceived(b"\0\0", 1)]
    assert session.receive('{"type": "stop"}') == [StopRequested("", None)]


def test_a_second_start_begins_a_fresh_session() -> None:
    session = started()
    session.receive(audio(0))
    session.receive('{"type": "start", "protocol": 1, "sessionId": "b"}')
    assert (session.session_id, session.ack_seq) == ("b", -1)


@pytest.mark.parametrize(
    ("message", "code"),
    [(audio(0), "audio_before_start"), ('{"type":"stop"}', "stop_before_start")],
)
def test_nothing_comes_before_the_start(message: bytes | str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Session().receive(message)
    assert caught.value.code == code


@pytest.mark.parametrize("message", [bytes(101), "x" * 101, "ä" * 51, "\ud800" * 34])
def test_a_message_over_the_limit_is_too_large(message: bytes | str) -> None:
    with pytest.raises(ProtocolError, match="100") as caught:
        Session(Limits(max_message_bytes=100)).receive(message)
    assert caught.value.code == "message_too_large"


def test_a_session_over_the_limit_is_too_long() -> None:
    session = started(Limits(max_session_bytes=10))
    session.receive(audio(0, bytes(10)))
    with pytest.raises(ProtocolError) as caught:
        session.receive(audio(1, bytes(2)))
    assert caught.value.code == "session_too_long"


@pytest.mark.parametrize("payload", [b"", bytes(100)])
def test_what_is_held_beyond_a_gap_is_bounded(payload: bytes) -> None:
    session = started(Limits(max_early_bytes=2000))
    early = (encode(Frame(sequence, payload)) for sequence in range(1, 100))
    with pytest.raises(ProtocolError, match="frame 0") as caught:
        any(session.receive(frame) for frame in early)
    assert caught.value.code == "session_too_long"


def test_what_a_filled_gap_has_released_leaves_room_for_the_next() -> None:
    session = started(Limits(max_early_bytes=300))
    for sequence in range(0, 200, 2):
        assert session.receive(audio(sequence + 1)) == []
        assert len(session.receive(audio(sequence))) == 1
    assert session.next_seq == 200
