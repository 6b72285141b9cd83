"""A dictation's connections, one after another, until a server is done with it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import trio
from trio_websocket import ConnectionClosed

from polyasr.client.capture import Capture
from polyasr.client.servers import Servers, Socket
from polyasr.client.socket import ServerUnreachable
from polyasr.errors import PolyasrError, ProtocolError, ungrouped
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import (
    Ack,
    Done,
    Error,
    Event,
    Final,
    Flush,
    Flushed,
    Mark,
    Marked,
    Partial,
    Rejected,
    Resume,
    Resumed,
    Segment,
    ServerMessage,
    SpeechState,
    Start,
    Started,
    Stop,
    StopExpired,
    parse_server,
)

PING_SEC = 10.0
STALL_SEC = 30.0
"""A server of which nothing is heard for so long, pongs included, is lost though the network has
not noticed: a phone that changes networks is not told."""
ATTEMPTS = 2
"""How often all audio is sent for a final that covers it."""


class DictationFailed(PolyasrError):
    """The server ended the dictation; ``code`` is the protocol's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


Rescue = Callable[[bytes, Start], Awaitable[str]]
"""Gets the text of a whole recording, PCM16, without a dictation. Raises PolyasrError."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the server and when it came, by ``trio.current_time()`` in seconds."""

    message: ServerMessage
    at: float


@dataclass(frozen=True, slots=True)
class Restarted:
    """All audio is heard again from the beginning, by another server or one that has lost the
    session: what was told so far, committed text and segments as well, is told anew."""


Told = Partial | Final | Event | Restarted
"""What a dictation tells; events come at control 3."""


class Link:
    """Sends what was captured and receives what is answered, over as many connections as it takes.

    A session is resumed where a server holds it. A server that reports an error is asked no more,
    and while one cannot be found the others are asked as well. A final that does not cover all
    audio, and a stop that a server cannot answer, are asked for once more with all of the audio, if
    that is still kept. What is then still missing is left to the rescue, if there is one.
    """

    def __init__(self, start: Start, capture: Capture, servers: Servers) -> None:
        self.start, self.capture = start, capture
        self.stop: Stop | None = None
        self.received: list[Received] = []
        self.is_over = False
        self.trouble: PolyasrError | None = None
        """Why no server listens just now."""
        self.failure: PolyasrError | None = None
        """Why it is over, unless because a server was done."""
        self._events, self.events = trio.open_memory_channel[Told](math.inf)
        self._requests: list[tuple[int, Flush | Mark]] = []
        """What was asked and is not answered, each behind so many frames."""
        self._segments: set[int] = set()
        """The numbers of those that were told."""
        self._changed = trio.Event()
        self._talking = trio.CancelScope()
        self._servers = servers
        self._attempts_left = max(ATTEMPTS, len(servers)) - 1
        self._opening: Start = start
        self._control = 0
        """What was granted; 0 before the session has begun."""
        self._heard_at = 0.0
        self._final: Final | None = None
        self._lost = DictationFailed("connection_closed", "the server closed the connection")

    def tell(self) -> None:
        """Audio was captured, or the stop is there, or it is over."""
        self._changed.set()
        self._changed = trio.Event()

    def request(self, message: Flush | Mark) -> None:
        """Ask for something behind all that was captured."""
        self.capture.finish()
        self._requests.append((self.capture.n_frames, message))
        self.tell()

    async def changed(self) -> None:
        """Wait for the next time that something is told or acknowledged."""
        await self._changed.wait()

    def leave(self) -> None:
        """Say goodbye to the server and listen no more."""
        self.is_over = True
        self._talking.cancel()
        self.tell()

    async def run(
        self,
        rescue: Rescue | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Connect until it is over. Raises PolyasrError when no server can be reached at first."""
        try:
            await self._visit(task_status)
            if self.failure is not None and self._control and rescue is not None:
                await self._save(rescue)
            if self._final is not None and not self._covers(self._final):
                self._events.send_nowait(self._final)
                self.failure = None
        finally:
            self.is_over = True
            self._events.close()
            self.tell()

    async def _visit(self, task_status: trio.TaskStatus[None]) -> None:
        """Connect again and again, until it is over or there is a failure."""
        servers = self._servers
        while not self.is_over:
            try:
                async with servers.current() as socket:
                    if not servers.was_reached:
                        servers.was_reached = True
                        task_status.started()
                    await self._talk(socket)
                lost: PolyasrError = self._lost
            except ServerUnreachable as error:
                lost = error
            except DictationFailed as error:
                lost = error
                servers.drop()
            if self.is_over:
                return
            self.trouble = lost
            pause = servers.pause()
            if pause is None and not servers.was_reached:
                raise lost
            if pause is None:
                self.failure = lost
                return
            await self._rest(pause)

    async def _save(self, rescue: Rescue) -> None:
        """Have the audio recognized without a dictation, once all of it is there."""
        while self.stop is None and not self.capture.is_full and not self.is_over:
            await self.changed()
        if self.stop is None or self.capture.first_kept or self.is_over:
            return
        self._talking = trio.CancelScope()
        with self._talking:
            try:
                text = await rescue(self.capture.audio(), self.start)
            except PolyasrError as error:
                self.trouble = error
                return
            stop, self.failure = self.stop, None
            self._take(Final(self.start.session_id, stop.stop_id, text, stop.final_captured_seq))

    async def _rest(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            while not self.is_over:
                await self.changed()

    async def _talk(self, socket: Socket) -> None:
        """One connection, until it is lost or the dictation over. Raises DictationFailed."""
        self._heard_at = trio.current_time()
        self._talking = trio.CancelScope()
        opening = self._opening
        if self.is_over:
            return
        with self._talking, ungrouped():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, socket, nursery.cancel_scope)
                await self._send(socket, opening.to_json())
                if not isinstance(opening, Resume):
                    self._send_after(-1, socket, nursery)
                await self._receive(socket, nursery)
                nursery.cancel_scope.cancel()

    async def _receive(self, socket: Socket, nursery: trio.Nursery) -> None:
        """Take what comes, until nothing more is to be had of this connection."""
        goes_on = True
        while goes_on:
            try:
                message = _parse(await socket.get_message())
            except ConnectionClosed as closed:
                self._lost = _gone(closed)
                self.is_over = self._final is not None and self._covers(self._final)
                return
            self._heard_at = trio.current_time()
            if message is not None:
                self.received.append(Received(message, self._heard_at))
            if isinstance(message, Resumed):
                self._send_after(message.ack_seq, socket, nursery)
            goes_on = self._take(message)

    def _take(self, message: ServerMessage | None) -> bool:
        """Act upon a message; whether more may follow. Raises DictationFailed."""
        match message:
            case Started(control=control):
                self._control, self._opening = control, Resume(**asdict(self.start))
                self.trouble = None
            case Ack(ack_seq=ack_seq):
                if self.capture.acknowledge(ack_seq):
                    self._servers.got_on()
                self.tell()
            case Partial():
                self._servers.got_on()
                self._events.send_nowait(message)
            case Flushed() | Marked():
                self._answered(message)
                self._events.send_nowait(message)
            case Segment(id=number) if number in self._segments:
                pass  # a session that is resumed tells them all again
            case Segment(id=number):
                self._segments.add(number)
                self._events.send_nowait(message)
            case SpeechState() | Rejected():
                self._events.send_nowait(message)
            case Final() if self._covers(message):
                self._final = message
                self._events.send_nowait(message)
            case Final():
                self._final = message
                if self._start_anew():
                    return False
                raise DictationFailed("not_covered", "the text may lack some of the audio")
            case Done():
                self.is_over = True
                return False
            case Error(error=error, code="too_many_sessions") if self._control:
                self._lost = DictationFailed("too_many_sessions", error)
                self._servers.move_on()
                return False  # the session is held, and there may be a place for it later
            case Error(error=error, code=code):
                raise DictationFailed(code, error)
            case StopExpired(reason=reason):
                if self._start_anew():
                    self._servers.move_on()
                    return False
                raise DictationFailed(reason, f"the server cannot answer the stop: {reason}")
        return True

    def _answered(self, answer: Flushed | Marked) -> None:
        kind = Mark if isinstance(answer, Marked) else Flush
        same = [r for r in self._requests if type(r[1]) is kind and r[1].id == answer.id]
        for request in same[:1]:
            self._requests.remove(request)

    def _send_after(self, ack_seq: int, socket: Socket, nursery: trio.Nursery) -> None:
        """Send the frames after those that the server holds. Raises DictationFailed."""
        held_before = self.capture.n_acknowledged
        try:
            self.capture.rewind(ack_seq)
        except LookupError as error:
            what = f"the server has lost the session, and {error}"
            raise DictationFailed("session_not_held", what) from error
        if ack_seq < 0 < held_before:
            self._segments.clear()
            self._events.send_nowait(Restarted())
        nursery.start_soon(self._send_audio, socket, ack_seq + 1)

    def _covers(self, final: Final) -> bool:
        """Whether all that was captured is in the text, as far as the server tells."""
        if self._control < 2 or self.stop is None or self.stop.final_captured_seq is None:
            return True
        covered = final.recognized_through_seq
        return covered is not None and covered >= self.stop.final_captured_seq

    def _start_anew(self) -> bool:
        """Have all audio sent again, in a new session under the same id, if that is possible."""
        if not self._attempts_left or self.capture.first_kept:
            return False
        self._attempts_left -= 1
        self._opening = self.start
        self._servers.got_on()
        return True

    async def _send_audio(self, socket: Socket, position: int) -> None:
        """Send the frames from ``position`` on as they are captured, then the stop.

        What was asked and not answered is asked again, at its place or as soon as may be.
        """
        asked: list[Flush | Mark] = []
        while True:
            due = [each for at, each in self._requests if at <= position and each not in asked]
            if due:
                asked.append(due[0])
                await self._send(socket, due[0].to_json())
            elif position < self.capture.n_frames:
                frame = Frame(position, self.capture.payload(position))
                position += 1
                await self._send(socket, encode(frame))
            elif self.stop is not None:
                return await self._send(socket, self.stop.to_json())
            else:
                await self.changed()

    async def _send(self, socket: Socket, message: bytes | str) -> None:
        """A server that has closed says why in what it sent before; that is for the reader."""
        try:
            await socket.send_message(message)
        except ConnectionClosed:
            await trio.lowlevel.checkpoint()

    async def _watch(self, socket: Socket, connection: trio.CancelScope) -> None:
        """End the connection when nothing at all is heard of the server."""
        while (now := trio.current_time()) < self._heard_at + STALL_SEC:
            if now < self._heard_at + PING_SEC:
                await trio.sleep_until(self._heard_at + PING_SEC)
                continue
            with trio.move_on_after(PING_SEC):
                try:
                    await socket.ping()
                except ConnectionClosed:
                    return
                self._heard_at = trio.current_time()
        self._lost = DictationFailed("connection_closed", "the server does not answer any more")
        connection.cancel()


def _parse(text: bytes | str) -> ServerMessage | None:
    if isinstance(text, bytes):
        raise DictationFailed("unsupported_message", "the server sent a binary message")
    try:
        return parse_server(text)
    except ProtocolError as error:
        what = f"the server sent what this client cannot read: {error}"
        raise DictationFailed(error.code, what) from error


def _gone(closed: ConnectionClosed) -> DictationFailed:
    reason = closed.reason
    told = f"code {reason.code}" if reason is not None else "without a word"
    return DictationFailed("connection_closed", f"the server closed the connection, {told}")
