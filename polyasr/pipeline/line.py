"""A connection as its session sees it: where to send to the client, and how to end it."""

from __future__ import annotations

import logging
from dataclasses import replace

import trio

from polyasr.errors import PolyasrError, leaves
from polyasr.pipeline.emitter import Outbox
from polyasr.protocol.messages import Done, Error, Event, Final, Partial, StopExpired

log = logging.getLogger(__name__)

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
"""RFC 6455, 7.4.1."""


class Line:
    """``control`` is what was negotiated over it; ``scope`` holds the task that reads from it."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.scope = trio.CancelScope()
        self.control = 1
        self.close_code = NORMAL_CLOSURE

    def is_news(self, partial: Partial, before: Partial) -> bool:
        """Whether the client learns something from a partial after the one before."""
        if partial.partial != before.partial:
            return True
        if self.control < 3 or partial.settled is None or before.settled is None:
            return False
        return partial.settled.committed != before.settled.committed

    def show(self, partial: Partial) -> None:
        """Show a partial; what is settled of it from control 3 on."""
        self.outbox.show(partial if self.control >= 3 else replace(partial, settled=None))

    def tell(self, event: Event) -> None:
        """Tell an event, from control 3 on."""
        if self.control >= 3:
            self.outbox.put(event)

    def answer(self, final: Final) -> None:
        """Tell the final; coverage from control 2 on."""
        if self.control < 2:
            final = replace(final, recognized_through_seq=None)
        self.outbox.put(final)
        self.outbox.put(Done(final.session_id, final.stop_id))
        self.hang_up(NORMAL_CLOSURE)

    def expire(self, session_id: str, stop_id: str, reason: str) -> None:
        """Tell that a stop cannot be answered any more."""
        self.outbox.put(StopExpired(session_id, stop_id, reason))
        self.hang_up(NORMAL_CLOSURE)

    def fail(self, error: PolyasrError) -> None:
        """Tell an error."""
        self.outbox.put(Error(error=str(error), code=error.code))
        self.hang_up(error.close_code)

    def hang_up(self, code: int) -> None:
        """Read no more, and close with this code once everything is sent. The first call counts."""
        if not self.scope.cancel_called:
            self.close_code = code
            self.scope.cancel()


def cause(failure: Exception) -> PolyasrError:
    """The error to tell a client, out of whatever ended the stages."""
    for leaf in leaves(failure):
        if isinstance(leaf, PolyasrError):
            return leaf
    log.error("a dictation failed by a fault of this server", exc_info=failure)
    return PolyasrError("an internal error of this server; its log says more")
