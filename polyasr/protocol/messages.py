"""The text messages: JSON objects with a ``type``, read and written in this one place.

Inside, names are Python's and coverage is half-open; the wire's names and units stay in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeGuard, TypeVar

from polyasr.errors import ProtocolError

PROTOCOL = 1
"""The only version of the protocol."""
SUPPORTED_CONTROL = 2
"""The highest control level this server grants."""
SAMPLE_RATE = 16_000
"""Hz; the only rate on the wire."""
CHANNELS = 1
ENCODINGS = ("pcm16", "pcm_s16le", "s16le", "linear16")
"""The names clients have for the one encoding, in any case; the first is the contract's."""
MAX_ID = 256
"""Characters of a session's or a stop's id, which outlive the connection that brought them."""
MAX_SHOWN = 60
"""Characters of a peer's value that an error message repeats."""

HALF_A_PAIR = re.compile("[\ud800-\udfff]")
"""JSON can spell half of a surrogate pair, which is no text and cannot be sent back."""

Fields = Mapping[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Start:
    """``start``: a new utterance.

    ``control`` is the level the client asks for, at least 1; ``language`` is whatever the client
    calls it, "" for none: whether the model knows it is for the server to say.
    """

    TYPE: ClassVar[str] = "start"

    session_id: str
    control: int = 1
    context: str = ""
    language: str = ""

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        said = {"context": self.context, "language": self.language}
        return _dump(
            self.TYPE,
            protocol=PROTOCOL,
            sessionId=self.session_id,
            control=self.control,
            sampleRate=SAMPLE_RATE,
            channels=CHANNELS,
            encoding=ENCODINGS[0],
            **{name: text for name, text in said.items() if text},
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        _check_version(fields)
        session_id = fields.get("sessionId")
        if not _is_text(session_id) or not session_id:
            raise ProtocolError("missing_session_id", "sessionId must be a text that is not empty")
        _check_id("sessionId", session_id)
        _check_format(fields)
        control = fields.get("control")
        return cls(
            session_id=session_id,
            control=control if _is_int(control) and control >= 1 else 1,
            context=_text(fields, "context"),
            language=_text(fields, "language"),
        )


@dataclass(frozen=True, slots=True)
class Resume(Start):
    """``resume``: go on with the session held under that id, or begin an empty one."""

    TYPE: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True)
class Stop:
    """``stop``: the client captured the frames below ``final_captured_seq``; None: it did not say.

    A bound that cannot be read (negative, a fraction, a text) is refused. Taking it for absent or
    for 0 would call the audio complete at whatever had come, and a client whose count was spoilt
    on the way would be told that all it captured is in the text.
    """

    TYPE: ClassVar[str] = "stop"

    stop_id: str = ""
    final_captured_seq: int | None = None

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        seq = self.final_captured_seq
        captured = {} if seq is None else {"finalCapturedSeq": seq}
        return _dump(self.TYPE, protocol=PROTOCOL, stopId=self.stop_id, **captured)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        captured = fields.get("finalCapturedSeq")
        if captured is not None and (not _is_int(captured) or captured < 0):
            raise _unsupported(
                f"finalCapturedSeq is {_shown(captured)}, it counts frames: 0, 1, 2, …"
            )
        stop_id = _text(fields, "stopId")
        _check_id("stopId", stop_id)
        return cls(stop_id, captured)


ClientMessage = Start | Resume | Stop
CLIENT_MESSAGES: Mapping[str, type[ClientMessage]] = MappingProxyType(
    {kind.TYPE: kind for kind in (Start, Resume, Stop)}
)


def parse_client(text: str) -> ClientMessage:
    """Read what a client sent.

    Raises ProtocolError ``invalid_json``, ``unsupported_message``, ``unsupported_version`` or
    ``missing_session_id``. Fields that the contract does not name are ignored.
    """
    fields = _object(text)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        raise _unsupported(f"type is {_shown(kind)}, it must be {_either(CLIENT_MESSAGES)}")
    return CLIENT_MESSAGES[kind].from_fields(fields)


@dataclass(frozen=True, slots=True)
class Started:
    """A ``start`` was accepted; ``control`` is what was granted."""

    TYPE: ClassVar[str] = "started"

    session_id: str
    ack_seq: int
    control: int = 1

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        control = {"control": self.control} if self.control >= 2 else {}
        return _dump(
            self.TYPE,
            protocol=PROTOCOL,
            sessionId=self.session_id,
            ackSeq=self.ack_seq,
            **control,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            _required(fields, "sessionId", str),
            _required(fields, "ackSeq", int),
            _optional(fields, "control", int) or 1,
        )


@dataclass(frozen=True, slots=True)
class Resumed(Started):
    """A ``resume`` was accepted."""

    TYPE: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class Ack:
    """The highest contiguous sequence accepted, inclusive; -1 for none."""

    TYPE: ClassVar[str] = "ack"

    session_id: str
    ack_seq: int

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(self.TYPE, protocol=PROTOCOL, sessionId=self.session_id, ackSeq=self.ack_seq)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(_required(fields, "sessionId", str), _required(fields, "ackSeq", int))


@dataclass(frozen=True, slots=True)
class Partial:
    """The whole text so far; ``delta`` only when it extends the one before."""

    TYPE: ClassVar[str] = "partial"

    session_id: str
    partial: str
    delta: str | None = None

    def following(self, before: str) -> Self:
        """This partial as it comes after the client was sent ``before`` ("" if nothing yet)."""
        delta = self.partial[len(before) :] if self.partial.startswith(before) else None
        return replace(self, delta=delta)

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        delta = {} if self.delta is None else {"delta": self.delta}
        return _dump(self.TYPE, sessionId=self.session_id, partial=self.partial, **delta)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            _required(fields, "sessionId", str),
            _required(fields, "partial", str),
            _optional(fields, "delta", str),
        )


@dataclass(frozen=True, slots=True)
class Final:
    """The text; every frame below ``recognized_through_seq`` was decoded into it.

    None: the text is a guess, or control 1 was granted, where coverage is never told.
    """

    TYPE: ClassVar[str] = "final"

    session_id: str
    stop_id: str
    text: str
    recognized_through_seq: int | None = None

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        seq = self.recognized_through_seq
        coverage = {} if seq is None else {"recognizedThroughSeq": seq}
        return _dump(
            self.TYPE,
            sessionId=self.session_id,
            stopId=self.stop_id,
            text=self.text,
            **coverage,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            _required(fields, "sessionId", str),
            _required(fields, "stopId", str),
            _required(fields, "text", str),
            _optional(fields, "recognizedThroughSeq", int),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing follows; the server closes."""

    TYPE: ClassVar[str] = "done"

    session_id: str
    stop_id: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(self.TYPE, sessionId=self.session_id, stopId=self.stop_id)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(_required(fields, "sessionId", str), _required(fields, "stopId", str))


@dataclass(frozen=True, slots=True)
class StopExpired:
    """The stop cannot be answered; ``reason``: ``stop_result_expired`` or ``session_not_held``."""

    TYPE: ClassVar[str] = "stopExpired"

    session_id: str
    stop_id: str
    reason: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(self.TYPE, sessionId=self.session_id, stopId=self.stop_id, reason=self.reason)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            _required(fields, "sessionId", str),
            _required(fields, "stopId", str),
            _required(fields, "reason", str),
        )


@dataclass(frozen=True, slots=True)
class Error:
    """What went wrong, for a person, and its code, for a program; the server closes."""

    TYPE: ClassVar[str] = "error"

    error: str
    code: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(self.TYPE, error=self.error, code=self.code)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(_required(fields, "error", str), _required(fields, "code", str))


ServerMessage = Started | Resumed | Ack | Partial | Final | Done | StopExpired | Error
SERVER_MESSAGES: Mapping[str, type[ServerMessage]] = MappingProxyType(
    {kind.TYPE: kind for kind in (Started, Resumed, Ack, Partial, Final, Done, StopExpired, Error)}
)


def parse_server(text: str) -> ServerMessage | None:
    """Read what a server sent; None for a type that this client does not know.

    Raises ProtocolError ``invalid_json``, or ``unsupported_message`` for a field that is missing
    or of the wrong type.
    """
    fields = _object(text)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in SERVER_MESSAGES:
        return None
    return SERVER_MESSAGES[kind].from_fields(fields)


def _dump(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)


def _object(text: str) -> Fields:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("invalid_json", f"a text message is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProtocolError(
            "invalid_json", f"a text message must be a JSON object, not {_shown(value)}"
        )
    return value


def _check_version(fields: Fields) -> None:
    version = fields.get("protocol", PROTOCOL)
    if isinstance(version, bool) or version != PROTOCOL:
        raise ProtocolError(
            "unsupported_version",
            f"protocol is {_shown(version)}, this server speaks {PROTOCOL}",
        )


def _check_id(name: str, value: str) -> None:
    if len(value) > MAX_ID:
        raise _unsupported(f"{name} is {len(value)} characters long, the limit is {MAX_ID}")


def _check_format(fields: Fields) -> None:
    for name, accepted in (("sampleRate", SAMPLE_RATE), ("channels", CHANNELS)):
        value = fields.get(name, accepted)
        if isinstance(value, bool) or value != accepted:
            raise _unsupported(f"{name} is {_shown(value)}, this server takes {accepted}")
    encoding = fields.get("encoding", ENCODINGS[0])
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        raise _unsupported(f"encoding is {_shown(encoding)}, this server takes {ENCODINGS[0]}")


def _text(fields: Fields, name: str) -> str:
    """A client's text; absent and null are ""."""
    value = fields.get(name)
    if value is None:
        return ""
    if not _is_text(value):
        raise _unsupported(f"{name} is {_shown(value)}, it must be a text")
    return value


def _required(fields: Fields, name: str, kind: type[T]) -> T:
    value = fields.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _unsupported(
            f"a message of type {_shown(fields['type'])} has {_shown(value)} for {name}"
        )
    return value


def _optional(fields: Fields, name: str, kind: type[T]) -> T | None:
    return None if fields.get(name) is None else _required(fields, name, kind)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and not HALF_A_PAIR.search(value)


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _unsupported(message: str) -> ProtocolError:
    return ProtocolError("unsupported_message", message)


def _either(words: Mapping[str, object]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}"


def _shown(value: object) -> str:
    """A peer's value in an error message: short, ASCII, and never walked into."""
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            shown = json.dumps(value)
            return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
