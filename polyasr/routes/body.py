"""Requests whose bodies have back-pressure, and which own the tasks that work for them.

Quart takes a body in as fast as it comes and keeps in memory what nobody has read yet, which on a
fast network is the whole upload. Here a client sends no faster than its upload is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart import Response, request
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers.request import TrioBody, TrioRequest

UNREAD_BYTES = 2**20
"""What may wait to be read: enough to keep the reader busy, nothing against an upload."""


class BoundedBody(TrioBody):
    """A body that tells when there is room for more.

    It can be iterated over, or awaited as a whole; then all of it is taken in.
    """

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._unread = 0
        self._whole = False
        self._read = trio.Event()

    def append(self, data: bytes) -> None:
        """Take in what came."""
        super().append(data)
        self._unread += len(data)

    async def __anext__(self) -> bytes:
        data = await super().__anext__()
        self._unread = 0
        self._read.set()
        return data

    def __await__(self) -> Generator[Any, None, Any]:
        self._whole = True
        self._read.set()
        return super().__await__()

    async def wait_for_room(self) -> None:
        """Wait until what came before has been read."""
        while self._unread > UNREAD_BYTES and not self._whole:
            self._read = trio.Event()
            await self._read.wait()


class BoundedRequest(TrioRequest):
    """A request with such a body.

    ``tasks`` is the nursery of the exchange: it ends when the response has been sent or the client
    is gone, and what still runs in it is cancelled then.
    """

    body_class = BoundedBody
    tasks: trio.Nursery


async def answered_by(work: Callable[[trio.TaskStatus[Response]], Awaitable[None]]) -> Response:
    """The response that ``work`` hands over. It may go on working for one that is streamed, in the
    nursery of the exchange that the calling task belongs to. Raises what it does until then."""
    assert isinstance(request, BoundedRequest)
    response: Response = await request.tasks.start(work)
    return response


class BoundedHTTPConnection(TrioASGIHTTPConnection):
    """A connection that stops receiving while its request's body has no room.

    Meanwhile a disconnect goes unnoticed, which is until the reader reads on or answers.
    """

    async def handle_messages(  # type: ignore[override]  # as in the base class, against its own
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        """Receive the body, then wait for the client to go, which ends the request."""
        body = request.body
        assert isinstance(body, BoundedBody)
        while (event := await receive())["type"] == "http.request":
            body.append(event["body"])
            if not event["more_body"]:
                body.set_complete()
            await body.wait_for_room()
        nursery.cancel_scope.cancel()

    async def handle_request(  # type: ignore[override]  # as in the base class, against its own
        self, nursery: trio.Nursery, request: Request, send: ASGISendCallable
    ) -> None:
        """Answer the request."""
        assert isinstance(request, BoundedRequest)
        request.tasks = nursery
        await super().handle_request(nursery, request, send)
