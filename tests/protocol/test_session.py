import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.errors import ProtocolError
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import Final, Flush, Mark, Start, Stop
from polyasr.protocol.session import MAX_ANSWERS, AudioReceived, End, Limits, Note, Session, read


def opened(limits: Limits | None = None) -> Session:
    return Session("a", limits)


def frame(sequence: int, payload: bytes = b"") -> Frame:
    return Frame(sequence, payload or sequence.to_bytes(2, "big"))


def holding(n_frames: int) -> Session:
    session = opened()
    for sequence in range(n_frames):
        session.accept(frame(sequence))
    return session


def ended(n_frames: int, stop: Stop, text: str = "Hello.") -> Session:
    session = holding(n_frames)
    session.ask(stop)
    end = session.end()
    assert end is not None
    session.conclude(text, end.through_seq if end.complete else None)
    return session


def test_frames_in_order_come_out_as_they_came() -> None:
    session = opened()
    assert session.accept(frame(0)) == AudioReceived(b"\0\0", 1)
    assert session.accept(frame(1)) == AudioReceived(b"\0\1", 2)
    assert session.ack_seq == 1


def test_a_gap_is_waited_for_and_then_released_at_once() -> None:
    session = opened()
    assert session.accept(frame(1)) is session.accept(frame(2)) is None
    assert session.ack_seq == -1
    assert session.accept(frame(0)) == AudioReceived(b"\0\0\0\1\0\2", 3)


def test_a_frame_that_is_held_is_not_heard_twice() -> None:
    session = holding(1)
    assert session.accept(frame(0, b"xx")) is None
    assert session.ack_seq == 0


payloads = st.lists(st.binary(max_size=6).map(lambda b: b[: len(b) // 2 * 2]), max_size=12)


@given(st.data(), payloads)
def test_any_order_with_any_repeats_gives_the_original_audio(
    data: st.DataObject, sent: list[bytes]
) -> None:
    order = data.draw(st.permutations(list(range(len(sent))) * 2))
    session, heard, held = opened(), b"", set[int]()
    for sequence in order:
        received = session.accept(Frame(sequence, sent[sequence]))
        if received is not None:
            heard += received.pcm
            assert received.through_seq == session.next_seq
        held.add(sequence)
        frontier = next(i for i in range(len(sent) + 1) if i not in held)
        assert session.ack_seq == frontier - 1
    assert heard == b"".join(sent)


def test_a_frame_without_audio_is_a_frame() -> None:
    assert opened().accept(Frame(0, b"")) == AudioReceived(b"", 1)


@pytest.mark.parametrize(
    ("captured", "complete"), [(None, True), (0, True), (2, True), (3, False), (2**63, False)]
)
def test_a_stop_is_complete_when_all_that_was_captured_is_held(
    captured: int | None, complete: bool
) -> None:
    session = holding(2)
    session.accept(frame(2**63, b"zz"))
    session.ask(Stop("s", captured))
    assert session.is_complete is complete
    assert session.end() == End("s", 2, complete)


def test_without_a_stop_nothing_is_complete() -> None:
    session = holding(2)
    assert not session.is_complete
    assert not session.waits


def test_frames_that_a_stop_has_overtaken_are_taken_and_later_ones_ignored() -> None:
    session = holding(1)
    session.ask(Stop("", 3))
    assert session.accept(frame(3)) is None
    assert session.accept(frame(2)) is None
    assert session.accept(frame(1)) == AudioReceived(b"\0\1\0\2", 3)
    assert session.ack_seq == 2


def test_a_stop_that_counts_no_frames_includes_those_held_in_sequence() -> None:
    session = holding(1)
    session.ask(Stop())
    assert session.accept(frame(1)) is None
    assert session.ack_seq == 0


def test_after_the_end_no_frame_is_taken_or_acknowledged() -> None:
    session = ended(2, Stop("s", 5))
    assert session.accept(frame(2)) is None
    assert session.ack_seq == 1


def test_an_ended_session_keeps_no_audio_that_lies_behind_a_gap() -> None:
    session = holding(1)
    session.accept(frame(2, bytes(1000)))
    session.ask(Stop("s", 3))
    session.end()
    assert session._journal.early == {}
    assert session.ack_seq == 0


def test_a_second_stop_of_the_same_connection_is_ignored() -> None:
    session = holding(2)
    session.ask(Stop("s1", 3))
    session.ask(Stop("s2", 2))
    assert not session.is_complete
    assert session.asked == Stop("s1", 3)


def test_a_stop_whose_connection_is_lost_before_the_frames_came_ends_nothing() -> None:
    session = holding(1)
    session.ask(Stop("s", 3))
    session.withdraw()
    assert not session.waits
    for sequence in range(1, 4):
        assert session.accept(frame(sequence)) is not None


def test_of_captured_audio_of_which_nothing_is_held_there_is_no_end() -> None:
    session = opened()
    session.accept(frame(1))
    session.ask(Stop("s", 2))
    assert session.end() is None
    assert not session.has_ended


def test_an_utterance_without_frames_ends_complete() -> None:
    session = opened()
    session.ask(Stop("s", 0))
    assert session.end() == End("s", 0, complete=True)


@pytest.mark.parametrize(
    ("stop", "covered"), [(Stop("s", 2), 2), (Stop("s"), 2), (Stop("s", 3), None)]
)
def test_the_answer_covers_what_was_held_when_that_is_all(stop: Stop, covered: int | None) -> None:
    assert ended(2, stop).answer() == Final("a", "s", "Hello.", covered)


def test_the_same_stop_is_answered_the_same_again() -> None:
    session = ended(2, Stop("s", 2))
    first = session.answer()
    session.withdraw()
    assert session.answer() is None
    session.ask(Stop("s", 7))
    assert session.answer() == first


def test_another_stop_gets_the_text_with_coverage_only_of_what_it_captured() -> None:
    session = ended(2, Stop("s1", 2))
    answers = []
    for stop in (Stop("s2", 2), Stop("s3", 3), Stop("s4")):
        session.withdraw()
        session.ask(stop)
        answers.append(session.answer())
    assert answers == [
        Final("a", "s2", "Hello.", 2),
        Final("a", "s3", "Hello.", None),
        Final("a", "s4", "Hello.", 2),
    ]
    assert session.answered_stops == {"s1", "s2", "s3", "s4"}


def test_a_guess_is_a_guess_for_every_stop() -> None:
    session = ended(2, Stop("s1", 3))
    session.withdraw()
    session.ask(Stop("s2", 2))
    assert session.answer() == Final("a", "s2", "Hello.", None)


def test_the_answers_of_a_session_are_bounded_and_the_first_stays() -> None:
    session = ended(2, Stop("first", 2))
    for number in range(3 * MAX_ANSWERS):
        session.withdraw()
        session.ask(Stop(str(number), 2))
        assert session.answer() == Final("a", str(number), "Hello.", 2)
    assert len(session.answered_stops) == MAX_ANSWERS
    assert "first" in session.answered_stops


def test_a_session_is_empty_until_something_of_it_would_be_lost() -> None:
    assert opened().is_empty
    assert not holding(1).is_empty
    gap = opened()
    gap.accept(frame(4))
    assert not gap.is_empty
    assert not ended(0, Stop("s", 0)).is_empty


def test_messages_are_told_apart_by_their_kind() -> None:
    assert read(encode(frame(3)), Limits()) == frame(3)
    assert read('{"type": "start", "sessionId": "a"}', Limits()) == Start("a")
    assert read('{"type": "stop"}', Limits()) == Stop()


@pytest.mark.parametrize("message", [bytes(101), "x" * 101, "ä" * 51, "\ud800" * 34])
def test_a_message_over_the_limit_is_too_large(message: bytes | str) -> None:
    with pytest.raises(ProtocolError, match="100") as caught:
        read(message, Limits(max_message_bytes=100))
    assert caught.value.code == "message_too_large"


def test_a_session_over_the_limit_is_too_long_and_keeps_what_it_had() -> None:
    session = opened(Limits(max_session_bytes=10))
    session.accept(frame(0, bytes(10)))
    for _ in range(3):
        with pytest.raises(ProtocolError) as caught:
            session.accept(frame(1, bytes(2)))
        assert caught.value.code == "session_too_long"
    assert session.ack_seq == 0


@pytest.mark.parametrize("payload", [b"", bytes(100)])
def test_what_is_held_beyond_a_gap_is_bounded_however_often_it_is_tried(payload: bytes) -> None:
    session = opened(Limits(max_early_bytes=2000))
    refused = 0
    for sequence in range(1, 100):
        try:
            session.accept(Frame(sequence, payload))
        except ProtocolError as error:
            assert error.code == "session_too_long"
            refused += 1
    assert refused >= 84
    received = session.accept(Frame(0, payload))
    assert received is not None
    assert received.through_seq == 100 - refused


def test_what_a_filled_gap_has_released_leaves_room_for_the_next() -> None:
    session = opened(Limits(max_early_bytes=300))
    for sequence in range(0, 200, 2):
        assert session.accept(frame(sequence + 1)) is None
        assert session.accept(frame(sequence)) is not None
    assert session.next_seq == 200


def test_a_flush_lies_behind_the_frames_that_are_held_in_sequence() -> None:
    session = holding(2)
    session.accept(frame(4))
    assert session.note(Flush("f")) == Note(Flush("f"), 2)
    assert opened().note(Mark(1)) == Note(Mark(1), 0)


def test_behind_a_stop_nothing_is_noted_but_its_withdrawal_lets_a_client_ask_again() -> None:
    session = holding(2)
    session.ask(Stop("s", 3))
    assert session.note(Flush("f")) is None
    session.withdraw()
    assert session.note(Flush("f")) == Note(Flush("f"), 2)
    assert ended(2, Stop("s", 2)).note(Mark("m")) is None
