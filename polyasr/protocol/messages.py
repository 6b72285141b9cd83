"""The text messages: JSON objects with a ``type``, read and written in this one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

from polyasr.errors import ProtocolError

PROTOCOL = 1
"""The only version of the protocol."""
SUPPORTED_CONTROL = 2
"""The highest control level this server grants."""
ENCODINGS = ("pcm16", "pcm_s16le", "s16le", "linear16")
"""The names clients have for the one encoding."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """``start``: a new utterance; ``control`` is what the client asks for, at least 1."""

    session_id: str
    control: int = 1
    context: str = ""
    language: str = ""
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """``stop``: the client captured frames 0 … ``final_captured_seq`` − 1, if it says so."""

    stop_id: str
    final_captured_seq: int | None


ClientMessage = Start | Stop


def parse_client(text: str) -> ClientMessage:
    """Read what a client sent. Raises ProtocolError with the code of the contract."""
    fields = _object(text)
    match fields.get("type"):
        case "start" | "resume" as kind:
            return _parse_start(fields, resume=kind == "resume")
        case "stop":
            return Stop(_text(fields, "stopId"), _captured(fields))
        case kind:
            raise _unsupported(f"the type is {_shown(kind)}: use start, resume or stop")


def _parse_start(fields: Fields, *, resume: bool) -> Start:
    version = fields.get("protocol", PROTOCOL)
    if isinstance(version, bool) or version != PROTOCOL:
        raise ProtocolError(
            "unsupported_version",
            f"protocol is {_shown(version)}, this server speaks {PROTOCOL}",
        )
    session_id = fields.get("sessionId")
    if not _is_text(session_id) or not session_id:
        raise ProtocolError("missing_session_id", "sessionId must be a text that is not empty")
    _check_format(fields)
    return Start(
        session_id=session_id,
        control=_control(fields.get("control")),
        context=_text(fields, "context"),
        language=_text(fields, "language"),
        resume=resume,
    )


def _check_format(fields: Fields) -> None:
    for name, accepted in (("sampleRate", 16000), ("channels", 1)):
        value = fields.get(name, accepted)
        if isinstance(value, bool) or value != accepted:
            raise _unsupported(f"{name} is {_shown(value)}, this server takes {accepted}")
    encoding = fields.get("encoding", ENCODINGS[0])
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        raise _unsupported(f"encoding is {_shown(encoding)}, this server takes {ENCODINGS[0]}")


def _control(asked: object) -> int:
    """Nonsense counts as 1."""
    return asked if isinstance(asked, int) and not isinstance(asked, bool) and asked >= 1 else 1


def _captured(fields: Fields) -> int | None:
    """A bound that cannot be read must not be taken for none, or coverage would be claimed."""
    value = fields.get("finalCapturedSeq")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _unsupported(f"finalCapturedSeq is {_shown(value)}, it counts frames: 0, 1, 2, …")
    return value


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not _is_text(value):
        raise _unsupported(f"{name} is {_shown(value)}, it must be a text")
    return value


def _is_text(value: object) -> TypeGuard[str]:
    """JSON can spell half of a surrogate pair, which is no text and cannot be sent back."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


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


def _unsupported(message: str) -> ProtocolError:
    return ProtocolError("unsupported_message", message)


def _shown(value: object) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= 60 else shown[:57] + "…"


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


@dataclass(frozen=True, slots=True)
class Resumed(Started):
    """A ``resume`` was accepted."""

    TYPE: ClassVar[str] = "resumed"


@dataclass(frozen=True, slots=True)
class Ack:
    """The highest contiguous sequence accepted, inclusive; −1 for none."""

    TYPE: ClassVar[str] = "ack"

    session_id: str
    ack_seq: int

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(
            self.TYPE, protocol=PROTOCOL, sessionId=self.session_id, ackSeq=self.ack_seq
        )


@dataclass(frozen=True, slots=True)
class Partial:
    """The whole text so far; ``delta`` only when it extends the one before."""

    TYPE: ClassVar[str] = "partial"

    session_id: str
    partial: str
    delta: str | None = None

    @classmethod
    def following(cls, before: str, session_id: str, text: str) -> Partial:
        """The partial that comes after the text ``before`` was shown."""
        delta = text[len(before) :] if text.startswith(before) else None
        return cls(session_id, text, delta)

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        delta = {} if self.delta is None else {"delta": self.delta}
        return _dump(self.TYPE, sessionId=self.session_id, partial=self.partial, **delta)


@dataclass(frozen=True, slots=True)
class Final:
    """The text; every frame below ``recognized_through_seq`` was decoded into it, None: a guess."""

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


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing follows; the server closes."""

    TYPE: ClassVar[str] = "done"

    session_id: str
    stop_id: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(self.TYPE, sessionId=self.session_id, stopId=self.stop_id)


@dataclass(frozen=True, slots=True)
class StopExpired:
    """The stop cannot be answered; ``reason``: ``stop_result_expired`` or ``session_not_held``."""

    TYPE: ClassVar[str] = "stopExpired"

    session_id: str
    stop_id: str
    reason: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return _dump(
            self.TYPE, sessionId=self.session_id, stopId=self.stop_id, reason=self.reason
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


ServerMessage = Started | Resumed | Ack | Partial | Final | Done | StopExpired | Error


def parse_server(text: str) -> ServerMessage | None:
    """Read what a server sent; None for a type that this client does not know.

    Raises ProtocolError ``invalid_json``, or ``unsupported_message`` for a field that is missing.
    """
    fields = _object(text)
    kind = fields.get("type")
    try:
        return _read(kind, fields)
    except KeyError as missing:
        raise _unsupported(f"a message of type {_shown(kind)} lacks {missing}") from missing


def _read(kind: object, fields: Fields) -> ServerMessage | None:
    match kind:
        case "started":
            return Started(fields["sessionId"], fields["ackSeq"], fields.get("control", 1))
        case "resumed":
            return Resumed(fields["sessionId"], fields["ackSeq"], fields.get("control", 1))
        case "ack":
            return Ack(fields["sessionId"], fields["ackSeq"])
        case "partial":
            return Partial(fields["sessionId"], fields["partial"], fields.get("delta"))
        case "final":
            covered = fields.get("recognizedThroughSeq")
            return Final(fields["sessionId"], fields["stopId"], fields["text"], covered)
        case "done":
            return Done(fields["sessionId"], fields["stopId"])
        case "stopExpired":
            return StopExpired(fields["sessionId"], fields["stopId"], fields["reason"])
        case "error":
            return Error(fields["error"], fields["code"])
        case _:
            return None


def _dump(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False)
