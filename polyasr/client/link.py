"""A dictation's connections, one after another, until the server is done with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Protocol

import trio
from trio_websocket import ConnectionClosed

from polyasr.client.capture import Capture
from polyasr.client.socket import ServerUnreachable
from polyasr.errors import PolyasrError, ProtocolError, ungrouped
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.messages import (
    Ack,
    Done,
    Error,
    Final,
    Partial,
    Resume,
    Resumed,
    ServerMessage,
    Start,
    Started,
    Stop,
    StopExpired,
    parse_server,
)

FIRST_RETRY_SEC = 0.1
LAST_RETRY_SEC = 3.0
"""Between two attempts to reach the server: doubled each time, from the first to the last."""
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


class Socket(Protocol):
    """A WebSocket to the server. Its methods raise ConnectionClosed."""

    async def send_message(self, message: bytes | str) -> None:
        """Send a message."""
        ...

    async def get_message(self) -> bytes | str:
        """The next message."""
        ...

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[Socket]]
"""Opens a connection. Raises ServerUnreachable."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the server and when it came, by ``trio.current_time()`` in seconds."""

    message: ServerMessage
    at: float


class Link:
    """Sends what was captured and receives what is answered, over as many connections as it takes.

    A session is resumed where the server holds it. A final that does not cover all audio, and a
    stop that the server cannot answer, are asked for once more with all of the audio, if that is
    still kept.
    """

    def __init__(self, start: Start, capture: Capture) -> None:
        self.start, self.capture = start, capture
        self.stop: Stop | None = None
        self.received: list[Received] = []
        self.is_over = False
        self.failure: PolyasrError | None = None
        """Why it is over, unless because the server was done."""
        self._events, self.events = trio.open_memory_channel[Partial | Final](math.inf)
        self._changed = trio.Event()
        self._talking = trio.CancelScope()
        self._attempts = 1
        self._opening: Start = start
        self._control = 0
        """What was granted; 0 before the session has begun."""
        self._has_progressed = False
        self._heard_at = 0.0
        self._final: Final | None = None
        self._lost = DictationFailed("connection_closed", "the server closed the connection")

    def tell(self) -> None:
        """Audio was captured, or the stop is there, or it is over."""
        self._changed.set()
        self._changed = trio.Event()

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
        connect: Connect,
        patience: float,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Connect until it is over. Raises what ``connect`` raises the first time."""
        has_begun = False
        try:
            async with connect() as socket:
                task_status.started()
                has_begun = True
                await self._talk(socket)
            await self._come_back(connect, patience)
        except PolyasrError as error:
            if not has_begun:
                raise
            if not self.is_over:  # else it is the goodbye that went wrong
                self.failure = error
        finally:
            self.is_over = True
            self._events.close()
            self.tell()

    async def _come_back(self, connect: Connect, patience: float) -> None:
        """Connect again and again, for so many seconds since the dictation last got on."""
        lost: PolyasrError = self._lost
        since, delay = trio.current_time(), FIRST_RETRY_SEC
        while not self.is_over:
            if self._has_progressed:
                since, delay, self._has_progressed = trio.current_time(), FIRST_RETRY_SEC, False
            if trio.current_time() - since >= patience:
                raise lost
            await self._rest(delay)
            delay = min(2 * delay, LAST_RETRY_SEC)
            try:
                async with connect() as socket:
                    await self._talk(socket)
                lost = self._lost
            except ServerUnreachable as error:
                lost = error

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
                self.is_over = self._final is not None
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
            case Ack(ack_seq=ack_seq):
                self._has_progressed |= self.capture.acknowledge(ack_seq)
                self.tell()
            case Partial():
                self._has_progressed = True
                self._events.send_nowait(message)
            case Final() if self._covers(message) or not self._start_anew():
                self._final = message
                self._events.send_nowait(message)
            case Final():
                return False
            case Done():
                self.is_over = True
                return False
            case Error(error=error, code="too_many_sessions") if self._control:
                self._lost = DictationFailed("too_many_sessions", error)
                return False  # the session is held, and there may be a place for it later
            case Error(error=error, code=code):
                raise DictationFailed(code, error)
            case StopExpired(reason=reason):
                if self._start_anew():
                    return False
                raise DictationFailed(reason, f"the server cannot answer the stop: {reason}")
        return True

    def _send_after(self, ack_seq: int, socket: Socket, nursery: trio.Nursery) -> None:
        """Send the frames after those that the server holds. Raises DictationFailed."""
        try:
            self.capture.rewind(ack_seq)
        except LookupError as error:
            what = f"the server has lost the session, and {error}"
            raise DictationFailed("session_not_held", what) from error
        nursery.start_soon(self._send_audio, socket, ack_seq + 1)

    def _covers(self, final: Final) -> bool:
        """Whether all that was captured is in the text, as far as the server tells."""
        if self._control < 2 or self.stop is None or self.stop.final_captured_seq is None:
            return True
        covered = final.recognized_through_seq
        return covered is not None and covered >= self.stop.final_captured_seq

    def _start_anew(self) -> bool:
        """Have all audio sent again, in a new session under the same id, if that is possible."""
        if self._attempts >= ATTEMPTS or self.capture.first_kept:
            return False
        self._attempts += 1
        self._opening = self.start
        self._has_progressed = True
        return True

    async def _send_audio(self, socket: Socket, position: int) -> None:
        """Send the frames from ``position`` on as they are captured, then the stop."""
        while True:
            if position < self.capture.n_frames:
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
