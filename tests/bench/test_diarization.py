"""The measurement of who spoke when: conversations that are what they claim, and their scores."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import main
from bench.conversations import Conversation, converse, read_speakers, spoken
from bench.diarization import Score, Trial, report, score
from bench.spending import Spending
from polyasr.diarization import Diarization, Turn
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16
from tests.fakes import silence, tone, wav

PEOPLE = {name: [from_pcm16(tone(5, hertz=hertz))] for name, hertz in (("a", 300), ("b", 3000))}


def second(*parts: tuple[float, float, str]) -> Conversation:
    """A conversation of ten seconds, with these parts in seconds."""
    reference = tuple(
        (round(start * SAMPLE_RATE), round(end * SAMPLE_RATE), who) for start, end, who in parts
    )
    return Conversation(np.zeros(10 * SAMPLE_RATE, np.float32), reference)


def told(*turns: tuple[float, float, int]) -> Diarization:
    exact = (Turn(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE), who) for a, b, who in turns)
    return Diarization(tuple(exact), np.empty((2, 256), np.float32), 10 * SAMPLE_RATE)


@pytest.mark.parametrize("pauses", [False, True])
def test_a_conversation_has_turns_and_pauses_as_long_as_is_said(pauses: bool) -> None:
    one = converse(PEOPLE, 2, 60, pauses=pauses, seed=1)
    lengths = [(end - start) / SAMPLE_RATE for start, end, _ in one.reference]
    gaps = [(b[0] - a[1]) / SAMPLE_RATE for a, b in pairwise(one.reference)]
    assert one.speakers == 2
    assert len(one.samples) >= 60 * SAMPLE_RATE
    assert all(1.9 <= length <= 8.1 for length in lengths)
    assert all((0.1 if pauses else -0.01) <= gap <= (1.3 if pauses else 0.1) for gap in gaps)
    assert all(a[2] != b[2] for a, b in pairwise(one.reference))


def test_a_seed_gives_the_same_conversation_and_another_seed_another() -> None:
    first, again, other = (converse(PEOPLE, 2, 20, pauses=True, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.samples, again.samples)
    assert first.reference == again.reference != other.reference


def test_speech_is_what_is_loud_and_short_gaps_in_it() -> None:
    pcm16 = silence(1) + tone(1) + silence(0.3) + tone(1) + silence(1) + tone(1)
    found = [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in spoken(from_pcm16(pcm16))]
    assert np.array(found) == pytest.approx(np.array([(1, 3.3), (4.3, 5.3)]), abs=0.04)


def test_recordings_are_told_apart_by_the_beginnings_of_their_names(tmp_path: Path) -> None:
    for name in ("ann-1.wav", "ann-2.wav", "bob-1.wav"):
        (tmp_path / name).write_bytes(wav(silence(1) + tone(2) + silence(1)))
    (tmp_path / "README.md").write_text("none")
    recordings = read_speakers(tmp_path)
    assert {name: len(some) for name, some in recordings.items()} == {"ann": 2, "bob": 1}
    samples: Samples = recordings["bob"][0]
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=1600)


def test_the_score_counts_what_was_missed_made_up_and_confused() -> None:
    truth = second((1, 5, "ann"), (5, 9, "bob"))
    perfect = told((1, 5, 1), (5, 9, 0))
    assert score(truth, perfect) == Score(0, 0, 0)
    within_collar = told((1.2, 5.2, 1), (5.2, 9.2, 0))
    assert score(truth, within_collar).error_rate == pytest.approx(0, abs=1e-6)
    wrong = told((0, 2, 0), (2, 3, 1), (5, 9, 1))
    scored = score(truth, wrong)
    speech = 3.5 + 3.5
    assert scored.missed == pytest.approx(1.75 / speech)
    assert scored.false_alarm == pytest.approx(0.75 / speech)
    assert scored.confused == pytest.approx(1.0 / speech)


def test_the_report_has_a_row_for_each_kind_and_one_for_all() -> None:
    good, bad = Score(0.01, 0.02, 0.03), Score(0.1, 0.0, 0.4)
    trials = [
        Trial(2, False, good, good, found=2, spent=Spending(60, 3, 6)),
        Trial(2, True, good, bad, found=1, spent=Spending(60, 1, 2)),
    ]
    rows = report(trials).splitlines()
    assert rows[2] == "| 2 | no | 1 | 1.0 | 2.0 | 3.0 | 6.0 | 6.0 | 6.0 | 6.0 | 1 of 1 |"
    assert rows[4] == "| all |  | 2 | 1.0 | 2.0 | 3.0 | 6.0 | 6.0 | 28.0 | 50.0 | 1 of 2 |"
    assert rows[-1] == "Speed: 30 times real time; 15 by the time of processors."


def test_a_folder_without_speakers_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "diarization", "--speech", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "two speakers" in capsys.readouterr().err
