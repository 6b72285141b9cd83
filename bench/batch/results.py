"""A result of `python -m bench batch`, as a versioned JSON file."""

from __future__ import annotations

from dataclasses import dataclass

from bench.documents import Document
from bench.results import Origin


@dataclass(frozen=True, slots=True)
class Throughput:
    """So many recordings at once. ``system``: `polyasr` or `qwen-asr`."""

    system: str
    files: int
    audio: float
    """Seconds, of all of them."""
    seconds: tuple[float, ...]
    """Until the last text was there, in each repeat."""
    cpu: tuple[float | None, ...]
    """Seconds of all cores together, which other work on the machine changes less; None where the
    system's process cannot be looked at."""
    errors: float | None
    """Words that were wrong, as a share of those said; None of random weights."""

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
class BatchResult(Origin):
    """One call of the command."""

    settings: dict[str, str | int | float]
    corpora: dict[str, str]
    """SHA-256 of recordings and texts, by name."""
    throughput: tuple[Throughput, ...]
    film: Film | None
    latencies: tuple[Latency, ...]


_DOCUMENT = Document("batch", 2, BatchResult)
write, read = _DOCUMENT.write, _DOCUMENT.read
