"""The server's side of one connection: messages in, events out.

The journal takes frames in any order and gives their audio out strictly in sequence: a frame that
is held is acknowledged and otherwise ignored, a gap is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from polyasr.errors import ProtocolError
from polyasr.protocol import frames
from polyasr.protocol.messages import SUPPORTED_CONTROL, Resume, Start, Stop, parse_client

HELD_FRAME_BYTES = 128
"""What Python needs to hold a frame besides its payload, which may be empty."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may use.

    ``max_message_bytes``: 1 MiB, 32 s of audio in a frame, hundreds of times what clients send.
    ``max_session_bytes``: audio of a session, 4 h of PCM16 at 16 kHz.
    ``max_early_bytes``: audio held beyond a gap; a client that reconnects resends from the gap on,
    so 16 MiB, 8 minutes, means that it will not.
    """

    max_message_bytes: int = 2**20
    max_session_bytes: int = 4 * 3600 * 16_000 * 2
    max_early_bytes: int = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Started:
    """A ``start`` or ``resume`` was accepted; ``control`` is what is granted."""

    session_id: str
    control: int
    language: str
    context: str
    resumed: bool
    ack_seq: int


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """The next audio of the session in sequence: the frames below ``through_seq``."""

    pcm: bytes
    through_seq: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The client ends the utterance: it captured the frames below ``final_captured_seq``.

    None: it does not say how many.
    """

    stop_id: str
    final_captured_seq: int | None


Event = Started | AudioReceived | StopRequested


@dataclass(slots=True)
class Journal:
    """Which frames of a session are held."""

    next_seq: int = 0
    n_bytes: int = 0
    early: dict[int, bytes] = field(default_factory=dict)
    early_bytes: int = 0

    def accept(self, frame: frames.Frame, limits: Limits) -> bytes:
        """Take a frame; returns the audio that is now in sequence. Raises ``session_too_long``."""
        if frame.sequence < self.next_seq or frame.sequence in self.early:
            return b""
        self.n_bytes += len(frame.payload)
        if self.n_bytes > limits.max_session_bytes:
            raise _too_long(f"{limits.max_session_bytes} bytes of audio")
        if frame.sequence > self.next_seq:
            self.early[frame.sequence] = frame.payload
            self.early_bytes += len(frame.payload) + HELD_FRAME_BYTES
            if self.early_bytes > limits.max_early_bytes:
                raise _too_long(
                    f"{limits.max_early_bytes} bytes of audio behind frame {self.next_seq}, "
                    "which never came"
                )
            return b""
        released = [frame.payload]
        self.next_seq += 1
        while self.next_seq in self.early:
            released.append(self.early.pop(self.next_seq))
            self.early_bytes -= len(released[-1]) + HELD_FRAME_BYTES
            self.next_seq += 1
        return b"".join(released)


class Session:
    """The protocol state of one connection.

    The first stop ends the utterance: another is ignored, and so is a frame that comes after it
    and that it does not include, because that frame will be in no text and an acknowledgement would
    promise that it is. A stop includes the frames below ``final_captured_seq``, and without that
    what is held in sequence when it comes.

    After ``receive`` has raised, the connection is to be told the error and closed.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._start: Start | None = None
        self._journal = Journal()
        self._end: int | None = None
        """The first frame that is too late; None before the stop."""

    @property
    def session_id(self) -> str:
        """The current session; "" before the first ``start``."""
        return self._start.session_id if self._start else ""

    @property
    def next_seq(self) -> int:
        """The frontier: all frames below it are held."""
        return self._journal.next_seq

    @property
    def ack_seq(self) -> int:
        """The highest contiguous sequence held, inclusive; -1 for none."""
        return self._journal.next_seq - 1

    def is_complete(self, final_captured_seq: int | None) -> bool:
        """Whether all that the client captured is held; it is when the client does not say."""
        return final_captured_seq is None or self.next_seq >= final_captured_seq

    def receive(self, message: bytes | str) -> list[Event]:
        """Take one message. Raises ProtocolError."""
        self._check_size(message)
        if isinstance(message, bytes):
            return self._receive_audio(message)
        match parse_client(message):
            case Start() as start:
                return [self._begin(start)]
            case Stop() as stop:
                return self._receive_stop(stop)

    def _receive_audio(self, message: bytes) -> list[Event]:
        if self._start is None:
            raise ProtocolError("audio_before_start", "audio came before start or resume")
        frame, before = frames.decode(message), self.next_seq
        if self._end is not None and frame.sequence >= self._end:
            return []
        pcm = self._journal.accept(frame, self._limits)
        return [AudioReceived(pcm, self.next_seq)] if self.next_seq > before else []

    def _receive_stop(self, stop: Stop) -> list[Event]:
        if self._start is None:
            raise ProtocolError("stop_before_start", "stop came before start or resume")
        if self._end is not None:
            return []
        captured = stop.final_captured_seq
        self._end = self.next_seq if captured is None else captured
        return [StopRequested(stop.stop_id, captured)]

    def _begin(self, start: Start) -> Started:
        """A session begins empty, also by ``resume``: none is held between connections."""
        self._start, self._journal, self._end = start, Journal(), None
        return Started(
            session_id=start.session_id,
            control=min(start.control, SUPPORTED_CONTROL),
            language=start.language,
            context=start.context,
            resumed=isinstance(start, Resume),
            ack_seq=self.ack_seq,
        )

    def _check_size(self, message: bytes | str) -> None:
        data = message if isinstance(message, bytes) else message.encode(errors="surrogatepass")
        if len(data) > self._limits.max_message_bytes:
            raise ProtocolError(
                "message_too_large",
                f"a message is {len(data)} bytes long, "
                f"the limit is {self._limits.max_message_bytes}",
            )


def _too_long(what: str) -> ProtocolError:
    return ProtocolError("session_too_long", f"the session holds more than {what}")
