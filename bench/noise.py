"""Which differences between two results the machine made by itself."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from bench.results import Measurement

CONTROLS = ("window", "prefix")
"""Strategies that run ``qwen-asr``'s code and none of this project's."""

Pair = tuple[Measurement, Measurement]
"""The same thing in two results."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Ratios between which a true one lies."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.2f}–{self.high:.2f}"


def ratio(a: Measurement, b: Measurement) -> float:
    """Of the medians, b to a."""
    return statistics.median(b.seconds) / statistics.median(a.seconds)


def spread(a: Measurement, b: Measurement) -> Interval:
    """The ratios of any repeat of b to any of a."""
    return Interval(min(b.seconds) / max(a.seconds), max(b.seconds) / min(a.seconds))


def drift(pairs: Iterable[Pair]) -> Interval:
    """How much slower or faster the machine was for code that did not change; contains 1.

    Repeats tell what comes and goes within one run, not what another job did to all of it.
    """
    ratios = [1.0, *(ratio(a, b) for a, b in pairs if a.strategy in CONTROLS)]
    return Interval(min(ratios), max(ratios))


def verdict(a: Measurement, b: Measurement, drifted: Interval) -> str:
    """``faster`` or ``slower`` says what b is to a; ``noise``: the machine can have done it.

    ``unknown``: one of them was measured once, which says nothing of its spread.
    """
    if min(len(a.seconds), len(b.seconds)) < 2:
        return "unknown"
    found = spread(a, b)
    if found.high / drifted.low < 1:
        return "faster"
    return "slower" if found.low / drifted.high > 1 else "noise"


def chance(n_a: int, n_b: int) -> float:
    """How often the ranges of so many repeats of equals lie apart: in two of all their orders."""
    return 2 / math.comb(n_a + n_b, n_a)
