"""The archive's directory over the years: names, crashes, limits."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyasr import audio
from polyasr.archive.store import Store, compact, new_folder, safe_name
from polyasr.samples import from_pcm16

NOW = datetime(2026, 11, 21, 12, 0, 0)
LONG_AGO = time.time() - 10 * 86_400


def never() -> bool:
    return False


def noise(n_samples: int) -> bytes:
    return np.random.default_rng(n_samples).integers(-(2**15), 2**15, n_samples, "<i2").tobytes()


def session(root: Path, began: str, *, pcm: bytes = b"", flac_bytes: int = 0) -> Path:
    """A session's folder of some size, as it was left."""
    folder = root / "sessions" / began
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text("{}\n")
    if pcm:
        (folder / "input.pcm").write_bytes(pcm)
        os.utime(folder / "input.pcm", (LONG_AGO, LONG_AGO))
    if flac_bytes:
        (folder / "input.flac").write_bytes(bytes(flac_bytes))
    return folder


def upload(root: Path, began: str, n_bytes: int) -> Path:
    file = root / "http" / began
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".wav").write_bytes(bytes(n_bytes))
    file.with_suffix(".json").write_text("{}")
    return file


def kept(root: Path) -> list[str]:
    """What there is, by when it began."""
    found = [*root.glob("sessions/*/*"), *root.glob("http/*/*.json")]
    return sorted(f"{path.parent.name}/{path.stem}" for path in found)


@given(st.text(max_size=256))
def test_any_session_id_is_a_file_name_and_no_two_are_the_same(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name.encode()) <= 64
    assert not set(name) & set("/\\.\0 ")
    assert (safe_name(text + "x") != name) and (
        safe_name(text.upper()) != name or text == text.upper()
    )


@pytest.mark.parametrize("hostile", ["../../etc", "/", "..", "", "a/b", "a\0b", "a" * 300, "日本"])
def test_a_hostile_id_stays_in_its_day(hostile: str, tmp_path: Path) -> None:
    day = tmp_path / "sessions" / "2026-11-21"
    folder = new_folder(day, f"120000-ws-{safe_name(hostile)}", tmp_path)
    assert folder.resolve().parent == day.resolve()


def test_two_sessions_of_one_id_and_second_have_folders_of_their_own(tmp_path: Path) -> None:
    day = tmp_path / "sessions" / "2026-11-21"
    names = [new_folder(day, "120000-ws-a", tmp_path).name for _ in range(3)]
    assert names == ["120000-ws-a", "120000-ws-a-2", "120000-ws-a-3"]
    assert day.stat().st_mode & 0o777 == 0o700
    assert (day / names[0]).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("n_samples", [1, 100, 4608, 16_000 * 12 + 7])
def test_the_flac_holds_every_sample(n_samples: int, tmp_path: Path) -> None:
    pcm16 = noise(n_samples)
    folder = session(tmp_path, "2026-11-20/120000-ws-a", pcm=pcm16)
    compact(folder, never)
    decoded = audio.decode(folder / "input.flac", max_seconds=60)
    assert np.array_equal(decoded, from_pcm16(pcm16))
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "input.flac"]


def test_half_a_sample_that_a_crash_has_left_is_left_out(tmp_path: Path) -> None:
    pcm16 = noise(1000)
    folder = session(tmp_path, "2026-11-20/120000-ws-a", pcm=pcm16 + b"\x01")
    compact(folder, never)
    decoded = audio.decode(folder / "input.flac", max_seconds=60)
    assert np.array_equal(decoded, from_pcm16(pcm16))


def test_a_crash_at_any_point_of_making_the_flac_is_made_good_at_the_next_start(
    tmp_path: Path,
) -> None:
    pcm16 = noise(1000)
    torn = session(tmp_path, "2026-11-20/120000-ws-torn", pcm=pcm16)
    (torn / "input.flac.part").write_bytes(b"fLaC half of it")
    done = session(tmp_path, "2026-11-20/120000-ws-done", pcm=pcm16)
    compact(done, never)
    (done / "input.pcm").write_bytes(pcm16)
    Store(tmp_path, 0, 0).tidy_after_crash(never)
    for folder in (torn, done):
        assert np.array_equal(
            audio.decode(folder / "input.flac", max_seconds=60), from_pcm16(pcm16)
        )
        assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "input.flac"]


def test_making_a_flac_stops_when_the_server_does(tmp_path: Path) -> None:
    folder = session(tmp_path, "2026-11-20/120000-ws-a", pcm=noise(1000))
    compact(folder, lambda: True)
    assert sorted(path.name for path in folder.iterdir()) == ["events.jsonl", "input.pcm"]


def test_a_second_server_on_the_directory_leaves_the_recordings_of_the_first(
    tmp_path: Path,
) -> None:
    first, second = Store(tmp_path, 0, 0), Store(tmp_path, 0, 0)
    first.tidy_after_crash(never)
    folder = session(tmp_path, "2026-11-20/120000-ws-a", pcm=noise(1000))
    second.tidy_after_crash(never)
    assert (folder / "input.pcm").exists()
    first.release()
    second.release()
    third = Store(tmp_path, 0, 0)
    third.tidy_after_crash(never)
    third.release()
    assert (folder / "input.flac").exists()


def test_what_is_older_than_the_limit_of_days_goes(tmp_path: Path) -> None:
    for day in ("2026-10-21", "2026-10-22", "2026-11-21"):
        session(tmp_path, f"{day}/120000-ws-a", flac_bytes=10)
        upload(tmp_path, f"{day}/120001-0a1b2c3d", 10)
    Store(tmp_path, 0, 30).sweep(NOW)
    assert {began.partition("/")[0] for began in kept(tmp_path)} == {"2026-10-22", "2026-11-21"}
    assert not (tmp_path / "sessions" / "2026-10-21").exists()
    assert not (tmp_path / "http" / "2026-10-21").exists()


def test_the_oldest_go_while_there_is_more_than_the_limit_of_bytes(tmp_path: Path) -> None:
    session(tmp_path, "2026-11-19/120000-ws-a", flac_bytes=1000)
    upload(tmp_path, "2026-11-19/120001-0a1b2c3d", 1000)
    session(tmp_path, "2026-11-20/090000-ws-b", flac_bytes=1000)
    upload(tmp_path, "2026-11-20/120001-0a1b2c3d", 1000)
    Store(tmp_path, 2500, 0).sweep(NOW)
    assert kept(tmp_path) == ["2026-11-20/090000-ws-b", "2026-11-20/120001-0a1b2c3d"]
    assert not list(tmp_path.glob("http/2026-11-19/*"))


def test_what_is_being_written_stays_whatever_its_size(tmp_path: Path) -> None:
    store = Store(tmp_path, 10, 1)
    store.live.add(session(tmp_path, "2026-01-01/120000-ws-a", flac_bytes=1000))
    store.live.add(upload(tmp_path, "2026-01-01/120001-0a1b2c3d", 1000))
    of_another_server = session(tmp_path, "2026-01-02/120000-ws-b", pcm=bytes(1000))
    os.utime(of_another_server / "input.pcm")
    store.sweep(NOW)
    assert len(kept(tmp_path)) == 3


def test_nothing_that_the_archive_did_not_write_is_removed(tmp_path: Path) -> None:
    for name in (
        "mine.txt",
        "sessions/notes/a",
        "sessions/2000-01-01/thesis",
        "http/2000/120000-a",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(1000))
    before = sorted(tmp_path.rglob("*"))
    Store(tmp_path, 1, 1).sweep(NOW)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_limits_keep_everything(tmp_path: Path) -> None:
    session(tmp_path, "2000-01-01/120000-ws-a", flac_bytes=1000)
    Store(tmp_path, 0, 0).sweep(NOW)
    assert kept(tmp_path) == ["2000-01-01/120000-ws-a"]
