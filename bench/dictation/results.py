"""A result of `python -m bench dictation`, as a versioned JSON file."""

from __future__ import annotations

from dataclasses import dataclass

from bench.dictation.metrics import Figures
from bench.dictation.observed import Event
from bench.dictation.processes import Usage
from bench.documents import Document
from bench.results import Origin


@dataclass(frozen=True, slots=True)
class Timeline:
    """One utterance: what was heard when, of a long one in its first minute."""

    clip: str
    text: str
    seconds: float
    """Of what is in it."""
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
class DictationResult(Origin):
    """One call of the command."""

    settings: dict[str, str | bool | int | float]
    corpora: dict[str, str]
    """SHA-256 of recordings, texts and times, by name."""
    runs: tuple[Run, ...]
    capacities: tuple[Capacity, ...]

    @property
    def is_paced(self) -> bool:
        """Whether it was spoken at the speed of speech; otherwise delays mean nothing."""
        return bool(self.settings.get("paced", True))


_DOCUMENT = Document("dictation", 1, DictationResult)
write, read, is_dictation = _DOCUMENT.write, _DOCUMENT.read, _DOCUMENT.holds
