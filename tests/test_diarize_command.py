"""``polyasr diarize``, with voices that are tones, and the picture it draws."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyasr import picture
from polyasr.cli import main
from polyasr.errors import ConfigurationError
from polyasr.picture import COLUMNS, Outline, Track
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import OPTIONS, Settings, variable
from tests.fakes import ScriptedEngine, silence, tone, wav

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without models; the machine's own settings play no part."""

    @asynccontextmanager
    async def open_engine(settings: Settings) -> AsyncIterator[Any]:
        assert not settings.preload
        yield ScriptedEngine()

    monkeypatch.setattr("polyasr.engine.open_engine", open_engine)
    for name in OPTIONS:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    """Two voices with a pause between them."""
    file = tmp_path / "talk.wav"
    file.write_bytes(wav(tone(3.2) + silence(0.8) + tone(3.2, hertz=3000)))
    return str(file)


def test_each_turn_is_a_line(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diarize", talk]) == 0
    assert capsys.readouterr() == (
        "0:00:00.0  0:00:03.2  SPEAKER_00\n0:00:04.0  0:00:07.2  SPEAKER_01\n",
        "",
    )


def test_other_programs_can_read_it(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diarize", "--format", "rttm", talk]) == 0
    fields = capsys.readouterr().out.splitlines()[1].split()
    assert fields[:5] == ["SPEAKER", "talk", "1", "4.000", "3.200"]
    assert main(["diarize", "--format", "json", "--num-speakers", "1", talk]) == 0
    assert json.loads(capsys.readouterr().out)["speakers"] == ["SPEAKER_00"]


def test_silence_is_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "silence.wav"
    file.write_bytes(wav(silence(2)))
    assert main(["diarize", "--plot", str(tmp_path / "silence.png"), str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "silence.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-speakers", "0"], "from 1 to 32"),
        (["--min-speakers", "3", "--max-speakers", "2"], "at least 3"),
        (["--plot", "talk.gif"], ".png or .svg"),
        (["--plot", "/no/such/folder/talk.png"], "/no/such/folder"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_any_work(
    talk: str, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diarize", *options, talk]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err and printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["missing.wav", "letter.txt"])
def test_a_file_that_is_no_recording_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "letter.txt").write_text("not a recording")
    assert main(["diarize", str(tmp_path / name)]) == 2
    assert str(tmp_path / name) in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(
    talk: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["diarize", "--plot", str(tmp_path / "talk.png"), talk]) == 2
    assert "pip install 'polyasr[plot]'" in capsys.readouterr().err


def test_the_picture_names_the_speakers_and_shows_their_turns(talk: str, tmp_path: Path) -> None:
    file = tmp_path / "talk.svg"
    assert main(["diarize", "--plot", str(file), talk]) == 0
    drawn = file.read_text()
    assert "SPEAKER_00" in drawn and "SPEAKER_01" in drawn


def test_a_picture_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    outline = Outline()
    assert len(list(outline.listening(iter([np.ones(1600, np.float32)])))) == 1
    taken = tmp_path / "taken.png"
    taken.mkdir()
    with pytest.raises(ConfigurationError, match=r"taken\.png"):
        picture.draw(taken, outline, [Track("somebody", [(0, 800)])])


def test_an_outline_keeps_the_peaks_of_hours_in_little_space() -> None:
    def hour() -> Iterator[Samples]:
        for minute in range(60):
            block = np.zeros(60 * SAMPLE_RATE, np.float32)
            block[0] = -minute / 60
            yield block

    outline = Outline()
    blocks = outline.listening(hour())
    assert sum(len(block) for block in blocks) == outline.n_samples == 3600 * SAMPLE_RATE
    peaks = outline.peaks()
    assert len(peaks) == COLUMNS
    assert peaks.max() == pytest.approx(59 / 60)
    assert np.count_nonzero(peaks) == 59
