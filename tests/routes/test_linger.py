"""An answer that comes before the upload has ended still arrives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.testing import MockClock

from polyasr.routes.linger import LINGER_SEC, LingeringClose

Application = Callable[[Any, Any, Any], Awaitable[None]]
PIECE = {"type": "http.request", "body": b"x", "more_body": True}
END = {"type": "http.request", "body": b"", "more_body": False}


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers without reading."""
    await send({"type": "http.response.start", "status": 401, "headers": []})
    await send({"type": "http.response.body", "body": b"no", "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answered(app: Application, requests: list[Any]) -> list[tuple[float, Any]]:
    """What is sent for these events, and when; further events never come."""
    to_app, coming = trio.open_memory_channel[Any](len(requests))
    for event in requests:
        to_app.send_nowait(event)
    sent: list[tuple[float, Any]] = []

    async def send(event: Any) -> None:
        await trio.lowlevel.checkpoint()
        sent.append((trio.current_time(), event))

    began = trio.current_time()
    scope: Any = {"type": "http"}
    await LingeringClose(app)(scope, coming.receive, send)
    return [(time - began, event) for time, event in sent]


async def test_the_answer_is_sent_at_once_and_its_end_waits(autojump_clock: MockClock) -> None:
    start, body, end = await answered(refuse, [PIECE, PIECE])
    assert start[0] == body[0] == 0
    assert end[0] == LINGER_SEC


async def test_a_request_that_has_ended_waits_for_nothing(autojump_clock: MockClock) -> None:
    sent = await answered(refuse, [PIECE, END])
    assert [time for time, _ in sent] == [0, 0, 0]


async def test_a_client_that_is_gone_is_not_waited_for(autojump_clock: MockClock) -> None:
    sent = await answered(refuse, [PIECE, {"type": "http.disconnect"}])
    assert sent[-1][0] == 0


async def test_an_end_that_the_application_receives_ends_the_wait(
    autojump_clock: MockClock,
) -> None:
    async def refuse_while_reading(scope: Any, receive: Any, send: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await refuse(scope, receive, send)

    sent = await answered(refuse_while_reading, [END])
    assert sent[-1][0] == 0


async def test_an_application_that_its_last_words_cancel_still_says_them() -> None:
    said: list[Any] = []
    application = trio.CancelScope()

    async def receive() -> Any:
        await trio.lowlevel.checkpoint()
        return END

    async def send(event: Any) -> None:
        application.cancel()
        await trio.lowlevel.checkpoint()
        said.append(event)

    async def end(scope: Any, receive: Any, send: Any) -> None:
        with application:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    scope: Any = {"type": "http"}
    await LingeringClose(end)(scope, receive, send)
    assert len(said) == 1
