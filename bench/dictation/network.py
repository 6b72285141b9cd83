"""Networks as people have them: a proxy that delays, narrows and cuts, by a seed."""

from __future__ import annotations

import math
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from urllib.parse import urlsplit, urlunsplit

import trio

PIECE = 2048
"""Bytes at a time, so that a narrow line does not make one lump of a second's audio."""
WAITING_PIECES = 64
"""On their way at most; who sends faster waits, as in front of a full socket."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """In either direction: ``latency`` and up to ``jitter`` more, in seconds; bits a second; and
    every so many seconds, on average, the connection is lost. 0 or infinite: none of it."""

    latency: float = 0.0
    jitter: float = 0.0
    bandwidth: float = math.inf
    lost_every: float = math.inf

    @property
    def is_perfect(self) -> bool:
        """Whether there is nothing to do."""
        return self == Conditions()


NETWORKS: Mapping[str, Conditions] = MappingProxyType(
    {
        "none": Conditions(),
        "wifi": Conditions(latency=0.005, jitter=0.02),
        "mobile": Conditions(latency=0.04, jitter=0.06, bandwidth=1e6),
        "train": Conditions(latency=0.06, jitter=0.15, bandwidth=5e5, lost_every=10.0),
    }
)
"""By the name that the command line has for them."""


class Path:
    """One direction of a connection. Knows no clock: it is told the time and tells a later one."""

    def __init__(self, conditions: Conditions, rng: random.Random) -> None:
        self._conditions, self._rng = conditions, rng
        self._free_at = self._arrived_at = -math.inf

    def arrival(self, now: float, n_bytes: int) -> float:
        """When what is sent now is there; never before what was sent earlier."""
        conditions = self._conditions
        self._free_at = max(now, self._free_at) + 8 * n_bytes / conditions.bandwidth
        delayed = self._free_at + conditions.latency + self._rng.uniform(0, conditions.jitter)
        self._arrived_at = max(self._arrived_at, delayed)
        return self._arrived_at


@asynccontextmanager
async def impaired(url: str, conditions: Conditions, seed: int = 0) -> AsyncIterator[str]:
    """The address of a proxy in front of a server; that of the server itself on a perfect network.

    Raises ValueError for an encrypted address: its certificate is not the proxy's.
    """
    if conditions.is_perfect:
        yield url
        return
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "http"):
        raise ValueError(f"{url}: an impaired network takes ws:// or http://")
    rng = random.Random(seed)
    server = (parts.hostname or "", parts.port or 80)

    async def connection(client: trio.SocketStream) -> None:
        with suppress(OSError):
            async with await trio.open_tcp_stream(*server) as upstream:
                await join(client, upstream, conditions, random.Random(rng.random()))

    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, connection, 0, host="127.0.0.1")
        (listener,) = await nursery.start(serve)
        host, port = listener.socket.getsockname()
        yield urlunsplit(parts._replace(netloc=f"{host}:{port}"))
        nursery.cancel_scope.cancel()


async def join(
    a: trio.abc.HalfCloseableStream,
    b: trio.abc.HalfCloseableStream,
    conditions: Conditions,
    rng: random.Random,
) -> None:
    """Carry what comes of each to the other, until both have ended or the connection is lost."""
    lifetime = math.inf
    if math.isfinite(conditions.lost_every):
        lifetime = rng.expovariate(1 / conditions.lost_every)
    with trio.move_on_after(lifetime) as life:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_carry, a, b, Path(conditions, random.Random(rng.random())))
            nursery.start_soon(_carry, b, a, Path(conditions, random.Random(rng.random())))
    if life.cancelled_caught:
        for stream in (a, b):
            await trio.aclose_forcefully(stream)


async def _carry(
    source: trio.abc.HalfCloseableStream, sink: trio.abc.HalfCloseableStream, path: Path
) -> None:
    under_way, arriving = trio.open_memory_channel[tuple[float, bytes]](WAITING_PIECES)

    async def deliver() -> None:
        async for at, piece in arriving:
            await trio.sleep_until(at)
            await sink.send_all(piece)
        await sink.send_eof()

    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, ExceptionGroup):
        async with trio.open_nursery() as nursery, under_way:
            nursery.start_soon(deliver)
            while piece := await source.receive_some(PIECE):
                await under_way.send((path.arrival(trio.current_time(), len(piece)), bytes(piece)))
