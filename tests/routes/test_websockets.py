"""Dictation sockets as they may come: whole or in pieces, first or later on a connection."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate

from polyasr.protocol.frames import Frame, encode
from polyasr.routes.dictation import Dictations
from polyasr.routes.websockets import DirectSocket
from tests.fakes import ScriptedEngine, tone

from .conftest import Server, serving

START = {"type": "start", "protocol": 1, "sessionId": "s1", "control": 2}


class Wire:
    """A client that has its bytes in its own hands."""

    def __init__(self, stream: trio.SocketStream, *extensions: Any) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)
        self.request = self.protocol.send(
            Request(host="localhost", target="/ws/transcribe", extensions=list(extensions))
        )
        self._events: list[Event] = []

    async def send(self, *events: Event) -> None:
        await self.stream.send_all(b"".join(map(self.protocol.send, events)))

    async def speak(self, n_frames: int) -> None:
        messages = [encode(Frame(sequence, tone(0.1))) for sequence in range(n_frames)]
        await self.send(*(BytesMessage(message) for message in messages))

    async def say(self, **message: Any) -> None:
        await self.send(TextMessage(json.dumps(message)))

    async def hear(self) -> Event:
        """The next event; a text in one piece."""
        while not self._events:
            with trio.fail_after(10):
                data = await self.stream.receive_some()
            assert data, "the server closed without a word"
            self.protocol.receive_data(data)
            self._events += self.protocol.events()
        event = self._events.pop(0)
        if isinstance(event, TextMessage) and not event.message_finished:
            rest = await self.hear()
            assert isinstance(rest, TextMessage)
            return TextMessage(event.data + rest.data)
        return event

    async def told(self, type_: str) -> dict[str, Any]:
        """The next message of this type."""
        while True:
            event = await self.hear()
            assert not isinstance(event, CloseConnection), event
            if isinstance(event, TextMessage):
                message: dict[str, Any] = json.loads(event.data)
                if message["type"] == type_:
                    return message

    async def dictate(self) -> None:
        """Half a second, to its final."""
        await self.say(**START)
        await self.speak(5)
        await self.say(type="stop", stopId="a", finalCapturedSeq=5)
        final = await self.told("final")
        assert (final["text"], final["recognizedThroughSeq"]) == ("Hello.", 5)


@asynccontextmanager
async def wired(server: Server, *extensions: Any) -> AsyncIterator[Wire]:
    host, port = server.url.removeprefix("http://").split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        yield Wire(stream, *extensions)


@asynccontextmanager
async def accepted(server: Server, *extensions: Any) -> AsyncIterator[Wire]:
    async with wired(server, *extensions) as wire:
        await wire.stream.send_all(wire.request)
        assert isinstance(await wire.hear(), AcceptConnection)
        yield wire


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what was served without the web framework."""
    served: list[str] = []
    serve_directly = Dictations.serve_directly

    async def note(self: Dictations, stream: trio.SocketStream, handshake: Any) -> None:
        served.append(handshake.path)
        await serve_directly(self, stream, handshake)

    monkeypatch.setattr(Dictations, "serve_directly", note)
    return served


async def test_a_plain_dictation_is_served_without_the_web_framework(direct: list[str]) -> None:
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        await wire.dictate()
    assert direct == ["/ws/transcribe"]


async def test_a_later_request_of_a_connection_may_be_a_dictation(direct: list[str]) -> None:
    async with serving(ScriptedEngine()) as server, wired(server) as wire:
        await wire.stream.send_all(b"GET /web/none.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}\n"):
            answer += await wire.stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 404")
        await wire.stream.send_all(wire.request)
        assert isinstance(await wire.hear(), AcceptConnection)
        await wire.send(Ping(b"there?"))
        assert Pong(b"there?") in [await wire.hear(), await wire.hear()]
        await wire.dictate()
    assert direct == []


@pytest.mark.parametrize("place", [1, 40])
async def test_a_handshake_may_come_in_pieces(place: int) -> None:
    async with serving(ScriptedEngine()) as server, wired(server) as wire:
        await wire.stream.send_all(wire.request[:place])
        await trio.sleep(0.01)
        await wire.stream.send_all(wire.request[place:])
        assert isinstance(await wire.hear(), AcceptConnection)
        await wire.dictate()


async def test_messages_may_be_compressed(direct: list[str]) -> None:
    async with serving(ScriptedEngine()) as server, accepted(server, PerMessageDeflate()) as wire:
        await wire.dictate()
    assert direct


async def test_messages_may_be_fragmented_and_a_ping_between_their_parts_is_answered() -> None:
    start = json.dumps(START)
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        await wire.send(TextMessage(start[:9], message_finished=False), Ping(b"1"))
        assert await wire.hear() == Pong(b"1")
        await wire.send(TextMessage(start[9:]))
        assert (await wire.told("started"))["ackSeq"] == -1
        frame = encode(Frame(0, tone(0.1)))
        await wire.send(BytesMessage(frame[:99], message_finished=False), BytesMessage(frame[99:]))
        assert (await wire.told("ack"))["ackSeq"] == 0


async def test_frames_that_come_byte_by_byte_are_heard() -> None:
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        await wire.say(**START)
        for byte in wire.protocol.send(BytesMessage(encode(Frame(0, tone(0.001))))):
            await wire.stream.send_all(bytes([byte]))
        assert (await wire.told("ack"))["ackSeq"] == 0


async def test_what_no_protocol_could_hear_is_cut_off() -> None:
    async with (
        serving(ScriptedEngine()) as server,
        accepted(server) as wire,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(wire.send, BytesMessage(bytes(5 * 2**20)))
        event = await wire.hear()
        assert isinstance(event, CloseConnection)
        assert event.code == 1009
        nursery.cancel_scope.cancel()


async def test_a_client_that_breaks_the_websocket_protocol_is_told_so() -> None:
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        await wire.stream.send_all(b"\x82\x01x")  # not masked
        event = await wire.hear()
    assert isinstance(event, CloseConnection)
    assert event.code == 1002


async def test_a_close_of_the_client_is_answered_and_ends_the_connection() -> None:
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        await wire.say(**START)
        await wire.told("started")
        await wire.send(CloseConnection(1001))
        event = await wire.hear()
        assert isinstance(event, CloseConnection)
        assert event.code == 1001
        assert await wire.stream.receive_some() == b""


async def test_a_client_that_does_not_read_gets_everything_when_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_flushes, waited = 1000, trio.Event()
    accept, send_rest = DirectSocket.accept, DirectSocket._send_rest

    async def accept_with_little_room(self: DirectSocket, handshake: Any) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        await accept(self, handshake)

    async def note(self: DirectSocket) -> None:
        waited.set()
        await send_rest(self)

    monkeypatch.setattr(DirectSocket, "accept", accept_with_little_room)
    monkeypatch.setattr(DirectSocket, "_send_rest", note)
    async with (
        serving(ScriptedEngine()) as server,
        accepted(server) as wire,
        trio.open_nursery() as nursery,
    ):
        wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)

        async def ask() -> None:
            await wire.say(**START | {"control": 3})
            for number in range(n_flushes):
                await wire.say(type="flush", id=f"{number:0200}")

        nursery.start_soon(ask)
        with trio.fail_after(10):
            await waited.wait()
        for number in range(n_flushes):
            assert (await wire.told("flushed"))["id"] == f"{number:0200}"


async def test_pings_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyasr.routes.websockets.PING_INTERVAL_SEC", 0.01)
    async with serving(ScriptedEngine()) as server, accepted(server) as wire:
        assert isinstance(await wire.hear(), Ping)
