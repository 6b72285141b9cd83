"""``polyasr demo``: a server of its own, a recording spoken to it, and how fast it wrote."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import trio

from polyasr.client.dictation import Dictation, open_dictation, speak
from polyasr.commands.recordings import read_recording
from polyasr.commands.terminal import LiveLine
from polyasr.errors import ModelUnavailable
from polyasr.protocol.messages import Final, Partial
from polyasr.samples import SAMPLE_RATE, to_pcm16
from polyasr.settings import TINY, variable, without_settings

RECORDING = Path(__file__).parents[1] / "models" / "demo" / "demo-en.wav"
SERVE = [sys.executable, "-m", "polyasr", "serve", "--model", TINY, "--device", "cpu"]
LONGEST_SEC = 60.0
START_SEC = 300.0
"""How long the server may take until it is ready; a cold disk reads a gigabyte of libraries."""
STOP_SEC = 15.0
"""Longer than the server gives to work in progress."""
POLL_SEC = 0.2
POLL_TIMEOUT_SEC = 10.0


@dataclass(frozen=True, slots=True)
class Dictated:
    """What came of the recording. Times in seconds; ``first_partial`` is None if none came."""

    text: str
    first_partial: float | None
    final: float


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 when the recording's words were recognized, 1 when they were not.

    Raises PolyasrError when it does not come so far.
    """
    samples = read_recording(RECORDING, LONGEST_SEC)
    expected = RECORDING.with_suffix(".txt").read_text("utf-8").strip()
    print("Starting a server with the bundled model …", flush=True)
    dictated = trio.run(_demonstrate, to_pcm16(samples), len(samples) / SAMPLE_RATE)
    return _report(expected, dictated)


async def _demonstrate(pcm16: bytes, seconds: float) -> Dictated:
    async with open_server() as url:
        print(f"It listens at {url} and is ready.")
        print(f"Dictating {RECORDING.name}, {seconds:.1f} s, at the speed of speech:", flush=True)
        socket_url = url.replace("http", "ws", 1) + "/ws/transcribe"
        async with open_dictation(socket_url, patience=0) as dictation:
            return await _dictate(dictation, pcm16)


async def _dictate(dictation: Dictation, pcm16: bytes) -> Dictated:
    line, began, stopped = LiveLine(sys.stdout), trio.current_time(), float("nan")
    first_partial = None

    async def speak_and_stop() -> None:
        nonlocal stopped
        await speak(dictation, pcm16)
        stopped = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak_and_stop)
        async for message in dictation:
            now = trio.current_time()
            if isinstance(message, Final):
                line.clear()
                return Dictated(message.text, first_partial, now - stopped)
            if isinstance(message, Partial):
                first_partial = first_partial or now - began
                line.show(message.partial)
    raise ModelUnavailable("the server was done without a final text")


def _report(expected: str, dictated: Dictated) -> int:
    print(dictated.text)
    partial_came = "none"
    if dictated.first_partial is not None:
        partial_came = f"{dictated.first_partial:.2f} s after the first sound"
    print(f"First partial: {partial_came}. Final: {dictated.final:.2f} s after the last sound.")
    if words(dictated.text) == words(expected):
        return 0
    print(
        f"polyasr: these are not the words of {RECORDING.name}\n"
        f"  expected: {expected}\n  got:      {dictated.text}",
        file=sys.stderr,
    )
    return 1


def words(text: str) -> list[str]:
    """The words of a text, without case and punctuation."""
    return re.findall(r"[\w']+", text.casefold())


@asynccontextmanager
async def open_server(**settings: str) -> AsyncIterator[str]:
    """A server in a process of its own on a free port, ready; yields its address.

    It does not see this process's settings, so that the demo is the same everywhere, and
    keeps nothing of it; ``settings`` are others than the defaults, by their names.
    """
    chosen = {"log_dir": "", **settings}
    given = {variable(name): value for name, value in chosen.items()}
    with tempfile.TemporaryFile() as log:
        async with trio.open_nursery() as nursery:
            process = await nursery.start(
                partial(
                    trio.run_process,
                    [*SERVE, "--port", "0"],
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=without_settings(os.environ) | given,
                    check=False,
                    deliver_cancel=_stop,
                )
            )
            url = await _address(process, log)
            await _until_ready(process, url, log)
            yield url
            nursery.cancel_scope.cancel()


async def _stop(process: trio.Process) -> None:
    """End the server as a service manager would, and by force when it does not go."""
    process.terminate()
    with trio.move_on_after(STOP_SEC):
        await process.wait()
        return
    process.kill()


async def _address(process: trio.Process, log: IO[bytes]) -> str:
    """The address out of the line that the server prints once it listens."""
    printed = b""
    assert process.stdout is not None
    async for piece in process.stdout:
        printed += piece
        if found := re.search(rb"(http://\S+)\n", printed):
            return found[1].decode()
    raise _ended(log)


async def _until_ready(process: trio.Process, url: str, log: IO[bytes]) -> None:
    """Wait until the server has recognized something. Raises ModelUnavailable if it cannot."""
    with trio.move_on_after(START_SEC):
        while process.poll() is None:
            status, health = await trio.to_thread.run_sync(_health, url)
            if health["status"] == "ok":
                return
            if status == 503 and health["status"] == "degraded":
                raise ModelUnavailable("; ".join(health["reasons"]))
            await trio.sleep(POLL_SEC)
        raise _ended(log)
    raise ModelUnavailable(f"the server is not ready after {START_SEC:g} s")


def _health(url: str) -> tuple[int, Any]:
    """The status and the body of the server's health."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=POLL_TIMEOUT_SEC) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _ended(log: IO[bytes]) -> ModelUnavailable:
    """The error for a server that is gone: its own last words."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines() or ["without a word"]
    return ModelUnavailable(f"the server ended: {lines[-1].removeprefix('polyasr: ')}")
