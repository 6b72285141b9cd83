"""The last stage: the only one that sends.

What waits to be sent is bounded: of acknowledgements and of partials only the newest waits, so a
slow reader gets fewer of them, and for the rest nothing more is heard from a client until it reads.
It costs nobody else anything.
"""

from __future__ import annotations

from collections.abc import Callable
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

    def offer(self, text: Callable[[], str]) -> bool:
        """Send the text message that is made then, unless others have yet to be sent; whether."""
        ...


class Outbox:
    """Messages on their way to one client, in order; superseded ones are replaced in place."""

    def __init__(self) -> None:
        self.record: Record = UNRECORDED
        """Of the session that what is put now is about."""
        self._waiting: list[tuple[ServerMessage, Record]] = []
        self._emitter, self._full = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._closed = False
        self._shown: str | None = ""
        """The last partial that the client got; None when that is not known."""

    def put(self, message: ServerMessage) -> None:
        """Add a message that must arrive."""
        self._waiting.append((message, self.record))
        self._emitter.unpark_all()

    def acknowledge(self, ack: Ack) -> None:
        """Acknowledge; a waiting acknowledgement of the same session is superseded.

        Who does it passes it on as well, which mostly spares the emitter its turn.
        """
        if not self._supersedes(ack):
            self._waiting.append((ack, self.record))

    def show(self, partial: Partial) -> None:
        """Show a partial, given without ``delta``; a waiting one of the session is superseded."""
        if not self._supersedes(partial):
            self.put(partial)

    def pass_on(self, sender: Sender) -> None:
        """Send what needs no waiting; the rest is the emitter's."""
        while self._waiting and sender.offer(self._next):
            pass
        if self._waiting:
            self._emitter.unpark_all()

    def close(self) -> None:
        """Nothing more will be put; ``emit`` returns when all is sent."""
        self._closed = True
        self._emitter.unpark_all()

    async def has_room(self) -> None:
        """Wait until the client has read what was sent to it, but for so much."""
        while len(self._waiting) >= ROOM:
            await self._full.park()

    async def take(self) -> str | None:
        """The next message; None when closed and empty."""
        while not self._waiting:
            if self._closed:
                return None
            await self._emitter.park()
        return self._next()

    def _next(self) -> str:
        """The first that waits, as it goes over the wire, where it is noted."""
        message, record = self._waiting.pop(0)
        self._full.unpark_all()
        text = self._with_delta(message).to_json()
        record.message(text)
        return text

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

    def _supersedes(self, message: Ack | Partial) -> bool:
        """Whether it has taken the place of one that waited."""
        for place, (waiting, record) in enumerate(self._waiting):
            if type(waiting) is type(message) and waiting.session_id == message.session_id:
                self._waiting[place] = (message, record)
                return True
        return False


async def emit(outbox: Outbox, sender: Sender) -> None:
    """Send what the outbox holds until it is closed and empty."""
    while (text := await outbox.take()) is not None:
        await sender.send(text)
