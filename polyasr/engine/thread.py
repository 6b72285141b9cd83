"""The model thread: all model work runs here, one job at a time, the most urgent first.

One thread, because MLX streams are bound to theirs and a GPU gains nothing from two; off the event
loop, because a forward pass takes longer than a client should wait for an acknowledgement.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import outcome
import trio

T = TypeVar("T")


@dataclass(order=True)
class _Job(Generic[T]):
    urgency: int
    number: int
    work: Callable[[], T] = field(compare=False)
    task: trio.lowlevel.Task = field(compare=False)
    token: trio.lowlevel.TrioToken = field(compare=False)
    abandoned: bool = field(default=False, compare=False)
    result: outcome.Outcome[T] | None = field(default=None, compare=False)

    def run(self) -> None:
        """On the model thread: do the work and wake who waits for it."""
        if not self.abandoned:
            self.result = outcome.capture(self.work)
        with suppress(trio.RunFinishedError):  # the loop has ended, and who waited with it
            self.token.run_sync_soon(self._wake)

    def _wake(self) -> None:
        if not self.abandoned and self.result is not None:
            trio.lowlevel.reschedule(self.task, outcome.Value(self.result))


class ModelThread:
    """A dedicated thread with a queue ordered by urgency, then by arrival."""

    def __init__(self) -> None:
        self._queue: list[_Job[Any]] = []
        self._numbers = itertools.count()
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="polyasr-model", daemon=True)
        self._thread.start()

    async def run(self, urgency: int, work: Callable[[], T]) -> T:
        """Run ``work`` on the model thread and return or raise what it does.

        When cancelled, a job that has not begun never will; one that has is not waited for, and
        its result is dropped.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        job = _Job(
            urgency=urgency,
            number=next(self._numbers),
            work=work,
            task=trio.lowlevel.current_task(),
            token=trio.lowlevel.current_trio_token(),
        )
        with self._changed:
            if self._closing:
                raise RuntimeError("the model thread is closed")
            heapq.heappush(self._queue, job)
            self._changed.notify()

        def abandon(_: object) -> trio.lowlevel.Abort:
            job.abandoned = True
            return trio.lowlevel.Abort.SUCCEEDED

        result: outcome.Outcome[T] = await trio.lowlevel.wait_task_rescheduled(abandon)
        return result.unwrap()

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
                job = heapq.heappop(self._queue)
            job.run()
