"""A client sends no faster than its upload is read."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from polyasr.routes.body import UNREAD_BYTES, BoundedBody


async def test_there_is_room_until_too_much_is_unread_and_again_when_it_was_read() -> None:
    body = BoundedBody(None, None)
    body.append(bytes(UNREAD_BYTES))
    await body.wait_for_room()
    body.append(b"x")
    async with trio.open_nursery() as nursery:
        waiting = trio.Event()

        async def wait() -> None:
            await body.wait_for_room()
            waiting.set()

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert not waiting.is_set()
        assert len(await anext(body)) == UNREAD_BYTES + 1
        await waiting.wait()


async def test_a_body_that_is_awaited_is_taken_in_whole() -> None:
    body = BoundedBody(None, None)
    whole: list[bytes] = []

    async def read() -> None:
        whole.append(await body)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        for _ in range(3):
            body.append(bytes(UNREAD_BYTES))
            await body.wait_for_room()
        body.set_complete()
    assert len(whole[0]) == 3 * UNREAD_BYTES
