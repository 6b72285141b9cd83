"""A network in memory between the client and a server's sessions, which breaks as it is told to."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import trio
from trio_websocket import ConnectionClosed

from polyasr import languages
from polyasr.client import ServerUnreachable
from polyasr.pipeline.connection import Disconnected, run_dictation
from polyasr.pipeline.registry import SessionRegistry

T = TypeVar("T")


class Wire:
    """One connection: both ends of it. What is on its way when it is cut is lost.

    ``jumble``: of the client's messages some overtake others, and some arrive twice.
    """

    def __init__(self, delay: float, jumble: random.Random | None) -> None:
        self._delay, self._jumble = delay, jumble
        self._overtaken: list[bytes | str] = []
        self._to_server, self._at_server = trio.open_memory_channel[bytes | str](math.inf)
        self._to_client, self._at_client = trio.open_memory_channel[str](math.inf)
        self.altered: Callable[[str], str] = str
        """What becomes of the client's texts on the way."""
        self.client_lost = trio.Event()
        self.server_lost = trio.Event()

    async def send_message(self, message: bytes | str) -> None:
        await trio.sleep(self._delay)
        if self.client_lost.is_set():
            raise ConnectionClosed(None)
        if isinstance(message, str):
            message = self.altered(message)
        for each in self._jumbled(message):
            self._to_server.send_nowait(each)

    def _jumbled(self, message: bytes | str) -> list[bytes | str]:
        """What arrives now that this is sent: a stop may come before the last frames."""
        if self._jumble is None:
            return [message]
        chance = self._jumble.random()
        if isinstance(message, bytes) and chance < 0.1:
            self._overtaken.append(message)
            return []
        twice = isinstance(message, bytes) and chance > 0.9
        arriving = [message] * (1 + twice) + self._overtaken
        self._overtaken = []
        return arriving

    async def get_message(self) -> str:
        message = await _unless(self.client_lost, self._at_client)
        if message is None:
            raise ConnectionClosed(None)
        return message

    async def ping(self) -> None:
        if self.client_lost.is_set() or self.server_lost.is_set():
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes | str:
        message = await _unless(self.server_lost, self._at_server)
        if message is None:
            raise Disconnected
        return message

    async def send(self, text: str) -> None:
        await trio.sleep(self._delay)
        if self.server_lost.is_set():
            raise Disconnected
        self._to_client.send_nowait(text)

    def offer(self, text: Callable[[], str]) -> bool:
        return False

    async def close(self, code: int) -> None:
        """What was sent before is still to be read."""
        self._to_client.close()


class Network:
    """Connects clients to a server, and cuts them off."""

    def __init__(self, nursery: trio.Nursery, delay: float = 0.001) -> None:
        self._nursery, self._delay = nursery, delay
        self.jumble: random.Random | None = None
        self.server: SessionRegistry | None = None
        self.wires: list[Wire] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Wire]:
        """What the client opens its connections with."""
        await trio.sleep(self._delay)
        if self.server is None:
            raise ServerUnreachable("nobody there")
        wire = Wire(self._delay, self.jumble)
        self.wires.append(wire)
        self._nursery.start_soon(run_dictation, wire, self.server, languages.parse)
        try:
            yield wire
        finally:
            wire.server_lost.set()

    def cut(self, *, client_knows: bool = True, server_knows: bool = True) -> None:
        """Break the connection; who is not told finds out in time, or never."""
        if self.wires:
            wire = self.wires[-1]
            if client_knows:
                wire.client_lost.set()
            else:
                wire._to_client = trio.open_memory_channel[str](math.inf)[0]
            if server_knows:
                wire.server_lost.set()
            else:
                wire._to_server = trio.open_memory_channel[bytes | str](math.inf)[0]


async def _unless(lost: trio.Event, channel: trio.MemoryReceiveChannel[T]) -> T | None:
    """The next message; None when the connection is lost first, or closed and read to its end."""

    async def cancel_when_lost() -> None:
        await lost.wait()
        nursery.cancel_scope.cancel()

    message = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when_lost)
        with suppress(trio.EndOfChannel):
            message = await channel.receive()
        nursery.cancel_scope.cancel()
    return message
