"""Run the load against a server in a process of its own, and watch what that takes."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import psutil
import trio

from bench.connections.client import Connection, Heard
from polyasr import audio
from polyasr.commands.demo import RECORDING
from polyasr.samples import to_pcm16

SERVERS = ("echo", "polyasr")
RAMP_SEC = 10.0
SAMPLE_SEC = 1.0


@dataclass(slots=True)
class Usage:
    """Of the server's process, second by second since the measurement began."""

    at: array[float] = field(default_factory=lambda: array("d"))
    cpu_sec: array[float] = field(default_factory=lambda: array("d"))
    memory_bytes: array[float] = field(default_factory=lambda: array("d"))


@dataclass(frozen=True, slots=True)
class Run:
    """One server under load. ``ack_latencies`` (seconds) came at ``acked_at`` (since the begin)."""

    server: str
    connections: int
    seconds: float
    heard: Heard
    usage: Usage


def measure(
    connections: int,
    seconds: float,
    told: Callable[[str], None],
    *,
    archive: bool = True,
    ramp: float = RAMP_SEC,
) -> list[Run]:
    """All servers, one after another, under the same load. Raises ValueError.

    Connections are opened within ``ramp`` seconds, and as many again are not measured either.
    ``archive``: ours keeps what it hears, as it does by default, in a temporary directory.
    """
    _require_open_files(2 * connections)
    with tempfile.TemporaryDirectory() as logs:
        runs = []
        for server in SERVERS:
            told(f"{server}: {connections} connections")
            arguments = [server, logs] if archive and server == "polyasr" else [server]
            runs.append(trio.run(_measure, arguments, connections, seconds, ramp))
    return runs


async def _measure(arguments: list[str], connections: int, seconds: float, ramp: float) -> Run:
    pcm16 = to_pcm16(audio.decode(RECORDING, max_seconds=60))
    pcm16 = pcm16[: len(pcm16) // 3200 * 3200]
    heard, usage = Heard(), Usage()
    async with _open_server(arguments) as (process, port):
        begin = trio.current_time() + 2 * ramp
        end = begin + seconds
        gc.freeze()  # the load shall not stop to look for garbage
        gc.disable()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, process.pid, begin, end, usage)
                for number in range(connections):
                    connection = Connection(number, pcm16, heard)
                    nursery.start_soon(connection.run, port, begin, end)
                    await trio.sleep(ramp / connections)
        finally:
            gc.enable()
    return Run(arguments[0], connections, seconds, heard, usage)


@asynccontextmanager
async def _open_server(arguments: list[str]) -> AsyncIterator[tuple[trio.Process, int]]:
    """A server on a free port, killed at the end."""
    command = [sys.executable, "-m", "bench.connections.server", *arguments]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        process: trio.Process = await nursery.start(run)
        assert process.stdout is not None
        printed = b""
        while not printed.endswith(b"\n"):
            piece = await process.stdout.receive_some()
            if not piece:
                raise ValueError(f"the server {arguments[0]} did not start")
            printed += piece
        yield process, int(printed.rpartition(b":")[2])
        nursery.cancel_scope.cancel()


def _require_open_files(count: int) -> None:
    """Raise this process's own limit on open files as far as it may; the servers inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise ValueError(f"{wanted} open files are needed, and {hard} are allowed (ulimit -n)")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _watch(pid: int, begin: float, end: float, usage: Usage) -> None:
    process = psutil.Process(pid)
    await trio.sleep_until(begin)
    while trio.current_time() < end:
        times = process.cpu_times()
        usage.at.append(time.perf_counter())
        usage.cpu_sec.append(times.user + times.system)
        usage.memory_bytes.append(process.memory_info().rss)
        await trio.sleep(SAMPLE_SEC)
