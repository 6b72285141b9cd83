"""The first stage: a session's audio, as it is journaled, on its way to the detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import trio

from polyasr.pipeline.types import LONGEST_CHUNK, Audio, AudioChunk, EndOfAudio, Flush, Mark
from polyasr.pipeline.vad import WINDOW
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
FEW_ITEMS = 16
"""Pieces that wait for a window to be whole, however small."""


def share(max_sessions: int) -> int:
    """Bytes that may wait of each of so many sessions."""
    return max(LEAST, min(MOST, OF_ALL // max_sessions))


class Backlog:
    """Audio that was acknowledged and that the detector has not taken yet, then the end of it.

    The detector is woken when it can do something: when a window is whole, for a note, at the end.
    Adding never waits, so that a frame is either journaled and here, or neither. What bounds it is
    that a connection reads no further message before the backlog ``has_room``: it holds ``most``
    bytes, and besides what one message has brought, and what that message has released.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._items: deque[bytes | Flush | Mark | EndOfAudio] = deque()
        self._n_bytes = 0
        self._position = 0
        self._lacking = WINDOW
        """Samples that the window under way lacks, with all that was added."""
        self._is_awake = False
        self._detector, self._full = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()

    def add(self, received: AudioReceived) -> None:
        """Add the audio that follows."""
        self._items.extend(_pieces(received.pcm))
        self._n_bytes += len(received.pcm)
        self._lacking -= len(received.pcm) // SAMPLE_BYTES
        if self._lacking <= 0 or len(self._items) >= FEW_ITEMS:
            self._lacking = WINDOW - -self._lacking % WINDOW
            self._wake()

    def note(self, note: Note) -> None:
        """Add a flush, which ends the window under way, or a mark behind the audio it is about."""
        if isinstance(note.message, messages.Mark):
            self._items.append(Mark(note.message.id, note.through_seq))
        else:
            self._items.append(Flush(note.message.id))
            self._lacking = WINDOW
        self._wake()

    def end(self, end: End) -> None:
        """The utterance ends here."""
        self._items.append(EndOfAudio(end.stop_id, end.through_seq, end.complete))
        self._wake()

    async def has_room(self) -> None:
        """Wait until the detector has taken most of what was added."""
        while len(self._items) > MAX_ITEMS or self._n_bytes > self._most:
            await self._full.park()

    def __enter__(self) -> Backlog:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """No stage takes any more."""
        self._items.clear()
        self._n_bytes = 0
        self._full.unpark_all()

    def __aiter__(self) -> Backlog:
        return self

    async def __anext__(self) -> Audio:
        """The next for the detector, which knows the end when it sees it."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._is_awake:
            await self._detector.park()
        item = self._items.popleft()
        taken = self._chunk(item) if isinstance(item, bytes) else item
        self._is_awake = bool(self._items)
        self._full.unpark_all()
        return taken

    def _chunk(self, first: bytes) -> AudioChunk:
        """The audio that waits, as much of it as goes into one piece."""
        pieces, n_bytes = [first], len(first)
        while self._items and isinstance(following := self._items[0], bytes):
            n_bytes += len(following)
            if n_bytes > LONGEST_CHUNK * SAMPLE_BYTES:
                break
            pieces.append(following)
            self._items.popleft()
        samples = from_pcm16(b"".join(pieces))
        start, self._position = self._position, self._position + len(samples)
        self._n_bytes -= len(samples) * SAMPLE_BYTES
        return AudioChunk(samples, start)

    def _wake(self) -> None:
        self._is_awake = True
        self._detector.unpark_all()


def _pieces(pcm16: bytes) -> Iterator[bytes]:
    """Audio in pieces of at most a chunk."""
    length = LONGEST_CHUNK * SAMPLE_BYTES
    for first in range(0, len(pcm16), length):
        yield pcm16[first : first + length]
