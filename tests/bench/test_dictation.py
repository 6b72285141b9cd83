"""The measuring, measured: servers of known delays and known faults, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bench.dictation.drive import Pace, observe, observe_all
from bench.dictation.metrics import Figures, Timed, measure
from bench.dictation.observed import Heard
from bench.dictation.scoring import Errors
from bench.dictation.summary import Percentiles, percentile, percentiles, summarize
from tests.bench.scripted_server import Line, ScriptedServer, clip, final

TEXT = "one two three four"
ORDERLY = (
    Line(1.1, Heard("One", "")),
    Line(1.7, Heard("One two", "One")),
    Line(2.2, Heard("One two tree", "One two")),
    Line(2.7, Heard("One two three four", "One two")),
    final("One two three four."),
)
"""The clip's words end at 1.0, 1.5, 2.0 and 2.5; the speech at 2.5, the audio at 3.0."""


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def measured(*script: Line, batch: str | None = None, **server: Any) -> Figures:
    spoken = clip(TEXT)
    observed = await observe(ScriptedServer(script, **server), spoken, Pace(timeout=5.0))
    return measure(spoken, observed, batch)


def seconds(found: Sequence[Timed]) -> list[float | None]:
    return [None if each.seconds is None else round(each.seconds, 6) for each in found]


def names(figures: Figures) -> list[str]:
    return [fault.kind for fault in figures.faults]


async def test_known_delays_give_exactly_the_known_figures(autojump_clock: MockClock) -> None:
    figures = await measured(*ORDERLY, connecting=0.4)
    assert figures.failure is None
    assert figures.connect == pytest.approx(0.4)
    assert figures.first_partial == pytest.approx(0.6)
    assert seconds(figures.intervals) == [0.6, 0.5, 0.5]
    assert seconds(figures.commit_lags) == [0.7, 0.7, 1.2, 0.7]
    assert seconds(figures.settle_lags) == [0.1, 0.2, 0.7, 0.2]
    assert figures.final_after_audio == pytest.approx(0.2)
    assert figures.final_after_speech == pytest.approx(0.7)
    assert figures.done == pytest.approx(0.7)
    assert figures.partials == 4
    assert (figures.erased, figures.erased_as_shown, figures.words) == (1, 2, 4)
    assert figures.word_errors == Errors(0, 4)
    assert figures.late == pytest.approx(0.0)
    assert figures.faults == ()


async def test_audio_is_sent_as_it_would_be_captured(autojump_clock: MockClock) -> None:
    server = ScriptedServer(ORDERLY)
    await observe(server, clip(TEXT, seconds=2.95), Pace())
    times = [at for at, _ in server.received]
    assert times == [pytest.approx((number + 1) / 10) for number in range(29)] + [
        pytest.approx(2.95)
    ]
    assert [size for _, size in server.received] == [3200] * 29 + [1600]


async def test_a_timeout_is_a_failure_and_counts_everywhere(autojump_clock: MockClock) -> None:
    spoken = clip(TEXT)
    began = trio.current_time()
    hung = measure(spoken, await observe(ScriptedServer(ORDERLY[:2]), spoken, Pace(timeout=5)))
    assert trio.current_time() - began == pytest.approx(3.0 + 5.0)
    assert hung.failure == "timeout: no final within 5 s after the audio"
    assert (hung.final_after_audio, hung.done) == (None, None)
    assert hung.first_partial == pytest.approx(0.6)
    assert [lag.seconds for lag in hung.settle_lags] == [None] * 4
    assert hung.intervals[-1].seconds is None
    assert hung.word_errors == Errors(4, 4)
    summary = summarize([hung, await measured(*ORDERLY)])
    assert summary.failed == 1
    found = summary.final_after_audio
    assert found is not None and found.p50 == pytest.approx(0.2)
    assert found == Percentiles(found.p50, None, None, 2)
    assert summary.word_error_rate is not None and summary.word_error_rate.value == 0.5


async def test_a_server_without_an_answer_is_given_up(autojump_clock: MockClock) -> None:
    figures = await measured(connecting=100)
    assert figures.failure == "timeout: no final within 5 s after the audio"
    assert figures.first_partial is None


async def test_an_error_is_a_failure_with_its_reason(autojump_clock: MockClock) -> None:
    figures = await measured(*ORDERLY[:3], fails_at=2.4)
    assert figures.failure == "stream_failed: the model is gone"
    assert figures.final_after_audio is None


async def test_a_server_that_rewrites_is_caught(autojump_clock: MockClock) -> None:
    figures = await measured(
        Line(1.1, Heard("Won", "Won")),
        Line(1.7, Heard("One two", "One")),
        final("One two three four"),
    )
    assert names(figures) == ["committed rewrite"]
    assert figures.faults[0].detail == "'Won' became 'One'"
    assert figures.erased == 1


async def test_promised_text_that_is_not_shown_is_a_rewrite(autojump_clock: MockClock) -> None:
    shrunk = await measured(
        Line(1.1, Heard("One two", "One two")),
        Line(1.7, Heard("One two", "One")),
        final("One two three four"),
    )
    assert names(shrunk) == ["committed rewrite"]
    finally_other = await measured(Line(1.1, Heard("One too", "One too")), final(TEXT))
    assert names(finally_other) == ["committed rewrite"]


async def test_a_server_that_drops_words_is_caught(autojump_clock: MockClock) -> None:
    figures = await measured(final("one"), batch=TEXT)
    assert names(figures) == ["dropped words"]
    assert figures.faults[0].detail == "two three four"


async def test_what_the_server_does_not_hear_in_the_whole_recording_was_not_dropped(
    autojump_clock: MockClock,
) -> None:
    assert names(await measured(final("one", covered=3.0), batch="one")) == []
    assert names(await measured(final("one", covered=3.0))) == []


async def test_a_server_that_claims_coverage_it_lacks_is_caught(autojump_clock: MockClock) -> None:
    without = await measured(final("one", covered=3.0), batch=TEXT)
    assert names(without) == ["dropped words", "coverage violation"]
    assert names(await measured(final(TEXT, covered=3.1))) == ["coverage violation"]
    assert names(await measured(final(TEXT, covered=3.0))) == []
    honest = await measured(final("one", covered=1.2), batch=TEXT)
    assert names(honest) == ["dropped words"]


async def test_partials_in_a_burst_are_caught_and_do_not_shorten_the_interval(
    autojump_clock: MockClock,
) -> None:
    figures = await measured(
        Line(1.00, Heard("one")),
        Line(1.01, Heard("one t")),
        Line(1.02, Heard("one tw")),
        Line(1.03, Heard("one two")),
        Line(2.0, Heard("one two three")),
        final(TEXT),
    )
    assert names(figures) == ["burst"]
    assert seconds(figures.intervals) == [0.97, 1.2]
    assert figures.first_partial == pytest.approx(0.5)


async def test_one_partial_and_then_nothing_is_one_long_interval(
    autojump_clock: MockClock,
) -> None:
    figures = await measured(Line(1.0, Heard("one")), final(TEXT))
    assert seconds(figures.intervals) == [2.2]


async def test_text_after_the_final_is_caught(autojump_clock: MockClock) -> None:
    figures = await measured(
        Line(0.1, Heard(TEXT, is_final=True), after_stop=True),
        Line(0.2, Heard("one"), after_stop=True),
        Line(0.3, Heard("two", is_final=True), after_stop=True),
    )
    assert set(names(figures)) == {"text after the final"}


async def test_a_server_that_promises_nothing_has_no_commit_lag(autojump_clock: MockClock) -> None:
    figures = await measured(Line(1.1, Heard("one")), final(TEXT))
    assert figures.commit_lags == ()
    assert seconds(figures.settle_lags) == [0.1, 1.7, 1.2, 0.7]


async def test_streams_are_staggered_and_all_clips_are_spoken(autojump_clock: MockClock) -> None:
    clips = [clip(TEXT, name=name) for name in "abcdef"]
    server = ScriptedServer(ORDERLY)
    began = trio.current_time()
    done = await observe_all(server, clips, 3, Pace(), seed=1)
    assert len(done) == 6 and all(each.final for each in done)
    assert 2 * 3.2 < trio.current_time() - began < 2 * 3.2 + 1


def test_percentiles_are_of_the_nearest_rank_and_never_is_the_longest() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([None, 1.0], 0.5) == 1.0
    assert percentile([None, 1.0], 0.51) is None
    assert percentiles([]) is None
