"""The words of a text as Qwen3-ForcedAligner is given them, and where each stands in the text.

Equal to the splitting of ``qwen-asr`` (``Qwen3ForceAlignProcessor``): words between spaces and
single Han characters, of which only letters, digits and apostrophes are given to the model. For
Japanese and Korean its own splitters are asked.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Splitter = Callable[[str], Sequence[str]]
"""A text to what the model is given of its words, in order."""

_HAN = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf]"
)
"""The blocks of ideographs that ``qwen-asr`` takes for one."""
REACH = 64
"""How far from the word before it a word of a foreign splitter is looked for, in characters."""


@dataclass(frozen=True, slots=True)
class TextWord:
    """One word. ``text`` is what stands in the text, from the first letter to the last, and
    ``given`` what of it the model is given."""

    text: str
    given: str


def words(text: str, language: str | None, splitters: Mapping[str, Splitter]) -> list[TextWord]:
    """The words of a text. ``language``: a Qwen name; ``splitters``: by such names."""
    split = splitters.get(language or "")
    return list(_spaced(text) if split is None else _located(text, split(text)))


def _spaced(text: str) -> Iterator[TextWord]:
    for piece in text.split():
        begin, end, given = 0, -1, ""
        for at, character in enumerate(piece):
            if not _is_kept(character):
                if at == end and unicodedata.category(character)[0] == "M":
                    end += 1  # an accent or vowel sign is of its letter, though not given
                continue
            if given and (_HAN.match(character) or _HAN.match(given)):
                yield TextWord(piece[begin:end], given)
                given = ""
            if not given:
                begin = at
            given += character
            end = at + 1
        if given:
            yield TextWord(piece[begin:end], given)


def _located(text: str, given: Iterable[str]) -> Iterator[TextWord]:
    """Words of a splitter that may have normalized the text."""
    folded = [(unicodedata.normalize("NFKC", c), at) for at, c in enumerate(text)]
    letters = [(letter, at) for normal, at in folded for letter in normal]
    flat = "".join(letter for letter, _ in letters)
    place = 0
    for word in given:
        found = []
        for letter in unicodedata.normalize("NFKC", word):
            hit = flat.find(letter, place, place + REACH)
            if hit >= 0:
                found.append(letters[hit][1])
                place = hit + 1
        yield TextWord(text[found[0] : found[-1] + 1] if found else word, word)


def _is_kept(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LN"
