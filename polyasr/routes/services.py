"""What the routes work with: built once by the composition root and handed to each blueprint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from polyasr.archive import Archive
from polyasr.errors import PolyasrError, QueueFull, TooManySessions
from polyasr.health import EngineStatus, Residency
from polyasr.metrics import Metrics
from polyasr.pipeline.types import Engine, Recognizer, VoiceEngine
from polyasr.settings import Settings

CONNECTIONS_A_SESSION = 2
"""A client that comes back has a new connection while its old one is not yet known to be dead."""
BATCH_CONCURRENCY = 8
"""Recordings that are transcribed at a time: short ones have one segment each, and an engine that
runs several segments at once gains by several. Each holds some 20 MB of audio at the most."""


class Translator(Recognizer, Protocol):
    """A recognizer whose texts are in English whatever is spoken."""

    async def ready(self) -> None:
        """Wait for the model, loading it if nothing has. Raises ModelUnavailable."""
        ...


class ServingEngine(Engine, VoiceEngine, Protocol):
    """The engine as the server sees it: the models, and how they are."""

    async def ready(self) -> None:
        """Wait for the model, loading it if nothing has. Raises ModelUnavailable."""
        ...

    @property
    def translator(self) -> Translator | None:
        """What translates to English, None where the settings name no model for it."""
        ...

    def status(self) -> EngineStatus:
        """How the engine is now; cheap."""
        ...

    def residency(self) -> Residency:
        """Which units of models are in memory; cheap."""
        ...

    async def unload(self) -> tuple[str, ...]:
        """Free the memory of all units now; the names of those that were loaded."""
        ...


class Gate:
    """Counts who is inside and refuses who would be one too many."""

    def __init__(self, limit: int, refusal: PolyasrError) -> None:
        self._limit = limit
        self._refusal = refusal
        self.inside = 0

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Be inside for the length of the block. Raises the refusal when it is full."""
        if self.inside >= self._limit:
            raise type(self._refusal)(*self._refusal.args)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1


@dataclass(frozen=True, slots=True)
class Services:
    """One server's settings, its engine, its archive, and its limits."""

    settings: Settings
    engine: ServingEngine
    archive: Archive
    metrics: Metrics
    connections: Gate
    queue: Gate
    batch_turns: trio.CapacityLimiter

    def queue_metrics(self) -> Mapping[str, int]:
        """Uploads at work, those that wait or are still coming in, and the limits of both."""
        at_work = self.batch_turns.borrowed_tokens
        return {
            "requests_queued": max(0, self.queue.inside - at_work),
            "requests_in_flight": at_work,
            "gpu_concurrency": BATCH_CONCURRENCY,
            "max_queue_size": self.settings.max_queue_size,
        }


def open_services(
    settings: Settings, engine: ServingEngine, archive: Archive, metrics: Metrics
) -> Services:
    """The services of one server."""
    connections = CONNECTIONS_A_SESSION * settings.max_sessions
    too_many = TooManySessions(
        f"this server has {connections} dictation connections, its limit: "
        "try again later, or raise POLYASR_MAX_SESSIONS"
    )
    queue = QueueFull(
        f"{settings.max_queue_size} transcriptions are waiting, the limit of this server: "
        "try again later, or raise POLYASR_MAX_QUEUE_SIZE"
    )
    return Services(
        settings=settings,
        engine=engine,
        archive=archive,
        metrics=metrics,
        connections=Gate(connections, too_many),
        queue=Gate(settings.max_queue_size, queue),
        batch_turns=trio.CapacityLimiter(BATCH_CONCURRENCY),
    )
