"""Answering before an upload has ended without losing the answer.

A server that answers early, because the upload is too large or the key is wrong, and closes the
socket while the client still sends, resets the connection, and the client may lose the answer
with it. RFC 9112, 9.6: answer, then read a little longer before closing.
"""

from __future__ import annotations

import trio
from hypercorn.typing import (
    ASGIFramework,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

LINGER_SEC = 2.0
"""How long an answered client may go on sending; time for the answer to reach it and be read."""


class LingeringClose:
    """An ASGI application around another: drops what comes of a body once it was answered.

    The answer itself is sent at once; only the end of the exchange, upon which the server closes
    the connection, waits for the end of the body or ``LINGER_SEC``.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self._app = app

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "http":
            exchange = _Exchange(receive, send)
            receive, send = exchange.receive, exchange.send
        await self._app(scope, receive, send)


class _Exchange:
    """One request and its response."""

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive, self._send = receive, send
        self._lingering = trio.CancelScope()

    async def receive(self) -> ASGIReceiveEvent:
        """The next event; the end of the request, whoever receives it, ends the lingering."""
        event = await self._receive()
        if event["type"] != "http.request" or not event["more_body"]:
            self._lingering.cancel()
        return event

    async def send(self, event: ASGISendEvent) -> None:
        """Pass an event on; the last one of a response that came early waits.

        The last one is shielded: upon it Hypercorn tells the application that the client is gone
        before it has closed the socket, Quart cancels the task that sends, and an unread upload
        would keep the connection open for as long as the client likes.
        """
        is_last = event["type"] == "http.response.body" and not event["more_body"]
        if is_last:
            self._lingering.deadline = trio.current_time() + LINGER_SEC
            with self._lingering:
                while True:
                    await self.receive()
        with trio.CancelScope(shield=is_last):
            await self._send(event)
