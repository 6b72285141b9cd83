"""How many requests and WebSockets are being served, so that a stop can let them end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope


class Exchanges:
    """Counts them."""

    def __init__(self) -> None:
        self._ended = trio.Event()
        self.active = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Around one."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1
            self._ended.set()

    async def wait_for_none(self) -> None:
        """Wait until nothing is being served."""
        while self.active:
            self._ended = trio.Event()
            await self._ended.wait()


class CountedExchanges:
    """An ASGI application around another, which counts."""

    def __init__(self, app: ASGIFramework, exchanges: Exchanges) -> None:
        self._app, self._exchanges = app, exchanges

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        else:
            with self._exchanges.counted():
                await self._app(scope, receive, send)
