"""The last stage: the only one that sends.

What waits to be sent is bounded: of acknowledgements and of partials only the newest waits, so a
slow reader gets fewer of them, and for the rest nothing more is heard from a client until it reads.
It costs nobody else anything.
"""

from __future__ import annotations

from typing import Protocol

import trio

from polyasr.pipeline.record import UNRECORDED, Record
from polyasr.protocol.messages import Ack, Partial, Resumed, ServerMessage, Started

ROOM = 64
"""Messages that wait for a client before it is heard again: more than any exchange needs."""


class Sender(Protocol):
    """The sending half of a WebSocket."""

    async def send(self, text: str) -> None:
        """Send a text message."""
        ...


class Outbox:
    """Messages on their way to one client, in order; superseded ones are replaced in place."""

    def __init__(self) -> None:
        self.record: Record = UNRECORDED
        """Of the session that what is put now is about."""
        self._waiting: list[tuple[ServerMessage, Record]] = []
        self._changed = trio.Event()
        self._taken = trio.Event()
        self._closed = False
        self._shown: str | None = ""
        """The last partial that the client got; None when that is not known."""

    def put(self, message: ServerMessage) -> None:
        """Add a message that must arrive."""
        self._waiting.append((message, self.record))
        self._changed.set()

    def acknowledge(self, ack: Ack) -> None:
        """Acknowledge; a waiting acknowledgement of the same session is superseded."""
        self._supersede(ack)

    def show(self, partial: Partial) -> None:
        """Show a partial, given without ``delta``; a waiting one of the session is superseded."""
        self._supersede(partial)

    def close(self) -> None:
        """Nothing more will be put; ``emit`` returns when all is sent."""
        self._closed = True
        self._changed.set()

    async def has_room(self) -> None:
        """Wait until the client has read what was sent to it, but for so much."""
        while len(self._waiting) >= ROOM:
            await self._taken.wait()

    async def take(self) -> tuple[ServerMessage, Record] | None:
        """The next message and where it is noted; None when closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            self._changed = trio.Event()
            await self._changed.wait()
        self._taken.set()
        self._taken = trio.Event()
        message, record = self._waiting.pop(0)
        return self._with_delta(message), record

    def _with_delta(self, message: ServerMessage) -> ServerMessage:
        """A delta follows the partial that was sent before, which superseded ones were not.

        What the last connection of a session that is resumed has sent, nobody knows to have come.
        """
        match message:
            case Partial():
                before, self._shown = self._shown, message.partial
                return message if before is None else message.following(before)
            case Resumed():
                self._shown = None
            case Started():
                self._shown = ""
        return message

    def _supersede(self, message: Ack | Partial) -> None:
        for place, (waiting, record) in enumerate(self._waiting):
            if type(waiting) is type(message) and waiting.session_id == message.session_id:
                self._waiting[place] = (message, record)
                return
        self.put(message)


async def emit(outbox: Outbox, sender: Sender) -> None:
    """Send what the outbox holds until it is closed and empty."""
    while (taken := await outbox.take()) is not None:
        message, record = taken
        text = message.to_json()
        record.message(text)
        await sender.send(text)
