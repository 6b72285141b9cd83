"""What was archived is dictated again, on the bundled model, and compared."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from polyasr import audio, settings
from polyasr.archive.reading import read_session
from polyasr.cli import main
from polyasr.client.dictation import open_dictation, speak
from polyasr.commands.demo import RECORDING
from polyasr.commands.difference import difference
from polyasr.engine import open_engine
from polyasr.errors import ConfigurationError
from polyasr.protocol.messages import Flush, Mark
from polyasr.samples import to_pcm16
from polyasr.server import open_server
from tests.archive.conftest import files
from tests.fakes import ScriptedEngine, configured, tone

TEXT = RECORDING.with_suffix(".txt").read_text("utf-8").strip()


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server with the bundled model, which has archived one dictation."""
    chosen = settings.load(
        {}, {"model": "tiny", "device": "cpu", "port": "0", "log_dir": str(tmp_path)}
    )
    async with open_engine(chosen) as engine:
        await engine.ready()
        async with open_server(chosen, engine) as address:
            await dictate(address.replace("http", "ws", 1) + "/ws/transcribe")
        async with open_server(replace(chosen, log_dir=""), engine) as address:
            yield address.replace("http", "ws", 1) + "/ws/transcribe"


async def dictate(url: str) -> None:
    pcm16 = to_pcm16(audio.decode(RECORDING, max_seconds=60))
    async with open_dictation(url, language="en") as dictation:
        await speak(dictation, pcm16, paced=False)
        async for _ in dictation:
            pass


def rewrite(directory: Path, before: str, after: str) -> None:
    """Change what the archive says the final was."""
    (events,) = files(directory, "events.jsonl")
    events.write_text(events.read_text("utf-8").replace(before, after), "utf-8")


async def replay(*arguments: object) -> int:
    return await trio.to_thread.run_sync(main, ["replay", "--fast", *map(str, arguments)])


async def test_what_is_the_same_is_told_and_a_word_that_is_not_is_shown(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await replay("--server", url, tmp_path) == 0
    assert f"the same: {TEXT}" in capsys.readouterr().out
    rewrite(tmp_path, "Laura", "Lara")
    assert await replay("--server", url, tmp_path / "sessions") == 1
    printed = capsys.readouterr().out
    assert "DIFFERENT: The meeting with [-Lara-]{+Laura+} is at two" in printed
    assert re.search(r"final after the stop \d+\.\d\d s → \d+\.\d\d s", printed)


async def test_it_runs_in_this_process_where_no_server_is_named(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await replay("--model", "tiny", "--device", "cpu", tmp_path) == 0
    assert f"the same: {TEXT}" in capsys.readouterr().out


async def test_a_session_that_a_crash_has_ended_is_replayed_and_has_nothing_to_differ_from(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (events,) = files(tmp_path, "events.jsonl")
    whole = read_session(events.parent)
    lines = events.read_text("utf-8").splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["type"] not in ("final", "done")]
    events.write_text("".join(kept) + '{"t_ms": 99, "ty', "utf-8")
    (events.parent / "input.flac").unlink()
    (events.parent / "input.pcm").write_bytes(whole.pcm16 + b"\0")
    assert await replay("--server", url, tmp_path) == 0
    assert f"no final was archived; now: {TEXT}" in capsys.readouterr().out


async def test_what_was_asked_on_the_way_is_asked_again_at_its_place(
    tmp_path: Path,
) -> None:
    chosen = replace(configured(), log_dir=str(tmp_path / "first"))
    async with (
        open_server(chosen, ScriptedEngine()) as address,
        open_dictation(address.replace("http", "ws", 1) + "/ws/transcribe", control=3) as dictation,
    ):
        await dictation.flush("early")
        await dictation.send(tone(0.25))
        await dictation.mark(7)
        await dictation.send(tone(0.5))
        await dictation.flush("f")
        await dictation.flush("f2")
        await dictation.stop()
        async for _ in dictation:
            pass
    asked = ((0, Flush("early")), (4000, Mark(7)), (12000, Flush("f")), (12000, Flush("f2")))
    assert requests_in(tmp_path / "first") == asked
    again = replace(chosen, log_dir=str(tmp_path / "again"))
    async with open_server(again, ScriptedEngine()) as address:
        url = address.replace("http", "ws", 1) + "/ws/transcribe"
        assert await replay("--server", url, tmp_path / "first") == 0
    assert requests_in(tmp_path / "again") == asked


def requests_in(directory: Path) -> tuple[tuple[int, Flush | Mark], ...]:
    """What was asked in the one session that is archived there."""
    (events,) = files(directory, "events.jsonl")
    return read_session(events.parent).requests


def test_a_directory_without_sessions_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(f"polyasr: {tmp_path} holds no archived dictation")


@pytest.mark.parametrize("content", ["", "not json\n", "{}\n", '{"type": "opened"}\n', "[]\n"])
def test_a_folder_that_is_damaged_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(content)
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        read_session(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("a b c", "a b c", "a b c"),
        ("a b c", "a x c", "a [-b-]{+x+} c"),
        ("a b", "a b c", "a b {+c+}"),
        ("a b", "b", "[-a-] b"),
        ("", "a b", "{+a b+}"),
        ("今天很好", "今天不好", "今天[-很-]{+不+}好"),
    ],
)
def test_a_difference_is_shown_word_by_word(before: str, after: str, shown: str) -> None:
    assert difference(before, after) == shown
