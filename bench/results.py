"""A result: what was measured, and all that it depends on, as a versioned JSON file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
"""Counts changes after which older files can no longer be read."""


class BadResult(ValueError):
    """The file is no result that this version can read."""


@dataclass(frozen=True, slots=True)
class Host:
    """The machine. Times of one say nothing about another."""

    system: str
    cpu: str
    cores: int
    """Those that this process may use."""
    memory_gib: int
    gpu: str | None
    """The one that was used."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What of the project ran. ``dirty``: tracked files had changes that no commit has."""

    hash: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Measurement:
    """The cost of one thing, in every repeat of the run.

    ``what`` is one of `WHAT`, ``at`` its number: seconds of audio, or streams.
    """

    what: str
    strategy: str
    at: int
    seconds: tuple[float, ...]
    """Of compute, one for each repeat."""
    encoder_tokens: int
    """Audio tokens that went through the encoder."""
    decoder_tokens: int
    """Positions that went through the decoder."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the process, or on the GPU where one is used."""

    rest: int
    """With the models loaded and nothing to do."""
    peak: int


WHAT = {
    "partial": "audio so far, s",
    "final": "final after, s",
    "recording": "all partials of, s",
    "streams": "streams, a partial each",
    "stream tokens": "streams, a token each",
}
"""The kinds of measurement, and what their number counts."""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of a measurement."""

    date: str
    """ISO 8601, UTC."""
    host: Host
    commit: Commit | None
    """None outside a git repository."""
    packages: dict[str, str]
    settings: dict[str, str | int]
    measurements: tuple[Measurement, ...]
    memory: dict[str, Memory]
    """By strategy; empty where the system does not tell."""
    outputs: dict[str, tuple[str, ...]]
    """By strategy, the SHA-256 of the tokens its model wrote; several if repeats differed."""


def write(result: Result, file: Path) -> None:
    """Write a result for `read`. Raises OSError."""
    document = {"schema": SCHEMA, **dataclasses.asdict(result)}
    file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read(file: Path) -> Result:
    """Read what `write` wrote. Raises BadResult, and OSError."""
    try:
        document = json.loads(file.read_text("utf-8"))
        schema = document.pop("schema")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise BadResult(f"{file} is not a result of `python -m bench engine`") from error
    if schema != SCHEMA:
        raise BadResult(f"{file} has schema {schema}; this version reads schema {SCHEMA}")
    try:
        return _parsed(document)
    except (TypeError, KeyError, AttributeError) as error:
        raise BadResult(f"{file} is not a whole result: {error}") from error


def _parsed(document: dict[str, Any]) -> Result:
    measurements = [
        Measurement(**entry | {"seconds": tuple(entry["seconds"])})
        for entry in document["measurements"]
    ]
    commit = document["commit"]
    return Result(
        **document
        | {
            "host": Host(**document["host"]),
            "commit": commit and Commit(**commit),
            "measurements": tuple(measurements),
            "memory": {name: Memory(**memory) for name, memory in document["memory"].items()},
            "outputs": {name: tuple(hashes) for name, hashes in document["outputs"].items()},
        }
    )
