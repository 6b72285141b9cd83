"""A batch result as tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench.batch.results import BatchResult, Film, Latency, Throughput
from bench.dictation.summary import percentile
from bench.report import origin, table


def report(result: BatchResult) -> str:
    """All of it, with what it depends on."""
    return "\n\n".join(_parts(result))


def _parts(result: BatchResult) -> Iterator[str]:
    settings = result.settings
    yield (
        f"{settings['model']}, {settings['dtype']} on {settings['device']} (threads: "
        f"{settings['threads']}); recordings of {settings['seconds']} s; median of "
        f"{settings['repeats']}\n" + origin(result)
    )
    yield _throughput(result.throughput)
    if result.film is not None:
        yield _film(result.film)
    if result.latencies:
        yield _latencies(result.latencies)


def _throughput(found: Sequence[Throughput]) -> str:
    counts = sorted({each.files for each in found})
    by_key = {(each.system, each.files): each for each in found}
    rows = []
    for count in counts:
        ours, theirs = by_key["polyasr", count], by_key.get(("qwen-asr", count))
        row = [f"{count}", _speed(ours), _cpu(ours), _wrong(ours)]
        if theirs is not None:
            row += [_speed(theirs), _cpu(theirs), _wrong(theirs)]
            row += [_ratio(theirs.seconds, ours.seconds), _ratio(theirs.cpu, ours.cpu)]
        rows.append(row)
    heads = ["recordings at once", "polyasr, RTFx", "CPU, s", "WER, %"]
    if any(each.system == "qwen-asr" for each in found):
        heads += ["qwen-asr, RTFx", "CPU, s", "WER, %", "times as fast", "by CPU time"]
    return table(heads, rows)


def _speed(found: Throughput) -> str:
    low, high = min(found.speed), max(found.speed)
    return f"{statistics.median(found.speed):.0f} ({low:.0f}–{high:.0f})"


def _wrong(found: Throughput) -> str:
    return "–" if found.errors is None else f"{100 * found.errors:.1f}"


def _cpu(found: Throughput) -> str:
    median = percentile(list(found.cpu), 0.5)
    return "not told" if median is None else f"{median:.2f}"


def _ratio(theirs: Sequence[float | None], ours: Sequence[float | None]) -> str:
    a, b = percentile(list(theirs), 0.5), percentile(list(ours), 0.5)
    return "not told" if a is None or b is None else f"{a / b:.2f}"


def _film(found: Film) -> str:
    memory = ["not told", "not told"]
    if found.peak is not None and found.rest is not None:
        memory = [f"{found.peak:.0f}", f"{found.peak - found.rest:.0f}"]
    return table(
        ["one recording, min", "first text, s", "RTFx", "peak memory, MB", "more than before"],
        [
            [
                f"{found.audio / 60:.0f}",
                f"{found.first_event:.2f}",
                f"{found.audio / found.done:.0f}",
                *memory,
            ]
        ],
    )


def _latencies(found: Sequence[Latency]) -> str:
    rows = [
        [each.beside, f"{len(each.final)}", *_shares(each.first_partial), *_shares(each.final)]
        for each in found
    ]
    heads = ["dictations beside", "", "first partial, s", "of 95 %", "final, s", "of 95 %"]
    return table(heads, rows)


def _shares(values: Sequence[float | None]) -> list[str]:
    """The median and what 95 of 100 stay within."""
    found = [percentile(list(values), share) for share in (0.5, 0.95)]
    return ["never" if value is None else f"{value:.2f}" for value in found]
