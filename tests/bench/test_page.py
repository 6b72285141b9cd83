"""The page of a result, and two results side by side."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.compare import Incomparable
from bench.dictation import plots
from bench.dictation.compare import compare
from bench.dictation.corpus import Clip
from bench.dictation.metrics import measure
from bench.dictation.observed import Event, Heard, Observed
from bench.dictation.page import page
from bench.dictation.results import Capacity, DictationResult, Objective, Run, write
from bench.dictation.session import timeline
from bench.dictation.tables import report
from bench.results import Host
from tests.bench.scripted_server import clip

WORDS = ("one", "two", "three", "four")


def spoken(clip: Clip, delay: float) -> Observed:
    """Each word is shown so long after its end, and promised with the next."""
    events = [
        Event(word.end + delay, Heard(" ".join(WORDS[: n + 1]), " ".join(WORDS[:n])))
        for n, word in enumerate(clip.words)
    ]
    final = Event(clip.seconds + delay / 2, Heard(clip.text, is_final=True, covered=clip.seconds))
    return Observed((*events, final), clip.seconds, clip.seconds, 0.0, 0.01)


def run(delays: Sequence[float], system: str = "polyasr", adapter: str = "polyasr") -> Run:
    clips = [clip(" ".join(WORDS), name=f"{number}") for number in range(len(delays))]
    heard = [spoken(*each) for each in zip(clips, delays, strict=True)]
    figures = tuple(measure(*each) for each in zip(clips, heard, strict=True))
    drawn = timeline(clips[0], heard[0])
    return Run(
        system, adapter, {"model": "tiny"}, "9x0", 1, "none", 30.0, None, figures, None, drawn
    )


def result(*runs: Run) -> DictationResult:
    return DictationResult(
        date="2026-11-21T12:00:00+00:00",
        host=Host("Linux x86_64", "A <CPU>", 2, 16, None),
        commit=None,
        packages={"python": "3.11.7"},
        settings={"timeout": 10.0, "paced": True, "seed": 0},
        corpora={"9x0": "0123456789abcdef"},
        runs=runs,
        capacities=(Capacity("polyasr", Objective(), 1, runs[:1]),),
    )


SLOW = [0.5 + 0.01 * number for number in range(9)]
FAST = [delay / 2 for delay in SLOW]


def verdicts(a: DictationResult, b: DictationResult, what: str) -> list[str]:
    rows = [line for line in compare(a, b).splitlines() if f"| {what} |" in line]
    return [row.split("|")[-2].strip() for row in rows]


def test_of_half_an_hour_the_first_minute_is_drawn_and_kept() -> None:
    long = clip(" ".join(["word"] * 3600), seconds=1801.0)
    words = [word.text for word in long.words]
    events = [Event(word.end, Heard(" ".join(words[:n]))) for n, word in enumerate(long.words, 1)]
    drawn = timeline(long, Observed(tuple(events), 1801.0, 1801.0, 0.0, 0.01))
    assert drawn.seconds == 60.0 and drawn.end == long.end
    assert len(drawn.words) == len(drawn.events) == 119  # the first is over after one second
    assert drawn.events == tuple(events[:119])
    assert plots.utterance(drawn).startswith("<svg")


def test_a_page_stands_alone_and_holds_what_was_measured() -> None:
    text = page([result(run(SLOW), run(FAST, "<peer>", "whisperlivekit"))])
    assert "A &lt;CPU&gt;" in text and "&lt;peer&gt;" in text and "<peer>" not in text
    assert text.count("<svg") == 4  # shares, capacity, and an utterance of each system
    assert not any(loaded in text for loaded in ("<script", "<link", "<img", " src=", "@import"))
    assert "One utterance" in text and "one two three" in text
    assert page([result(run(SLOW))]) == page([result(run(SLOW))])


def test_what_was_not_spoken_at_the_speed_of_speech_has_no_delays() -> None:
    unpaced = replace(result(run(SLOW)), settings={"paced": False}, capacities=())
    assert "first partial" not in page([unpaced]) + report(unpaced)
    assert "RTFx" in page([unpaced]) and "RTFx" in report(unpaced)


def test_pictures_are_whole_svg() -> None:
    runs = [run(SLOW), replace(run(FAST), timeline=None)]
    for svg in (
        plots.distributions(runs),
        plots.capacity([Capacity("polyasr", Objective(), 1, tuple(runs))]),
        plots.utterance(timeline(clip(), Observed((), 0.0, None, 0.0, 0.0, "timeout"))),
    ):
        assert ET.fromstring(svg).tag.endswith("svg")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(SLOW, FAST, "faster"), (FAST, SLOW, "slower"), (SLOW, SLOW[::-1], "noise")],
)
def test_a_difference_beyond_the_draws_of_the_clips_is_told(
    before: Sequence[float], after: Sequence[float], verdict: str
) -> None:
    a, b = result(run(before)), result(run(after))
    assert verdicts(a, b, "settled, p50") == [verdict]
    assert verdicts(a, b, "word error rate") == ["the same"]


def test_what_another_server_changed_as_well_is_noise() -> None:
    def both(delays: Sequence[float]) -> DictationResult:
        return result(run(delays), run(delays, "wlk", "whisperlivekit"))

    assert verdicts(both(SLOW), both(FAST), "settled, p50") == ["noise", "control"]


def test_other_hosts_clips_and_runs_are_not_compared() -> None:
    ours = result(run(SLOW))
    for other, reason in (
        (replace(ours, host=replace(ours.host, cores=4)), "cores is 2 in A and 4 in B"),
        (replace(ours, corpora={"9x0": "fedcba"}), "corpus 9x0 is 0123456789abcdef in A"),
        (replace(ours, runs=(run(SLOW, "another"),)), "no run in common"),
    ):
        with pytest.raises(Incomparable, match=reason):
            compare(ours, other)


def test_the_commands_read_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.json", "b.json")]
    for file, delays in zip(files, (SLOW, FAST), strict=True):
        write(result(run(delays)), file)
    monkeypatch.setattr("sys.argv", ["bench", "compare", *map(str, files)])
    main()
    assert "faster" in capsys.readouterr().out
    out = tmp_path / "page.html"
    monkeypatch.setattr("sys.argv", ["bench", "report", *map(str, files), "--html", str(out)])
    main()
    assert out.read_text("utf-8").startswith("<!doctype html>")
