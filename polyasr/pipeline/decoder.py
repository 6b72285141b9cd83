"""The first stage: a session's audio, as it is journaled, on its way to the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import trio

from polyasr.pipeline.types import LONGEST_CHUNK, Audio, AudioChunk, EndOfAudio, Flush, Mark
from polyasr.protocol import messages
from polyasr.protocol.session import AudioReceived, End, Note
from polyasr.samples import from_pcm16


class Backlog:
    """Audio that was acknowledged and that no stage has taken yet, then the end of it.

    Adding never waits, so that a frame is either journaled and here, or neither. What bounds it is
    that a connection reads no further message before the backlog has ``drained``: it holds what one
    message has brought, and what that message has released.
    """

    def __init__(self) -> None:
        self._items: deque[Audio] = deque()
        self._position = 0
        self._through_seq = 0
        self._changed = trio.Event()

    def add(self, received: AudioReceived) -> None:
        """Add the audio that follows."""
        for chunk in _chunks(received, self._position, self._through_seq):
            self._items.append(chunk)
            self._position += len(chunk.samples)
        self._through_seq = received.through_seq
        self._tell()

    def note(self, note: Note) -> None:
        """Add a flush or a mark behind the audio that it is about."""
        kind = Mark if isinstance(note.message, messages.Mark) else Flush
        self._items.append(kind(note.message.id, note.through_seq))
        self._tell()

    def end(self, end: End) -> None:
        """The utterance ends here."""
        self._items.append(EndOfAudio(end.stop_id, end.through_seq, end.complete))
        self._tell()

    async def drained(self) -> None:
        """Wait until the stages have taken all that was added."""
        while self._items:
            await self._changed.wait()

    async def pass_on(self, audio: trio.MemorySendChannel[Audio]) -> None:
        """The stage: the audio out, until its end has gone through."""
        with audio:
            while True:
                while not self._items:
                    await self._changed.wait()
                item = self._items[0]
                await audio.send(item)
                self._items.popleft()
                self._tell()
                if isinstance(item, EndOfAudio):
                    return

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _chunks(received: AudioReceived, position: int, before: int) -> Iterator[AudioChunk]:
    """Cut audio into pieces; all but the last cover no frame beyond those covered ``before``."""
    samples = from_pcm16(received.pcm)
    for first in range(0, len(samples), LONGEST_CHUNK):
        piece = samples[first : first + LONGEST_CHUNK]
        last = first + LONGEST_CHUNK >= len(samples)
        yield AudioChunk(piece, position + first, received.through_seq if last else before)
