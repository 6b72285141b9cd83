"""``python -m bench engine``, all of it, at a size that takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.results import Measurement, Result, read

ROOT = Path(__file__).parents[2]
STRATEGIES = ("window", "prefix", "incremental")
FLAGS = ("--size", "tiny", "--dtype", "float32", "--seconds", "10", "--repeats", "2")
FRAMES_TO_TOKENS = 13
"""Audio tokens for a second of audio."""


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@dataclass(frozen=True)
class Done:
    process: subprocess.CompletedProcess[str]
    result_file: Path
    picture: Path
    result: Result

    def measured(self, what: str, strategy: str) -> dict[int, Measurement]:
        return {
            each.at: each
            for each in self.result.measurements
            if (each.what, each.strategy) == (what, strategy)
        }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    directory = tmp_path_factory.mktemp("bench")
    file, picture = directory / "result.json", directory / "picture.svg"
    process = bench("engine", *FLAGS, "--out", file, "--plot", picture)
    assert process.returncode == 0, process.stderr
    return Done(process, file, picture, read(file))


def test_the_result_says_what_it_was_taken_with(done: Done) -> None:
    result = done.result
    assert result.settings == {
        "size": "tiny",
        "dtype": "float32",
        "device": "cpu",
        "seconds": 10,
        "threads": 1,
    }
    assert result.host.cpu and result.host.cores >= 1 and result.host.memory_gib >= 1
    assert result.host.gpu is None
    assert {"python", "torch", "transformers", "qwen-asr"} <= result.packages.keys()


def test_every_strategy_is_measured_at_the_marks_and_the_end_and_incremental_every_second(
    done: Done,
) -> None:
    for name in ("window", "prefix"):
        assert list(done.measured("partial", name)) == [5, 10]
    assert list(done.measured("partial", "incremental")) == list(range(1, 11))
    for name in STRATEGIES:
        assert list(done.measured("final", name)) == [10]
    assert all(len(each.seconds) == 2 for each in done.result.measurements)
    assert all(min(each.seconds) > 0 for each in done.result.measurements)


def test_a_partial_stays_cheaper_than_decoding_again(done: Done) -> None:
    """A ratio, so that it holds on any machine: 5 when this was written, at the smallest size."""
    again, ours = (done.measured("partial", name)[10] for name in ("window", "incremental"))
    assert min(again.seconds) / min(ours.seconds) > 1.5
    assert again.encoder_tokens + again.decoder_tokens > 1.5 * (
        ours.encoder_tokens + ours.decoder_tokens
    )


def test_the_whole_recording_is_the_sum_of_its_partials(done: Done) -> None:
    partials = done.measured("partial", "incremental").values()
    whole = done.measured("recording", "incremental")[10]
    sums = [sum(each) for each in zip(*(partial.seconds for partial in partials), strict=True)]
    assert whole.seconds == pytest.approx(sums)
    assert whole.decoder_tokens == sum(partial.decoder_tokens for partial in partials)


def test_the_others_run_all_audio_and_all_text_through_the_model(done: Done) -> None:
    for name in ("window", "prefix"):
        at = done.measured("partial", name)
        for second in (5, 10):
            assert at[second].encoder_tokens == FRAMES_TO_TOKENS * second
        # What five seconds more add: their audio, and three tokens of text each.
        more = at[10].decoder_tokens - at[5].decoder_tokens
        assert more == 5 * (FRAMES_TO_TOKENS + 3)


def test_incremental_runs_the_open_window_alone(done: Done) -> None:
    at = done.measured("partial", "incremental")
    assert at[7].encoder_tokens == 7 * FRAMES_TO_TOKENS
    assert at[10].encoder_tokens == 2 * FRAMES_TO_TOKENS
    for second in (5, 10):
        window = done.measured("partial", "window")[second]
        assert at[second].decoder_tokens < window.decoder_tokens


def test_outputs_have_one_hash_for_all_repeats_in_float32(done: Done) -> None:
    assert list(done.result.outputs) == list(STRATEGIES)
    hashes = [each for (each,) in done.result.outputs.values()]
    assert len(set(hashes)) == 3
    assert all(len(each) == 64 for each in hashes)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is told by Linux alone")
def test_peaks_of_memory_hold_what_the_models_take_at_rest(done: Done) -> None:
    memory = done.result.memory
    if not memory:
        pytest.skip("this container does not let a process reset its peak")
    assert list(memory) == list(STRATEGIES)
    assert all(each.peak > 100e6 and each.rest > 100e6 for each in memory.values())


def test_the_tables_show_the_marks_the_final_and_the_real_time_factor(done: Done) -> None:
    lines = done.process.stdout.splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert rows[:3] == ["audio so far, s", "---", "5"]
    assert "final after, s" in rows
    assert "65 + " in done.process.stdout
    assert any(line.startswith("Real-time factor, incremental") for line in lines)


def test_progress_goes_to_stderr(done: Done) -> None:
    assert "run 2 of 2: incremental, partial at 10 s" in done.process.stderr
    assert "run 2" not in done.process.stdout


def test_the_picture_has_a_line_for_each_strategy_and_can_be_drawn_again(done: Done) -> None:
    texts = [element.text for element in ElementTree.parse(done.picture).iter()]
    assert {*STRATEGIES, "audio so far, s", "compute per partial, s"} <= set(texts)
    again = done.picture.with_name("again.svg")
    assert bench("plot", done.result_file, again).returncode == 0
    assert again.read_bytes() == done.picture.read_bytes()


def test_a_result_compared_with_itself_has_no_difference(done: Done) -> None:
    process = bench("compare", done.result_file, done.result_file)
    assert process.returncode == 0
    assert "faster" not in process.stdout and "slower" not in process.stdout
    assert "Outputs, incremental: the same." in process.stdout
    assert "Tokens through encoder and decoder: the same." in process.stdout


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--seconds", "31"), "no number from 1 to 30"),
        (("--repeats", "0"), "no number from 1 to 1000"),
        (("--out", "nowhere/result.json"), "there is no directory nowhere"),
        (("--plot", "picture.gif"), "ends in none of .svg, .png"),
        (("--size", "tiny", "--device", "cuda:99"), "device cuda:99"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_work(
    flags: tuple[str, ...], complaint: str
) -> None:
    process = bench("engine", *flags)
    assert process.returncode == 2
    assert complaint in process.stderr
    assert "Traceback" not in process.stderr
