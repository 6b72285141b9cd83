"""An archive in a directory of the test's own."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyasr.archive import Archive, open_archive
from tests.fakes import configured


def archive(directory: Path, **changes: Any) -> AbstractAsyncContextManager[Archive]:
    """All is written when it is closed."""
    return open_archive(replace(configured(), log_dir=str(directory), **changes))


def folder(directory: Path) -> Path:
    """The folder of the only session."""
    (found,) = directory.glob("sessions/*/*")
    return found


def events(directory: Path) -> list[dict[str, Any]]:
    """The events of the only session."""
    lines = (folder(directory) / "events.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def files(directory: Path, pattern: str) -> list[Path]:
    """All files of such a name in a directory and those below it."""
    return sorted(directory.rglob(pattern))
