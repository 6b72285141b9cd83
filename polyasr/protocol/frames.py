"""Audio frames: a header of 16 bytes, then PCM16 little-endian, mono, 16 kHz.

=====  ========  ===========================================
bytes  field     value
=====  ========  ===========================================
0-3    magic     ``BASR``
4      version   1
5      type      1, audio
6-7    reserved  sent as 0, ignored by the receiver
8-15   sequence  unsigned, big-endian; 0 is a session's first
=====  ========  ===========================================
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from polyasr.errors import ProtocolError

HEADER = struct.Struct(">4sBBHQ")
"""The table above."""
MAGIC = b"BASR"
VERSION = 1
AUDIO = 1
"""The only type of frame."""
SAMPLE_BYTES = 2
"""PCM16."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    ``sequence`` counts from 0 in a session, below 2**64; ``payload`` is PCM16 of any length, also
    none at all.
    """

    sequence: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the wire."""
    return HEADER.pack(MAGIC, VERSION, AUDIO, 0, frame.sequence) + frame.payload


def decode(message: bytes) -> Frame:
    """Read a frame. Raises ProtocolError ``unframed_audio`` or ``odd_payload``."""
    if len(message) < HEADER.size:
        raise _unframed(f"it is {len(message)} bytes long, its header alone is {HEADER.size}")
    magic, version, kind, _reserved, sequence = HEADER.unpack_from(message)
    if magic != MAGIC:
        raise _unframed(f"it begins with {magic!r} and not with {MAGIC!r}")
    if version != VERSION:
        raise _unframed(f"its version is {version}, this server speaks {VERSION}")
    if kind != AUDIO:
        raise _unframed(f"its type is {kind}, the only type is {AUDIO}, audio")
    payload = message[HEADER.size :]
    if len(payload) % SAMPLE_BYTES:
        raise ProtocolError(
            "odd_payload",
            f"frame {sequence} holds {len(payload)} bytes of audio: PCM16 samples are 2 bytes each",
        )
    return Frame(sequence, payload)


def _unframed(what: str) -> ProtocolError:
    return ProtocolError("unframed_audio", f"a binary message is not an audio frame: {what}")
