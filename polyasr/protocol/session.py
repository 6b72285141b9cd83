"""The protocol state of one dictation, whichever connections carry it: no clock, no socket.

The journal takes frames in any order and gives their audio out strictly in sequence: a frame that
is held is acknowledged and otherwise ignored, a gap is waited for. A stop ends the utterance once,
and its answer is kept for a client that asks again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from polyasr.errors import ProtocolError
from polyasr.protocol import frames
from polyasr.protocol.messages import ClientMessage, Final, Flush, Mark, Stop, parse_client

HELD_FRAME_BYTES = 128
"""What Python needs to hold a frame besides its payload, which may be empty."""
MAX_ANSWERS = 16
"""Stop ids that one session answers; clients use one, and another when they lose count."""


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
class AudioReceived:
    """The next audio of the session in sequence: the frames below ``through_seq``."""

    pcm: bytes
    through_seq: int


@dataclass(frozen=True, slots=True)
class End:
    """The utterance ends before frame ``through_seq``.

    ``complete``: all that the client says it captured is held.
    """

    stop_id: str
    through_seq: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Note:
    """A flush or a mark at its place in the audio: behind the frames below ``through_seq``."""

    message: Flush | Mark
    through_seq: int


def read(message: bytes | str, limits: Limits) -> frames.Frame | ClientMessage:
    """What a client's message is. Raises ProtocolError."""
    data = message if isinstance(message, bytes) else message.encode(errors="surrogatepass")
    if len(data) > limits.max_message_bytes:
        raise ProtocolError(
            "message_too_large",
            f"a message is {len(data)} bytes long, the limit is {limits.max_message_bytes}",
        )
    return frames.decode(message) if isinstance(message, bytes) else parse_client(message)


@dataclass(slots=True)
class Journal:
    """Which frames of a session are held."""

    next_seq: int = 0
    n_bytes: int = 0
    early: dict[int, bytes] = field(default_factory=dict)
    early_bytes: int = 0

    def accept(self, frame: frames.Frame, limits: Limits) -> bytes:
        """Take a frame; returns the audio that is now in sequence.

        Raises ``session_too_long``; the frame is then not held.
        """
        if frame.sequence < self.next_seq or frame.sequence in self.early:
            return b""
        if self.n_bytes + len(frame.payload) > limits.max_session_bytes:
            raise _too_long(f"{limits.max_session_bytes} bytes of audio")
        if frame.sequence > self.next_seq:
            self._keep(frame, limits)
            return b""
        self.n_bytes += len(frame.payload)
        released = [frame.payload]
        self.next_seq += 1
        while self.next_seq in self.early:
            released.append(self.early.pop(self.next_seq))
            self.early_bytes -= len(released[-1]) + HELD_FRAME_BYTES
            self.next_seq += 1
        return b"".join(released)

    def _keep(self, frame: frames.Frame, limits: Limits) -> None:
        """Keep a frame until those before it have come."""
        early_bytes = self.early_bytes + len(frame.payload) + HELD_FRAME_BYTES
        if early_bytes > limits.max_early_bytes:
            raise _too_long(
                f"{limits.max_early_bytes} bytes of audio behind frame {self.next_seq}, "
                "which never came"
            )
        self.early[frame.sequence] = frame.payload
        self.early_bytes = early_bytes
        self.n_bytes += len(frame.payload)


class Session:
    """One dictation from its start to the answers to its stop.

    A stop is asked, and ends the utterance when its frames are held or nobody waits for them any
    longer; until then it belongs to the connection that asked, and is withdrawn with it. The first
    stop of a connection counts, another is ignored. So is a frame that the stop does not include,
    because it will be in no text and an acknowledgement would promise that it is: a stop includes
    the frames below ``final_captured_seq``, and without that what is held in sequence when it
    comes.
    """

    def __init__(self, session_id: str, limits: Limits | None = None) -> None:
        self.session_id = session_id
        self._limits = limits or Limits()
        self._journal = Journal()
        self.asked: Stop | None = None
        """What the connection asks for."""
        self._bound: int | None = None
        """The first frame that the stop does not include; None without a stop."""
        self._end: End | None = None
        self._answers: dict[str, Final] = {}

    @property
    def next_seq(self) -> int:
        """The frontier: all frames below it are held."""
        return self._journal.next_seq

    @property
    def ack_seq(self) -> int:
        """The highest contiguous sequence held, inclusive; -1 for none."""
        return self._journal.next_seq - 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost when the session is forgotten."""
        return not (self._journal.next_seq or self._journal.early or self._end)

    @property
    def has_ended(self) -> bool:
        """Whether no more audio is taken."""
        return self._end is not None

    @property
    def waits(self) -> bool:
        """Whether a stop was asked that has not ended the utterance."""
        return self.asked is not None and self._end is None

    @property
    def is_complete(self) -> bool:
        """Whether all that the asked stop includes is held."""
        return self._bound is not None and self.next_seq >= self._bound

    @property
    def answered_stops(self) -> frozenset[str]:
        """The stop ids to which an answer is kept."""
        return frozenset(self._answers)

    def accept(self, frame: frames.Frame) -> AudioReceived | None:
        """Take a frame; returns what it adds to the audio. Raises ``session_too_long``."""
        if self.has_ended or (self._bound is not None and frame.sequence >= self._bound):
            return None
        before = self.next_seq
        pcm = self._journal.accept(frame, self._limits)
        return AudioReceived(pcm, self.next_seq) if self.next_seq > before else None

    def note(self, message: Flush | Mark) -> Note | None:
        """Where a flush or a mark lies; None behind a stop, whose final seals and tells all."""
        if self.asked is not None or self.has_ended:
            return None
        return Note(message, self.next_seq)

    def ask(self, stop: Stop) -> None:
        """A connection asks for the final."""
        if self.asked is None:
            captured = stop.final_captured_seq
            self.asked = stop
            self._bound = self.next_seq if captured is None else captured

    def withdraw(self) -> None:
        """The connection is gone, and what it asked with it; an end stays."""
        self.asked = self._bound = None

    def end(self) -> End | None:
        """End the utterance as the asked stop says, now.

        None when of the audio that the client captured nothing is held that could be heard.
        """
        assert self.asked is not None and self._end is None, "one stop ends an utterance, once"
        if not self.is_complete and self.next_seq == 0:
            return None
        self._end = End(self.asked.stop_id, self.next_seq, self.is_complete)
        self._journal = Journal(next_seq=self.next_seq)  # what lies behind a gap is in no text
        return self._end

    def conclude(self, text: str, recognized_through_seq: int | None) -> None:
        """The text of the utterance that has ended, and the coverage it has earned."""
        assert self._end is not None, "an utterance that goes on has no final"
        stop_id = self._end.stop_id
        final = Final(self.session_id, stop_id, text, recognized_through_seq)
        self._answers = {stop_id: final}

    def answer(self) -> Final | None:
        """The final for the stop that is asked; None while there is none.

        One stop id gets one answer. Under another id the text is the same, and its coverage is
        told only when that includes what this stop captured.
        """
        if self.asked is None or not self._answers:
            return None
        stop = self.asked
        if stop.stop_id not in self._answers:
            self._answers[stop.stop_id] = self._answer(stop)
            if len(self._answers) > MAX_ANSWERS:
                del self._answers[list(self._answers)[1]]  # the first is the end's own
        return self._answers[stop.stop_id]

    def _answer(self, stop: Stop) -> Final:
        final = next(iter(self._answers.values()))
        covered, captured = final.recognized_through_seq, stop.final_captured_seq
        if covered is not None and captured is not None and captured > covered:
            covered = None
        return replace(final, stop_id=stop.stop_id, recognized_through_seq=covered)


def _too_long(what: str) -> ProtocolError:
    return ProtocolError("session_too_long", f"the session holds more than {what}")
