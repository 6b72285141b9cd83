"""The server is killed in the middle of a sentence; neither the client nor the archive loses it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from polyasr import audio
from polyasr.client import open_dictation
from polyasr.client.capture import FRAME_BYTES
from polyasr.commands.demo import RECORDING, words
from polyasr.protocol.messages import Final, Partial, Resumed
from polyasr.samples import to_pcm16
from polyasr.settings import variable, without_settings

START_SEC = 120
"""Against hanging; loading takes a few seconds."""


@asynccontextmanager
async def serving(port: int, log_dir: Path) -> AsyncIterator[trio.Process]:
    """A server in a process of its own, which listens; it ends as a service manager ends it."""
    command = [sys.executable, "-m", "polyasr", "serve", "--model", "tiny", "--device", "cpu"]
    environment = without_settings(os.environ) | {variable("log_dir"): str(log_dir)}
    async with trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            [*command, "--port", str(port)],
            env=environment,
            stdout=subprocess.PIPE,
            check=False,
        )
        process: trio.Process = await nursery.start(run)
        assert process.stdout is not None
        with trio.fail_after(START_SEC):
            assert b"http://" in await process.stdout.receive_some()
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def recordings(log_dir: Path) -> list[bytes]:
    """What was kept of each session, the shortest first; nothing is left of the PCM files."""
    assert list(log_dir.rglob("*.pcm")) == []
    kept = [audio.decode(file, max_seconds=60) for file in log_dir.glob("sessions/*/*/input.flac")]
    return sorted(map(to_pcm16, kept), key=len)


async def test_a_server_that_is_killed_and_started_again_loses_no_word(tmp_path: Path) -> None:
    pcm16 = to_pcm16(audio.decode(RECORDING, max_seconds=60))
    half = len(pcm16) // 2 // FRAME_BYTES * FRAME_BYTES
    port = free_port()
    url = f"ws://127.0.0.1:{port}/ws/transcribe"
    async with serving(port, tmp_path) as server, open_dictation(url, patience=120) as dictation:
        await dictation.send(pcm16[:half])
        with trio.fail_after(START_SEC):
            assert isinstance(await anext(dictation), Partial)
        server.kill()
        await server.wait()
        async with serving(port, tmp_path):
            await dictation.send(pcm16[half:])
            await dictation.stop()
            with trio.fail_after(START_SEC):
                *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert words(final.text) == words(RECORDING.with_suffix(".txt").read_text("utf-8"))
    assert final.recognized_through_seq == dictation.captured_frames
    resumed = [each.message for each in dictation.received if isinstance(each.message, Resumed)]
    assert [message.ack_seq for message in resumed] == [-1]
    first, second = recordings(tmp_path)
    assert first == pcm16[: len(first)]
    assert len(first) > len(pcm16) // 4  # what was acknowledged less than 0.05 s before is lost
    assert second == pcm16
