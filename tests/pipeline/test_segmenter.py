import numpy as np
import pytest

from polyasr.pipeline.segmenter import HOP, LONGEST, Segmenter, SegmentTimeline
from polyasr.pipeline.types import Speech
from polyasr.pipeline.vad import WINDOW
from polyasr.samples import SAMPLE_RATE, Samples


def speech(start: int, n_samples: int, level: float = 0.1) -> Speech:
    return Speech(np.full(n_samples, level, np.float32), start)


def two_passages() -> SegmentTimeline:
    timeline = SegmentTimeline()
    timeline.append(speech(1000 * HOP, 2 * WINDOW))
    timeline.append(speech(1000 * HOP + 2 * WINDOW, WINDOW))
    timeline.append(speech(5000 * HOP, 2 * WINDOW))
    return timeline


def test_positions_are_the_clients_silences_included() -> None:
    timeline = two_passages()
    assert timeline.position(0) == 1000 * HOP
    assert timeline.position(3 * WINDOW - 1) == 1000 * HOP + 3 * WINDOW - 1
    assert timeline.position(3 * WINDOW) == 5000 * HOP
    assert timeline.end_position(3 * WINDOW) == 1000 * HOP + 3 * WINDOW
    assert timeline.end_position(5 * WINDOW) == 5000 * HOP + 2 * WINDOW


def test_offsets_are_the_inverse_of_positions() -> None:
    timeline = two_passages()
    for offset in range(0, 5 * WINDOW, 777):
        assert timeline.offset(timeline.position(offset)) == offset
    assert timeline.offset(0) == 0
    assert timeline.offset(4000 * HOP) == 3 * WINDOW
    assert timeline.offset(9000 * HOP) == 5 * WINDOW


def test_a_cropped_segment_goes_on_with_what_comes_next() -> None:
    timeline = two_passages()
    timeline.crop(timeline.offset(5000 * HOP))
    timeline.append(speech(8000 * HOP, WINDOW))
    assert timeline.length == 4 * WINDOW
    assert timeline.position(3 * WINDOW) == 8000 * HOP


@pytest.mark.parametrize("at", [WINDOW, 3 * WINDOW, 4 * WINDOW])
def test_a_split_loses_nothing(at: int) -> None:
    whole, timeline = two_passages(), two_passages()
    rest = timeline.split(at)
    assert timeline.length == at
    assert timeline.length + rest.length == whole.length
    assert [rest.position(i) for i in range(0, rest.length, 100)] == [
        whole.position(at + i) for i in range(0, rest.length, 100)
    ]


def test_a_pause_seals_only_once_the_segment_holds_enough() -> None:
    segmenter, timeline = Segmenter(8 * SAMPLE_RATE), SegmentTimeline()
    timeline.append(speech(0, 8 * SAMPLE_RATE - HOP))
    assert not segmenter.at_pause(timeline)
    timeline.append(speech(timeline.length, HOP))
    assert segmenter.at_pause(timeline)


def test_without_a_pause_the_quietest_point_of_the_last_seconds_is_cut() -> None:
    segmenter, timeline = Segmenter(8 * SAMPLE_RATE), SegmentTimeline()
    quiet = 27 * SAMPLE_RATE
    timeline.append(speech(0, quiet))
    timeline.append(speech(quiet, 10 * HOP, level=0.01))
    timeline.append(speech(quiet + 10 * HOP, LONGEST - quiet - 10 * HOP))
    assert segmenter.forced(timeline, 0) is None
    assert segmenter.forced(timeline, WINDOW) == pytest.approx(quiet + 5 * HOP, abs=HOP)


def test_from_24_s_on_a_breath_is_cut_at_its_quietest_point() -> None:
    segmenter, timeline = Segmenter(8 * SAMPLE_RATE), SegmentTimeline()

    before: Speech | None = None

    def cut_in(samples: Samples, *, is_voiced: bool) -> int | None:
        nonlocal before
        last, before = before, Speech(samples, timeline.length, is_voiced)
        timeline.append(before)
        return segmenter.at_lull(timeline, last, before, None)

    even = np.full(WINDOW, 0.1, np.float32)
    breath = np.concatenate([even[: 4 * HOP], 0.1 * even[4 * HOP :]])
    while timeline.length < segmenter.earliest_cut - 2 * WINDOW:
        assert cut_in(breath, is_voiced=False) is None
        assert cut_in(even, is_voiced=True) is None
    while timeline.length < segmenter.earliest_cut:
        assert cut_in(even, is_voiced=True) is None
    assert cut_in(even, is_voiced=True) is None
    begin = timeline.length
    assert segmenter.earliest_cut <= begin < 25 * SAMPLE_RATE
    assert cut_in(breath, is_voiced=False) is None  # it may be a pause
    cut = cut_in(even, is_voiced=True)
    assert cut is not None
    assert begin + 8 * HOP <= cut <= begin + 12 * HOP


def test_a_shorter_segment_is_cut_at_the_quietest_point_of_its_last_third() -> None:
    longest, level = 3 * SAMPLE_RATE, 0.01
    segmenter, timeline = Segmenter(8 * SAMPLE_RATE, longest), SegmentTimeline()
    for quiet in (SAMPLE_RATE, 2 * SAMPLE_RATE + WINDOW):
        timeline.append(speech(timeline.length, quiet - timeline.length))
        timeline.append(speech(quiet, 10 * HOP, level=level))
        level *= 2
    timeline.append(speech(timeline.length, longest - timeline.length))
    cut = segmenter.forced(timeline, WINDOW)
    assert cut == pytest.approx(2 * SAMPLE_RATE + WINDOW + 5 * HOP, abs=HOP)
    assert cut is not None and cut >= segmenter.earliest_cut
    assert segmenter.at_pause(timeline)
