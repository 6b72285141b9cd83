"""Loops: a decoder that reads noise can repeat itself without end."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_PERIOD = 16
"""Tokens; a sentence that loops is longer, and the cap on tokens by audio ends it."""
REPEATS = 16
"""People do say a word ten times; nobody is known to say it sixteen times in a row."""


def loop_start(tokens: Sequence[int]) -> int | None:
    """How many tokens to keep when the sequence has just gone round in a loop, else None.

    A loop is a pattern of at most LONGEST_PERIOD tokens, REPEATS times at the end; what is kept
    ends with its first occurrence.
    """
    for period in range(1, LONGEST_PERIOD + 1):
        length = period * REPEATS
        if len(tokens) >= length and list(tokens[-length:]) == list(tokens[-period:]) * REPEATS:
            return len(tokens) - length + period
    return None
