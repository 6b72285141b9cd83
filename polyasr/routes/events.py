"""Server-sent events as OpenAI's API streams them: lines of `data:` and `[DONE]` at the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType

import trio
from quart import Request, Response, json
from quart.wrappers.response import ResponseBody

from polyasr.errors import PolyasrError
from polyasr.routes.errors import INTERNAL_ERROR, envelope

log = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

DONE = b"data: [DONE]\n\n"
"""What ends a stream that has told everything."""
STILL_AT_WORK = b": still at work\n\n"
KEEP_ALIVE_SEC = 15.0
"""A comment is sent after so long a silence; proxies drop what is silent for a minute."""


def encode(event: Mapping[str, object]) -> bytes:
    """One event."""
    return f"data: {json.dumps(event)}\n\n".encode()


def wanted(request: Request) -> bool:
    """Whether the client names event streams among what it accepts."""
    return MEDIA_TYPE in request.accept_mimetypes.values()


@asynccontextmanager
async def failures_told(to_client: trio.MemorySendChannel[bytes]) -> AsyncIterator[None]:
    """Around all that is told: a failure is an event, for the status was sent; then it ends."""
    async with to_client:
        try:
            yield
        except PolyasrError as error:
            await to_client.send(encode(envelope(error)))
        except Exception:
            log.exception("a streamed answer failed by a fault of this server")
            await to_client.send(encode(envelope(PolyasrError(INTERNAL_ERROR))))


class EventBody(ResponseBody):
    """What comes of a channel, until its sender closes it."""

    def __init__(self, events: trio.MemoryReceiveChannel[bytes]) -> None:
        self._events = events

    async def __aenter__(self) -> EventBody:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._events.close()

    def __aiter__(self) -> EventBody:
        return self

    async def __anext__(self) -> bytes:
        with trio.move_on_after(KEEP_ALIVE_SEC):
            try:
                return await self._events.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return STILL_AT_WORK


def event_response(events: trio.MemoryReceiveChannel[bytes]) -> Response:
    """A response that sends events as they come. Proxies are told not to gather them."""
    response = Response(EventBody(events), content_type=f"{MEDIA_TYPE}; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response
