"""A result of `python -m bench batch`, as a versioned JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.results import BadResult, Commit, Host

KIND = "batch"
SCHEMA = 1
"""Counts changes after which older files can no longer be read."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """So many recordings at once. ``system``: `polyasr` or `qwen-asr`."""

    system: str
    files: int
    audio: float
    """Seconds, of all of them."""
    seconds: tuple[float, ...]
    """Until the last text was there, in each repeat."""
    errors: float
    """Words that were wrong, as a share of those said."""

    @property
    def speed(self) -> tuple[float, ...]:
        """RTFx: seconds of audio a second, in each repeat."""
        return tuple(self.audio / seconds for seconds in self.seconds)


@dataclass(frozen=True, slots=True)
class Film:
    """One long recording, streamed. Times in seconds from the start of the request."""

    audio: float
    first_event: float
    """Its first text."""
    done: float
    rest: float | None
    """Memory of the server before, in MB; None where it cannot be told."""
    peak: float | None


@dataclass(frozen=True, slots=True)
class Latency:
    """Dictations, one after the other; in seconds, None for what never came."""

    beside: str
    """What else the server did: `nothing` or `a film`."""
    first_partial: tuple[float | None, ...]
    """From the onset of speech."""
    final: tuple[float | None, ...]
    """From the last byte of audio."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One call of the command."""

    date: str
    """ISO 8601, UTC."""
    host: Host
    commit: Commit | None
    packages: dict[str, str]
    settings: dict[str, str | int | float]
    corpora: dict[str, str]
    """SHA-256 of recordings and texts, by name."""
    throughput: tuple[Throughput, ...]
    film: Film | None
    latencies: tuple[Latency, ...]


def write(result: BatchResult, file: Path) -> None:
    """Write a result for `read`. Raises OSError."""
    body = TypeAdapter(BatchResult).dump_python(result, mode="json")
    document = {"schema": SCHEMA, "kind": KIND, **body}
    file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read(file: Path) -> BatchResult:
    """Read what `write` wrote. Raises BadResult, and OSError."""
    try:
        document = json.loads(file.read_text("utf-8"))
        if (document["kind"], document["schema"]) != (KIND, SCHEMA):
            raise BadResult(f"{file} is not a result of `python -m bench batch` of this version")
        return TypeAdapter(BatchResult).validate_python(document)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        if isinstance(error, BadResult):
            raise
        raise BadResult(f"{file} is not a result of `python -m bench batch`: {error}") from error
