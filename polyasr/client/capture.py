"""The audio of a dictation on the client's side: cut into frames, kept while it may be needed."""

from __future__ import annotations

from collections import deque

from polyasr.protocol.messages import SAMPLE_RATE

BYTES_PER_SECOND = SAMPLE_RATE * 2
"""PCM16."""
FRAME_BYTES = BYTES_PER_SECOND // 10
"""100 ms: what the contract expects of clients."""
KEPT_BYTES = 64 * 2**20
"""35 minutes. Audio that the server has acknowledged is kept as well, for the case that the server
loses it; where there is more than this, that is let go first."""


class Capture:
    """Frames by sequence. An acknowledgement is no promise that the server will still be there, so
    frames are let go only to make room, the oldest first and acknowledged ones alone."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._kept_bytes = kept_bytes
        self._rest = bytearray()
        self._frames: deque[bytes] = deque()
        self._held_bytes = 0
        self._acknowledged = 0
        self.first_kept = 0
        """The first sequence that can still be sent."""

    @property
    def n_frames(self) -> int:
        """Frames captured so far; the sequence of the next."""
        return self.first_kept + len(self._frames)

    @property
    def n_acknowledged(self) -> int:
        """Frames that the server holds, by its own word."""
        return self._acknowledged

    @property
    def is_full(self) -> bool:
        """Whether no more may be added until something is acknowledged."""
        return self._held_bytes > self._kept_bytes

    def add(self, pcm16: bytes) -> None:
        """Add audio, in pieces of any size."""
        self._rest += pcm16
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            self._append(bytes(self._rest[start : start + FRAME_BYTES]))
        del self._rest[:whole]

    def finish(self) -> None:
        """Make a frame of what is left, but for half a sample."""
        if rest := len(self._rest) // 2 * 2:
            self._append(bytes(self._rest[:rest]))
        del self._rest[:rest]

    def acknowledge(self, ack_seq: int) -> bool:
        """The server holds the frames up to and including this one; whether that is news."""
        before, now = self._acknowledged, min(ack_seq + 1, self.n_frames)
        self._acknowledged = max(before, now)
        self._make_room()
        return now > before

    def rewind(self, ack_seq: int) -> None:
        """A server holds so much and no more: what another one has acknowledged counts no longer.

        Raises LookupError when what it lacks is not kept any more.
        """
        if ack_seq + 1 < self.first_kept:
            raise LookupError(f"the first {self.first_kept} frames are not kept any more")
        self._acknowledged = min(ack_seq + 1, self.n_frames)

    def payload(self, sequence: int) -> bytes:
        """The audio of a frame that is kept."""
        return self._frames[sequence - self.first_kept]

    def audio(self) -> bytes:
        """All the audio that is kept."""
        return b"".join(self._frames)

    def _append(self, payload: bytes) -> None:
        self._frames.append(payload)
        self._held_bytes += len(payload)
        self._make_room()

    def _make_room(self) -> None:
        while self.is_full and self.first_kept < self._acknowledged:
            self._held_bytes -= len(self._frames.popleft())
            self.first_kept += 1
