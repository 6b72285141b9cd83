"""This project's dictation protocol, control 1 to 3, through its own client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.adapters import http
from bench.adapters.port import StreamFailed
from bench.dictation.observed import Heard
from polyasr.client import Dictation, open_dictation
from polyasr.client.capture import BYTES_PER_SECOND, FRAME_BYTES
from polyasr.protocol.messages import Final, Partial

CONTROL = 3
PATIENCE_SEC = 10.0
"""How long a lost connection is opened again: networks that break are measured too."""


class Polyasr:
    """``ws://…/ws/transcribe``. A server that grants less control than asked gets less."""

    def __init__(self, url: str, key: str | None, control: int = CONTROL) -> None:
        self._url, self._key, self._control = url, key, control

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Begin a session."""
        async with open_dictation(
            self._url,
            control=self._control,
            language=language or None,
            api_key=self._key,
            patience=PATIENCE_SEC,
        ) as dictation:
            yield _Stream(dictation)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """By OpenAI's API of the same server."""
        url = http.beside(self._url, http.TRANSCRIPTIONS)
        return await http.transcribe(url, pcm16, key=self._key, language=language)

    async def describe(self) -> Mapping[str, str]:
        """What its health tells."""
        told = await http.request("GET", http.beside(self._url, "/health"), key=self._key)
        return http.texts(told, "model", "backend", "device", "dtype", "version")


class _Stream:
    def __init__(self, dictation: Dictation) -> None:
        self._dictation = dictation
        self._sent = 0

    async def send(self, pcm16: bytes) -> None:
        self._sent += len(pcm16)
        await self._dictation.send(pcm16)

    async def stop(self) -> None:
        await self._dictation.stop()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        is_over = False
        async for message in self._dictation:
            if isinstance(message, Final):
                is_over = True
                covered = _seconds(message.recognized_through_seq, self._sent)
                yield Heard(message.text, is_final=True, covered=covered)
            elif isinstance(message, Partial):
                settled = message.settled
                yield Heard(message.partial, None if settled is None else settled.committed)
        if not is_over:
            raise StreamFailed("the server was done without a final")


def _seconds(n_frames: int | None, sent: int) -> float | None:
    """What so many frames hold; the last of those that were sent may be a short one."""
    if n_frames is None:
        return None
    n_bytes, whole = n_frames * FRAME_BYTES, -(-sent // FRAME_BYTES) * FRAME_BYTES
    return (sent if n_bytes == whole else n_bytes) / BYTES_PER_SECOND
