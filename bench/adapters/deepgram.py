"""Deepgram's live API, and what speaks it: ``wss://api.deepgram.com/v1/listen``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bench.adapters import http
from bench.adapters.port import StreamFailed
from bench.adapters.websocket import JsonSocket, open_json, with_query
from bench.dictation.observed import Heard
from polyasr.samples import SAMPLE_RATE


class Deepgram:
    """What is final counts as promised. Options (``model``, ``smart_format``) go in the address."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Connect."""
        url = with_query(
            self._url,
            encoding="linear16",
            sample_rate=str(SAMPLE_RATE),
            channels="1",
            interim_results="true",
            punctuate="true",
            language=http.language_code(language),
        )
        async with open_json(url, self._key, scheme="Token") as socket:
            yield _Stream(socket)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """Its models for recordings are others than those for streams."""
        return None

    async def describe(self) -> Mapping[str, str]:
        """It tells nothing before it has heard something."""
        return {}


class _Stream:
    def __init__(self, socket: JsonSocket) -> None:
        self._socket = socket

    async def send(self, pcm16: bytes) -> None:
        await self._socket.send(pcm16)

    async def stop(self) -> None:
        await self._socket.send({"type": "CloseStream"})

    async def __aiter__(self) -> AsyncIterator[Heard]:
        finals: list[str] = []
        async for message in self._socket:
            kind = message.get("type")
            if kind == "Results":
                text = _transcript(message)
                if message.get("is_final"):
                    finals += [text] if text else []
                    text = ""
                committed = " ".join(finals)
                yield Heard(" ".join(part for part in (committed, text) if part), committed)
            elif kind == "Metadata":
                committed = " ".join(finals)
                yield Heard(committed, committed, is_final=True)
                return
            elif kind == "Error":
                raise StreamFailed(str(message.get("description") or message))
        raise StreamFailed("the server closed before it had told all")


def _transcript(message: dict[str, object]) -> str:
    match message:
        case {"channel": {"alternatives": [{"transcript": str(text)}, *_]}}:
            return text.strip()
    raise StreamFailed(f"results without a transcript: {message}")
