"""`python -m bench paced`: its measuring on a virtual clock, its script on the tiny model."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from bench.documents import BadResult
from bench.models import Models
from bench.paced import command
from bench.paced.measure import paced
from bench.paced.report import report
from bench.paced.results import Paced, PacedResult, read, write
from bench.results import Host
from bench.segments import ScriptedSegments
from bench.tally import Tally
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Hypothesis, Recognition, Urgency
from polyasr.samples import SAMPLE_RATE, Samples

RESULT = PacedResult(
    date="2026-01-02T03:04:05+00:00",
    host=Host("Linux x86_64", "a CPU", 2, 24, None),
    commit=None,
    packages={"torch": "2"},
    settings={"size": "0.6b", "dtype": "int8", "device": "cpu", "threads": 2},
    runs=(Paced(2, 30.0, (0.1, 0.2, 0.4) * 10, (0.3,), 1.25),),
)


class Slow:
    """A segment whose answers take so long; it notes of how much audio, and when asked."""

    def __init__(self, delay: float) -> None:
        self.delay, self.samples = delay, 0
        self.asked: list[tuple[float, float, Urgency]] = []

    def append(self, samples: Samples) -> None:
        self.samples += len(samples)

    def crop(self, length: int) -> None:
        raise NotImplementedError

    def split(self, length: int) -> Recognition:
        raise NotImplementedError

    @property
    def audio(self) -> Samples:
        raise NotImplementedError

    async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
        self.asked.append((trio.current_time(), self.samples / SAMPLE_RATE, urgency))
        await trio.sleep(self.delay)
        return Hypothesis(text="", language="")

    def close(self) -> None:
        self.samples = 0


def opened(delay: float) -> tuple[list[Slow], Callable[[], Slow]]:
    """The segments that are begun, and what begins one."""
    segments: list[Slow] = []

    def begin() -> Slow:
        segments.append(Slow(delay))
        return segments[-1]

    return segments, begin


async def test_answers_in_time_are_all_there_and_as_late_as_they_were(
    autojump_clock: MockClock,
) -> None:
    found = await paced(lambda: Slow(0.25), streams=3, seconds=30)
    assert found.partials == pytest.approx((0.25,) * 3 * 29)
    assert found.finals == pytest.approx((0.25,) * 3)
    assert found.answered == pytest.approx(1.0)


async def test_who_is_late_skips_partials_and_hears_all_there_is_with_the_next(
    autojump_clock: MockClock,
) -> None:
    segments, begin = opened(1.5)
    began = trio.current_time()
    found = await paced(begin, streams=1, seconds=30)
    assert found.answered == pytest.approx(2 / 3, abs=0.04)
    assert found.partials == pytest.approx([1.5] * len(found.partials))
    first = segments[0].asked
    assert [round(at - began, 3) for at, _, _ in first[:3]] == [1.0, 2.5, 4.0]
    assert all(heard == pytest.approx(at - began, abs=1e-3) for at, heard, _ in first[:-1])
    assert first[-1][1] == pytest.approx(30.0)


async def test_a_final_is_of_the_whole_segment_and_the_next_begins_anew(
    autojump_clock: MockClock,
) -> None:
    segments, begin = opened(0.1)
    await paced(begin, streams=1, seconds=60)
    assert [len(segment.asked) for segment in segments] == [30, 30, 30]
    for segment in segments:
        urgencies = [urgency for _, _, urgency in segment.asked]
        assert urgencies == [Urgency.PARTIAL] * 29 + [Urgency.FINAL]
        assert segment.asked[-1][1] == pytest.approx(30.0)


async def test_a_failing_model_is_no_figure(autojump_clock: MockClock) -> None:
    class Broken(Slow):
        async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
            raise RuntimeError("no model")

    with pytest.raises(ExceptionGroup) as raised:
        await paced(lambda: Broken(0), streams=2, seconds=30)
    assert raised.group_contains(RuntimeError, match="no model")


async def test_segments_that_share_passes_each_say_their_own() -> None:
    models = Models("tiny", "float32", "cpu")
    noise = np.random.default_rng(1).standard_normal(9 * SAMPLE_RATE).astype(np.float32) * 0.05
    with closing(ModelThread()) as thread:
        segments = ScriptedSegments(thread, models.backend, models.script, Tally())

        async def speak(seconds: list[int], texts: list[str]) -> None:
            recognition = segments.open_recognition(language="English", context="")
            said = 0
            for second in seconds:
                recognition.append(noise[said * SAMPLE_RATE : second * SAMPLE_RATE])
                said = second
                texts.append((await recognition.hypothesis(Urgency.PARTIAL)).text)

        short: list[str] = []
        long: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(speak, [1, 2, 3], short)
            nursery.start_soon(speak, [4, 8, 9], long)

    def said(seconds: int) -> str:
        return models.script.text(models.script.answer(0, seconds)).strip()

    assert short == [said(1), said(2), said(3)]
    assert long == [said(4), said(8), said(9)]


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(RESULT, tmp_path / "r.json")
    assert read(tmp_path / "r.json") == RESULT
    (tmp_path / "other.json").write_text('{"kind": "paced", "schema": 0}')
    with pytest.raises(BadResult):
        read(tmp_path / "other.json")


def test_the_report_tells_how_late_and_how_many() -> None:
    told = report(RESULT)
    assert "| 2 | 52 | 0.200 / 0.400 / 0.400 | 0.300 / 0.300 / 0.300 | 1.25 |" in told
    unfinished = replace(RESULT, runs=(replace(RESULT.runs[0], finals=()),))
    assert "| – | 1.25 |" in report(unfinished)


def test_impossible_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_subparsers())
    for option, value in (
        ("--streams", "0"),
        ("--seconds", "nan"),
        ("--dtype", "int4"),
        ("--out", str(tmp_path / "x" / "y.json")),
    ):
        with pytest.raises(SystemExit):
            parser.parse_args(["paced", option, value])
        assert option in capsys.readouterr().err


def test_the_command_measures_a_model_and_writes_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.paced.measure.SEGMENT", 2.0)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_subparsers())
    out = tmp_path / "r.json"
    given = ["--size", "tiny", "--dtype", "float32", "--streams", "2", "--seconds", "2"]
    command.run(parser.parse_args(["paced", *given, "--out", str(out)]))
    assert "| 2 |" in capsys.readouterr().out
    (found,) = read(out).runs
    assert found.streams == 2
    assert found.partials
    assert all(0 < seconds < 60 for seconds in (*found.partials, *found.finals))
