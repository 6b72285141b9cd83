"""What the README tells people to type works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import srt
import trio

from tests.fakes import ScriptedEngine, tone, wav
from tests.media import media
from tests.routes.conftest import serving

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8766"


def blocks(language: str) -> Iterator[str]:
    """The README's blocks of code in a language, "" for what is typed into a shell."""
    for found, block in re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        if found == language:
            yield block


CURLS = [line for block in blocks("") for line in block.splitlines() if line.startswith("curl ")]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with the files that the README speaks of."""
    (tmp_path / "talk.wav").write_bytes(wav(tone(0.5)))
    (tmp_path / "film.mp4").write_bytes(media("mp4", "aac", picture=True))
    return tmp_path


async def run(command: list[str], here: Path) -> str:
    """What it prints; it must succeed."""
    done = await trio.run_process(command, cwd=here, capture_stdout=True, stderr=subprocess.STDOUT)
    return done.stdout.decode()


@pytest.mark.parametrize("line", CURLS)
async def test_each_curl_line_gets_the_text(line: str, here: Path) -> None:
    async with serving(ScriptedEngine()) as server:
        arguments = shlex.split(line.replace(ADDRESS, server.url), comments=True)
        printed = await run([*arguments, "--fail", "--silent", "--show-error"], here)
    file = here / "film.srt"
    if file.exists():
        printed = next(srt.parse(file.read_text("utf-8"))).content
    assert "Hello." in printed


def test_there_are_curl_lines_for_a_text_for_subtitles_and_for_a_stream() -> None:
    assert len(CURLS) >= 3
    assert any("srt" in line for line in CURLS)
    assert any("stream=true" in line for line in CURLS)


async def test_a_plain_curl_line_prints_json(here: Path) -> None:
    async with serving(ScriptedEngine()) as server:
        printed = await run(shlex.split(CURLS[0].replace(ADDRESS, server.url)) + ["-s"], here)
    assert json.loads(printed)["text"] == "Hello."


async def test_the_python_example_prints_the_text(here: Path) -> None:
    (example,) = blocks("python")
    async with serving(ScriptedEngine()) as server:
        printed = await run([sys.executable, "-c", example.replace(ADDRESS, server.url)], here)
    assert printed == "Hello.\n"
