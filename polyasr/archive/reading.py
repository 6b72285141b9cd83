"""Archived dictations, read again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from polyasr import audio
from polyasr.archive.store import EVENTS, FLAC, PCM
from polyasr.errors import ConfigurationError, PolyasrError
from polyasr.protocol.messages import Flush, Mark, Start
from polyasr.samples import to_pcm16

LONGEST_SEC = 7 * 86_400.0
"""Longer than any session may be."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """When what was told, in seconds after the session began; None: never.

    ``final`` is after the stop that it answers. ``partials`` counts those that were told.
    """

    first_partial: float | None
    partials: int
    final: float | None


@dataclass(frozen=True, slots=True)
class ArchivedSession:
    """``pcm16``: the audio that was held, 16 kHz mono. ``text``: the final's, None without one.

    ``requests``: what was asked on the way, each behind so many samples; what a client asked again
    after it had lost its connection is there once. ``dropped_bytes``: of the audio, what the
    archive lacks.
    """

    folder: Path
    start: Start
    pcm16: bytes
    requests: tuple[tuple[int, Flush | Mark], ...]
    text: str | None
    timeline: Timeline
    dropped_bytes: int


def find_sessions(directory: Path) -> list[Path]:
    """The folders of the sessions in a directory, itself one perhaps, in the order of their names.

    Raises ConfigurationError where there is none.
    """
    found = sorted(file.parent for file in directory.rglob(EVENTS))
    if not found:
        raise ConfigurationError(
            f"{directory} holds no archived dictation: a folder of one has a file {EVENTS}"
        )
    return found


def read_session(folder: Path) -> ArchivedSession:
    """Read a session, also one that a crash has ended. Raises ConfigurationError."""
    try:
        events = _events(folder / EVENTS)
        start = Start.from_fields(next(each for each in events if each["type"] in OPENINGS))
        requests = tuple(_requests(events))
        pcm16 = _audio(folder)
    except (OSError, ValueError, LookupError, TypeError, StopIteration, PolyasrError) as error:
        raise ConfigurationError(f"{folder} is no whole archive of a dictation: {error}") from error
    finals = [each for each in events if each["type"] == "final"]
    dropped = [each["audio_bytes"] for each in events if each["type"] == "dropped"]
    return ArchivedSession(
        folder=folder,
        start=start,
        pcm16=pcm16,
        requests=requests,
        text=finals[-1]["text"] if finals else None,
        timeline=timeline([(each["type"], each["t_ms"] / 1000) for each in events]),
        dropped_bytes=max(dropped, default=0),
    )


OPENINGS = ("start", "resume")
"""The messages that begin a session; a resume of what was not held does, too."""
REQUESTS: Mapping[str, type[Flush]] = MappingProxyType({each.TYPE: each for each in (Flush, Mark)})


def timeline(events: Sequence[tuple[str, float]]) -> Timeline:
    """Of the types of events and their times, in order."""
    times: dict[str, list[float]] = {}
    for kind, at in events:
        times.setdefault(kind, []).append(at)
    began = next((at for kind, at in events if kind in OPENINGS), 0.0)
    partials, finals = times.get("partial", []), times.get("final", [])
    stops = [at for at in times.get("stop", []) if finals and at <= finals[0]]
    return Timeline(
        first_partial=partials[0] - began if partials else None,
        partials=len(partials),
        final=finals[0] - stops[-1] if stops else None,
    )


def _requests(events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Flush | Mark]]:
    """The flushes and marks: before each message it is noted how much audio had come."""
    n_samples, known = 0, set()
    for event in events:
        if event["type"] == "audio":
            n_samples = int(event["samples"])
        kind = REQUESTS.get(event["type"])
        if kind is not None and (request := kind.from_fields(event)) not in known:
            known.add(request)
            yield n_samples, request


def _events(file: Path) -> list[Mapping[str, Any]]:
    """The events. The last line may be torn."""
    lines = file.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def _audio(folder: Path) -> bytes:
    if (folder / FLAC).exists():
        blocks = audio.blocks(folder / FLAC, max_seconds=LONGEST_SEC)
        return b"".join(to_pcm16(block) for block in blocks)
    if not (folder / PCM).exists():
        return b""
    pcm16 = (folder / PCM).read_bytes()
    return pcm16[: len(pcm16) // 2 * 2]
