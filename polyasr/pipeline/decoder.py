"""The first stage: a session's audio, as it is journaled, on its way to the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import trio

from polyasr.pipeline.types import LONGEST_CHUNK, Audio, AudioChunk, EndOfAudio, Flush, Mark
from polyasr.protocol import messages
from polyasr.protocol.session import AudioReceived, End, Note
from polyasr.samples import SAMPLE_RATE, from_pcm16

MAX_CHUNKS = 600
"""A minute of 100 ms frames …"""
MAX_SAMPLES = 60 * SAMPLE_RATE
"""… or of any other; 4 MB."""


class Backlog:
    """Audio that was acknowledged and that the detector has not taken yet, then the end of it.

    Adding never waits, so that a frame is either journaled and here, or neither. What bounds it is
    that a connection reads no further message before the backlog ``has_room``: it holds a minute,
    and besides what one message has brought, and what that message has released.
    """

    def __init__(self) -> None:
        self._items: deque[Audio] = deque()
        self._n_samples = 0
        self._position = 0
        self._through_seq = 0
        self._changed = trio.Event()

    def add(self, received: AudioReceived) -> None:
        """Add the audio that follows."""
        for chunk in _chunks(received, self._position, self._through_seq):
            self._items.append(chunk)
            self._position += len(chunk.samples)
            self._n_samples += len(chunk.samples)
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

    async def has_room(self) -> None:
        """Wait until the detector has taken most of what was added."""
        while len(self._items) > MAX_CHUNKS or self._n_samples > MAX_SAMPLES:
            await self._changed.wait()

    def __enter__(self) -> Backlog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """No stage takes any more."""
        self._items.clear()
        self._n_samples = 0
        self._tell()

    def __aiter__(self) -> Backlog:
        return self

    async def __anext__(self) -> Audio:
        """The next for the detector, which knows the end when it sees it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._items:
            await self._changed.wait()
        item = self._items.popleft()
        if isinstance(item, AudioChunk):
            self._n_samples -= len(item.samples)
        self._tell()
        return item

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
