"""Stops whose answers are kept no longer: a client that asks again is told so."""

from __future__ import annotations

REMEMBERED_SEC = 3600.0
"""How long an expired stop id is remembered (`dictation`, *Stop*)."""
MAX_SESSIONS = 2**16
"""Sessions whose stop ids are remembered, some 20 MB; the oldest are forgotten first."""


class ExpiredStops:
    """Stop ids by session, without their texts. ``now`` is in seconds of any clock."""

    def __init__(self) -> None:
        self._sessions: dict[str, tuple[float, frozenset[str]]] = {}
        """In the order in which they are forgotten, with the time of that."""

    def add(self, session_id: str, stop_ids: frozenset[str], now: float) -> None:
        """Remember the stop ids of a session, with those that were remembered of it before."""
        self._forget_old(now)
        _, before = self._sessions.pop(session_id, (0.0, frozenset[str]()))
        self._sessions[session_id] = (now + REMEMBERED_SEC, before | stop_ids)
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]

    def has(self, session_id: str, stop_id: str, now: float) -> bool:
        """Whether this stop was answered, too long ago to be answered again."""
        self._forget_old(now)
        return session_id in self._sessions and stop_id in self._sessions[session_id][1]

    def forget(self, session_id: str) -> None:
        """The id begins another utterance, whose stops may be called the same."""
        self._sessions.pop(session_id, None)

    def _forget_old(self, now: float) -> None:
        while self._sessions:
            oldest = next(iter(self._sessions))
            if self._sessions[oldest][0] > now:
                return
            del self._sessions[oldest]
