"""Server-sent events as OpenAI's API streams them: lines of `data:` and `[DONE]` at the end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType

import trio
from quart import Request, Response, json, jsonify, request
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

Send = Callable[[Mapping[str, object]], Awaitable[None]]
"""Sends an event, or tells what one is made of."""


def encode(event: Mapping[str, object]) -> bytes:
    """One event."""
    return f"data: {json.dumps(event)}\n\n".encode()


def wanted(request: Request) -> bool:
    """Whether the client names event streams among what it accepts."""
    return MEDIA_TYPE in request.accept_mimetypes.values()


@asynccontextmanager
async def streamed(task_status: trio.TaskStatus[Response]) -> AsyncIterator[Send]:
    """Hand over a response of events; yields what sends one.

    At its end it is said that all was told. A failure is an event, for the status was sent.
    """
    to_client, told = trio.open_memory_channel[bytes](0)

    async def send(event: Mapping[str, object]) -> None:
        await to_client.send(encode(event))

    task_status.started(event_response(told))
    async with to_client:
        try:
            yield send
            await to_client.send(DONE)
        except PolyasrError as error:
            await send(envelope(error))
        except Exception:
            log.exception("a streamed answer failed by a fault of this server")
            await send(envelope(PolyasrError(INTERNAL_ERROR)))


async def hand_over(
    task_status: trio.TaskStatus[Response],
    name: str,
    find: Callable[[Send], Awaitable[Mapping[str, object]]],
) -> None:
    """Hand over the response with what ``find`` finds.

    To a client that accepts events it comes as ``NAME.done``, and before it what ``find`` tells of
    its progress, as ``NAME.progress``; to others it is JSON.
    """
    if not wanted(request):
        task_status.started(jsonify(await find(_tell_nobody)))
        return
    async with streamed(task_status) as send:

        async def tell(progress: Mapping[str, object]) -> None:
            await send({"type": f"{name}.progress", **progress})

        await send({"type": f"{name}.done", **await find(tell)})


async def _tell_nobody(_: Mapping[str, object]) -> None:
    """The progress of what is not streamed."""


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
