"""What the routes work with: built once by the composition root and handed to each blueprint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from polyasr.errors import PolyasrError, QueueFull, TooManySessions
from polyasr.health import EngineStatus
from polyasr.pipeline.types import Engine
from polyasr.settings import Settings

BATCH_CONCURRENCY = 2
"""Recordings held decoded in memory at a time: one on the model and one being made ready for it.
More would only cost memory (an hour is 230 MB), for the model thread takes one job at a time."""


class ServingEngine(Engine, Protocol):
    """The engine as the server sees it: the models, and how they are."""

    async def ready(self) -> None:
        """Wait for the model, loading it if nothing has. Raises ModelUnavailable."""
        ...

    def status(self) -> EngineStatus:
        """How the engine is now; cheap."""
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
    """One server's settings, its engine, and its two limits."""

    settings: Settings
    engine: ServingEngine
    sessions: Gate
    queue: Gate
    batch_turns: trio.CapacityLimiter


def open_services(settings: Settings, engine: ServingEngine) -> Services:
    """The services of one server."""
    sessions = TooManySessions(
        f"this server holds {settings.max_sessions} dictations, its limit: "
        "try again later, or raise POLYASR_MAX_SESSIONS"
    )
    queue = QueueFull(
        f"{settings.max_queue_size} transcriptions are waiting, the limit of this server: "
        "try again later, or raise POLYASR_MAX_QUEUE_SIZE"
    )
    return Services(
        settings=settings,
        engine=engine,
        sessions=Gate(settings.max_sessions, sessions),
        queue=Gate(settings.max_queue_size, queue),
        batch_turns=trio.CapacityLimiter(BATCH_CONCURRENCY),
    )
