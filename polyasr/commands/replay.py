"""``polyasr replay``: archived dictations once more, and what is different now."""

from __future__ import annotations

import argparse
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import trio

from polyasr import checkpoint
from polyasr.archive.reading import (
    ArchivedSession,
    Timeline,
    find_sessions,
    read_session,
    timeline,
)
from polyasr.client.dictation import Dictation, dictate_over, speak
from polyasr.client.socket import open_socket
from polyasr.commands import load_settings
from polyasr.commands.difference import difference
from polyasr.errors import ungrouped
from polyasr.protocol.messages import Final, Mark
from polyasr.settings import Settings

SAME, DIFFERENT = 0, 1


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a session this time."""

    text: str
    timeline: Timeline


def run(arguments: argparse.Namespace) -> int:
    """Replay one session or a directory of them. Returns 1 when a final text differs, else 0.

    Raises PolyasrError.
    """
    settings = load_settings(arguments)
    folders = find_sessions(arguments.directory)
    if arguments.server is None:
        checkpoint.resolve(settings)
    return trio.run(_replay_all, arguments, settings, folders)


async def _replay_all(
    arguments: argparse.Namespace, settings: Settings, folders: Sequence[Path]
) -> int:
    same = different = 0
    async with AsyncExitStack() as stack:
        url = arguments.server or await stack.enter_async_context(_open_server(settings))
        for folder in folders:
            before = await trio.to_thread.run_sync(read_session, folder)
            after = await _replay(url, settings.api_key, before, not arguments.fast)
            print(report(before, after, paced=not arguments.fast), flush=True)
            if before.text is not None:
                same += before.text == after.text
                different += before.text != after.text
    if len(folders) > 1:
        without = len(folders) - same - different
        print(f"{same} the same, {different} different, {without} without an archived final")
    return DIFFERENT if different else SAME


class Asking:
    """A dictation that is asked what a session was asked, at the same places of its audio."""

    def __init__(self, dictation: Dictation, session: ArchivedSession) -> None:
        self._dictation = dictation
        self._requests = deque(session.requests if session.start.control >= 3 else ())
        self._n_samples = 0

    async def send(self, pcm16: bytes) -> None:
        """Send audio, and ask what comes within it."""
        while self._requests and self._requests[0][0] < self._n_samples + len(pcm16) // 2:
            first = 2 * (self._requests[0][0] - self._n_samples)
            await self._send(pcm16[:first])
            await self._ask()
            pcm16 = pcm16[first:]
        await self._send(pcm16)

    async def stop(self) -> None:
        """Ask what was asked behind all audio, and end the utterance."""
        while self._requests:
            await self._ask()
        await self._dictation.stop()

    async def _send(self, pcm16: bytes) -> None:
        self._n_samples += len(pcm16) // 2
        await self._dictation.send(pcm16)

    async def _ask(self) -> None:
        _, request = self._requests.popleft()
        ask = self._dictation.mark if isinstance(request, Mark) else self._dictation.flush
        await ask(request.id)


async def _replay(url: str, api_key: str, session: ArchivedSession, paced: bool) -> Replayed:
    """Dictate it again, under an id of its own. Raises PolyasrError."""
    start = replace(session.start, session_id=f"replay-{uuid.uuid4().hex}")
    connect = partial(open_socket, url, api_key or None)
    stopped = 0.0

    async def speak_and_stop() -> None:
        nonlocal stopped
        await speak(Asking(dictation, session), session.pcm16, paced)
        stopped = trio.current_time()

    began, final = trio.current_time(), None
    with ungrouped():
        async with dictate_over(connect, start) as dictation, trio.open_nursery() as nursery:
            nursery.start_soon(speak_and_stop)
            async for event in dictation:
                final = event if isinstance(event, Final) else final
            nursery.cancel_scope.cancel()
    told = [(each.message.TYPE, each.at) for each in dictation.received]
    events = sorted([("start", began), ("stop", stopped), *told], key=lambda event: event[1])
    return Replayed(final.text if final is not None else "", timeline(events))


def report(before: ArchivedSession, after: Replayed, *, paced: bool) -> str:
    """Some lines for a person. Of audio that was sent in an instant only the final has a time."""
    seconds = len(before.pcm16) / 32_000
    lines = [f"{before.folder.parent.name}/{before.folder.name}, {seconds:.1f} s"]
    if before.dropped_bytes:
        lines.append(f"  the archive lacks {before.dropped_bytes / 32_000:.1f} s of its audio")
    if before.text is None:
        lines.append(f"  no final was archived; now: {after.text}")
    elif before.text == after.text:
        lines.append(f"  the same: {after.text}")
    else:
        lines.append(f"  DIFFERENT: {difference(before.text, after.text)}")
    old, new = before.timeline, after.timeline
    if paced:
        lines.append(f"  first partial {_sec(old.first_partial)} → {_sec(new.first_partial)}")
        lines.append(f"  partials {old.partials} → {new.partials}")
    lines.append(f"  final after the stop {_sec(old.final)} → {_sec(new.final)}")
    return "\n".join(lines)


def _sec(seconds: float | None) -> str:
    return "none" if seconds is None else f"{seconds:.2f} s"


@asynccontextmanager
async def _open_server(settings: Settings) -> AsyncIterator[str]:
    """A server in this process that keeps nothing; yields the address of its WebSocket."""
    from polyasr.engine import open_engine
    from polyasr.server import open_server

    local = replace(settings, host="127.0.0.1", port=0, log_dir="", preload=False)
    async with open_engine(local) as engine, open_server(local, engine) as url:
        await engine.ready()
        yield url.replace("http", "ws", 1) + "/ws/transcribe"
