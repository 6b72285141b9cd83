"""Regions of speech, and the windows over them."""

from __future__ import annotations

import numpy as np
import pytest

from polyasr.diarization.regions import (
    LONGEST_REGION,
    VOICE_STEP,
    Region,
    RegionFinder,
    voice_windows,
)
from polyasr.pipeline.vad import WINDOW, Window
from polyasr.pipeline.voices import VOICE_WINDOW


def regions(pattern: str) -> list[Region]:
    """What is found where ``#`` is a window of speech and ``.`` one of silence."""
    finder = RegionFinder()
    found: list[Region] = []
    for number, sign in enumerate(pattern):
        samples = np.full(WINDOW, number, np.float32)
        found += finder.push(Window(samples, number * WINDOW), float(sign == "#"))
    return [*found, *finder.finish()]


@pytest.mark.parametrize(
    ("pattern", "bounds"),
    [
        ("......", []),
        ("..###.....", [(2, 5)]),
        ("##....##", [(0, 8)]),
        ("##.....##", [(0, 2), (7, 9)]),
        ("#...", [(0, 1)]),
    ],
)
def test_a_region_has_no_long_pause_in_it_and_none_at_its_ends(
    pattern: str, bounds: list[tuple[int, int]]
) -> None:
    found = regions(pattern)
    assert [(each.start // WINDOW, each.end // WINDOW) for each in found] == bounds
    for region in found:
        first, last = region.samples[0], region.samples[-1]
        assert (first, last) == (region.start // WINDOW, region.end // WINDOW - 1)


def test_speech_without_a_pause_is_cut_so_that_memory_is_bounded() -> None:
    found = regions("#" * 500)
    assert max(len(region.samples) for region in found) < LONGEST_REGION + WINDOW
    assert [one.end for one in found[:-1]] == [other.start for other in found[1:]]
    assert found[-1].end == 500 * WINDOW


@pytest.mark.parametrize("length", [VOICE_WINDOW, VOICE_WINDOW + 1, 40000, 480000])
def test_windows_cover_a_region_evenly(length: int) -> None:
    region = Region(1000, np.arange(length, dtype=np.float32))
    windows, middles = voice_windows(region)
    starts = middles - 1000 - VOICE_WINDOW // 2
    assert starts[0] == 0 and starts[-1] == length - VOICE_WINDOW
    assert (np.diff(starts) <= VOICE_STEP).all()
    assert windows.shape == (len(middles), VOICE_WINDOW)
    assert (windows[:, 0] == starts).all()


def test_a_short_region_is_repeated_to_fill_a_window() -> None:
    windows, middles = voice_windows(Region(1000, np.array([1, 2, 3, 4], np.float32)))
    assert middles.tolist() == [1002]
    assert windows.shape == (1, VOICE_WINDOW)
    assert windows[0, :6].tolist() == [1, 2, 3, 4, 1, 2]
