"""How many requests and WebSockets are being served, so that a stop can let them end."""

from __future__ import annotations

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope


class CountedExchanges:
    """An ASGI application around another, which counts."""

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app
        self._ended = trio.Event()
        self.active = 0

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        counted = int(scope["type"] != "lifespan")
        self.active += counted
        try:
            await self._app(scope, receive, send)
        finally:
            self.active -= counted
            self._ended.set()

    async def wait_for_none(self) -> None:
        """Wait until nothing is being served."""
        while self.active:
            self._ended = trio.Event()
            await self._ended.wait()
