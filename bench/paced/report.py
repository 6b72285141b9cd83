"""A result of `python -m bench paced` as a table in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from bench.dictation.summary import percentiles
from bench.paced.results import Paced, PacedResult
from bench.report import origin, table


def report(result: PacedResult) -> str:
    """All of it, with what it depends on."""
    settings = result.settings
    return (
        f"Qwen3-ASR {settings['size']}, random weights, {settings['dtype']} on "
        f"{settings['device']} (threads: {settings['threads']})\n{origin(result)}\n\n"
        + table(
            ["streams", "answered, %", "partial, s", "final, s", "cores"],
            [_row(run) for run in result.runs],
        )
    )


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
