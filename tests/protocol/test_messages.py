import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr.errors import ProtocolError
from polyasr.protocol import messages
from polyasr.protocol.messages import Start, Stop, parse_client, parse_server


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
            messages.Partial.following("你", "a", "你好"),
            '{"type": "partial", "sessionId": "a", "partial": "你好", "delta": "好"}',
        ),
        (
            messages.Partial.following("Open a", "a", "Open the"),
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


def test_a_client_skips_messages_it_does_not_know() -> None:
    assert parse_server('{"type": "weather"}') is None


def test_start_and_resume_are_read_and_unknown_fields_ignored() -> None:
    assert parse_client(start(control=2, context="Zulu", language="en", mood="good")) == Start(
        "a", control=2, context="Zulu", language="en"
    )
    assert parse_client('{"type": "resume", "sessionId": "a"}') == Start("a", resume=True)
    clients_own = start(sampleRate=16000, channels=1, encoding="PCM16", context=None)
    assert parse_client(clients_own) == Start("a")


@pytest.mark.parametrize("control", ["2", 0, -1, True, 2.5, None, [], {}])
def test_nonsense_for_control_counts_as_1(control: object) -> None:
    message = parse_client(start(control=control))
    assert isinstance(message, Start)
    assert message.control == 1


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
        (start(sampleRate=44100), "unsupported_message"),
        (start(channels=2), "unsupported_message"),
        (start(encoding="opus"), "unsupported_message"),
        (start(encoding=16), "unsupported_message"),
        (start(language=5), "unsupported_message"),
        (start(context=["a"]), "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": -1}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": 3.0}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": "3"}', "unsupported_message"),
        ('{"type": "stop", "finalCapturedSeq": true}', "unsupported_message"),
        ('{"type": "stop", "stopId": 3}', "unsupported_message"),
    ],
)
def test_what_cannot_be_used_has_its_code(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_client(text)
    assert caught.value.code == code
    assert str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["type", "protocol", "sessionId", "control", "stopId", "finalCapturedSeq", "encoding"]


@given(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["start", "stop"]) | json_values))
def test_any_object_is_a_message_or_a_protocol_error(fields: dict[str, object]) -> None:
    try:
        assert isinstance(parse_client(json.dumps(fields)), (Start, Stop))
    except ProtocolError as error:
        assert error.code
