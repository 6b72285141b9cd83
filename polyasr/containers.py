"""Whether a file holds as much as its container says: a look at a few bytes, nothing is decoded.

For the containers that FFmpeg plays to the last byte without a word where the end is missing, as
after a broken upload or a full disk. Whoever writes into a pipe cannot know the length and claims
none, or the greatest there is; that is not missing. Pure.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

STREAMED_WAV = 0x7FFF_0000
"""Sizes from here on are claimed by who does not know them, as is 0."""
MOST_CHUNKS = 64
"""Of a WAV file that are looked at until its samples."""
LOOKED_AT = 64 * 1024
"""Bytes of an MP3 after its tag in which the first frame is, and of the end of an Ogg file, where
a page has 65,307 at the most."""
OGG_HEADER = 27
"""Bytes before the table of a page's segments, the last of which is its length."""
OGG_END_OF_STREAM = 0x04
"""The flag of a last page (RFC 3533, 6)."""
XING_HAS_FRAMES, XING_HAS_BYTES = 0x1, 0x2
"""Flags of the header that encoders write into an MP3's first frame, unless into a pipe."""


def missing_end(file: IO[bytes]) -> str:
    """What shows that a WAV, MP3 or Ogg file has lost its end; "" where nothing does.

    ``file`` is seekable and stands at its beginning, as it does afterwards.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(12)
    look = {b"RIFF": _wav, b"OggS": _ogg}.get(head[:4], _mp3)
    try:
        return look(file, size)
    finally:
        file.seek(0)


def _wav(file: IO[bytes], size: int) -> str:
    for name, start, length in _riff_chunks(file):
        if name == b"data":
            claimed = 0 < length < STREAMED_WAV
            return _compared(length, size - start) if claimed else ""
    return ""


def _riff_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of the chunks."""
    at = 12
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        header = file.read(8)
        if len(header) < 8:
            return
        name, length = struct.unpack("<4sI", header)
        yield name, at + 8, length
        at += 8 + length + length % 2


def _ogg(file: IO[bytes], size: int) -> str:
    file.seek(max(0, size - LOOKED_AT))
    tail = file.read(LOOKED_AT)
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < OGG_HEADER or len(page) < _ogg_page_length(page):
        return "its last page is cut off"
    return "" if page[5] & OGG_END_OF_STREAM else "its last page is not marked as the last"


def _ogg_page_length(page: bytes) -> int:
    """The header, the table of segments' lengths, and the segments."""
    table = page[OGG_HEADER : OGG_HEADER + page[OGG_HEADER - 1]]
    return OGG_HEADER + len(table) + sum(table)


def _mp3(file: IO[bytes], size: int) -> str:
    start = _after_tag(file)
    file.seek(start)
    frame = file.read(LOOKED_AT)
    at = min((i for i in (frame.find(b"Xing"), frame.find(b"Info")) if i >= 0), default=-1)
    if at < 0 or len(frame) < at + 16:
        return ""
    flags, *numbers = struct.unpack(">3I", frame[at + 4 : at + 16])
    if not flags & XING_HAS_BYTES:
        return ""
    return _compared(numbers[1 if flags & XING_HAS_FRAMES else 0], size - start)


def _after_tag(file: IO[bytes]) -> int:
    """Where an ID3v2 tag ends, whose length has seven bits to the byte; 0 without one."""
    file.seek(0)
    header = file.read(10)
    if header[:3] != b"ID3" or len(header) < 10:
        return 0
    length = 0
    for seven in header[6:]:
        length = length << 7 | seven & 0x7F
    return 10 + length


def _compared(claimed: int, there: int) -> str:
    missing = claimed - there
    return f"{missing} of the {claimed} bytes that it claims are missing" if missing > 0 else ""
