"""Times that run backwards, mended as ``qwen-asr`` mends them.

Its ``fix_timestamp`` compares every time with every other; this one finds the same in n log n, so
that a long text costs no more than its length.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

NEAREST = 2
"""So many wrong times in a row take the nearest right one; more are spread between their
neighbours."""


def mended(times: Sequence[float]) -> list[int]:
    """The times, none before the one in front of it; those that were right are unchanged.

    Right are those of the longest subsequence that never runs backwards.
    """
    right = _longest_run(times)
    result = list(times)
    for left, following in zip([None, *right], [*right, None], strict=True):
        first = 0 if left is None else left + 1
        last = len(times) if following is None else following
        for at in range(first, last):
            result[at] = _between(times, left, following, at)
    return [int(time) for time in result]


def _between(times: Sequence[float], left: int | None, right: int | None, at: int) -> float:
    """What stands for the wrong time at ``at``, between the right ones next to it."""
    if left is None:
        assert right is not None, "the longest run is not empty"
        return times[right]
    if right is None:
        return times[left]
    if right - left - 1 <= NEAREST:
        return times[left] if at - left <= right - at else times[right]
    step = (times[right] - times[left]) / (right - left)
    return times[left] + step * (at - left)


def _longest_run(times: Sequence[float]) -> list[int]:
    """The places of the longest subsequence that does not fall; of several, ``qwen-asr``'s.

    ``ends[n]`` holds the places at which runs of n + 1 end, by falling times.
    """
    ends: list[list[int]] = []
    smallest: list[float] = []
    before: list[int] = []
    for at, time in enumerate(times):
        length = bisect_right(smallest, time)
        if length:
            shorter = ends[length - 1]
            before.append(shorter[bisect_left(shorter, -time, key=lambda each: -times[each])])
        else:
            before.append(-1)
        if length == len(ends):
            ends.append([])
            smallest.append(time)
        ends[length].append(at)
        smallest[length] = time
    run = []
    at = ends[-1][0] if ends else -1
    while at >= 0:
        run.append(at)
        at = before[at]
    return run[::-1]
