"""A dictation's folder: what the client sent and every message."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from polyasr import audio
from polyasr.archive import open_archive
from polyasr.archive.sessions import common_length
from polyasr.archive.writer import Writer
from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.registry import open_sessions
from polyasr.protocol.frames import Frame, encode
from tests.archive.conftest import archive, events, files, folder
from tests.fakes import ScriptedEngine, configured, silence, tone
from tests.peers import Sessions

SPEECH = tone(1.0) + silence(1.0) + tone(0.7)


@asynccontextmanager
async def archiving(directory: Path) -> AsyncIterator[Sessions]:
    """Sessions that are archived; all is written at the end."""
    async with (
        archive(directory) as records,
        open_sessions(ScriptedEngine(), DictationConfig(), records) as registry,
        trio.open_nursery() as nursery,
    ):
        yield Sessions(nursery, registry)


def recording(directory: Path) -> bytes:
    samples = audio.decode(folder(directory) / "input.flac", max_seconds=600)
    return (samples * 32768).astype("<i2").tobytes()


async def test_a_dictation_is_kept_with_its_audio_and_every_message(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with archiving(tmp_path) as server:
        client = server.connect("my session")
        await client.start(context="Laura")
        await client.stop(await client.audio(SPEECH))
        rest = await client.rest()
    found = events(tmp_path)
    assert re.fullmatch(r"\d{6}-ws-my_session-[0-9a-f]{8}", folder(tmp_path).name)
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", folder(tmp_path).parent.name)
    assert recording(tmp_path) == SPEECH
    kinds = [event["type"] for event in found]
    assert kinds[:3] == ["opened", "start", "started"]
    assert sorted(kinds[-3:]) == ["detached", "done", "final"]
    assert found[0]["session_id"] == "my session"
    assert found[1]["context"] == "Laura"
    assert found[kinds.index("stop")]["finalCapturedSeq"] == 27
    assert [event["t_ms"] for event in found] == sorted(event["t_ms"] for event in found)
    told = {"partial", "final", "done"}
    assert [{k: v for k, v in e.items() if k != "t_ms"} for e in found if e["type"] in told] == [
        message for message in rest if message["type"] in told
    ]
    (last_audio,) = [event for event in found if event["type"] == "audio"][-1:]
    assert (last_audio["samples"], last_audio["through_seq"]) == (len(SPEECH) // 2, 27)


async def test_audio_is_kept_in_sequence_and_once_however_it_came(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    pieces = [SPEECH[at : at + 3200] for at in range(0, len(SPEECH), 3200)]
    async with archiving(tmp_path) as server:
        client = server.connect()
        await client.start()
        for sequence in (1, 0, 0, *range(len(pieces) - 1, 1, -1)):
            await client.raw(encode(Frame(sequence, pieces[sequence])))
        await client.stop(len(pieces))
        await client.next("done")
    assert recording(tmp_path) == SPEECH


async def test_a_session_that_is_resumed_goes_on_in_its_folder(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    half = len(SPEECH) // 6400 * 3200
    async with archiving(tmp_path) as server:
        client = server.connect()
        await client.start()
        n_frames = await client.audio(SPEECH[:half])
        await client.acknowledged(n_frames - 1)
        client.hang_up()
        await trio.sleep(7)
        client = server.connect()
        await client.resume()
        await client.stop(await client.audio(SPEECH[half:], first=n_frames))
        await client.next("done")
    assert recording(tmp_path) == SPEECH
    found = events(tmp_path)
    resumed = next(event for event in found if event["type"] == "resume")
    assert resumed["t_ms"] >= 7000
    assert [e["type"] for e in found].count("detached") == 2


async def test_an_error_is_the_last_that_is_kept_of_a_session(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with archiving(tmp_path) as server:
        client = server.connect()
        await client.start()
        await client.audio(tone(0.5))
        await client.raw(b"nonsense")
        await client.rest()
    (error,) = [event for event in events(tmp_path) if event["type"] == "error"]
    assert error["code"] == "unframed_audio"
    assert recording(tmp_path) == tone(0.5)


async def test_a_start_over_a_held_id_begins_a_folder_of_its_own(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with archiving(tmp_path) as server:
        client = server.connect()
        for _ in range(2):
            await client.start()
            await client.audio(tone(0.5))
        await client.stop(5)
        await client.next("done")
    assert len(files(tmp_path, "input.flac")) == 2


async def test_acknowledgements_and_audio_are_noted_once_a_second(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with archiving(tmp_path) as server:
        client = server.connect()
        await client.start()
        for sequence in range(100):
            await client.raw(encode(Frame(sequence, silence(0.1))))
            await trio.sleep(0.1)
        await client.stop(100)
        await client.next("done")
    kinds = [event["type"] for event in events(tmp_path)]
    assert 8 <= kinds.count("ack") <= 12
    assert 8 <= kinds.count("audio") <= 12


async def test_the_partials_of_a_long_dictation_take_no_more_than_their_text(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    words = [f"word{number % 997}" for number in range(3000)]
    texts = [" ".join(words[:n]) + " ?" for n in range(len(words))]
    async with archive(tmp_path) as records:
        record = records.open_session("a")
        for text in texts:
            settled = {"committed": text[:-20], "tentative": text[-20:]}
            record.message(json.dumps({"type": "partial", "partial": text, **settled}))
    file = folder(tmp_path) / "events.jsonl"
    assert file.stat().st_size < 30 * len(texts[-1])
    read, shown = [], {"partial": "", "committed": ""}
    for event in events(tmp_path)[1:]:
        for name, kept in event.get("kept", {}).items():
            shown[name] = event[name] = shown[name][:kept] + event[name]
        assert event["partial"] == event["committed"] + event["tentative"]
        read.append(event["partial"])
    assert read == texts


@given(st.text("ab"), st.text("ab"))
def test_the_common_beginning_of_two_texts(one: str, other: str) -> None:
    length = common_length(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(
        other
    )


async def test_an_archive_that_cannot_be_written_costs_no_word_and_is_told(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no directory")
    async with (
        archive(in_the_way) as records,
        open_sessions(ScriptedEngine(), DictationConfig(), records) as registry,
        trio.open_nursery() as nursery,
    ):
        client = Sessions(nursery, registry).connect()
        await client.start()
        await client.stop(await client.audio(SPEECH))
        final = await client.next("final")
    assert (final["text"], final["recognizedThroughSeq"]) == ("Hello.", 27)
    assert records.status().error in ("File exists", "Not a directory")
    assert records.status().dropped_bytes > len(SPEECH)
    assert "the archive cannot be written" in caplog.text


async def test_a_disk_that_is_too_slow_costs_no_time_and_what_is_lost_is_in_the_events(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer_init = Writer.__init__
    monkeypatch.setattr(
        Writer, "__init__", lambda self, name: writer_init(self, name, max_waiting_bytes=30_000)
    )
    async with archiving(tmp_path) as server:
        client = server.connect()
        await client.start()
        n_frames = await client.audio(tone(8.0))  # 256 kB in an instant
        await client.stop(n_frames)
        assert (await client.next("final"))["recognizedThroughSeq"] == n_frames
    dropped = [event for event in events(tmp_path) if event["type"] == "dropped"][-1]
    assert dropped["audio_bytes"] + len(recording(tmp_path)) == len(tone(8.0))


async def test_nothing_is_kept_when_it_is_turned_off(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with (
        open_archive(replace(configured(), log_dir="")) as records,
        open_sessions(ScriptedEngine(), DictationConfig(), records) as registry,
        trio.open_nursery() as nursery,
    ):
        client = Sessions(nursery, registry).connect()
        await client.start()
        await client.stop(await client.audio(SPEECH))
        await client.next("done")
    assert records.status().body() == {"state": "off"}
    assert files(tmp_path, "*") == []
