"""The archive's directory: names, what a crash has left behind, and how long things stay.

    sessions/YYYY-MM-DD/HHMMSS-ws-SESSION/   one folder a dictation
    http/YYYY-MM-DD/HHMMSS-ID.EXT, .json     two files an upload

Only what has such a name is ever removed, and directories are for their owner alone.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from polyasr.archive.flac import Interrupted, encode

SESSIONS, UPLOADS = "sessions", "http"
PCM, FLAC, EVENTS = "input.pcm", "input.flac", "events.jsonl"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
ENTRY = re.compile(r"(\d{6}-[^.]+)(\.\w+)*")
PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Ids that are file names as they are."""
LIVE_SEC = 86_400.0
"""A recording without a FLAC that was written to no longer ago may be another server's."""
SAME_SECOND = 1000
"""Folders of one id and second that are told apart."""


def safe_name(text: str) -> str:
    """A file name for any text: itself where that can be, else what is left of it and a hash."""
    if PLAIN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub('[^A-Za-z0-9_-]+', '_', text)[:48]}-{digest}"


def make_directory(path: Path, root: Path) -> None:
    """Make a directory below the archive's root, readable by its owner alone. Raises OSError."""
    if path != root:
        make_directory(path.parent, root)
        with suppress(FileExistsError):
            path.mkdir(0o700)
    elif not path.is_dir():
        path.mkdir(0o700, parents=True, exist_ok=True)


def new_folder(parent: Path, name: str, root: Path) -> Path:
    """Make a folder that was not there, with a number behind its name if need be."""
    make_directory(parent, root)
    for number in range(1, SAME_SECOND):
        path = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            path.mkdir(0o700)
            return path
    raise FileExistsError(f"{parent / name} and its like are all there")


def compact(folder: Path, interrupted: Callable[[], bool]) -> None:
    """Turn a session's PCM into FLAC. Raises OSError; does nothing when interrupted.

    A FLAC under its name is whole, so what comes after a crash in any place ends the same.
    """
    pcm, part = folder / PCM, folder / f"{FLAC}.part"
    if not pcm.exists():
        return
    if not (folder / FLAC).exists() and pcm.stat().st_size >= 2:
        try:
            encode(pcm, part, interrupted)
            part.chmod(0o600)
            part.rename(folder / FLAC)
        except Interrupted:
            return
        finally:
            part.unlink(missing_ok=True)
    pcm.unlink()


@dataclass(frozen=True, slots=True)
class Entry:
    """A session or an upload: its files, when it began (as a text that sorts), and its size."""

    began: str
    paths: tuple[Path, ...]
    n_bytes: int
    is_live: bool = False


@dataclass(slots=True)
class Store:
    """The directory, with its limits; 0 for none. ``live``: folders that are being written to."""

    root: Path
    max_bytes: int
    max_days: int
    live: set[Path] = field(default_factory=set)
    _lock: int | None = None

    def tidy_after_crash(self, interrupted: Callable[[], bool]) -> None:
        """Make FLACs of what a crash has left, if no other server writes here. Raises OSError."""
        make_directory(self.root, self.root)
        self._lock = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            for pcm in sorted((self.root / SESSIONS).glob(f"*/*/{PCM}")):
                if pcm.parent not in self.live and not interrupted():
                    compact(pcm.parent, interrupted)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def release(self) -> None:
        """This server writes here no more."""
        if self._lock is not None:
            os.close(self._lock)

    def sweep(self, now: datetime) -> None:
        """Remove what is too old, then the oldest while there is too much. Raises OSError."""
        make_directory(self.root, self.root)
        if not os.access(self.root, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), self.root)
        entries = sorted(self._entries(), key=lambda entry: entry.began)
        kept_bytes = sum(entry.n_bytes for entry in entries)
        oldest_day = f"{now - timedelta(days=self.max_days):%Y-%m-%d}" if self.max_days else ""
        for entry in entries:
            too_much = self.max_bytes and kept_bytes > self.max_bytes
            if not entry.is_live and (too_much or entry.began < oldest_day):
                _remove(entry)
                kept_bytes -= entry.n_bytes

    def _entries(self) -> Iterator[Entry]:
        for folder in _named(self.root / SESSIONS, DAY):
            yield from (self._session(each) for each in _named(folder, ENTRY))
        for folder in _named(self.root / UPLOADS, DAY):
            uploads: dict[str, list[Path]] = {}
            for path in _named(folder, ENTRY):
                uploads.setdefault(path.name.partition(".")[0], []).append(path)
            for name, paths in uploads.items():
                n_bytes = sum(path.stat().st_size for path in paths)
                is_live = folder / name in self.live
                yield Entry(f"{folder.name}/{name}", tuple(paths), n_bytes, is_live)

    def _session(self, folder: Path) -> Entry:
        sizes = {path.name: path.stat() for path in folder.iterdir()}
        pcm = sizes.get(PCM)
        is_live = folder in self.live or (pcm is not None and time.time() - pcm.st_mtime < LIVE_SEC)
        n_bytes = sum(stat.st_size for stat in sizes.values())
        return Entry(f"{folder.parent.name}/{folder.name}", (folder,), n_bytes, is_live)


def _named(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]


def _remove(entry: Entry) -> None:
    for path in entry.paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    with suppress(OSError):  # there is more of that day
        entry.paths[0].parent.rmdir()
