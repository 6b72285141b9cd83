import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.errors import ProtocolError
from polyasr.protocol import messages
from polyasr.protocol.fields import MAX_ID
from polyasr.protocol.messages import (
    Flush,
    Mark,
    Partial,
    Resume,
    Start,
    Stop,
    parse_client,
    parse_server,
)


def start(**fields: object) -> str:
    return json.dumps({"type": "start", "protocol": 1, "sessionId": "a", **fields})


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (
            messages.Started("a", -1),
            '{"type": "started", "protocol": 1, "sessionId": "a", "ackSeq": -1}',
        ),
        (
            messages.Resumed("a", 7, 2),
            '{"type": "resumed", "protocol": 1, "sessionId": "a", "ackSeq": 7, "control": 2}',
        ),
        (
            messages.Ack("a", 7),
            '{"type": "ack", "protocol": 1, "sessionId": "a", "ackSeq": 7}',
        ),
        (
            messages.Partial("a", "你好").following("你"),
            '{"type": "partial", "sessionId": "a", "partial": "你好", "delta": "好"}',
        ),
        (
            messages.Partial("a", "Open the").following("Open a"),
            '{"type": "partial", "sessionId": "a", "partial": "Open the"}',
        ),
        (
            messages.Final("a", "s", "Hi.", 9),
            '{"type": "final", "sessionId": "a", "stopId": "s", "text": "Hi.", '
            '"recognizedThroughSeq": 9}',
        ),
        (
            messages.Final("a", "", ""),
            '{"type": "final", "sessionId": "a", "stopId": "", "text": ""}',
        ),
        (
            messages.Partial("a", "Hi there.", "Hi", messages.Settled("Hi", "English", 1.5)),
            '{"type": "partial", "sessionId": "a", "partial": "Hi there.", "delta": "Hi", '
            '"committed": "Hi", "tentative": " there.", "language": "English", "audioSec": 1.5}',
        ),
        (
            messages.SpeechState("a", "started", 0.16),
            '{"type": "speech", "sessionId": "a", "state": "started", "audioSec": 0.16}',
        ),
        (
            messages.Segment("a", 0, "Hi.", 0.0, 1.5, "English"),
            '{"type": "segment", "sessionId": "a", "id": 0, "text": "Hi.", "start": 0.0, '
            '"end": 1.5, "language": "English"}',
        ),
        (
            messages.Segment("a", 1, "Hi.", 0.0, 1.5, "", (messages.Word("Hi", 0.1, 0.5),)),
            '{"type": "segment", "sessionId": "a", "id": 1, "text": "Hi.", "start": 0.0, '
            '"end": 1.5, "language": "", "words": [{"text": "Hi", "start": 0.1, "end": 0.5}]}',
        ),
        (
            messages.Rejected("a", 1.0, 2.5, 0.41),
            '{"type": "rejected", "sessionId": "a", "start": 1.0, "end": 2.5, "similarity": 0.41}',
        ),
        (messages.Flushed("a", "f"), '{"type": "flushed", "sessionId": "a", "id": "f"}'),
        (
            messages.Marked("a", 7, 30),
            '{"type": "marked", "sessionId": "a", "id": 7, "recognizedThroughSeq": 30}',
        ),
        (messages.Done("a", "s"), '{"type": "done", "sessionId": "a", "stopId": "s"}'),
        (
            messages.StopExpired("a", "s", "session_not_held"),
            '{"type": "stopExpired", "sessionId": "a", "stopId": "s", '
            '"reason": "session_not_held"}',
        ),
        (
            messages.Error("No.", "invalid_json"),
            '{"type": "error", "error": "No.", "code": "invalid_json"}',
        ),
    ],
)
def test_server_messages_are_those_of_the_contract_and_read_back(
    message: messages.ServerMessage, wire: str
) -> None:
    assert message.to_json() == wire
    assert parse_server(wire) == message


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (
            Start("a"),
            '{"type": "start", "protocol": 1, "sessionId": "a", "control": 1, '
            '"sampleRate": 16000, "channels": 1, "encoding": "pcm16"}',
        ),
        (
            Resume("a", control=2, context="Zürich", language="de"),
            '{"type": "resume", "protocol": 1, "sessionId": "a", "control": 2, '
            '"sampleRate": 16000, "channels": 1, "encoding": "pcm16", '
            '"context": "Zürich", "language": "de"}',
        ),
        (
            Start("a", 3, word_times=True, speaker_filter=False, endpointing=False),
            '{"type": "start", "protocol": 1, "sessionId": "a", "control": 3, '
            '"sampleRate": 16000, "channels": 1, "encoding": "pcm16", "timestamps": "word", '
            '"speakerFilter": false, "endpointing": false}',
        ),
        (Flush("f"), '{"type": "flush", "id": "f"}'),
        (Mark(8), '{"type": "mark", "id": 8}'),
        (Stop(), '{"type": "stop", "protocol": 1, "stopId": ""}'),
        (Stop("s", 9), '{"type": "stop", "protocol": 1, "stopId": "s", "finalCapturedSeq": 9}'),
    ],
)
def test_client_messages_are_those_of_the_contract_and_read_back(
    message: messages.ClientMessage, wire: str
) -> None:
    assert message.to_json() == wire
    assert parse_client(wire) == message


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
counts = st.integers(0, 2**64)
seconds = st.floats(0, 1e6)
ids = words | counts
said_words = st.none() | st.lists(
    st.builds(messages.Word, words, seconds, seconds), max_size=2
).map(tuple)
server_messages = st.one_of(
    st.builds(messages.Started, words, st.integers(-1), st.integers(1, 3)),
    st.builds(messages.Resumed, words, st.integers(-1), st.integers(1, 3)),
    st.builds(messages.Ack, words, st.integers(-1)),
    st.builds(messages.Partial, words, words, st.none() | words),
    st.builds(
        lambda committed, rest, language, sec: messages.Partial(
            "a", committed + rest, settled=messages.Settled(committed, language, sec)
        ),
        words,
        words,
        words,
        seconds,
    ),
    st.builds(messages.SpeechState, words, st.sampled_from(["started", "stopped"]), seconds),
    st.builds(messages.Segment, words, counts, words, seconds, seconds, words, said_words),
    st.builds(messages.Rejected, words, seconds, seconds, seconds),
    st.builds(messages.Flushed, words, ids),
    st.builds(messages.Marked, words, ids, counts),
    st.builds(messages.Final, words, words, words, st.none() | counts),
    st.builds(messages.Done, words, words),
    st.builds(messages.StopExpired, words, words, words),
    st.builds(messages.Error, words, words),
)
client_messages = st.one_of(
    st.builds(Start, words.filter(bool), st.integers(1, 99), words, words),
    st.builds(Resume, words.filter(bool), st.integers(1, 99), words, words),
    st.builds(
        Start,
        words.filter(bool),
        st.just(3),
        words,
        words,
        st.booleans(),
        st.none() | st.booleans(),
        st.booleans(),
    ),
    st.builds(Stop, words, st.none() | counts),
    st.builds(Flush, ids),
    st.builds(Mark, ids),
)


@given(server_messages, client_messages)
def test_what_one_side_writes_the_other_reads(
    said: messages.ServerMessage, asked: messages.ClientMessage
) -> None:
    assert parse_server(said.to_json()) == said
    assert parse_client(asked.to_json()) == asked


@given(words, words | st.none(), words)
def test_a_delta_is_there_exactly_when_it_makes_the_new_text_of_the_old(
    before: str, added: str | None, other: str
) -> None:
    text = other if added is None else before + added
    delta = Partial("a", text).following(before).delta
    if text.startswith(before):
        assert delta is not None
        assert before + delta == text
    else:
        assert delta is None


def test_a_client_skips_messages_it_does_not_know() -> None:
    assert parse_server('{"type": "weather"}') is None
    assert parse_server('{"type": ["final"]}') is None


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "ack", "sessionId": "a"}',
        '{"type": "ack", "sessionId": "a", "ackSeq": true}',
        '{"type": "started", "sessionId": "a", "ackSeq": -1, "control": "2"}',
        '{"type": "partial", "sessionId": "a", "partial": 5}',
        '{"type": "partial", "sessionId": "a", "partial": "", "committed": ""}',
        '{"type": "speech", "sessionId": "a", "state": "started", "audioSec": "1"}',
        '{"type": "segment", "sessionId": "a", "id": 0, "text": "a", "start": 0, "end": 1, '
        '"language": "", "words": [{"text": "a", "start": 0}]}',
        '{"type": "final", "sessionId": "a", "stopId": "", "text": null}',
        '{"type": "final", "sessionId": "a", "stopId": "", "text": "", '
        '"recognizedThroughSeq": 1.5}',
    ],
)
def test_a_server_message_that_lacks_what_it_must_have_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="a message of type") as caught:
        parse_server(text)
    assert caught.value.code == "unsupported_message"


def test_start_and_resume_are_read_and_unknown_fields_ignored() -> None:
    assert parse_client(start(control=2, context="Zulu", language="en", mood="good")) == Start(
        "a", control=2, context="Zulu", language="en"
    )
    assert parse_client('{"type": "resume", "sessionId": "a"}') == Resume("a")
    clients_own = start(sampleRate=16000, channels=1, encoding="PCM16", context=None)
    assert parse_client(clients_own) == Start("a")


@pytest.mark.parametrize("name", ["pcm16", "PCM16", "pcm_s16le", "S16LE", "linear16"])
def test_the_encoding_has_many_names(name: str) -> None:
    assert parse_client(start(encoding=name)) == Start("a")


@pytest.mark.parametrize("control", ["2", 0, -1, True, 2.5, float("nan"), None, [], {}])
def test_nonsense_for_control_counts_as_1(control: object) -> None:
    message = parse_client(start(control=control))
    assert isinstance(message, Start)
    assert message.control == 1


def test_what_control_3_adds_is_read_where_it_is_asked_for() -> None:
    added = {"timestamps": "word", "speakerFilter": False, "endpointing": False}
    asked = Start("a", 3, word_times=True, speaker_filter=False, endpointing=False)
    assert parse_client(start(control=3, **added)) == asked
    assert parse_client(start(control=2, **added)) == Start("a", 2)
    assert parse_client(start(**dict.fromkeys(added, "nonsense"))) == Start("a")
    assert parse_client(start(control=4, **dict.fromkeys(added))) == Start("a", 4)


def test_a_stop_may_leave_everything_out() -> None:
    assert parse_client('{"type": "stop"}') == Stop("", None)
    assert parse_client('{"type": "stop", "stopId": "s", "finalCapturedSeq": 0}') == Stop("s", 0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_json"),
        ("nonsense", "invalid_json"),
        ("[1]", "invalid_json"),
        ("null", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"a": ' + "9" * 5000 + "}", "invalid_json"),
        ("{}", "unsupported_message"),
        ('{"type": ["start"]}', "unsupported_message"),
        ('{"type": "pause"}', "unsupported_message"),
        ('{"type": "start"}', "missing_session_id"),
        (start(sessionId=""), "missing_session_id"),
        (start(sessionId=7), "missing_session_id"),
        (start(sessionId="\ud800"), "missing_session_id"),
        (start(protocol=2), "unsupported_version"),
        (start(protocol="1"), "unsupported_version"),
        (start(protocol=True), "unsupported_version"),
        (start(protocol=float("nan")), "unsupported_version"),
        (start(protocol=10**400), "unsupported_version"),
        (start(sampleRate=44100), "unsupported_message"),
        (start(sampleRate=float("inf")), "unsupported_message"),
        (start(channels=2), "unsupported_message"),
        (start(encoding="opus"), "unsupported_message"),
        (start(encoding=16), "unsupported_message"),
        (start(language=5), "unsupported_message"),
        (start(context=["a"]), "unsupported_message"),
        (start(context="\ud800"), "unsupported_message"),
        (start(language={"a": 1}), "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": -1}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": 3.0}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": "3"}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": true}', "unsupported_message"),
        ('{"type": "stop", "stopId": 3}', "unsupported_message"),
        ('{"type": "flush", "id": []}', "unsupported_message"),
        ('{"type": "mark", "id": true}', "unsupported_message"),
        ('{"type": "mark", "id": 1.5}', "unsupported_message"),
        ('{"type": "mark", "id": 1' + "0" * 300 + "}", "unsupported_message"),
        (start(control=3, timestamps="letter"), "unsupported_message"),
        (start(control=3, speakerFilter=1), "unsupported_message"),
        (start(control=3, endpointing="no"), "unsupported_message"),
    ],
)
def test_what_cannot_be_used_has_its_code(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client(text)
    assert caught.value.code == code
    assert 0 < len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [("sampleRate", 8000, "16000"), ("channels", 2, "1"), ("encoding", "opus", "pcm16")],
)
def test_a_refused_format_is_told_with_what_is_accepted(
    field: str, value: object, accepted: str
) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client(start(**{field: value}))
    assert str(caught.value) == f"{field} is {json.dumps(value)}, this server takes {accepted}"


def test_lists_within_lists_are_refused_at_any_depth() -> None:
    for depth in range(1, 1100):
        nest = "[" * depth + "]" * depth
        with pytest.raises(ProtocolError):
            parse_client(f'{{"type": "start", "sessionId": "a", "language": {nest}}}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["type", "protocol", "sessionId", "control", "stopId", "finalCapturedSeq", "encoding"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS), st.sampled_from(["start", "stop", "flush"]) | json_values
    )
)
def test_any_object_is_a_message_or_a_protocol_error(fields: dict[str, object]) -> None:
    with suppress(ProtocolError):
        assert isinstance(parse_client(json.dumps(fields)), (Start, Stop, Flush))


@pytest.mark.parametrize(
    "message", ['{{"type": "start", "sessionId": "{}"}}', '{{"type": "stop", "stopId": "{}"}}']
)
def test_an_id_is_kept_and_so_its_length_is_bounded(message: str) -> None:
    assert parse_client(message.format("é" * MAX_ID))
    with pytest.raises(ProtocolError, match="257 characters") as caught:
        parse_client(message.format("x" * (MAX_ID + 1)))
    assert caught.value.code == "unsupported_message"
