"""The rules by which recognized text is joined and cut into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_UNSPACED = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    r"\U00020000-\U0003ffff"  # Han, the supplementary planes
    r"\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    r"\u3000-\u3004\u3008-\u3020\u3030\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # marks
)
_ENDS_UNSPACED = re.compile(f"[{_UNSPACED}]$")
_BEGINS_UNSPACED = re.compile(f"^[{_UNSPACED}]")
_WORD = re.compile(f"\\s*(?:[{_UNSPACED}]|[^\\s{_UNSPACED}]+)")


def join(parts: Iterable[str]) -> str:
    """Join segments: no space between Han, kana or full-width marks on both sides, else one.

    Korean keeps its spaces (`dictation`, *What is recognized*). Empty parts leave no trace.
    """
    text = ""
    for part in parts:
        text += glue(text, part) + part
    return text


def glue(left: str, right: str) -> str:
    """What stands between two texts that are joined."""
    if not left or not right:
        return ""
    unspaced = _ENDS_UNSPACED.search(left) and _BEGINS_UNSPACED.search(right)
    return "" if unspaced else " "


def words(text: str) -> list[str]:
    """Cut into words, each with the space before it; Han and kana by character.

    ``"".join(words(text)) == text`` but for space at the end.
    """
    return _WORD.findall(text)


def is_mark(word: str) -> bool:
    """Whether a word holds punctuation only."""
    return not any(character.isalnum() for character in word)


def without_last_marks(text: str) -> str:
    """The text up to its last word: a mark at the end may still become another or vanish."""
    end = len(text)
    while end and _closes(text[end - 1]):
        end -= 1
    return text[:end]


def _closes(character: str) -> bool:
    """Whether it is space or punctuation that is not said; "%" and the like are."""
    if character in "%&@#*":
        return False
    return character.isspace() or unicodedata.category(character).startswith("P")
