"""Impaired networks, on a virtual clock."""

from __future__ import annotations

import random
from functools import partial

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from bench.dictation.network import Conditions, Path, impaired, join


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def arrivals(conditions: Conditions, *sizes: int, every: float = 0.1) -> list[float]:
    """When the last byte of each piece comes out at the other end."""
    near, near_end = memory_stream_pair()
    far_end, far = memory_stream_pair()
    began, found = trio.current_time(), list[float]()

    async def send() -> None:
        for size in sizes:
            await near.send_all(bytes(size))
            await trio.sleep(every)
        await near.send_eof()
        await near.receive_some()

    async def receive() -> None:
        for size in sizes:
            left = size
            while left:
                piece = await far.receive_some(left)
                if not piece:
                    return
                left -= len(piece)
            found.append(round(trio.current_time() - began, 6))
        assert await far.receive_some() == b""
        await far.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, near_end, far_end, conditions, random.Random(0))
        nursery.start_soon(send)
        nursery.start_soon(receive)
    return found


async def test_latency_is_added_to_everything(autojump_clock: MockClock) -> None:
    assert await arrivals(Conditions(latency=0.25), 100, 100, 100) == [0.25, 0.35, 0.45]


async def test_a_narrow_line_queues(autojump_clock: MockClock) -> None:
    found = await arrivals(Conditions(bandwidth=8000), 200, 200, 200, every=0.1)
    assert found == [0.2, 0.4, 0.6]


async def test_jitter_keeps_the_order_and_is_the_same_again(autojump_clock: MockClock) -> None:
    conditions = Conditions(latency=0.1, jitter=0.5)
    first = await arrivals(conditions, *[10] * 20)
    assert first == sorted(first)
    assert all(0.1 <= at - 0.1 * number <= 0.6 for number, at in enumerate(first))
    assert len({round(at - 0.1 * number, 3) for number, at in enumerate(first)}) > 5
    assert await arrivals(conditions, *[10] * 20) == first


async def test_a_connection_is_lost_when_the_seed_says(autojump_clock: MockClock) -> None:
    near, near_end = memory_stream_pair()
    far_end, far = memory_stream_pair()
    conditions = Conditions(lost_every=10)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, near_end, far_end, conditions, random.Random(3))
        assert await far.receive_some() == b""
    assert trio.current_time() - began == pytest.approx(random.Random(3).expovariate(1 / 10))
    with pytest.raises(trio.BrokenResourceError):
        await near.send_all(b"lost")


def test_a_path_is_idle_when_nothing_was_sent() -> None:
    path = Path(Conditions(latency=0.5, bandwidth=800), random.Random(0))
    assert [path.arrival(now, 10) for now in (0.0, 0.0, 10.0)] == [0.6, 0.7, 10.6]


async def test_a_proxy_stands_in_front_of_a_server() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for piece in stream:
            await stream.send_all(piece)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, echo, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        direct = f"ws://127.0.0.1:{port}/asr?language=en"
        async with impaired(direct, Conditions(latency=0.001)) as url:
            assert url.startswith("ws://127.0.0.1:") and url.endswith("/asr?language=en")
            assert url != direct
            host, passed = url.split("/")[2].split(":")
            async with await trio.open_tcp_stream(host, int(passed)) as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"hello"
        async with impaired(direct, Conditions()) as url:
            assert url == direct
        nursery.cancel_scope.cancel()


async def test_an_encrypted_address_is_refused() -> None:
    with pytest.raises(ValueError, match="takes ws:// or http://"):
        async with impaired("wss://example.com/", Conditions(latency=1)):
            pass
