"""How many streams at once a server holds at an objective."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bench.dictation.results import Capacity, Objective, Run
from bench.dictation.summary import Percentiles, summarize

PRECISION = 8
"""The answer is at most an eighth short of the truth."""


async def ramp(
    measure: Callable[[int], Awaitable[Run]], system: str, objective: Objective, limit: int
) -> Capacity:
    """Twice as many streams each time until the objective is missed, then in between.

    ``measure`` takes the number of streams, at most ``limit``.
    """
    runs: dict[int, Run] = {}
    held, missed = 0, limit + 1
    while missed - held > max(1, held // PRECISION):
        n_streams = min(max(1, 2 * held), limit) if missed > limit else (held + missed) // 2
        runs[n_streams] = await measure(n_streams)
        if meets(runs[n_streams], objective):
            held = n_streams
        else:
            missed = n_streams
    return Capacity(system, objective, held, tuple(runs[n] for n in sorted(runs)))


def meets(run: Run, objective: Objective) -> bool:
    """Whether 95 of 100 of everything are within the objective, and no stream has failed."""
    summary = summarize(run.figures)
    lag = summary.commit_lag or summary.settle_lag
    return summary.failed == 0 and all(
        _within(found, limit)
        for found, limit in (
            (summary.first_partial, objective.first_partial),
            (summary.final_after_audio, objective.final),
            (lag, objective.commit_lag),
        )
    )


def _within(found: Percentiles | None, limit: float) -> bool:
    return found is None or (found.p95 is not None and found.p95 <= limit)
