"""A result of `python -m bench dictation`, as a versioned JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bench.dictation.metrics import Figures
from bench.dictation.observed import Event
from bench.dictation.processes import Usage
from bench.results import BadResult, Commit, Host

KIND = "dictation"
SCHEMA = 1
"""Counts changes after which older files can no longer be read."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """One utterance: what was heard when."""

    clip: str
    text: str
    seconds: float
    onset: float
    end: float
    levels: tuple[float, ...]
    """Of the audio, in [0, 1], in pieces of equal length."""
    words: tuple[tuple[str, float, float], ...]
    """Text, start and end of each word, where they are known."""
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One system, some clips, so many streams at a time."""

    system: str
    adapter: str
    described: dict[str, str]
    """What the server says of itself; ``weights`` is the SHA-256 of its model's."""
    clips: str
    """The name of the corpus in `DictationResult.corpora`."""
    streams: int
    network: str
    seconds: float
    """Wall clock from the first stream's start to the last one's end."""
    cold: Figures | None
    """The first clip after the server's start, spoken alone before the others."""
    figures: tuple[Figures, ...]
    usage: Usage | None
    timeline: Timeline | None

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes it the same measurement in another result."""
        return self.system, self.clips, self.streams, self.network

    @property
    def audio(self) -> float:
        """Seconds of audio, of all clips."""
        return sum(each.seconds for each in self.figures)


@dataclass(frozen=True, slots=True)
class Objective:
    """What 95 of 100 have to stay within, in seconds."""

    first_partial: float = 0.9
    """From the onset of speech: 0.6 s after the 0.3 s of it that there has to be."""
    final: float = 0.3
    """After the last byte of the audio."""
    commit_lag: float = 1.2
    """Of servers that promise nothing: the time until a word stands."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many streams a system holds at the objective; 0: not even one."""

    system: str
    objective: Objective
    streams: int
    runs: tuple[Run, ...]
    """Those that were tried, by the number of streams."""


@dataclass(frozen=True, slots=True)
class DictationResult:
    """One call of the command."""

    date: str
    """ISO 8601, UTC."""
    host: Host
    commit: Commit | None
    packages: dict[str, str]
    settings: dict[str, str | bool | int | float]
    corpora: dict[str, str]
    """SHA-256 of recordings, texts and times, by name."""
    runs: tuple[Run, ...]
    capacities: tuple[Capacity, ...]

    @property
    def is_paced(self) -> bool:
        """Whether it was spoken at the speed of speech; otherwise delays mean nothing."""
        return bool(self.settings.get("paced", True))


def write(result: DictationResult, file: Path) -> None:
    """Write a result for `read`. Raises OSError."""
    body = TypeAdapter(DictationResult).dump_python(result, mode="json")
    document = {"schema": SCHEMA, "kind": KIND, **body}
    file.write_text(json.dumps(document, ensure_ascii=False) + "\n", "utf-8")


def is_dictation(file: Path) -> bool:
    """Whether it is a result of this command rather than of another. Raises OSError."""
    try:
        return bool(json.loads(file.read_text("utf-8"))["kind"] == KIND)
    except (ValueError, KeyError, TypeError):
        return False


def read(file: Path) -> DictationResult:
    """Read what `write` wrote. Raises BadResult, and OSError."""
    if not is_dictation(file):
        raise BadResult(f"{file} is not a result of `python -m bench dictation`")
    document = json.loads(file.read_text("utf-8"))
    if document["schema"] != SCHEMA:
        raise BadResult(f"{file} has schema {document['schema']}; this version reads {SCHEMA}")
    try:
        return TypeAdapter(DictationResult).validate_python(document)
    except ValidationError as error:
        raise BadResult(f"{file} is not a whole result: {error}") from error
