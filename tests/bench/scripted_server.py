"""A server that shows what a script says, when it says so, on the clip's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from bench.adapters.port import StreamFailed
from bench.dictation.corpus import Clip, Word
from bench.dictation.observed import Heard

BYTES_PER_SECOND = 32_000


def clip(text: str = "one two three four", *, seconds: float = 3.0, name: str = "a") -> Clip:
    """Its words are said half a second each, without a pause, from 0.5 s on."""
    spelt = text.split()
    words = tuple(
        Word(word, 0.5 + number / 2, 1.0 + number / 2) for number, word in enumerate(spelt)
    )
    return Clip(
        name, bytes(int(seconds * BYTES_PER_SECOND)), text, "English", words, 0.5, words[-1].end
    )


@dataclass(frozen=True)
class Line:
    """Shown at ``at``; ``after_stop``: so many seconds after the client said that it is over."""

    at: float
    heard: Heard
    after_stop: bool = False


@dataclass
class ScriptedServer:
    """An `Adapter`. Every stream follows the same script; ``batch_text`` is what a recording is."""

    script: Sequence[Line]
    connecting: float = 0.0
    fails_at: float | None = None
    batch_text: str | None = None
    received: list[tuple[float, int]] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        await trio.sleep(self.connecting)
        yield _Stream(self)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        return self.batch_text

    async def describe(self) -> Mapping[str, str]:
        return {"model": "script"}


class _Stream:
    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._began = trio.current_time()
        self._stopped = trio.Event()
        self._stopped_at = 0.0

    async def send(self, pcm16: bytes) -> None:
        self._server.received.append((trio.current_time() - self._began, len(pcm16)))

    async def stop(self) -> None:
        self._stopped_at = trio.current_time()
        self._stopped.set()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        for line in self._server.script:
            if line.after_stop:
                await self._stopped.wait()
                await trio.sleep_until(self._stopped_at + line.at)
            else:
                await trio.sleep_until(self._began + line.at)
            yield line.heard
        if self._server.fails_at is not None:
            await trio.sleep_until(self._began + self._server.fails_at)
            raise StreamFailed("the model is gone")
        if not self._server.script or not self._server.script[-1].heard.is_final:
            await trio.sleep_forever()


def final(text: str, at: float = 0.2, covered: float | None = None) -> Line:
    """The final, so long after the stop."""
    return Line(at, Heard(text, is_final=True, covered=covered), after_stop=True)
