"""A result of `python -m bench paced` as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.dictation.summary import percentiles
from bench.paced.results import Paced, PacedResult
from bench.report import origin, random_model, table


def report(result: PacedResult) -> str:
    """All of it, with what it depends on."""
    told = table(
        ["streams", "answered, %", "partial, s", "final, s", "cores"],
        [_row(run) for run in result.runs],
    )
    return f"{random_model(result.settings)}\n{origin(result)}\n\n{told}"


def _row(run: Paced) -> list[str]:
    return [
        f"{run.streams}",
        f"{100 * run.answered:.0f}",
        _shares(run.partials),
        _shares(run.finals),
        f"{run.cores:.2f}",
    ]


def _shares(seconds: Sequence[float]) -> str:
    """What half, 95 and 99 of 100 stay within."""
    found = percentiles(seconds)
    return f"{found.p50:.3f} / {found.p95:.3f} / {found.p99:.3f}" if found else "–"
