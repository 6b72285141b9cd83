"""Text that grows where a person watches it."""

from __future__ import annotations

import shutil
import unicodedata
from typing import TextIO

CLEAR_LINE = "\r\x1b[K"
"""Back to the first column, and erase from there (ECMA-48)."""
FAINT, NORMAL = "\x1b[2m", "\x1b[22m"
"""ECMA-48 as well; a terminal that cannot draw faintly ignores it."""


class LiveLine:
    """One line that is written anew as its text changes; on a pipe, a line for each text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()

    def show(self, text: str, tentative: int = 0) -> None:
        """Show the text; of a long one, the end that fits on the line.

        So many characters at its end may still change, and are faint.
        """
        if self._rewrites:
            shown = tail(text, shutil.get_terminal_size().columns - 1)
            settled = max(0, len(shown) - tentative)
            faint = FAINT + shown[settled:] + NORMAL if shown[settled:] else ""
            self._stream.write(CLEAR_LINE + shown[:settled] + faint)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, for other output to come."""
        if self._rewrites:
            self._stream.write(CLEAR_LINE)
            self._stream.flush()


def tail(text: str, columns: int) -> str:
    """The end of the text that fits into so many columns of a terminal."""
    left = columns
    for index in range(len(text) - 1, -1, -1):
        left -= _columns(text[index])
        if left < 0:
            return text[index + 1 :]
    return text


def _columns(character: str) -> int:
    """How wide a terminal draws a character: Han, kana and full-width marks take two columns."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
