"""Uploads are kept as they came, beside what became of them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio

from polyasr.archive.uploads import Copy, Upload
from polyasr.routes.forms import IN_MEMORY_BYTES
from tests.archive.conftest import files
from tests.fakes import ScriptedEngine, silence, tone, wav
from tests.routes.conftest import serving

SHORT = wav(tone(0.5))
LONG = wav(tone(0.5) + silence(40))


def documents(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text("utf-8")) for file in files(directory, "*.json")]


@pytest.mark.parametrize("recording", [SHORT, LONG], ids=["in memory", "on the disk"])
async def test_an_upload_is_kept_with_its_fields_its_status_and_its_text(
    recording: bytes, tmp_path: Path
) -> None:
    async with serving(ScriptedEngine(), log_dir=str(tmp_path)) as server:
        answer = await server.transcribe(recording, language="en", keywords="Laura")
    assert answer.status_code == 200
    (document,) = documents(tmp_path)
    assert document["endpoint"] == "/v1/audio/transcriptions"
    assert document["fields"] == {"language": ["en"], "keywords": ["Laura"]}
    assert (document["status"], document["text"]) == (200, "Hello.")
    assert (document["filename"], document["bytes"]) == ("speech.wav", len(recording))
    (kept,) = files(tmp_path, "*.wav")
    assert kept.read_bytes() == recording
    for file in (kept, kept.with_suffix(".json")):
        assert file.stat().st_mode & 0o777 == 0o600
    assert kept.parent.parent.stat().st_mode & 0o777 == 0o700
    assert (len(LONG) > IN_MEMORY_BYTES) and (len(SHORT) < IN_MEMORY_BYTES)


async def test_the_text_of_a_stream_and_of_asr_and_its_query_are_kept(tmp_path: Path) -> None:
    async with serving(ScriptedEngine(), log_dir=str(tmp_path)) as server:
        await server.transcribe(SHORT, stream="true")
        await server.http.post("/asr?output=txt", files={"audio_file": ("a", SHORT)})
    by_endpoint = {document["endpoint"]: document for document in documents(tmp_path)}
    assert by_endpoint["/v1/audio/transcriptions"]["text"] == "Hello."
    assert by_endpoint["/asr"]["text"] == "Hello."
    assert by_endpoint["/asr"]["fields"] == {"output": ["txt"]}
    assert len(files(tmp_path, "*.bin")) == 1


async def test_what_could_not_be_recognized_is_kept_with_its_status(tmp_path: Path) -> None:
    async with serving(ScriptedEngine(), log_dir=str(tmp_path)) as server:
        answer = await server.transcribe(b"no recording at all")
    (document,) = documents(tmp_path)
    assert document["status"] == answer.status_code == 415
    assert document["text"] is None
    assert files(tmp_path, "*.wav")[0].read_bytes() == b"no recording at all"


async def test_a_full_disk_costs_no_answer_and_is_told_by_health(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with serving(ScriptedEngine(), log_dir=str(tmp_path / "file")) as server:
        answer = await server.transcribe(SHORT)
        health = await server.http.get("/health")
        with trio.fail_after(10):
            while health.json()["archive"]["dropped_bytes"] < len(SHORT):
                health = await server.http.get("/health")
    assert answer.json()["text"] == "Hello."
    assert health.status_code == 200
    assert health.json()["archive"]["state"] == "failing"


def test_a_copy_outlives_the_file_of_the_request_and_leaves_its_position(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    with tempfile.SpooledTemporaryFile(max_size=1000) as spool:
        spool.write(data)
        spool.seek(0)
        copy = Copy(spool, len(data), 1000)
        assert spool.read(3) == data[:3]
        copy.write(tmp_path / "first")
        assert spool.read(3) == data[3:6]
    copy.write(tmp_path / "second")
    copy.close()
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes() == data


@pytest.mark.parametrize(
    ("filename", "suffix"),
    [
        ("talk.mp3", ".mp3"),
        ("talk", ".bin"),
        ("", ".bin"),
        ("talk.json", ".bin"),
        ("x.tar.gz", ".gz"),
        ("x.\0/../a", ".bin"),
        ("x.aaaaaaaaaaaaaaaaaaaa", ".bin"),
    ],
)
def test_a_suffix_is_taken_only_where_it_can_be_one(filename: str, suffix: str) -> None:
    assert Upload("/", {}, filename, 1).suffix == suffix
