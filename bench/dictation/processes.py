"""What a server's processes use while it is measured, where it runs on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import numpy as np
import psutil
import trio

SAMPLE_SEC = 1.0
PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a server's process and those below it. ``cpu``: seconds; the rest is in MB (1e6 bytes).

    ``slope`` is that of the memory by least squares, in MB a minute; None under a minute, which
    tells nothing.
    """

    cpu: float
    rest: float
    """Of memory, before."""
    peak: float
    slope: float | None


@dataclass(slots=True)
class Meter:
    """Filled in when the measured part ends; None where there is nothing to look at."""

    usage: Usage | None = None


def server_of(url: str) -> psutil.Process | None:
    """The process that listens at the address, None unless it is one of this machine that we may
    look at."""
    parts = urlsplit(url)
    if not _is_here(parts.hostname or ""):
        return None
    port = parts.port or PORTS.get(parts.scheme)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return process
    return None


@asynccontextmanager
async def metered(server: psutil.Process | None) -> AsyncIterator[Meter]:
    """Watch the server while the body runs."""
    meter = Meter()
    if server is None:
        yield meter
        return
    cpu, (began, rest) = _cpu(server), (trio.current_time(), _memory(server))
    samples = [(0.0, rest)]

    async def watch() -> None:
        while True:
            await trio.sleep(SAMPLE_SEC)
            samples.append((trio.current_time() - began, _memory(server)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield meter
        nursery.cancel_scope.cancel()
    samples.append((trio.current_time() - began, _memory(server)))
    peak = max(size for _, size in samples)
    meter.usage = Usage(_cpu(server) - cpu, rest, peak, slope(samples))


def slope(samples: list[tuple[float, float]]) -> float | None:
    """MB a minute, of seconds and MB."""
    times, sizes = zip(*samples, strict=True)
    if times[-1] - times[0] < 60:
        return None
    return float(np.polyfit(np.array(times) / 60, np.array(sizes), 1)[0])


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _family(server: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return [server, *server.children(recursive=True)]
    return []


def _cpu(server: psutil.Process) -> float:
    """Seconds in all; of children that have ended as well, which the parent has counted."""
    total = 0.0
    for process in _family(server):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            if process is server:
                total += getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    return total


def _memory(server: psutil.Process) -> float:
    total = 0
    for process in _family(server):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 1e6
