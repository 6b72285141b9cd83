"""The archive as the server uses it, on its event loop: records to write into, and how it is."""

from __future__ import annotations

import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

import trio

from polyasr.archive.sessions import SessionRecord
from polyasr.archive.store import (
    SESSIONS,
    UPLOADS,
    Store,
    compact,
    make_directory,
    new_folder,
    safe_name,
)
from polyasr.archive.uploads import Copy, Upload, UploadRecord
from polyasr.archive.writer import AppendedFile, Writer
from polyasr.health import NO_ARCHIVE, ArchiveStatus
from polyasr.pipeline.record import UNRECORDED, Record, Recorder
from polyasr.settings import Settings

GB = 10**9
SWEEP_EVERY_SEC = 300.0
MAX_COPIES = 64
"""Uploads that wait to be copied."""
COPY_IN_MEMORY_BYTES = 2**20
"""What an upload may hold to wait in memory, not on the disk: as `routes.forms` has it."""
DRAIN_SEC = 3.0
"""At the end, for what waits to be written …"""
COMPACT_SEC = 2.0
"""… and for FLACs; what is not made by then is made at the next start."""


class Archive(Recorder, Protocol):
    """Keeps records of dictations and of uploads."""

    def upload(self, upload: Upload, file: IO[bytes]) -> AbstractContextManager[UploadRecord]:
        """Around the work on an upload, which sets the record; ``file`` stands at its beginning."""
        ...

    def status(self) -> ArchiveStatus:
        """How it is; cheap."""
        ...


class DiskArchive:
    """Two threads write: one what comes, one what takes time (FLACs, copies, removals)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer, self._worker = Writer("archive"), Writer("archive-upkeep")
        self._interrupted = threading.Event()
        self._copies = threading.BoundedSemaphore(MAX_COPIES)

    def open_session(self, session_id: str) -> Record:
        """The record of a dictation that begins now."""
        began = datetime.now().astimezone()
        parent = self._store.root / SESSIONS / f"{began:%Y-%m-%d}"
        name = f"{began:%H%M%S}-ws-{safe_name(session_id)}"

        def make_folder() -> Path:
            folder = new_folder(parent, name, self._store.root)
            self._store.live.add(folder)
            return folder

        opened = {"session_id": session_id, "time": began.isoformat(timespec="milliseconds")}
        return SessionRecord(self._writer, make_folder, opened, self._end_session)

    @contextmanager
    def upload(self, upload: Upload, file: IO[bytes]) -> Iterator[UploadRecord]:
        """Around the work on an upload, which sets the record; ``file`` stands at its beginning."""
        began, began_at = datetime.now().astimezone(), trio.current_time()
        folder = self._store.root / UPLOADS / f"{began:%Y-%m-%d}"
        path = folder / f"{began:%H%M%S}-{uuid.uuid4().hex[:8]}"
        record = UploadRecord()
        copied = self._begin_copy(upload, file, path)
        try:
            yield record
        finally:
            if copied:
                seconds = trio.current_time() - began_at
                document = upload.document(began, seconds, record)
                self._worker.call(lambda: self._end_upload(path, document))

    def status(self) -> ArchiveStatus:
        """How it is."""
        threads = (self._writer, self._worker)
        return ArchiveStatus(
            enabled=True,
            error=next((each.last_error for each in threads if each.last_error), None),
            dropped_bytes=sum(each.dropped_bytes for each in threads),
        )

    async def keep(self) -> None:
        """Tidy up after a crash, then remove what has had its time; runs until cancelled."""
        self._worker.call(lambda: self._store.tidy_after_crash(self._interrupted.is_set))
        while True:
            self._worker.call(lambda: self._store.sweep(datetime.now()))
            await trio.sleep(SWEEP_EVERY_SEC)

    def close(self) -> None:
        """Write what is left. Blocks for some seconds at most."""
        self._writer.close(DRAIN_SEC)
        self._worker.close(COMPACT_SEC)
        self._interrupted.set()
        self._store.release()

    def _end_session(self, folder: Path) -> None:
        self._worker.call(lambda: self._compact(folder))

    def _compact(self, folder: Path) -> None:
        try:
            compact(folder, self._interrupted.is_set)
        finally:
            self._store.live.discard(folder)

    def _begin_copy(self, upload: Upload, file: IO[bytes], path: Path) -> bool:
        """False when too many wait already."""
        if not self._copies.acquire(blocking=False):
            self._worker.lose(upload.n_bytes, "the disk is too slow")
            return False
        copy = Copy(file, upload.n_bytes, COPY_IN_MEMORY_BYTES)

        def work() -> None:
            try:
                if not self._interrupted.is_set():
                    make_directory(path.parent, self._store.root)
                    self._store.live.add(path)
                    copy.write(path.with_suffix(upload.suffix))
            except OSError as error:
                self._worker.lose(upload.n_bytes, error.strerror or str(error))
                raise
            finally:
                copy.close()
                self._copies.release()

        self._worker.call(work)
        return True

    def _end_upload(self, path: Path, document: bytes) -> None:
        make_directory(path.parent, self._store.root)
        AppendedFile(lambda: path.with_suffix(".json")).append(document)
        self._store.live.discard(path)


class NoArchive:
    """Where nothing is kept."""

    def open_session(self, session_id: str) -> Record:
        """Nothing."""
        return UNRECORDED

    @contextmanager
    def upload(self, upload: Upload, file: IO[bytes]) -> Iterator[UploadRecord]:
        """Nothing."""
        yield UploadRecord()

    def status(self) -> ArchiveStatus:
        """Off."""
        return NO_ARCHIVE


@asynccontextmanager
async def open_archive(settings: Settings) -> AsyncIterator[Archive]:
    """The archive that the settings ask for, for as long as the server runs."""
    if not settings.log_dir:
        yield NoArchive()
        return
    archive = DiskArchive(_store(settings))
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(archive.keep)
            yield archive
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(archive.close)


def _store(settings: Settings) -> Store:
    """What is relative is meant from here, also when the directory is changed later."""
    root = Path(settings.log_dir).expanduser().absolute()
    return Store(root, settings.log_max_gb * GB, settings.log_max_days)
