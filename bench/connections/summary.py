"""What came out of a run, in a few numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from bench import provenance
from bench.connections.measure import Run

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Summary:
    """Latencies in ms by percentile (50, 95, 99); ``drift_ms``: the median of the last quarter's
    less that of the first's; ``cpu``: seconds of CPU a second of a stream; memory in MiB, its
    growth over the second half in MiB a minute; ``send_p99_ms``: how late the load itself was."""

    server: str
    connections: int
    seconds: float
    ack_ms: tuple[float, float, float]
    final_ms: tuple[float, float, float]
    drift_ms: float
    cpu: float
    memory_mib: float
    growth_mib_per_min: float
    send_p99_ms: float
    partials_per_sec: float
    failures: int


def summarize(run: Run) -> Summary:
    """The figures of one run. Raises ValueError where nothing was acknowledged."""
    latencies = 1000 * np.array(run.heard.ack_latencies)
    if not len(latencies):
        raise ValueError(f"{run.server} acknowledged nothing: {run.heard.failures[:3]}")
    at = np.array(run.heard.acked_at)
    quarter = (at.max() - at.min()) / 4
    first, last = latencies[at < at.min() + quarter], latencies[at > at.max() - quarter]
    usage_at, cpu = np.array(run.usage.at), np.array(run.usage.cpu_sec)
    memory = np.array(run.usage.memory_bytes) / MIB
    half = len(memory) // 2
    slope = np.polyfit(usage_at[half:], memory[half:], 1)[0] if len(memory) - half > 1 else 0.0
    watched = usage_at[-1] - usage_at[0]
    return Summary(
        server=run.server,
        connections=run.connections,
        seconds=run.seconds,
        ack_ms=_percentiles(latencies),
        final_ms=_percentiles(1000 * np.array(run.heard.final_latencies)),
        drift_ms=float(np.median(last) - np.median(first)),
        cpu=float((cpu[-1] - cpu[0]) / watched / run.connections),
        memory_mib=float(memory[-1]),
        growth_mib_per_min=float(60 * slope),
        send_p99_ms=float(1000 * np.percentile(np.array(run.heard.send_delays), 99)),
        partials_per_sec=run.heard.partials / run.seconds / run.connections,
        failures=len(run.heard.failures),
    )


def table(summaries: Sequence[Summary]) -> str:
    """A Markdown table, a column a server."""
    rows = {
        "acknowledgement, ms (p50, p95, p99)": [_three(each.ack_ms) for each in summaries],
        "drift of its median, ms": [f"{each.drift_ms:+.1f}" for each in summaries],
        "final after the stop, ms (p50, p95, p99)": [_three(each.final_ms) for each in summaries],
        "partials a second of a stream": [f"{each.partials_per_sec:.2f}" for each in summaries],
        "CPU seconds a stream-second": [f"{each.cpu:.5f}" for each in summaries],
        "cores in all": [f"{each.cpu * each.connections:.2f}" for each in summaries],
        "memory at the end, MiB": [f"{each.memory_mib:.0f}" for each in summaries],
        "its growth, MiB a minute": [f"{each.growth_mib_per_min:+.1f}" for each in summaries],
        "streams without a final": [str(each.failures) for each in summaries],
        "the load's own delay, ms (p99)": [f"{each.send_p99_ms:.1f}" for each in summaries],
    }
    n, seconds = summaries[0].connections, summaries[0].seconds
    head = [f"{n} connections, {seconds:g} s", *(each.server for each in summaries)]
    lines = [head, ["---"] * len(head), *([name, *values] for name, values in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def document(summaries: Sequence[Summary]) -> dict[str, object]:
    """For JSON, with the machine and the commit."""
    commit = provenance.commit()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": dataclasses.asdict(provenance.host(None)),
        "commit": commit and dataclasses.asdict(commit),
        "servers": [dataclasses.asdict(each) for each in summaries],
    }


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    if not len(values):
        return (float("nan"), float("nan"), float("nan"))
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    return float(p50), float(p95), float(p99)


def _three(values: tuple[float, float, float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)
