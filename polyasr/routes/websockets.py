"""A WebSocket on trio and wsproto directly, for frames that come ten times a second on hundreds of
connections: a web framework and its server would take more of a message's time than all the rest.

Only a plain opening handshake is taken up here, one that is whole when the connection's first bytes
are there. They are only looked at until then, so that whatever else comes, what has to be refused
and what comes later on a connection, is left to the web framework as it came.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from polyasr.pipeline.connection import Disconnected

HEAD_BYTES = 2**14
"""The longest head that is looked at; browsers send less than one."""
RECEIVE_BYTES = 2**16
MAX_MESSAGE_BYTES = 4 * 2**20
"""Above the protocol's 1 MiB, so that it is the protocol that refuses a message and says why; what
is larger still is cut off by the WebSocket layer (code 1009) before it is all in memory."""
PING_INTERVAL_SEC = 20.0
"""Below the minute after which proxies drop a silent WebSocket."""
CLOSE_WAIT_SEC = 2.0
"""How long the peer has to answer a close. Until then what it still sends is read and dropped:
closing a socket with unread data resets the connection, and the peer may lose our last words."""
SIGNS_OF_A_FAULT = (RemoteProtocolError, ValueError)
"""What wsproto raises for a handshake that is none."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """An opening handshake that came whole. ``length``: bytes of its head."""

    path: str
    query: str
    headers: dict[str, str]
    length: int
    protocol: WSConnection

    def header(self, name: str) -> str:
        """The header of this name in small letters, "" where absent."""
        return self.headers.get(name, "")

    def argument(self, name: str) -> str:
        """The argument of this name in the query, "" where absent."""
        return parse_qs(self.query).get(name, [""])[0]


async def look(stream: trio.SocketStream) -> Handshake | None:
    """Wait for a connection's first bytes and look at them; None when they are no handshake, or
    not all of it. They stay where they are."""
    try:
        seen = await stream.socket.recv(HEAD_BYTES, socket.MSG_PEEK)
    except OSError:
        return None
    head, end, _ = seen.partition(b"\r\n\r\n")
    if not end or not head.partition(b"\r\n")[0].endswith(b" HTTP/1.1"):
        return None
    protocol = WSConnection(ConnectionType.SERVER)
    try:
        protocol.receive_data(head + end)
        (request,) = protocol.events()
    except SIGNS_OF_A_FAULT:
        return None
    assert isinstance(request, Request)
    path, _, query = request.target.partition("?")
    headers = {name.decode(): value.decode("latin1") for name, value in request.extra_headers}
    return Handshake(path, query, {**headers, "host": request.host}, len(head + end), protocol)


class DirectSocket:
    """A `pipeline.connection.Socket`. Closed by leaving its block."""

    def __init__(self, stream: trio.SocketStream, protocol: WSConnection) -> None:
        """Takes the stream's socket over, when the handshake is done on neither side."""
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)
        self._protocol = protocol
        self._events: Iterator[Event] = iter(())
        self._parts: list[bytes | str] = []
        self._length = 0
        self._unsent = bytearray()
        self._sending, self._left = trio.Lock(), trio.lowlevel.ParkingLot()

    async def __aenter__(self) -> DirectSocket:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._socket.close()

    async def accept(self, handshake: Handshake) -> None:
        """Complete the handshake. Raises Disconnected."""
        try:
            self._socket.recv(handshake.length)
        except OSError as error:
            raise Disconnected from error
        await self._send(AcceptConnection(extensions=[PerMessageDeflate()]))

    async def receive(self) -> bytes | str:
        """The next message. Raises Disconnected."""
        while True:
            for event in self._events:
                if isinstance(event, BytesMessage | TextMessage):
                    if (message := await self._whole(event)) is not None:
                        return message
                elif isinstance(event, Ping):
                    await self._send(event.response())
                elif isinstance(event, CloseConnection):
                    await self._end(event)
            self._protocol.receive_data(await self._read())
            self._events = self._protocol.events()

    async def send(self, text: str) -> None:
        """Send a text message. Raises Disconnected."""
        await self._send(TextMessage(text))

    def offer(self, text: Callable[[], str]) -> bool:
        """Send the text message that is made then, unless others have yet to be sent; whether.

        What the kernel does not take of it is sent by ``keep_alive``. Raises Disconnected.
        """
        if self._unsent:
            return False
        self._transmit(TextMessage(text()))
        if self._unsent:
            self._left.unpark_all()
        return True

    async def close(self, code: int) -> None:
        """Close, and wait a little for the peer to close as well. Raises Disconnected if it does
        not wait to hear it."""
        await self._send(CloseConnection(code))
        with trio.move_on_after(CLOSE_WAIT_SEC):
            while True:
                await self._read()

    async def keep_alive(self) -> None:
        """Send pings and what ``offer`` has left, until the peer is gone or this is cancelled."""
        try:
            while True:
                with trio.move_on_after(PING_INTERVAL_SEC) as silence:
                    await self._left.park()
                if silence.cancelled_caught:
                    self._transmit(Ping())
                await self._send_rest()
        except Disconnected:
            pass

    async def _whole(self, event: BytesMessage | TextMessage) -> bytes | str | None:
        """The message that is whole with this part of it."""
        data = event.data if isinstance(event, TextMessage) else bytes(event.data)
        self._length += len(data)
        if self._length > MAX_MESSAGE_BYTES:
            await self.close(CloseReason.MESSAGE_TOO_BIG)
            raise Disconnected
        self._parts.append(data)
        if not event.message_finished:
            return None
        parts, self._parts, self._length = self._parts, [], 0
        return data[:0].join(parts)  # type: ignore[arg-type]  # all are of one kind

    async def _end(self, event: CloseConnection) -> None:
        """Answer a close, or a fault in what the peer sent, which wsproto tells as one."""
        if self._protocol.state is ConnectionState.REMOTE_CLOSING:
            await self._send(event.response())
        elif self._protocol.state is ConnectionState.OPEN:
            await self.close(event.code)
        raise Disconnected

    async def _read(self) -> bytes:
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise Disconnected from error
            if not data:
                raise Disconnected
            return data

    async def _send(self, event: Event) -> None:
        """Send an event, mostly at once."""
        self._transmit(event)
        if self._unsent:
            await self._send_rest()

    def _transmit(self, event: Event) -> None:
        """Send what the kernel takes; the rest waits in order. Raises Disconnected."""
        try:
            data = self._protocol.send(event)
            sent = 0 if self._unsent else self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except (LocalProtocolError, OSError) as error:
            raise Disconnected from error
        self._unsent += data[sent:]

    async def _send_rest(self) -> None:
        async with self._sending:
            while self._unsent:
                await trio.lowlevel.wait_writable(self._socket)
                try:
                    del self._unsent[: self._socket.send(self._unsent)]
                except BlockingIOError:
                    continue
                except OSError as error:
                    raise Disconnected from error
