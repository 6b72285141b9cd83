"""The first stage: a session's audio, as it is journaled, on its way to the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import trio

from polyasr.pipeline.types import LONGEST_CHUNK, Audio, AudioChunk, EndOfAudio, Flush, Mark
from polyasr.protocol import messages
from polyasr.protocol.frames import SAMPLE_BYTES
from polyasr.protocol.session import AudioReceived, End, Note
from polyasr.samples import SAMPLE_RATE, from_pcm16

SECOND = SAMPLE_RATE * SAMPLE_BYTES
"""Bytes of audio."""
MOST, LEAST = 60 * SECOND, 2 * SECOND
"""Bytes that wait of one session: a minute, such as a model takes to load, and less where there may
be many sessions …"""
OF_ALL = 64 * 2**20
"""… for together they may hold this."""
MAX_ITEMS = 600
"""Pieces of audio that wait, however small: a minute of 100 ms frames."""


def share(max_sessions: int) -> int:
    """Bytes that may wait of each of so many sessions."""
    return max(LEAST, min(MOST, OF_ALL // max_sessions))


class Backlog:
    """Audio that was acknowledged and that the detector has not taken yet, then the end of it.

    Adding never waits, so that a frame is either journaled and here, or neither. What bounds it is
    that a connection reads no further message before the backlog ``has_room``: it holds ``most``
    bytes, and besides what one message has brought, and what that message has released.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._items: deque[AudioReceived | Flush | Mark | EndOfAudio] = deque()
        self._n_bytes = 0
        self._position = 0
        self._through_seq = 0
        self._changed = trio.Event()

    def add(self, received: AudioReceived) -> None:
        """Add the audio that follows."""
        self._items.extend(_pieces(received, self._through_seq))
        self._n_bytes += len(received.pcm)
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
        while len(self._items) > MAX_ITEMS or self._n_bytes > self._most:
            await self._changed.wait()

    def __enter__(self) -> Backlog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """No stage takes any more."""
        self._items.clear()
        self._n_bytes = 0
        self._tell()

    def __aiter__(self) -> Backlog:
        return self

    async def __anext__(self) -> Audio:
        """The next for the detector, which knows the end when it sees it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._items:
            await self._changed.wait()
        item = self._items.popleft()
        self._tell()
        return self._chunk(item) if isinstance(item, AudioReceived) else item

    def _chunk(self, piece: AudioReceived) -> AudioChunk:
        self._n_bytes -= len(piece.pcm)
        samples, start = from_pcm16(piece.pcm), self._position
        self._position += len(samples)
        return AudioChunk(samples, start, piece.through_seq)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


def _pieces(received: AudioReceived, before: int) -> Iterator[AudioReceived]:
    """Cut audio into pieces; all but the last cover no frame beyond those covered ``before``."""
    length = LONGEST_CHUNK * SAMPLE_BYTES
    for first in range(0, len(received.pcm), length):
        is_last = first + length >= len(received.pcm)
        through_seq = received.through_seq if is_last else before
        yield AudioReceived(received.pcm[first : first + length], through_seq)
