"""The client and the real server, with somebody at the plug between them."""

from __future__ import annotations

import math
import random
import socket
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio

from polyasr.client import open_dictation
from polyasr.client.capture import FRAME_BYTES
from polyasr.client.dictation import speak
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.messages import Final, Resumed
from tests.fakes import Asked, ScriptedEngine, silence, tone
from tests.routes.conftest import serving

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, as when a plug is pulled."""
PCM16 = b"".join(tone(seconds, seconds / 9) + silence(0.9) for seconds in (1.0, 2.5, 0.3, 3.7, 1.1))


async def checksum(asked: Asked) -> Hypothesis:
    """A model that hears something else in any other audio."""
    return Hypothesis(f"{zlib.crc32(asked.samples.tobytes()):08x}", "English")


@asynccontextmanager
async def plug(port: int, cuts: list[int]) -> AsyncIterator[int]:
    """A proxy to a port of this machine, which resets its connections after so many bytes, one
    number a connection; later ones stay whole. Yields its own port."""

    async def handle(client: trio.SocketStream) -> None:
        budget = [cuts.pop(0) if cuts else math.inf]
        async with client, await trio.open_tcp_stream("127.0.0.1", port) as server:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_carry, client, server, budget, nursery.cancel_scope)
                nursery.start_soon(_carry, server, client, budget, nursery.cancel_scope)
            for stream in (client, server):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, handle, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def _carry(
    source: trio.SocketStream,
    sink: trio.SocketStream,
    budget: list[float],
    connection: trio.CancelScope,
) -> None:
    """Pass bytes on until one side closes or the connection's budget is spent."""
    with suppress(trio.BrokenResourceError):
        async for data in source:
            budget[0] -= len(data)
            if budget[0] < 0:
                break
            await sink.send_all(data)
    connection.cancel()


async def dictate(port: int) -> tuple[Final, int]:
    """The final, and how often the session was resumed."""
    async with (
        open_dictation(f"ws://127.0.0.1:{port}/ws/transcribe") as dictation,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(speak, dictation, PCM16, False)
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    return final, sum(isinstance(each.message, Resumed) for each in dictation.received)


@pytest.mark.seeds(sample=6, soak=100)
async def test_a_final_is_the_same_wherever_the_plug_is_pulled(seed: int) -> None:
    rng = random.Random(seed)
    async with serving(ScriptedEngine(checksum)) as server:
        port = int(server.url.rpartition(":")[2])
        undisturbed, _ = await dictate(port)
        cuts = [rng.randint(1_000, len(PCM16) // 2) for _ in range(rng.randint(1, 4))]
        async with plug(port, cuts) as weak:
            final, resumed = await dictate(weak)
    assert final.text == undisturbed.text
    assert final.recognized_through_seq == -(-len(PCM16) // FRAME_BYTES)
    assert resumed > 0
