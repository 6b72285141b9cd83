import json
from collections.abc import Callable
from typing import Any

import trio

from polyasr.pipeline.emitter import ROOM, Outbox, emit
from polyasr.protocol.messages import Ack, Done, Partial, Resumed, Started


class SlowReader:
    """Takes a message only when the test lets it."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self._let, self._turns = trio.open_memory_channel[None](100)

    async def send(self, text: str) -> None:
        await self._turns.receive()
        self.got.append(json.loads(text))

    def offer(self, text: Callable[[], str]) -> bool:
        return False

    async def take(self, count: int) -> None:
        for _ in range(count):
            await self._let.send(None)
        await trio.testing.wait_all_tasks_blocked()


async def test_a_slow_reader_gets_the_newest_partial_and_a_delta_to_what_it_has() -> None:
    outbox, reader = Outbox(), SlowReader()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        outbox.show(Partial("a", "one"))
        await trio.testing.wait_all_tasks_blocked()
        outbox.show(Partial("a", "one two"))
        outbox.show(Partial("a", "one two three"))
        outbox.close()
        await reader.take(2)
    assert [(m["partial"], m["delta"]) for m in reader.got] == [
        ("one", "one"),
        ("one two three", " two three"),
    ]


async def test_acknowledgements_are_cumulative_and_order_is_kept() -> None:
    outbox, reader = Outbox(), SlowReader()
    outbox.put(Started("a", -1))
    for sequence in range(100):
        outbox.acknowledge(Ack("a", sequence))
    outbox.put(Done("a", "s"))
    outbox.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        await reader.take(3)
    assert [m["type"] for m in reader.got] == ["started", "ack", "done"]
    assert reader.got[1]["ackSeq"] == 99


async def test_a_new_session_begins_without_what_was_shown_before() -> None:
    outbox, reader = Outbox(), SlowReader()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        outbox.show(Partial("a", "one"))
        outbox.put(Started("b", -1))
        outbox.show(Partial("b", "one two"))
        outbox.close()
        await reader.take(3)
    assert reader.got[-1]["delta"] == "one two"


async def test_after_a_resume_the_first_partial_claims_to_extend_nothing() -> None:
    outbox, reader = Outbox(), SlowReader()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        outbox.put(Resumed("a", 4))
        outbox.show(Partial("a", "one"))
        await reader.take(2)
        outbox.show(Partial("a", "one two"))
        outbox.close()
        await reader.take(1)
    assert [m.get("delta") for m in reader.got[1:]] == [None, " two"]


async def test_who_waits_for_room_waits_until_the_client_reads() -> None:
    outbox, reader = Outbox(), SlowReader()
    for number in range(ROOM + 1):
        outbox.put(Started(str(number), -1))
    let_in = trio.Event()

    async def wait() -> None:
        await outbox.has_room()
        let_in.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        nursery.start_soon(wait)
        await reader.take(0)
        assert not let_in.is_set()
        await reader.take(1)
        assert let_in.is_set()
        outbox.close()
        await reader.take(ROOM)


class Free(SlowReader):
    """Takes at once what is offered, as long as it has room."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room

    def offer(self, text: Callable[[], str]) -> bool:
        self._room -= 1
        if self._room >= 0:
            self.got.append(json.loads(text()))
        return self._room >= 0


async def test_what_needs_no_waiting_is_passed_on_and_the_emitter_sends_the_rest() -> None:
    outbox, reader = Outbox(), Free(room=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(emit, outbox, reader)
        await trio.testing.wait_all_tasks_blocked()
        for sequence in range(5):
            outbox.acknowledge(Ack("a", sequence))
            outbox.pass_on(reader)
        assert [m["ackSeq"] for m in reader.got] == [0, 1, 2]
        outbox.close()
        await reader.take(2)
    assert [m["ackSeq"] for m in reader.got] in ([0, 1, 2, 4], [0, 1, 2, 3, 4])
