"""The rules by which recognized text is joined and cut into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

_UNSPACED = (
    r"\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han
    r"\U00020000-\U0003ffff"  # Han, the supplementary planes
    r"\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    r"\u3000-\u3004\u3008-\u3020\u3030\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"  # marks
)
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(f"\\s*(?:[{_UNSPACED}]|[^\\s{_UNSPACED}]+)")
_LAST_SPACE = re.compile(r"\s+(?=\S*$)")


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
    return "" if begins_unspaced(left[-1]) and begins_unspaced(right) else " "


def begins_unspaced(text: str) -> bool:
    """Whether it begins with Han, kana or a full-width mark, which no space parts from others."""
    return _IS_UNSPACED.match(text) is not None


def words(text: str) -> list[str]:
    """Cut into words, each with the space before it; Han and kana by character.

    ``"".join(words(text)) == text`` but for space at the end.
    """
    return _WORD.findall(text)


def places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where each word stands in the text, in order: [start, end) in characters.

    One that is not to be found behind those before it has an empty place there.
    """
    found: list[tuple[int, int]] = []
    end = 0
    for word in words:
        start = text.find(word, end)
        if start < 0:
            start, word = end, ""
        end = start + len(word)
        found.append((start, end))
    return found


def pieces(text: str, words: Sequence[str]) -> list[str]:
    """The text in a piece for each word, with the space before it and the marks around it.

    ``"".join(pieces(text, words)) == text`` but where there are no words. Marks belong to the word
    that no space parts them from, otherwise to the word before them.
    """
    cuts = [0]
    for (_, end), (start, _) in pairwise(places(text, words)):
        space = _LAST_SPACE.search(text, end, start)
        cuts.append(space.start() if space else start)
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])] if words else []


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
