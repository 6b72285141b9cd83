"""The model thread: all model work runs here, one job at a time, the most urgent first.

One thread, because MLX streams are bound to theirs and a GPU gains nothing from two; off the event
loop, because a forward pass takes longer than a client should wait for an acknowledgement. The
speech detector, which is small and stays on the CPU, has such a thread to itself.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import outcome
import trio

from polyasr.pipeline.types import Urgency

T = TypeVar("T")

SHORT = Urgency.DETECT
"""The urgency of jobs that take a millisecond: those that wait at a time are done …"""
MOST_AT_A_TIME = 16
"""… and answered together, but for so many, since the first waits for the last."""


class Reply(Generic[T]):
    """What a task waits for and another thread delivers. Made by the task that waits."""

    def __init__(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._token = trio.lowlevel.current_trio_token()
        self.abandoned = False

    async def wait(self) -> T:
        """Return or raise what is delivered.

        When cancelled it counts as abandoned, and what is delivered then is dropped.
        """

        def abandon(_: object) -> trio.lowlevel.Abort:
            self.abandoned = True
            return trio.lowlevel.Abort.SUCCEEDED

        result: outcome.Outcome[T] = await trio.lowlevel.wait_task_rescheduled(abandon)
        return result.unwrap()

    def deliver(self, result: outcome.Outcome[T]) -> None:
        """From any thread, once: wake the task."""
        _deliver([(self, result)])

    def _wake(self, result: outcome.Outcome[T]) -> None:
        if not self.abandoned:
            trio.lowlevel.reschedule(self._task, outcome.Value(result))


_Answer = tuple[Reply[Any], "outcome.Outcome[Any]"]


def _deliver(answers: Sequence[_Answer]) -> None:
    """Wake all tasks, which are of one loop, in one visit to it."""

    def wake() -> None:
        for reply, result in answers:
            reply._wake(result)

    if answers:
        with suppress(trio.RunFinishedError):  # the loop has ended, and who waited with it
            answers[0][0]._token.run_sync_soon(wake)


@dataclass(order=True, slots=True)
class _Job:
    urgency: int
    number: int
    work: Callable[[], object] = field(compare=False)
    reply: Reply[Any] | None = field(compare=False)

    def run(self) -> Iterator[_Answer]:
        """Yield what is to be delivered."""
        if self.reply is None:
            self.work()
        elif not self.reply.abandoned:
            yield self.reply, outcome.capture(self.work)


class ModelThread:
    """A dedicated thread with a queue ordered by urgency, then by arrival."""

    def __init__(self, name: str = "polyasr-model") -> None:
        self._queue: list[_Job] = []
        self._numbers = itertools.count()
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, urgency: int, work: Callable[[], T]) -> T:
        """Run ``work`` on the model thread and return or raise what it does.

        When cancelled, a job that has not begun never will; one that has is not waited for, and
        its result is dropped.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        reply: Reply[T] = Reply()
        if not self._queue_up(urgency, work, reply):
            raise RuntimeError("the model thread is closed")
        return await reply.wait()

    def submit(self, urgency: int, work: Callable[[], object]) -> bool:
        """Queue ``work``, which must not raise, from any thread; nobody waits for it.

        False when the thread is closed: it will not be done.
        """
        return self._queue_up(urgency, work, None)

    def _queue_up(self, urgency: int, work: Callable[[], object], reply: Reply[Any] | None) -> bool:
        with self._changed:
            if not self._closing:
                heapq.heappush(self._queue, _Job(urgency, next(self._numbers), work, reply))
                self._changed.notify()
            return not self._closing

    def close(self) -> None:
        """Let the running job end, drop the others, end the thread. Blocks until it has ended."""
        with self._changed:
            self._closing = True
            self._queue.clear()
            self._changed.notify()
        self._thread.join()

    @property
    def queued(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if self._closing:
                    return
                jobs = self._take()
            _deliver([answer for job in jobs for answer in job.run()])
            del jobs  # or it would keep their work and its result until the next comes

    def _take(self) -> list[_Job]:
        """The most urgent job, and the short ones that wait with it."""
        jobs = [heapq.heappop(self._queue)]
        while jobs[0].urgency == SHORT and len(jobs) < MOST_AT_A_TIME and self._is_short_next:
            jobs.append(heapq.heappop(self._queue))
        return jobs

    @property
    def _is_short_next(self) -> bool:
        return bool(self._queue) and self._queue[0].urgency == SHORT
