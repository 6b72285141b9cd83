"""Many clips' figures in a few numbers."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.dictation.metrics import Figures, Timed
from bench.dictation.scoring import Rate, difference, rate

Values = Sequence[float | None]
"""Seconds; None never came, and is longer than any."""
DRIFT_SEC = 60.0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """By nearest rank; None: that many never came. ``n`` is how many were counted."""

    p50: float | None
    p95: float | None
    p99: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Drift:
    """Medians in the first and in the last minute of clips of two minutes and more."""

    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Of one run. Durations in seconds; None where nothing was there to be measured."""

    clips: int
    failed: int
    first_partial: Percentiles | None
    interval: Percentiles | None
    commit_lag: Percentiles | None
    settle_lag: Percentiles | None
    final_after_audio: Percentiles | None
    final_after_speech: Percentiles | None
    done: Percentiles | None
    partials_per_second: float
    """Of a stream."""
    normalized_erasure: float | None
    normalized_erasure_as_shown: float | None
    """Words taken back for each word of the finals."""
    word_error_rate: Rate | None
    character_error_rate: Rate | None
    batch_word_error_rate: Rate | None
    more_than_batch: Rate | None
    """Word error rate beyond that of the server's own text of the whole recording."""
    difference_to_batch: Rate | None
    """Word error rate against that text."""
    settle_drift: Drift | None
    interval_drift: Drift | None
    faults: dict[str, int]


def summarize(figures: Sequence[Figures]) -> Summary:
    """All clips of a run together; a failed one counts in everything."""
    seconds = sum(each.seconds for each in figures)
    with_batch = [each for each in figures if each.batch_word_errors is not None]
    batch = [each.batch_word_errors for each in with_batch if each.batch_word_errors is not None]
    to_batch = [e.word_errors_to_batch for e in figures if e.word_errors_to_batch is not None]
    return Summary(
        clips=len(figures),
        failed=sum(each.failure is not None for each in figures),
        first_partial=percentiles([each.first_partial for each in figures]),
        interval=percentiles(durations(each.intervals for each in figures)),
        commit_lag=percentiles(durations(each.commit_lags for each in figures)),
        settle_lag=percentiles(durations(each.settle_lags for each in figures)),
        final_after_audio=percentiles([each.final_after_audio for each in figures]),
        final_after_speech=percentiles([each.final_after_speech for each in figures]),
        done=percentiles([each.done for each in figures]),
        partials_per_second=sum(each.partials for each in figures) / seconds if seconds else 0.0,
        normalized_erasure=_per_word(figures, [each.erased for each in figures]),
        normalized_erasure_as_shown=_per_word(figures, [e.erased_as_shown for e in figures]),
        word_error_rate=rate([each.word_errors for each in figures]),
        character_error_rate=rate([each.character_errors for each in figures]),
        batch_word_error_rate=rate(batch),
        more_than_batch=difference([each.word_errors for each in with_batch], batch),
        difference_to_batch=rate(to_batch),
        settle_drift=_drift([(each.seconds, each.settle_lags) for each in figures]),
        interval_drift=_drift([(each.seconds, each.intervals) for each in figures]),
        faults=dict(Counter(fault.kind for each in figures for fault in each.faults)),
    )


def percentiles(values: Values) -> Percentiles | None:
    """None without values."""
    if not values:
        return None
    p50, p95, p99 = (percentile(values, share) for share in (0.50, 0.95, 0.99))
    return Percentiles(p50, p95, p99, len(values))


def percentile(values: Values, share: float) -> float | None:
    """The smallest value that at least such a share, in (0, 1], does not exceed."""
    ordered = sorted(math.inf if value is None else value for value in values)
    found = ordered[math.ceil(share * len(ordered)) - 1]
    return None if math.isinf(found) else found


def durations(groups: Iterable[Sequence[Timed]]) -> list[float | None]:
    """Of all groups."""
    return [timed.seconds for group in groups for timed in group]


def _per_word(figures: Sequence[Figures], erased: Sequence[int]) -> float | None:
    words = sum(each.words for each in figures)
    return sum(erased) / words if words else None


def _drift(clips: Sequence[tuple[float, Sequence[Timed]]]) -> Drift | None:
    long = [clip for clip in clips if clip[0] >= 2 * DRIFT_SEC]
    first = [_sec(t) for _, all_ in long for t in all_ if t.at < DRIFT_SEC]
    last = [_sec(t) for seconds, all_ in long for t in all_ if t.at >= seconds - DRIFT_SEC]
    if not first or not last:
        return None
    return Drift(statistics.median(first), statistics.median(last))


def _sec(timed: Timed) -> float:
    return math.inf if timed.seconds is None else timed.seconds
