"""The disk's troubles stay with the thread that writes."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from polyasr.archive.writer import AppendedFile, Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def appended(path: Path) -> AppendedFile:
    return AppendedFile(lambda: path)


def test_what_is_appended_is_there_in_order_once_it_is_closed(path: Path) -> None:
    writer, file = Writer("test"), appended(path)
    for number in range(1000):
        writer.append(file, b"%d\n" % number)
    writer.close(10)
    assert path.read_text().split() == [str(number) for number in range(1000)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert (writer.dropped_bytes, writer.last_error) == (0, None)


def test_work_is_done_after_what_was_handed_over_before_it(path: Path) -> None:
    writer, file, seen = Writer("test"), appended(path), []
    for _ in range(5):
        writer.append(file, b"x")
        writer.call(lambda: seen.append(path.stat().st_size))
    writer.close(10)
    assert all(size > number for number, size in enumerate(seen))
    assert len(seen) == 5


def test_a_disk_that_hangs_costs_a_bounded_memory_and_what_is_lost_is_counted(path: Path) -> None:
    goes_on = threading.Event()

    def hang() -> Path:
        goes_on.wait()
        return path

    writer, file = Writer("test", max_waiting_bytes=1000), AppendedFile(hang)
    for _ in range(10):
        writer.append(file, bytes(300))
    assert (writer.dropped_bytes, file.lost) == (7 * 300, 7 * 300)
    assert writer.last_error == "the disk is too slow"
    goes_on.set()
    writer.close(10)
    assert path.stat().st_size == 900


def test_what_a_full_disk_has_torn_is_overwritten_when_there_is_room_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite, room = os.pwrite, [5]

    def full(descriptor: int, data: bytes, at: int) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = pwrite(descriptor, data[: room[0]], at)
        room[0] -= written
        return written

    monkeypatch.setattr(os, "pwrite", full)
    file = appended(path)
    file.append(b"abc")
    with pytest.raises(OSError, match="No space left"):
        file.append(b"defg")
    assert path.read_bytes() == b"abcde"
    room[0] = 1000
    file.append(b"hij!")
    assert path.read_bytes() == b"abchij!"


def test_an_error_is_told_until_something_works_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer, file = Writer("test"), appended(tmp_path / "missing" / "file")
    writer.append(file, b"ab")
    writer.close(10)
    assert writer.last_error == "No such file or directory"
    assert (writer.dropped_bytes, file.lost) == (2, 2)
    assert "No such file or directory; 0 bytes lost so far" in caplog.text

    working = Writer("test")
    working.append(file, b"ab")
    working.append(appended(tmp_path / "there"), b"ab")
    working.close(10)
    assert working.last_error is None
    assert working.dropped_bytes == 2


def test_a_fault_of_ours_does_not_end_the_thread(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Writer("test")
    writer.call(lambda: 1 / 0)  # type: ignore[arg-type]
    writer.append(appended(path), b"ab")
    writer.close(10)
    assert path.read_bytes() == b"ab"
    assert "a fault in the archive" in caplog.text
