"""``polyasr align``, with sentences that are tones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import srt

from polyasr import checkpoint
from polyasr.cli import main
from polyasr.errors import ModelUnavailable
from polyasr.settings import OPTIONS, Settings, variable
from tests.alignment.tones import by_pitch
from tests.fakes import ScriptedEngine, silence, tone, wav

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine without models; the machine's own settings play no part."""

    @asynccontextmanager
    async def open_engine(settings: Settings) -> AsyncIterator[Any]:
        assert not settings.preload
        yield ScriptedEngine(script=by_pitch)

    monkeypatch.setattr("polyasr.engine.open_engine", open_engine)
    monkeypatch.setattr(checkpoint, "resolve", lambda settings, role: Path())
    for name in OPTIONS:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.fixture
def talk(tmp_path: Path) -> str:
    file = tmp_path / "talk.wav"
    file.write_bytes(wav(tone(8) + silence(2) + tone(8, hertz=880)))
    return str(file)


def test_it_prints_what_the_server_answers(talk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["align", "--model", "tiny", talk]) == 0
    body = json.loads(capsys.readouterr().out)
    assert list(body) == ["text", "language", "segments", "model"]
    assert body["text"] == "One two. Three four!"
    assert body["model"] == "tiny + tiny"
    assert [word["text"] for word in body["segments"][1]["words"]] == ["Three", "four"]


def test_a_transcript_can_be_given(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "talk.txt"
    text.write_text("\ufeffOne, two? Three four.\n", "utf-8")
    assert main(["align", "--text", str(text), "--language", "en", talk]) == 0
    body = json.loads(capsys.readouterr().out)
    assert [segment["text"] for segment in body["segments"]] == ["One, two?", "Three four."]


def test_subtitles_stand_where_the_words_are_heard(
    talk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["align", "--format", "srt", talk]) == 0
    cues = list(srt.parse(capsys.readouterr().out))
    assert " ".join(cue.content for cue in cues) == "One two. Three four!"
    (three,) = [cue for cue in cues if cue.content.startswith("Three")]
    assert 9 < three.start.total_seconds() < 11
    assert main(["align", "--format", "vtt", talk]) == 0
    assert capsys.readouterr().out.startswith("WEBVTT\n\n00:00:00.000 --> ")


def test_praat_can_read_it_and_a_picture_is_drawn(
    talk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = tmp_path / "talk.png"
    assert main(["align", "--format", "textgrid", "--plot", str(drawn), talk]) == 0
    assert capsys.readouterr().out.startswith('File type = "ooTextFile"')
    assert drawn.read_bytes().startswith(PNG)


def test_silence_has_no_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "silence.wav"
    file.write_bytes(wav(silence(2)))
    for form in ("json", "srt", "vtt", "textgrid"):
        drawn = tmp_path / f"{form}.svg"
        assert main(["align", "--format", form, "--plot", str(drawn), str(file)]) == 0
        assert drawn.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b" \n", "is empty"),
        (b"\xff\xfe\xff", "not text in UTF-8"),
        (None, "cannot be read"),
        (b"Something else entirely is said here.", "does not belong"),
    ],
)
def test_a_transcript_that_cannot_be_used_is_one_line(
    talk: str,
    tmp_path: Path,
    content: bytes | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "talk.txt"
    if content is not None:
        text.write_bytes(content)
    assert main(["align", "--text", str(text), talk]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_models_that_are_not_there_are_told_before_any_work(
    talk: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def resolve(settings: Settings, role: checkpoint.Role) -> Path:
        if role is checkpoint.ALIGNER:
            raise ModelUnavailable("no aligner; set POLYASR_ALIGNER_MODEL")
        return Path()

    monkeypatch.setattr(checkpoint, "resolve", resolve)
    monkeypatch.delattr("polyasr.engine.open_engine")
    assert main(["align", talk]) == 2
    assert "POLYASR_ALIGNER_MODEL" in capsys.readouterr().err
