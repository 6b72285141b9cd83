"""Requests to a server's HTTP side, which is where its WebSocket is unless told otherwise."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from bench.adapters.port import StreamFailed
from polyasr import languages
from polyasr.samples import SAMPLE_RATE

TIMEOUT_SEC = 600.0
"""For a recording of half an hour."""
TRANSCRIPTIONS = "/v1/audio/transcriptions"


def beside(url: str, path: str) -> str:
    """Another path on the server of a WebSocket's or a page's address."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, path, "", ""))


async def transcribe(
    url: str, pcm16: bytes, *, key: str | None, model: str = "", language: str = ""
) -> str:
    """A recording's text, by OpenAI's API; ``language`` is Qwen's name. Raises StreamFailed."""
    fields = {"model": model or "whisper-1", "response_format": "json"}
    fields |= {"language": language_code(language)} if language else {}
    files = {"file": ("clip.wav", wav(pcm16), "audio/wav")}
    answer = await request("POST", url, key=key, data=fields, files=files)
    text = answer.get("text")
    if not isinstance(text, str):
        raise StreamFailed(f"{url} answers without a text: {answer}")
    return text


async def request(method: str, url: str, *, key: str | None = None, **body: Any) -> dict[str, Any]:
    """The JSON object that is answered, with any status a server says it is not well with.

    Raises StreamFailed.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_SEC, headers=headers) as client:
            answer = await client.request(method, url, **body)
        if answer.status_code >= 400:
            raise StreamFailed(f"{url} answers {answer.status_code}: {answer.text[:200]}")
        content = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise StreamFailed(f"{url}: {error!r}") from error
    if not isinstance(content, dict):
        raise StreamFailed(f"{url} answers with no JSON object")
    return content


async def first_model(url: str, key: str | None) -> str:
    """The id of the first model of a server with OpenAI's API. Raises StreamFailed."""
    answer = await request("GET", beside(url, "/v1/models"), key=key)
    try:
        return str(answer["data"][0]["id"])
    except (KeyError, IndexError, TypeError) as error:
        raise StreamFailed(f"{url} names no model: {answer}") from error


def texts(told: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Those of a server's words that are there, as texts."""
    return {name: str(told[name]) for name in names if told.get(name) is not None}


def language_code(language: str) -> str:
    """The ISO 639 code of one of Qwen's names; "" stays."""
    return languages.code(language) if language else ""


def wav(pcm16: bytes) -> bytes:
    """A WAV file, 16 kHz mono."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE)
        recording.writeframes(pcm16)
    return whole.getvalue()
