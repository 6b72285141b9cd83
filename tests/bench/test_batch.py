"""`python -m bench batch`, with a server that hears "Hello." and an upstream that knows nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import trio

from bench.batch import command, sizes
from bench.batch.measure import film, latencies, throughput
from bench.batch.report import report
from bench.batch.results import BatchResult, Film, Latency, Throughput, read, write
from bench.batch.upstream import Upstream
from bench.dictation.corpus import Clip, Recipe, synthesized
from bench.documents import BadResult
from bench.models import Models
from bench.results import Host
from bench.tally import Tally
from polyasr.engine.thread import ModelThread
from polyasr.samples import Samples, from_pcm16
from tests.fakes import ScriptedEngine, silence, tone
from tests.routes.conftest import serving

SENTENCE = Clip("one", tone(0.96) + silence(0.8), "Hello.", "English", (), 0.0, 0.96)

RESULT = BatchResult(
    date="2026-01-02T03:04:05+00:00",
    host=Host("Linux x86_64", "a CPU", 2, 24, None),
    commit=None,
    packages={"torch": "2"},
    settings={
        "model": "tiny",
        "dtype": "float32",
        "device": "cpu",
        "threads": 2,
        "seconds": 30,
        "repeats": 3,
    },
    corpora={"recordings": "abc"},
    throughput=(
        Throughput("polyasr", 8, 240.0, (2.0, 2.4, 3.0), (3.0, 3.1, 3.2), 0.01),
        Throughput("qwen-asr", 8, 240.0, (6.0, 4.8, 8.0), (6.1, 6.2, 6.3), 0.02),
    ),
    film=Film(7200.0, 1.234, 72.0, 400.0, 430.5),
    latencies=(
        Latency("nothing", (0.5, 0.6, 0.7), (0.1, 0.2, 0.3)),
        Latency("a film", (0.6, 0.6, None), (0.2, 0.2, None)),
    ),
)


class Deaf:
    """An upstream that takes two seconds for everything and hears nothing."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def transcribe(self, recordings: Sequence[Samples]) -> tuple[float, float, list[str]]:
        self.given += [samples.tobytes() for samples in recordings]
        return 2.0, 3.0, ["" for _ in recordings]


def ignore(_: str) -> None:
    """Progress that nobody looks at."""


async def test_both_are_measured_in_turn_and_the_warm_up_does_not_count() -> None:
    engine, upstream = ScriptedEngine(), Deaf()
    other = replace(SENTENCE, pcm16=SENTENCE.pcm16[3200:])
    async with serving(engine) as server:
        found = await throughput(
            server.url, cast("Upstream", upstream), [SENTENCE, other], [1, 2], 3, ignore
        )
    assert [(each.system, each.files, each.errors) for each in found] == [
        ("polyasr", 1, 0.0),
        ("qwen-asr", 1, 1.0),
        ("polyasr", 2, 0.0),
        ("qwen-asr", 2, 1.0),
    ]
    assert len(engine.asked) == (1 + 2) * (1 + 3)
    assert len(set(upstream.given)) == len(upstream.given) == (1 + 2) * (1 + 3)
    assert found[3].seconds == (2.0, 2.0, 2.0)
    assert found[3].cpu == (3.0, 3.0, 3.0)
    assert found[3].speed == pytest.approx((1.71, 1.71, 1.71))
    assert all(cpu is not None and cpu >= 0 for cpu in found[0].cpu)


def test_random_weights_write_the_same_either_way() -> None:
    """Three tokens a second of what is decoded, and an end; the pipeline leaves silence out."""
    models = Models("tiny", "float32", "cpu")
    clips = synthesized(Recipe(2, 10))
    found = trio.run(sizes.throughput, models, clips, [1, 2], 2, ignore)
    assert [(each.system, each.files) for each in found] == [
        ("polyasr", 1),
        ("qwen-asr", 1),
        ("polyasr", 2),
        ("qwen-asr", 2),
    ]
    for each in found:
        assert each.errors is None
        assert each.audio == pytest.approx(sum(clip.seconds for clip in clips[: each.files]))
        assert len(each.seconds) == len(each.cpu) == 2
    tally = Tally()
    with closing(ModelThread()) as thread:
        recognizer = sizes.ScriptedRecognizer(thread, models.backend, models.script, tally)
        trio.run(sizes.transcribed, recognizer, [from_pcm16(clip.pcm16) for clip in clips])
    n_words = 3 * sum(clip.seconds for clip in clips)
    assert 0.8 * n_words < len(tally.written) <= n_words + 4


async def test_a_film_is_as_long_as_asked_for_and_its_first_text_comes_before_its_end() -> None:
    async with serving(ScriptedEngine()) as server:
        found = await film(server.url, [SENTENCE], 90.0, ignore)
    assert found.audio == 90.0
    assert 0 < found.first_event < found.done


async def test_dictations_are_told_alone_and_beside_a_film() -> None:
    async with serving(ScriptedEngine()) as server:
        alone, beside = await latencies(server.url, [SENTENCE], [SENTENCE], ignore, minutes=2)
    assert (alone.beside, beside.beside) == ("nothing", "a film")
    for found in (alone, beside):
        assert all(seconds is not None for seconds in (*found.first_partial, *found.final))


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(RESULT, tmp_path / "r.json")
    assert read(tmp_path / "r.json") == RESULT
    for content in (
        "",
        "[]",
        "{}",
        '{"kind": "batch", "schema": 9}',
        '{"kind": "batch", "schema": 1}',
    ):
        (tmp_path / "other.json").write_text(content)
        with pytest.raises(BadResult):
            read(tmp_path / "other.json")


def test_the_report_tells_medians_ranges_and_ratios() -> None:
    told = report(RESULT)
    assert "| 8 | 100 (80–120) | 3.10 | 1.0 | 40 (30–50) | 6.20 | 2.0 | 2.50 | 2.00 |" in told
    assert "| 120 | 1.23 | 100 | 430 | 30 |" in told
    unscored = tuple(replace(each, errors=None) for each in RESULT.throughput)
    assert "| 3.10 | – | 40 (30–50) | 6.20 | – |" in report(replace(RESULT, throughput=unscored))
    assert "| nothing | 3 | 0.60 | 0.70 | 0.20 | 0.30 |" in told
    assert "| a film | 3 | 0.60 | never | 0.20 | never |" in told


def test_a_report_of_a_part_has_that_part() -> None:
    told = report(replace(RESULT, throughput=RESULT.throughput[:1], film=None, latencies=()))
    assert "qwen-asr" not in told.replace("python", "")
    assert "film" not in told


def test_impossible_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser.add_subparsers())
    out = str(tmp_path / "x" / "y.json")
    for option, value in (("--files", "0"), ("--repeats", "0"), ("--size", "9b"), ("--out", out)):
        with pytest.raises(SystemExit):
            parser.parse_args(["batch", option, value])
        assert option in capsys.readouterr().err
    assert parser.parse_args(["batch", "--seconds", "1800"]).seconds == 1800
    for minutes in ("-1", "nan", "inf"):
        with pytest.raises(ValueError, match="--film"):
            command.run(parser.parse_args(["batch", f"--film={minutes}"]))
