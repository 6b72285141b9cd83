"""Right and wrong words, and how sure one can be of their rate."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

_HAN_AND_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{_HAN_AND_KANA}]|(?:[^\W{_HAN_AND_KANA}]|')+")
RESAMPLES = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Errors:
    """Insertions, deletions and substitutions, and how long the reference is."""

    wrong: int
    total: int


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate, and between which values it lies with 95 % confidence (bootstrap over clips)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def tokens(text: str) -> list[str]:
    """Words without case and marks; Chinese characters and kana each by itself.

    Numbers stay as they are written: a system that writes 15 for fifteen is told it was wrong.
    """
    return _TOKEN.findall(text.casefold())


def word_errors(reference: str, hypothesis: str) -> Errors:
    """Between the words of two texts."""
    wanted = tokens(reference)
    return Errors(Levenshtein.distance(wanted, tokens(hypothesis)), len(wanted))


def character_errors(reference: str, hypothesis: str) -> Errors:
    """Between the letters of two texts, without spaces, case and marks."""
    wanted = "".join(tokens(reference))
    return Errors(Levenshtein.distance(wanted, "".join(tokens(hypothesis))), len(wanted))


def alignment(reference: Sequence[str], hypothesis: Sequence[str]) -> list[int | None]:
    """For each token of the reference, the one that stands for it; None where it is left out."""
    found: list[int | None] = [None] * len(reference)
    for code in Levenshtein.opcodes(reference, hypothesis):
        if code.tag in ("equal", "replace"):
            places = range(code.dest_start, code.dest_end)
            found[code.src_start : code.src_end] = places
    return found


def rate(counts: Sequence[Errors]) -> Rate | None:
    """Of all clips together; None without a word."""
    return difference(counts, [Errors(0, each.total) for each in counts])


def difference(ours: Sequence[Errors], theirs: Sequence[Errors]) -> Rate | None:
    """Of the rates of the same clips, in the same order; the interval is that of pairs."""
    totals = np.array([each.total for each in ours])
    if not totals.sum():
        return None
    wrong = np.array([a.wrong - b.wrong for a, b in zip(ours, theirs, strict=True)])
    drawn = np.random.default_rng(0).integers(len(totals), size=(RESAMPLES, len(totals)))
    rates = wrong[drawn].sum(axis=1) / np.maximum(1, totals[drawn].sum(axis=1))
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Rate(float(wrong.sum() / totals.sum()), float(low), float(high))
