"""OpenAI's HTTP API: nothing is shown before the whole recording was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from bench.adapters import http
from bench.dictation.observed import Heard


class HttpBatch:
    """``http://…/v1/audio/transcriptions``."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Begin a recording; the server hears of it at its end."""
        yield _Stream(self, language)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """The text."""
        return await http.transcribe(self._url, pcm16, key=self._key, language=language)

    async def describe(self) -> Mapping[str, str]:
        """The first model it names."""
        return {"model": await http.first_model(self._url, self._key)}


class _Stream:
    def __init__(self, server: HttpBatch, language: str) -> None:
        self._server, self._language = server, language
        self._pcm16 = bytearray()
        self._stopped = trio.Event()

    async def send(self, pcm16: bytes) -> None:
        self._pcm16 += pcm16
        await trio.lowlevel.checkpoint()

    async def stop(self) -> None:
        self._stopped.set()
        await trio.lowlevel.checkpoint()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        await self._stopped.wait()
        text = await self._server.batch(bytes(self._pcm16), self._language)
        yield Heard(text or "", is_final=True)
