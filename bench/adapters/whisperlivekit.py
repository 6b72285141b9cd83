"""WhisperLiveKit's ``/asr``; the server has to be started with ``--pcm-input``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bench.adapters import http
from bench.adapters.port import StreamFailed
from bench.adapters.websocket import JsonSocket, open_json, with_query
from bench.dictation.observed import Heard

SILENCE = -2
"""The speaker of lines that are none."""


class WhisperLiveKit:
    """``ws://…/asr``. Its lines count as promised, its buffer does not."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Connect, and make sure that it takes PCM."""
        url = with_query(self._url, language=http.language_code(language))
        async with open_json(url, self._key) as socket:
            async for message in socket:
                if not message.get("useAudioWorklet"):
                    raise StreamFailed(f"start it with --pcm-input; it says {message}")
                break
            yield _Stream(socket)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """By OpenAI's API of the same server."""
        url = http.beside(self._url, http.TRANSCRIPTIONS)
        return await http.transcribe(url, pcm16, key=self._key)

    async def describe(self) -> Mapping[str, str]:
        """The name it has for its model."""
        return {"model": await http.first_model(self._url, self._key)}


class _Stream:
    def __init__(self, socket: JsonSocket) -> None:
        self._socket = socket

    async def send(self, pcm16: bytes) -> None:
        await self._socket.send(pcm16)

    async def stop(self) -> None:
        await self._socket.send(b"")

    async def __aiter__(self) -> AsyncIterator[Heard]:
        text = committed = ""
        async for message in self._socket:
            if message.get("type") == "ready_to_stop":
                yield Heard(text, committed, is_final=True)
                return
            if message.get("type") == "error" or message.get("error"):
                raise StreamFailed(str(message.get("error")))
            if "lines" in message:
                committed, text = _texts(message)
                yield Heard(text, committed)
        raise StreamFailed("the server closed before it was ready to stop")


def _texts(message: dict[str, Any]) -> tuple[str, str]:
    lines = [line.get("text") or "" for line in message["lines"] if line.get("speaker") != SILENCE]
    committed = " ".join(text.strip() for text in lines if text.strip())
    buffer = (message.get("buffer_transcription") or "").strip()
    return committed, " ".join(part for part in (committed, buffer) if part)
