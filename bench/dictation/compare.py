"""Two results of the same host and clips: what changed, and what is noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.compare import Incomparable, require_same_conditions
from bench.dictation.metrics import Figures
from bench.dictation.results import DictationResult, Run
from bench.dictation.scoring import CONFIDENCE, RESAMPLES, Errors
from bench.dictation.summary import Values, durations, percentile
from bench.dictation.tables import name
from bench.noise import Interval
from bench.report import commit_name, table

OURS = "polyasr"
"""What the adapters of this project's server are called in the beginning; the others are controls:
what they changed, the machine did."""

Sample = Sequence[Figures]


@dataclass(frozen=True, slots=True)
class Delay:
    """One of the columns; a share of it, in (0, 1]."""

    title: str
    values: Callable[[Sample], Values]
    share: float

    def of(self, figures: Sample) -> float | None:
        """None where it is nothing or infinite."""
        values = self.values(figures)
        return percentile(values, self.share) if values else None


def _of(title: str, values: Callable[[Sample], Values]) -> list[Delay]:
    return [Delay(f"{title}, p{100 * share:.0f}", values, share) for share in (0.5, 0.95)]


DELAYS = (
    *_of("first partial", lambda found: [each.first_partial for each in found]),
    *_of("interval", lambda found: durations(each.intervals for each in found)),
    *_of("settled", lambda found: durations(each.settle_lags for each in found)),
    *_of("committed", lambda found: durations(each.commit_lags for each in found)),
    *_of("final", lambda found: [each.final_after_audio for each in found]),
    *_of("done", lambda found: [each.done for each in found]),
)
RATES: Sequence[tuple[str, Callable[[Figures], Errors]]] = (
    ("word error rate", lambda each: each.word_errors),
    ("normalized erasure", lambda each: Errors(each.erased, each.words)),
    ("failed", lambda each: Errors(int(each.failure is not None), 1)),
)


def compare(a: DictationResult, b: DictationResult) -> str:
    """Tables in Markdown. Raises Incomparable for other hosts, clips or settings."""
    require_same_conditions((a.host, b.host), (a.settings, b.settings), _corpora(a, b))
    theirs = {run.key: run for run in b.runs}
    pairs = [(run, theirs[run.key]) for run in a.runs if run.key in theirs]
    if not pairs:
        raise Incomparable("these results cannot be compared: they have no run in common")
    rows = [row for pair in pairs for row in _rows(pair, pairs)]
    controls = sorted({run.system for run, _ in pairs if _is_control(run)})
    return "\n\n".join(
        [
            f"A: {a.date}, {commit_name(a.commit)}\nB: {b.date}, {commit_name(b.commit)}",
            *_models(pairs),
            table(["", "", "A", "B", "B ÷ A or B − A", "interval", ""], rows),
            "The interval holds 95 of 100 draws of the same clips. "
            + (
                f"It is widened by what {', '.join(controls)} changed, which is the same in both."
                if controls
                else "No other server was measured beside: what another job did to the whole of "
                "one run is not told apart from what the change did."
            ),
        ]
    )


def _corpora(a: DictationResult, b: DictationResult) -> tuple[dict[str, str], dict[str, str]]:
    """Those of the same name, which have to be the same."""
    found = [
        {f"corpus {key}": digest for key, digest in ours.items() if key in theirs}
        for ours, theirs in ((a.corpora, b.corpora), (b.corpora, a.corpora))
    ]
    return found[0], found[1]


def _rows(pair: tuple[Run, Run], pairs: Sequence[tuple[Run, Run]]) -> Iterator[list[str]]:
    a, b = pair
    draws = _draws(len(a.figures))
    for delay in DELAYS:
        before, after = delay.of(a.figures), delay.of(b.figures)
        if before is None or after is None:
            if before != after:
                cells = ["–" if each is None else f"{each:.3f}" for each in (before, after)]
                yield [name(a), delay.title, *cells, "", "", "different"]
            continue
        if min(before, after) <= 0:
            continue
        ratios = [_ratio(delay, pair, drawn) for drawn in draws]
        interval = _interval(ratios)
        drifted = _drift(delay, pairs)
        verdict = "control" if _is_control(a) else _verdict(interval, drifted)
        cells = [f"{before:.3f}", f"{after:.3f}", f"{after / before:.2f}", str(interval), verdict]
        yield [name(a), delay.title, *cells]
    for title, errors in RATES:
        yield [name(a), title, *_rate(pair, errors, draws)]


def _rate(
    pair: tuple[Run, Run], errors: Callable[[Figures], Errors], draws: Sequence[Sequence[int]]
) -> list[str]:
    def rate(run: Run, drawn: Sequence[int]) -> float:
        found = [errors(run.figures[place]) for place in drawn]
        return sum(each.wrong for each in found) / max(1, sum(each.total for each in found))

    a, b = pair
    everything = range(len(a.figures))
    before, after = rate(a, everything), rate(b, everything)
    interval = _interval([rate(b, drawn) - rate(a, drawn) for drawn in draws])
    verdict = "noise" if interval.low <= 0 <= interval.high else "different"
    if interval == Interval(0, 0):
        verdict = "the same"
    between = f"{interval.low:+.3f}–{interval.high:+.3f}"
    return [f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}", between, verdict]


def _draws(n_clips: int) -> list[list[int]]:
    rng = np.random.default_rng(0)
    return [rng.integers(n_clips, size=n_clips).tolist() for _ in range(RESAMPLES // 5)]


def _ratio(delay: Delay, pair: tuple[Run, Run], drawn: Sequence[int]) -> float:
    before, after = (delay.of([run.figures[place] for place in drawn]) for run in pair)
    if before is None or after is None or before <= 0:
        return math.inf
    return after / before


def _interval(values: Sequence[float]) -> Interval:
    ordered = sorted(values)
    beyond = int((1 - CONFIDENCE) / 2 * len(ordered))
    return Interval(ordered[beyond], ordered[-1 - beyond])


def _drift(delay: Delay, pairs: Sequence[tuple[Run, Run]]) -> Interval:
    """How much slower or faster the machine was for others; contains 1."""
    ratios = [1.0]
    for a, b in pairs:
        before, after = delay.of(a.figures), delay.of(b.figures)
        if _is_control(a) and before and after and min(before, after) > 0:
            ratios.append(after / before)
    return Interval(min(ratios), max(ratios))


def _verdict(found: Interval, drifted: Interval) -> str:
    if found.high / drifted.low < 1:
        return "faster"
    return "slower" if found.low / drifted.high > 1 else "noise"


def _is_control(run: Run) -> bool:
    return not run.adapter.startswith(OURS)


def _models(pairs: Sequence[tuple[Run, Run]]) -> Iterator[str]:
    """What the servers say of themselves now, where it is something else."""
    for system in dict.fromkeys(run.system for run, _ in pairs):
        a, b = next((a, b) for a, b in pairs if a.system == system)
        changed = [
            f"{key} {a.described.get(key, 'untold')} → {b.described.get(key, 'untold')}"
            for key in a.described | b.described
            if a.described.get(key) != b.described.get(key)
        ]
        if changed:
            yield f"{system}: {', '.join(changed)}"
