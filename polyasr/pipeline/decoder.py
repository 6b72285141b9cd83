"""The first stage: socket messages in, the utterance's audio out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import trio

from polyasr.pipeline.emitter import Outbox
from polyasr.pipeline.types import LONGEST_CHUNK, AudioChunk, EndOfAudio
from polyasr.protocol.messages import Ack, StopExpired
from polyasr.protocol.session import AudioReceived, Event, Session, Started, StopRequested
from polyasr.samples import from_pcm16

STOP_WAIT = 2.0
"""Seconds that a stop waits for frames it has overtaken (`dictation`, *Stop*)."""


class Disconnected(Exception):
    """The peer is gone."""


class Socket(Protocol):
    """A WebSocket, whoever serves it."""

    async def receive(self) -> bytes | str:
        """The next message. Raises Disconnected."""
        ...

    async def send(self, text: str) -> None:
        """Send a text message. Raises Disconnected."""
        ...

    async def close(self, code: int) -> None:
        """Close with a code of RFC 6455."""
        ...


class MessageReader:
    """The one reader of a socket: drives the protocol session and acknowledges what it journals."""

    def __init__(self, socket: Socket, session: Session, outbox: Outbox) -> None:
        self._socket, self.session, self._outbox = socket, session, outbox

    async def events(self) -> list[Event]:
        """What the next message means. Raises Disconnected and ProtocolError."""
        message = await self._socket.receive()
        events = self.session.receive(message)
        if isinstance(message, bytes):
            self._outbox.acknowledge(Ack(self.session.session_id, self.session.ack_seq))
        return events

    def refuse_unheld(self, stop_id: str) -> None:
        """Answer a stop for audio of which no frame is held; the client still owns it."""
        expired = StopExpired(self.session.session_id, stop_id, reason="session_not_held")
        self._outbox.put(expired)


async def decode_frames(
    reader: MessageReader, audio: trio.MemorySendChannel[AudioChunk | EndOfAudio]
) -> Started | None:
    """Pass the utterance's audio on, then its end.

    Returns the Started event when the client switches to another utterance, and None when the stop
    was answered here because nothing of the captured audio is held. Once the end is passed
    on, keeps reading so that a switch or a disconnect is noticed while the final is made; the
    caller cancels it when the final is there.
    """
    position = through_seq = 0
    stop: StopRequested | None = None
    deadline = float("inf")
    with audio:
        while stop is None or not reader.session.is_complete(stop.final_captured_seq):
            with trio.move_on_at(deadline) as waiting:
                events = await reader.events()
            if waiting.cancelled_caught:
                break
            for event in events:
                match event:
                    case Started():
                        return event
                    case AudioReceived():
                        for chunk in _chunks(event, position, through_seq):
                            await audio.send(chunk)
                            position += len(chunk.samples)
                        through_seq = event.through_seq
                    case StopRequested() if stop is None:
                        stop, deadline = event, trio.current_time() + STOP_WAIT
        assert stop is not None, "only a stop ends the loop above"
        end = _end(reader.session, stop)
        if not end.complete and end.through_seq == 0:
            reader.refuse_unheld(end.stop_id)
            return None
        await audio.send(end)
    return await _next_start(reader)


async def _next_start(reader: MessageReader) -> Started | None:
    while True:
        for event in await reader.events():
            if isinstance(event, Started):
                return event


def _end(session: Session, stop: StopRequested) -> EndOfAudio:
    return EndOfAudio(
        stop_id=stop.stop_id,
        through_seq=session.next_seq,
        complete=session.is_complete(stop.final_captured_seq),
    )


def _chunks(event: AudioReceived, position: int, before: int) -> Iterator[AudioChunk]:
    """Cut audio into pieces; all but the last cover no frame beyond those covered ``before``."""
    samples = from_pcm16(event.pcm)
    for first in range(0, len(samples), LONGEST_CHUNK):
        piece = samples[first : first + LONGEST_CHUNK]
        last = first + LONGEST_CHUNK >= len(samples)
        yield AudioChunk(piece, position + first, event.through_seq if last else before)
