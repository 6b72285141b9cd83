"""vLLM's realtime endpoint, and what speaks it: ``ws://…/v1/realtime``."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.adapters import http
from bench.adapters.port import StreamFailed
from bench.adapters.websocket import JsonSocket, open_json, query_value
from bench.dictation.observed import Heard


class VllmRealtime:
    """Its deltas cannot be taken back, so that they count as promised.

    ``?model=`` in the address names the model; without it, it is the server's first.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key
        self._model = query_value(url, "model")

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Connect, name the model, and begin."""
        model = await self._named()
        async with open_json(self._url, self._key) as socket:
            await socket.send({"type": "session.update", "model": model})
            await socket.send({"type": "input_audio_buffer.commit", "final": False})
            yield _Stream(socket)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """By OpenAI's API of the same server."""
        url = http.beside(self._url, http.TRANSCRIPTIONS)
        return await http.transcribe(url, pcm16, key=self._key, model=await self._named())

    async def describe(self) -> Mapping[str, str]:
        """The model's name."""
        return {"model": await self._named()}

    async def _named(self) -> str:
        self._model = self._model or await http.first_model(self._url, self._key)
        return self._model


class _Stream:
    def __init__(self, socket: JsonSocket) -> None:
        self._socket = socket

    async def send(self, pcm16: bytes) -> None:
        audio = base64.b64encode(pcm16).decode()
        await self._socket.send({"type": "input_audio_buffer.append", "audio": audio})

    async def stop(self) -> None:
        await self._socket.send({"type": "input_audio_buffer.commit", "final": True})

    async def __aiter__(self) -> AsyncIterator[Heard]:
        text = ""
        async for message in self._socket:
            kind = message.get("type")
            if kind == "transcription.delta":
                text += str(message.get("delta", ""))
                yield Heard(text, text)
            elif kind == "transcription.tentative":
                yield Heard(text + str(message.get("text", "")), text)
            elif kind == "transcription.done":
                yield Heard(str(message.get("text", text)), is_final=True)
                return
            elif kind == "error":
                raise StreamFailed(f"{message.get('code')}: {message.get('error')}")
        raise StreamFailed("the server closed before it was done")
