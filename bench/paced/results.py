"""A result of `python -m bench paced`, as a versioned JSON file."""

from __future__ import annotations

from dataclasses import dataclass

from bench.documents import Document
from bench.results import Origin


@dataclass(frozen=True, slots=True)
class Paced:
    """So many streams at the speed of speech. Times in seconds, from when the last of the audio
    was said that an answer is about."""

    streams: int
    seconds: float
    """Of each stream, that were measured."""
    partials: tuple[float, ...]
    finals: tuple[float, ...]
    cores: float
    """Seconds of CPU time a second."""

    @property
    def answered(self) -> float:
        """Answers as a share of those due, one a second of each stream: who is late skips some."""
        return (len(self.partials) + len(self.finals)) / (self.streams * self.seconds)


@dataclass(frozen=True, slots=True)
class PacedResult(Origin):
    """One call of the command."""

    settings: dict[str, str | int]
    runs: tuple[Paced, ...]


_DOCUMENT = Document("paced", 1, PacedResult)
write, read = _DOCUMENT.write, _DOCUMENT.read
