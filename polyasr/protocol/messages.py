"""The text messages: JSON objects with a ``type``, read and written in this one place.

Inside, names are Python's and coverage is half-open; the wire's names and units stay in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import ClassVar, Self, get_args

from polyasr.errors import ProtocolError
from polyasr.protocol.fields import (
    Fields,
    RequestId,
    check_id,
    dump,
    either,
    is_int,
    is_text,
    objects,
    optional,
    parse_object,
    request_id,
    required,
    seconds,
    shown,
    switch,
    text_of,
    unsupported,
)

PROTOCOL = 1
"""The only version of the protocol."""
SUPPORTED_CONTROL = 3
"""The highest control level this server grants."""
SAMPLE_RATE = 16_000
"""Hz; the only rate on the wire."""
CHANNELS = 1
ENCODINGS = ("pcm16", "pcm_s16le", "s16le", "linear16")
"""The names clients have for the one encoding, in any case; the first is the contract's."""
WORDS = "word"
"""The only kind of ``timestamps``."""


@dataclass(frozen=True, slots=True)
class Start:
    """``start``: a new utterance.

    ``control`` is the level the client asks for, at least 1; ``language`` is whatever the client
    calls it, "" for none: whether the model knows it is for the server to say. Of control 3:
    ``word_times`` asks for the words of each segment, ``speaker_filter`` None leaves it to the
    server, and without ``endpointing`` a pause settles nothing.
    """

    TYPE: ClassVar[str] = "start"

    session_id: str
    control: int = 1
    context: str = ""
    language: str = ""
    word_times: bool = False
    speaker_filter: bool | None = None
    endpointing: bool = True

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(
            self.TYPE,
            protocol=PROTOCOL,
            sessionId=self.session_id,
            control=self.control,
            sampleRate=SAMPLE_RATE,
            channels=CHANNELS,
            encoding=ENCODINGS[0],
            context=self.context or None,
            language=self.language or None,
            timestamps=WORDS if self.word_times else None,
            speakerFilter=self.speaker_filter,
            endpointing=None if self.endpointing else False,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        _check_version(fields)
        session_id = fields.get("sessionId")
        if not is_text(session_id) or not session_id:
            raise ProtocolError("missing_session_id", "sessionId must be a text that is not empty")
        check_id("sessionId", session_id)
        _check_format(fields)
        asked = fields.get("control")
        control = asked if is_int(asked) and asked >= 1 else 1
        ours = fields if control >= 3 else {}
        return cls(
            session_id=session_id,
            control=control,
            context=text_of(fields, "context"),
            language=text_of(fields, "language"),
            word_times=_wants_words(ours),
            speaker_filter=switch(ours, "speakerFilter"),
            endpointing=switch(ours, "endpointing") is not False,
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
        return dump(
            self.TYPE,
            protocol=PROTOCOL,
            stopId=self.stop_id,
            finalCapturedSeq=self.final_captured_seq,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        captured = fields.get("finalCapturedSeq")
        if captured is not None and (not is_int(captured) or captured < 0):
            raise unsupported(
                f"finalCapturedSeq is {shown(captured)}, it counts frames: 0, 1, 2, …"
            )
        stop_id = text_of(fields, "stopId")
        check_id("stopId", stop_id)
        return cls(stop_id, captured)


@dataclass(frozen=True, slots=True)
class Flush:
    """``flush`` (control 3): seal what was heard so far; the session goes on."""

    TYPE: ClassVar[str] = "flush"

    id: RequestId = ""

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, id=self.id)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(request_id(fields))


@dataclass(frozen=True, slots=True)
class Mark(Flush):
    """``mark`` (control 3): tell when all audio sent before it has been decoded."""

    TYPE: ClassVar[str] = "mark"


ClientMessage = Start | Resume | Stop | Flush | Mark
CLIENT_MESSAGES: Mapping[str, type[ClientMessage]] = MappingProxyType(
    {kind.TYPE: kind for kind in get_args(ClientMessage)}
)


def parse_client(text: str) -> ClientMessage:
    """Read what a client sent.

    Raises ProtocolError ``invalid_json``, ``unsupported_message``, ``unsupported_version`` or
    ``missing_session_id``. Fields that the contract does not name are ignored.
    """
    fields = parse_object(text)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        raise unsupported(f"type is {shown(kind)}, it must be {either(CLIENT_MESSAGES)}")
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
        return dump(
            self.TYPE,
            protocol=PROTOCOL,
            sessionId=self.session_id,
            ackSeq=self.ack_seq,
            control=self.control if self.control >= 2 else None,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            required(fields, "ackSeq", int),
            optional(fields, "control", int) or 1,
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
        return dump(self.TYPE, protocol=PROTOCOL, sessionId=self.session_id, ackSeq=self.ack_seq)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(required(fields, "sessionId", str), required(fields, "ackSeq", int))


@dataclass(frozen=True, slots=True)
class Settled:
    """What a partial says at control 3: how much of it stays as it is, and what it was heard in.

    ``committed``, a beginning of the partial, only grows until the final, which begins with it.
    ``audio_sec``: the text is that of the audio before this time; ``language``: "" when unknown.
    """

    committed: str
    language: str
    audio_sec: float

    def n_tentative(self, partial: str) -> int:
        """How many characters at the end of that text may still change."""
        return len(partial) - len(self.committed)

    def fields(self, partial: str) -> Fields:
        """As they go over the wire with that text."""
        return {
            "committed": self.committed,
            "tentative": partial[len(self.committed) :],
            "language": self.language,
            "audioSec": self.audio_sec,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "committed", str),
            required(fields, "language", str),
            seconds(fields, "audioSec"),
        )


@dataclass(frozen=True, slots=True)
class Partial:
    """The whole text so far; ``delta`` only when it extends the one before.

    ``settled``, at control 3 alone, says more.
    """

    TYPE: ClassVar[str] = "partial"

    session_id: str
    partial: str
    delta: str | None = None
    settled: Settled | None = None

    def following(self, before: str) -> Self:
        """This partial as it comes after the client was sent ``before`` ("" if nothing yet)."""
        delta = self.partial[len(before) :] if self.partial.startswith(before) else None
        return replace(self, delta=delta)

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        more = {} if self.settled is None else self.settled.fields(self.partial)
        return dump(
            self.TYPE, sessionId=self.session_id, partial=self.partial, delta=self.delta, **more
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            required(fields, "partial", str),
            optional(fields, "delta", str),
            Settled.from_fields(fields) if "committed" in fields else None,
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
        return dump(
            self.TYPE,
            sessionId=self.session_id,
            stopId=self.stop_id,
            text=self.text,
            recognizedThroughSeq=self.recognized_through_seq,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            required(fields, "stopId", str),
            required(fields, "text", str),
            optional(fields, "recognizedThroughSeq", int),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing follows; the server closes."""

    TYPE: ClassVar[str] = "done"

    session_id: str
    stop_id: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, sessionId=self.session_id, stopId=self.stop_id)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(required(fields, "sessionId", str), required(fields, "stopId", str))


@dataclass(frozen=True, slots=True)
class StopExpired:
    """The stop cannot be answered; ``reason``: ``stop_result_expired`` or ``session_not_held``."""

    TYPE: ClassVar[str] = "stopExpired"

    session_id: str
    stop_id: str
    reason: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, sessionId=self.session_id, stopId=self.stop_id, reason=self.reason)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            required(fields, "stopId", str),
            required(fields, "reason", str),
        )


@dataclass(frozen=True, slots=True)
class Error:
    """What went wrong, for a person, and its code, for a program; the server closes."""

    TYPE: ClassVar[str] = "error"

    error: str
    code: str

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, error=self.error, code=self.code)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(required(fields, "error", str), required(fields, "code", str))


@dataclass(frozen=True, slots=True)
class SpeechState:
    """``speech``: a voice ``started`` or ``stopped`` at that time."""

    TYPE: ClassVar[str] = "speech"

    session_id: str
    state: str
    audio_sec: float

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, sessionId=self.session_id, state=self.state, audioSec=self.audio_sec)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            required(fields, "state", str),
            seconds(fields, "audioSec"),
        )


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the seconds in which it is heard."""

    text: str
    start: float
    end: float

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(required(fields, "text", str), seconds(fields, "start"), seconds(fields, "end"))


@dataclass(frozen=True, slots=True)
class Segment:
    """``segment``: a part of the text that is sealed, with its place in the audio in seconds.

    ``id`` counts the segments of a session from 0; ``words`` are there when they were asked for.
    """

    TYPE: ClassVar[str] = "segment"

    session_id: str
    id: int
    text: str
    start: float
    end: float
    language: str
    words: tuple[Word, ...] | None = None

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(
            self.TYPE,
            sessionId=self.session_id,
            id=self.id,
            text=self.text,
            start=self.start,
            end=self.end,
            language=self.language,
            words=None if self.words is None else [asdict(word) for word in self.words],
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        words = objects(fields, "words")
        return cls(
            required(fields, "sessionId", str),
            required(fields, "id", int),
            required(fields, "text", str),
            seconds(fields, "start"),
            seconds(fields, "end"),
            required(fields, "language", str),
            None if words is None else tuple(map(Word.from_fields, words)),
        )


@dataclass(frozen=True, slots=True)
class Rejected:
    """``rejected``: what was heard between these seconds is another voice, and in no text."""

    TYPE: ClassVar[str] = "rejected"

    session_id: str
    start: float
    end: float
    similarity: float

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(
            self.TYPE,
            sessionId=self.session_id,
            start=self.start,
            end=self.end,
            similarity=self.similarity,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            seconds(fields, "start"),
            seconds(fields, "end"),
            seconds(fields, "similarity"),
        )


@dataclass(frozen=True, slots=True)
class Flushed:
    """``flushed``: the flush with this id is done, and its segment, if there is one, was told."""

    TYPE: ClassVar[str] = "flushed"

    session_id: str
    id: RequestId

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(self.TYPE, sessionId=self.session_id, id=self.id)

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(required(fields, "sessionId", str), request_id(fields))


@dataclass(frozen=True, slots=True)
class Marked:
    """``marked``: every frame below ``recognized_through_seq`` has been decoded."""

    TYPE: ClassVar[str] = "marked"

    session_id: str
    id: RequestId
    recognized_through_seq: int

    def to_json(self) -> str:
        """The message as it goes over the wire."""
        return dump(
            self.TYPE,
            sessionId=self.session_id,
            id=self.id,
            recognizedThroughSeq=self.recognized_through_seq,
        )

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        """Raises ProtocolError."""
        return cls(
            required(fields, "sessionId", str),
            request_id(fields),
            required(fields, "recognizedThroughSeq", int),
        )


Event = SpeechState | Segment | Rejected | Flushed | Marked
"""What control 3 tells besides."""
ServerMessage = Started | Resumed | Ack | Partial | Final | Done | StopExpired | Error | Event
SERVER_MESSAGES: Mapping[str, type[ServerMessage]] = MappingProxyType(
    {kind.TYPE: kind for kind in get_args(ServerMessage)}
)


def parse_server(text: str) -> ServerMessage | None:
    """Read what a server sent; None for a type that this client does not know.

    Raises ProtocolError ``invalid_json``, or ``unsupported_message`` for a field that is missing
    or of the wrong type.
    """
    fields = parse_object(text)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in SERVER_MESSAGES:
        return None
    return SERVER_MESSAGES[kind].from_fields(fields)


def _check_version(fields: Fields) -> None:
    version = fields.get("protocol", PROTOCOL)
    if isinstance(version, bool) or version != PROTOCOL:
        raise ProtocolError(
            "unsupported_version",
            f"protocol is {shown(version)}, this server speaks {PROTOCOL}",
        )


def _wants_words(fields: Fields) -> bool:
    value = fields.get("timestamps")
    if value is not None and value != WORDS:
        raise unsupported(f'timestamps is {shown(value)}, it must be "{WORDS}" or left out')
    return value is not None


def _check_format(fields: Fields) -> None:
    for name, accepted in (("sampleRate", SAMPLE_RATE), ("channels", CHANNELS)):
        value = fields.get(name, accepted)
        if isinstance(value, bool) or value != accepted:
            raise unsupported(f"{name} is {shown(value)}, this server takes {accepted}")
    encoding = fields.get("encoding", ENCODINGS[0])
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        raise unsupported(f"encoding is {shown(encoding)}, this server takes {ENCODINGS[0]}")
