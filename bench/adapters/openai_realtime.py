"""OpenAI's realtime transcription, and what speaks it: ``wss://…/v1/realtime``."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import soxr

from bench.adapters import http
from bench.adapters.port import StreamFailed
from bench.adapters.websocket import JsonSocket, open_json, query_value, with_query
from bench.dictation.observed import Heard
from polyasr.samples import SAMPLE_RATE

WIRE_RATE = 24_000
"""The one rate that OpenAI's own service takes."""
EMPTY = "input_audio_buffer_commit_empty"
ITEM = "conversation.item.input_audio_transcription."
MODEL = "gpt-4o-transcribe"


class OpenAiRealtime:
    """With ``server_vad``; a turn's transcript counts as promised when it is complete.

    ``?model=`` in the address is the transcription's model.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = with_query(url, intent="transcription"), key
        self._model = query_value(url, "model") or MODEL

    @asynccontextmanager
    async def open(self, language: str) -> AsyncIterator[_Stream]:
        """Connect and say what comes."""
        transcription = {"model": self._model}
        if language:
            transcription["language"] = http.language_code(language)
        given = {
            "format": {"type": "audio/pcm", "rate": WIRE_RATE},
            "transcription": transcription,
            "turn_detection": {"type": "server_vad"},
        }
        async with open_json(self._url, self._key) as socket:
            session = {"type": "transcription", "audio": {"input": given}}
            await socket.send({"type": "session.update", "session": session})
            yield _Stream(socket)

    async def batch(self, pcm16: bytes, language: str) -> str | None:
        """By OpenAI's API of the same server."""
        url = http.beside(self._url, http.TRANSCRIPTIONS)
        return await http.transcribe(url, pcm16, key=self._key, model=self._model)

    async def describe(self) -> Mapping[str, str]:
        """The model that is asked for."""
        return {"model": self._model}


class _Stream:
    def __init__(self, socket: JsonSocket) -> None:
        self._socket = socket
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, WIRE_RATE, 1, dtype="int16")
        self._turns = _Turns()

    async def send(self, pcm16: bytes) -> None:
        await self._append(np.frombuffer(pcm16, "<i2"), is_last=False)

    async def stop(self) -> None:
        await self._append(np.zeros(0, np.int16), is_last=True)
        self._turns.is_stopping = True
        await self._socket.send({"type": "input_audio_buffer.commit"})

    async def _append(self, samples: np.ndarray[Any, Any], *, is_last: bool) -> None:
        resampled = self._resampler.resample_chunk(samples, last=is_last)
        if len(resampled):
            audio = base64.b64encode(resampled.astype("<i2").tobytes()).decode()
            await self._socket.send({"type": "input_audio_buffer.append", "audio": audio})

    async def __aiter__(self) -> AsyncIterator[Heard]:
        turns = self._turns
        async for message in self._socket:
            if turns.take(message):
                yield turns.heard(is_final=turns.are_over)
            if turns.are_over:
                return
        raise StreamFailed("the server closed before all turns were complete")


class _Turns:
    """The turns in the order in which they were committed."""

    def __init__(self) -> None:
        self.is_stopping = False
        self._texts: dict[str, str] = {}
        self._complete: set[str] = set()
        self._has_stopped = False

    @property
    def are_over(self) -> bool:
        """Whether the last commit was answered and nothing is open."""
        return self._has_stopped and self._complete == set(self._texts)

    def take(self, message: dict[str, Any]) -> bool:
        """Whether there is something to show. Raises StreamFailed."""
        kind, item = str(message.get("type")), str(message.get("item_id", ""))
        if kind == "input_audio_buffer.committed":
            self._texts.setdefault(item, "")
            self._has_stopped |= self.is_stopping
            return False
        if kind == ITEM + "delta":
            self._texts[item] = self._texts.get(item, "") + str(message.get("delta", ""))
        elif kind == ITEM + "completed":
            self._texts[item] = str(message.get("transcript", ""))
            self._complete.add(item)
        elif kind == ITEM + "failed":
            raise StreamFailed(str(message.get("error")))
        elif kind == "error":
            if (message.get("error") or {}).get("code") != EMPTY:
                raise StreamFailed(str(message.get("error")))
            self._has_stopped = True
        else:
            return False
        return True

    def heard(self, *, is_final: bool) -> Heard:
        """All turns, and as promised those before the first that is open."""
        committed = []
        for item, text in self._texts.items():
            if item not in self._complete:
                break
            committed.append(text.strip())
        whole = " ".join(text.strip() for text in self._texts.values() if text.strip())
        return Heard(whole, " ".join(text for text in committed if text), is_final=is_final)
