import threading
from collections.abc import Iterator

import pytest
import trio

from polyasr.engine.thread import MOST_AT_A_TIME, ModelThread


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    thread = ModelThread()
    yield thread
    thread.close()


async def block(thread: ModelThread, nursery: trio.Nursery) -> threading.Event:
    """Keep the thread busy until the returned event is set."""
    begun, release = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def work() -> None:
        token.run_sync_soon(begun.set)
        release.wait(10)

    nursery.start_soon(thread.run, 0, work)
    await begun.wait()
    return release


async def queue(thread: ModelThread, nursery: trio.Nursery, done: list[str], *jobs: str) -> None:
    """Queue jobs named by their urgency, and wait until they stand in the queue."""
    before = thread.queued
    for job in jobs:
        nursery.start_soon(thread.run, int(job[0]), lambda job=job: done.append(job))
        while thread.queued < before + 1:
            await trio.lowlevel.checkpoint()
        before += 1


async def test_work_runs_off_the_event_loop_on_one_thread(thread: ModelThread) -> None:
    first = await thread.run(0, threading.get_ident)
    assert first == await thread.run(0, threading.get_ident) != threading.get_ident()


async def test_an_error_reaches_the_caller_and_the_thread_goes_on(thread: ModelThread) -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await thread.run(0, fail)
    assert await thread.run(0, lambda: 42) == 42


async def test_the_most_urgent_goes_first_then_the_oldest(thread: ModelThread) -> None:
    done: list[str] = []
    async with trio.open_nursery() as nursery:
        release = await block(thread, nursery)
        await queue(thread, nursery, done, "3 batch", "2 first", "2 second", "1 final")
        release.set()
    assert done == ["1 final", "2 first", "2 second", "3 batch"]


async def test_a_cancelled_job_that_has_not_begun_never_runs(thread: ModelThread) -> None:
    done: list[str] = []
    async with trio.open_nursery() as nursery:
        release = await block(thread, nursery)
        async with trio.open_nursery() as cancelled:
            await queue(thread, cancelled, done, "2 unwanted")
            cancelled.cancel_scope.cancel()
        release.set()
        await thread.run(3, lambda: done.append("3 wanted"))
    assert done == ["3 wanted"]


async def test_a_cancelled_job_that_runs_is_not_waited_for(thread: ModelThread) -> None:
    async with trio.open_nursery() as nursery:
        release = await block(thread, nursery)
        nursery.cancel_scope.cancel()
    release.set()
    assert await thread.run(0, lambda: "next") == "next"


async def test_a_closed_thread_takes_no_work() -> None:
    thread = ModelThread()
    thread.close()
    with pytest.raises(RuntimeError, match="closed"):
        await thread.run(0, lambda: None)


async def test_short_jobs_that_wait_are_done_together_and_each_gets_its_own_answer(
    thread: ModelThread,
) -> None:
    answers: list[str] = []
    later = threading.Event()

    async def ask(number: int) -> None:
        try:
            answers.append(str(await thread.run(0, lambda: 12 // (number - 3))))
        except ZeroDivisionError:
            answers.append("failed")

    async with trio.open_nursery() as nursery:
        release = await block(thread, nursery)
        for number in range(MOST_AT_A_TIME):
            nursery.start_soon(ask, number)
            while thread.queued == number:
                await trio.lowlevel.checkpoint()
        nursery.start_soon(thread.run, 1, later.wait)
        release.set()
        while not answers:
            await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()  # the others, which are awake, run too
        first = list(answers)
        later.set()
    alone = ["failed" if n == 3 else str(12 // (n - 3)) for n in range(MOST_AT_A_TIME)]
    assert sorted(first) == sorted(alone)  # all of them in one visit to the loop


async def test_a_short_job_that_is_cancelled_among_others_never_runs(thread: ModelThread) -> None:
    done: list[str] = []
    async with trio.open_nursery() as nursery:
        release = await block(thread, nursery)
        await queue(thread, nursery, done, "0 first")
        async with trio.open_nursery() as cancelled:
            await queue(thread, cancelled, done, "0 unwanted")
            cancelled.cancel_scope.cancel()
        await queue(thread, nursery, done, "1 last", "0 second")
        release.set()
    assert done == ["0 first", "0 second", "1 last"]
