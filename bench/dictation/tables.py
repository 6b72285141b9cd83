"""A result as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.dictation.results import Capacity, DictationResult, Run
from bench.dictation.summary import Drift, Percentiles, Summary, summarize
from bench.report import commit_name, machine, table

NEVER = "never"
NOTHING = "–"
LATE_SEC = 0.1
"""Frames that we send later than this make a run doubtful."""


def report(result: DictationResult) -> str:
    """What was measured where, a table of the runs, what they are not to be blamed for, and the
    capacities."""
    parts = [heading(result)] + ([delays(result.runs)] if result.is_paced else [])
    parts += [words(result.runs), load(result.runs)]
    parts += [*remarks(result.runs), *(capacity(each) for each in result.capacities)]
    return "\n\n".join(parts)


def heading(result: DictationResult) -> str:
    """When, where, and what ran."""
    corpora = (f"{name} {digest[:12]}" for name, digest in result.corpora.items())
    systems = {run.system: run.described for run in result.runs}
    lines = [
        f"{result.date}, {commit_name(result.commit)}; {machine(result.host)}",
        f"clips: {', '.join(corpora)}",
        *(f"{name}: {_told(described)}" for name, described in systems.items() if described),
    ]
    return "\n".join(lines)


def delays(runs: Sequence[Run]) -> str:
    """What a person waits for, p50 / p95 / p99 in seconds."""
    head = ("first partial", "interval", "settled", "committed", "final", "done", "partials/s")
    rows = []
    for run in runs:
        summary = summarize(run.figures)
        found = (
            summary.first_partial,
            summary.interval,
            summary.settle_lag,
            summary.commit_lag,
            summary.final_after_audio,
            summary.done,
        )
        partials = f"{summary.partials_per_second:.2f}"
        rows.append([*_name(run), *map(percentiles, found), partials])
    return table(["system", "clips × streams", "network", *head], rows)


def words(runs: Sequence[Run]) -> str:
    """What is in the texts."""
    head = ("WER", "CER", "WER of batch", "more than batch", "WER to batch", "NE", "NE as shown")
    rows = []
    for run in runs:
        found = summarize(run.figures)
        rates = (
            found.word_error_rate,
            found.character_error_rate,
            found.batch_word_error_rate,
            found.more_than_batch,
            found.difference_to_batch,
        )
        erased = (found.normalized_erasure, found.normalized_erasure_as_shown)
        cells = [NOTHING if each is None else str(each) for each in rates]
        cells += [_number(each, 3) for each in erased]
        rows.append([*_name(run), *cells, _faults(found)])
    return table(["system", "clips × streams", "network", *head, "faults"], rows)


def load(runs: Sequence[Run]) -> str:
    """What it cost."""
    head = ("failed", "RTFx", "CPU s/s", "memory MB", "growth MB/min", "first minute → last")
    rows = []
    for run in runs:
        found, usage = summarize(run.figures), run.usage
        rows.append(
            [
                *_name(run),
                f"{found.failed} of {found.clips}",
                f"{run.audio / run.seconds:.1f}" if run.seconds else NOTHING,
                _number(usage.cpu / run.audio if usage else None, 3),
                _number(usage.peak if usage else None, 0),
                _number(usage.slope if usage else None, 1),
                _drift(found.settle_drift or found.interval_drift),
            ]
        )
    return table(["system", "clips × streams", "network", *head], rows)


def percentiles(found: Percentiles | None) -> str:
    """p50 / p95 / p99."""
    if found is None:
        return NOTHING
    three = (found.p50, found.p95, found.p99)
    return " / ".join(NEVER if each is None else f"{each:.2f}" for each in three)


def name(run: Run) -> str:
    """The run in a few words."""
    network = "" if run.network == "none" else f", {run.network}"
    return f"{run.system}, {run.clips} × {run.streams}{network}"


def _name(run: Run) -> list[str]:
    return [run.system, f"{run.clips} × {run.streams}", run.network]


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def _faults(summary: Summary) -> str:
    return ", ".join(f"{n} × {kind}" for kind, n in summary.faults.items()) or "none"


def _drift(drift: Drift | None) -> str:
    return NOTHING if drift is None else f"{drift.first:.2f} → {drift.last:.2f}"


def _told(described: dict[str, str]) -> str:
    shortened = described | {"weights": described.get("weights", "")[:12]}
    return ", ".join(f"{name} {value}" for name, value in shortened.items() if value)


def remarks(runs: Sequence[Run]) -> Iterator[str]:
    """What the figures are to be read with."""
    for run in runs:
        late = max((each.late for each in run.figures), default=0.0)
        if late > LATE_SEC:
            yield (
                f"Doubtful: in {name(run)} a frame was sent {late:.2f} s late; the machine was "
                "too busy to speak at the speed of speech, or the server did not read."
            )
        for failure in sorted({each.failure for each in run.figures if each.failure}):
            yield f"Failed in {name(run)}: {failure}"
        if run.cold is not None:
            first, last = run.cold.first_partial, run.cold.final_after_audio
            yield (
                f"Cold, {run.system}: first partial {_number(first, 2)} s, "
                f"final {_number(last, 2)} s."
            )


def capacity(found: Capacity) -> str:
    """What was tried, and what held."""
    limits = found.objective
    rows = []
    for run in found.runs:
        summary = summarize(run.figures)
        lag = summary.commit_lag or summary.settle_lag
        p95s = [each.p95 if each else None for each in (summary.first_partial, lag)]
        final = summary.final_after_audio and summary.final_after_audio.p95
        cells = [NEVER if each is None else f"{each:.2f}" for each in (*p95s, final)]
        usage = _number(run.usage.cpu / run.seconds if run.usage else None, 2)
        failed, partials = f"{summary.failed}", f"{summary.partials_per_second:.2f}"
        rows.append([f"{run.streams}", *cells, partials, failed, usage])
    head = ["streams", "first partial p95", "lag p95", "final p95", "partials/s", "failed", "cores"]
    return (
        f"{found.system} holds {found.streams} streams at p95 first partial "
        f"{limits.first_partial:g} s, lag {limits.commit_lag:g} s, final {limits.final:g} s:\n\n"
        + table(head, rows)
    )
