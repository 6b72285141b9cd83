"""The sessions of a server: who is held, for how long, and what is known of the stops of others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from polyasr.errors import TooManySessions
from polyasr.pipeline.config import DictationConfig, DictationOptions
from polyasr.pipeline.held import HeldSession
from polyasr.pipeline.line import POLICY_VIOLATION, Line, cause
from polyasr.pipeline.observer import UNOBSERVED, Observer
from polyasr.pipeline.record import UNRECORDED, Recorder
from polyasr.pipeline.types import Engine
from polyasr.protocol.expired import ExpiredStops

log = logging.getLogger(__name__)

MAX_ANSWERED = 4096
"""Sessions that are over and whose answers are kept; the oldest go first. An answer is a text, an
hour of speech some 60 kB."""


class SessionRegistry:
    """All sessions by id, each with a task of its own in the registry's nursery."""

    def __init__(
        self,
        nursery: trio.Nursery,
        engine: Engine,
        config: DictationConfig,
        recorder: Recorder = UNRECORDED,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self.config = config
        self._nursery, self._engine = nursery, engine
        self._recorder, self._observer = recorder, observer
        self._held: dict[str, HeldSession] = {}
        self._expired = ExpiredStops()

    @property
    def n_held(self) -> int:
        """Sessions that are kept, answered ones too."""
        return len(self._held)

    @property
    def n_attached(self) -> int:
        """Those with a client."""
        return sum(each.line is not None for each in self._held.values())

    def begin(self, session_id: str, options: DictationOptions, line: Line) -> HeldSession:
        """A new session in the place of any that has this id. Raises TooManySessions."""
        held = self._find(session_id)
        self._admit(held)
        if held is not None:
            self.remove(held)
        self._expired.forget(session_id)
        return self._open(session_id, options, line)

    def resume(self, session_id: str, options: DictationOptions, line: Line) -> HeldSession:
        """The held session with this id, or an empty one. Raises TooManySessions.

        ``options`` are for the empty one; a held session keeps its own.
        """
        held = self._find(session_id)
        self._admit(held)
        if held is None:
            return self._open(session_id, options, line)
        held.attach(line)
        return held

    def leave(self, session: HeldSession, line: Line) -> None:
        """A connection is gone; its session is kept. Waits for nothing, to be called anyhow."""
        if session.line is not line:
            return
        session.detach()
        if session.state.is_empty:
            self.remove(session)
        self._make_room()

    def remove(self, session: HeldSession) -> None:
        """Hold this session no longer."""
        session.lifetime.cancel()
        if self._held.get(session.state.session_id) is session:
            del self._held[session.state.session_id]
        if session.line is not None:
            session.line.hang_up(POLICY_VIOLATION)

    def has_expired(self, session_id: str, stop_id: str) -> bool:
        """Whether this stop was answered, too long ago to be answered again."""
        return self._expired.has(session_id, stop_id, trio.current_time())

    def _find(self, session_id: str) -> HeldSession | None:
        held = self._held.get(session_id)
        if held is not None and held.lifetime.cancel_called:  # its time is up, its task not yet
            self._expire(held)
            return None
        return held

    def _admit(self, held: HeldSession | None) -> None:
        """Refuse one attached session too many; who takes over a line needs no place."""
        if held is not None and held.line is not None:
            return
        if self.n_attached >= self.config.max_sessions:
            raise TooManySessions(
                f"this server serves {self.config.max_sessions} dictations, its limit: "
                "try again later, or raise POLYASR_MAX_SESSIONS"
            )

    def _open(self, session_id: str, options: DictationOptions, line: Line) -> HeldSession:
        record = self._recorder.open_session(session_id)
        session = HeldSession(session_id, options, self.config, record, self._observer)
        self._observer.began()
        self._held[session_id] = session
        session.attach(line)
        self._nursery.start_soon(self._hold, session)
        return session

    async def _hold(self, session: HeldSession) -> None:
        """The task of one session: its recognition, then its answers until they expire."""
        try:
            with session.lifetime:
                with self._engine.pinned():
                    await session.recognize(self._engine)
                session.record.end_audio()
                session.lifetime.deadline = trio.current_time() + self.config.stop_result_ttl
                self._make_room()
                await trio.sleep_forever()
        except Exception as failure:
            error = cause(failure)
            log.warning("a dictation ended by an error: %s", error)
            self._observer.failed(error.code)
            if session.line is not None:
                session.line.fail(error)
        finally:
            session.record.end_audio()
            if self._held.get(session.state.session_id) is session:
                self._expire(session)

    def _make_room(self) -> None:
        """Give up those that wait longest without a connection, when they are too many."""
        waiting = [session for session in self._held.values() if session.line is None]
        for has_ended, limit in ((False, self.config.max_sessions), (True, MAX_ANSWERED)):
            those = [session for session in waiting if session.state.has_ended is has_ended]
            if len(those) > limit:
                self._expire(min(those, key=lambda session: session.lifetime.deadline))

    def _expire(self, session: HeldSession) -> None:
        self.remove(session)
        stop_ids = session.state.answered_stops
        if stop_ids:
            self._expired.add(session.state.session_id, stop_ids, trio.current_time())


@asynccontextmanager
async def open_sessions(
    engine: Engine,
    config: DictationConfig,
    recorder: Recorder = UNRECORDED,
    observer: Observer = UNOBSERVED,
) -> AsyncIterator[SessionRegistry]:
    """The registry, for as long as the server runs; at the end all sessions are given up."""
    async with trio.open_nursery() as nursery:
        yield SessionRegistry(nursery, engine, config, recorder, observer)
        nursery.cancel_scope.cancel()
