"""The threads that write, so that whatever the disk does takes nobody else's time."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 * 2**20
"""What waits for the disk at most; 200 dictations bring it in ten seconds."""
ROUND_SEC = 0.05
"""At most so often is written, all that has come since, each file once. It is also what the death
of this process loses."""
WARN_EVERY_SEC = 60.0
LOWER_PRIORITY = 10
"""In the units of nice(2)."""


class AppendedFile:
    """A file that grows. Only whole appends count: what a full disk tears, the next one overwrites.

    It is open only while it is written to, so that many of them need no descriptors.
    """

    def __init__(self, path: Callable[[], Path]) -> None:
        """``path`` is asked for on the writing thread."""
        self._path = path
        self._length = 0
        self.lost = 0
        """Bytes that could not be written."""

    def append(self, data: bytes) -> None:
        """Raises OSError."""
        descriptor = os.open(self._path(), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            left, at = memoryview(data), self._length
            while left:
                written = os.pwrite(descriptor, left, at)
                left, at = left[written:], at + written
        finally:
            os.close(descriptor)
        self._length += len(data)


class Writer:
    """A thread that appends to files and does other work with the disk, and how that goes.

    ``dropped_bytes``: what was not written because the disk failed or was too slow.
    ``last_error``: why the last thing that was tried failed, None when it did not.
    """

    def __init__(self, name: str, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self.dropped_bytes = 0
        self.last_error: str | None = None
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting_bytes = 0
        self._pieces: dict[AppendedFile, list[bytes]] = {}
        self._work: list[Callable[[], None]] = []
        self._closing = False
        self._warned_at = float("-inf")
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"polyasr-{name}", daemon=True)
        self._thread.start()

    def append(self, file: AppendedFile, data: bytes) -> None:
        """Append soon. Too much that waits already is lost, and counted."""
        with self._changed:
            if self._waiting_bytes + len(data) > self._max_waiting_bytes:
                file.lost += len(data)
                self.lose(len(data), "the disk is too slow")
                return
            self._waiting_bytes += len(data)
            self._pieces.setdefault(file, []).append(data)
            self._changed.notify()

    def call(self, work: Callable[[], None]) -> None:
        """Do this after all that was handed over before; it may raise OSError."""
        with self._changed:
            self._work.append(work)
            self._changed.notify()

    def lose(self, n_bytes: int, why: str) -> None:
        """Count what is not written, and say so."""
        with self._changed:
            self.dropped_bytes += n_bytes
        self.last_error = why
        self._warn(why)

    def close(self, patience: float) -> None:
        """Do what is left, for so many seconds. Blocks."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(patience)

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER_PRIORITY)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pieces or self._work or self._closing)
                if self._closing and not (self._pieces or self._work):
                    return
                pieces, self._pieces = self._pieces, {}
                work, self._work = self._work, []
            for file, parts in pieces.items():
                self._append(file, b"".join(parts))
            for each in work:
                self._try(each)
            if not self._closing:
                time.sleep(ROUND_SEC)

    def _append(self, file: AppendedFile, data: bytes) -> None:
        done = self._try(lambda: file.append(data))
        with self._changed:
            self._waiting_bytes -= len(data)
            if not done:
                file.lost += len(data)
                self.lose(len(data), self.last_error or "")

    def _try(self, work: Callable[[], None]) -> bool:
        try:
            work()
        except OSError as error:
            self.last_error = error.strerror or str(error)
            self._warn(self.last_error)
            return False
        except Exception:
            log.exception("a fault in the archive")
            self.last_error = "an internal error; the log says more"
            return False
        self.last_error = None
        return True

    def _warn(self, why: str) -> None:
        if time.monotonic() - self._warned_at >= WARN_EVERY_SEC:
            self._warned_at = time.monotonic()
            log.warning(
                "the archive cannot be written: %s; %d bytes lost so far", why, self.dropped_bytes
            )
