"""What was measured of the engine, and all that it depends on."""

from __future__ import annotations

from dataclasses import dataclass

from bench.documents import Document


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
class Origin:
    """Where a result comes from."""

    date: str
    """ISO 8601, UTC."""
    host: Host
    commit: Commit | None
    """None outside a git repository."""
    packages: dict[str, str]


@dataclass(frozen=True, slots=True)
class Result(Origin):
    """One run of a measurement."""

    settings: dict[str, str | int]
    measurements: tuple[Measurement, ...]
    memory: dict[str, Memory]
    """By strategy; empty where the system does not tell."""
    outputs: dict[str, tuple[str, ...]]
    """By strategy, the SHA-256 of the tokens its model wrote; several if repeats differed."""


_DOCUMENT = Document("engine", 2, Result)
write, read = _DOCUMENT.write, _DOCUMENT.read
