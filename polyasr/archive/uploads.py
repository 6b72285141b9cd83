"""The record of one upload: its file, and beside it a JSON document about what became of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import IO

PIECE_BYTES = 2**20
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


@dataclass(slots=True)
class UploadRecord:
    """What became of an upload: ``text`` is for its route to set, ``status`` an HTTP status."""

    text: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """What came: to which address, with which fields, under which file name."""

    endpoint: str
    fields: Mapping[str, Sequence[str]]
    filename: str
    n_bytes: int

    @property
    def suffix(self) -> str:
        """The file's own, if it can be one."""
        suffix = PurePath(self.filename).suffix
        return suffix if SUFFIX.fullmatch(suffix) and suffix != ".json" else ".bin"

    def document(self, began: datetime, seconds: float, record: UploadRecord) -> bytes:
        """The JSON beside it; ``seconds``: how long it took."""
        about = {
            "time": began.isoformat(timespec="milliseconds"),
            "endpoint": self.endpoint,
            "filename": self.filename,
            "bytes": self.n_bytes,
            "fields": {name: list(values) for name, values in self.fields.items()},
            "status": record.status,
            "seconds": round(seconds, 3),
            "text": record.text,
        }
        return (json.dumps(about, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace")


class Copy:
    """An uploaded file that outlives its request: in memory while it is small, else by a descriptor
    of its own of the unnamed file that holds it, which takes neither memory nor time."""

    def __init__(self, file: IO[bytes], n_bytes: int, max_memory: int) -> None:
        """``file`` stands at its beginning, and is left there."""
        self._data = b""
        self._descriptor: int | None = None
        if n_bytes <= max_memory:
            self._data = file.read()
            file.seek(0)
        else:
            file.flush()
            self._descriptor = os.dup(file.fileno())

    def write(self, path: Path) -> None:
        """Write it to a new file. Raises OSError."""
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(target, "wb") as out:
            out.write(self._data)
            at = 0  # the position belongs to the request, which reads at the same time
            while self._descriptor is not None:
                piece = os.pread(self._descriptor, PIECE_BYTES, at)
                if not piece:
                    return
                out.write(piece)
                at += len(piece)

    def close(self) -> None:
        """Let go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
