"""A client on a socket without a network: what it says and hears is in the test's hands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from polyasr import languages
from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.connection import Disconnected, run_dictation
from polyasr.pipeline.registry import SessionRegistry, open_sessions
from polyasr.protocol.frames import Frame, encode
from tests.fakes import ScriptedEngine

Message = dict[str, Any]


class ScriptedClient:
    """The other end of a socket: says what the test says, keeps what it hears."""

    def __init__(self, session_id: str = "a") -> None:
        self._say, self._said = trio.open_memory_channel[bytes | str](1000)
        self._heard, self._hear = trio.open_memory_channel[Message](1000)
        self._session_id = session_id
        self.closed: int | None = None

    async def receive(self) -> bytes | str:
        try:
            return await self._said.receive()
        except trio.EndOfChannel:
            raise Disconnected from None

    async def send(self, text: str) -> None:
        await self._heard.send(json.loads(text))

    def offer(self, text: Callable[[], str]) -> bool:
        return False

    async def close(self, code: int) -> None:
        self.closed = code
        self._heard.close()

    async def say(self, type_: str, **fields: object) -> None:
        await self._say.send(json.dumps({"type": type_, **fields}))

    async def start(self, control: int = 2, **fields: object) -> Message:
        await self.say("start", protocol=1, sessionId=self._session_id, control=control, **fields)
        return await self.next("started")

    async def resume(self, control: int = 2, **fields: object) -> Message:
        await self.say("resume", protocol=1, sessionId=self._session_id, control=control, **fields)
        return await self.next("resumed")

    async def stop(self, n_frames: int | None, stop_id: str = "s1") -> None:
        captured = {} if n_frames is None else {"finalCapturedSeq": n_frames}
        await self.say("stop", stopId=stop_id, **captured)

    async def audio(self, pcm16: bytes, first: int = 0) -> int:
        """Send frames of 100 ms; returns the number of the next one."""
        pieces = [pcm16[at : at + 3200] for at in range(0, len(pcm16), 3200)]
        for sequence, piece in enumerate(pieces, start=first):
            await self._say.send(encode(Frame(sequence, piece)))
        return first + len(pieces)

    async def raw(self, message: bytes | str) -> None:
        await self._say.send(message)

    async def next(self, *types: str) -> Message:
        """The next message of one of these types."""
        async for message in self._hear:
            if message["type"] in types:
                return message
        raise AssertionError(f"closed before {types}")

    async def acknowledged(self, sequence: int) -> None:
        """Wait for an acknowledgement of this frame."""
        while (await self.next("ack"))["ackSeq"] < sequence:
            pass

    async def rest(self) -> list[Message]:
        return [message async for message in self._hear]

    def hang_up(self) -> None:
        self._say.close()


class Sessions:
    """A registry of sessions, and connections to it that last as long as the test."""

    def __init__(self, nursery: trio.Nursery, registry: SessionRegistry) -> None:
        self._nursery, self.registry = nursery, registry

    def connect(
        self, session_id: str = "a", client: ScriptedClient | None = None
    ) -> ScriptedClient:
        client = client or ScriptedClient(session_id)
        self._nursery.start_soon(run_dictation, client, self.registry, languages.parse)
        return client


@asynccontextmanager
async def sessions(
    engine: ScriptedEngine | None = None, config: DictationConfig | None = None
) -> AsyncIterator[Sessions]:
    """Sessions over an engine; ends when all connections have ended."""
    async with (
        open_sessions(engine or ScriptedEngine(), config or DictationConfig()) as registry,
        trio.open_nursery() as nursery,
    ):
        yield Sessions(nursery, registry)


@asynccontextmanager
async def dictation(
    engine: ScriptedEngine | None = None, client: ScriptedClient | None = None
) -> AsyncIterator[ScriptedClient]:
    """One connection."""
    async with sessions(engine) as server:
        yield server.connect(client=client)
