"""A real server on loopback, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx

from polyasr.routes.services import ServingEngine
from polyasr.server import open_server
from tests.fakes import configured, tone, wav

TIMEOUT_SEC = 120
"""Against hanging; how fast an answer comes is not for tests to judge."""


@dataclass(frozen=True)
class Server:
    """A running server: an HTTP client of it, and its addresses."""

    http: httpx.AsyncClient
    url: str

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws/transcribe"

    async def transcribe(self, file: bytes | None = None, /, **fields: Any) -> httpx.Response:
        """Send a recording, half a second of speech when none is given."""
        files = {"file": ("speech.wav", wav(tone(0.5)) if file is None else file)}
        return await self.http.post("/v1/audio/transcriptions", files=files, data=fields)


@asynccontextmanager
async def serving(engine: ServingEngine, **changes: Any) -> AsyncIterator[Server]:
    """Serve the engine on a free port, with settings that differ from the defaults as told."""
    chosen = replace(configured(), **changes)
    async with (
        open_server(chosen, engine) as url,
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT_SEC) as http,
    ):
        yield Server(http, url)
