"""A text and its timed words to sentences that lose no character. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from polyasr.pipeline.text import begins_unspaced, places
from polyasr.pipeline.types import Word

_MARKS = "。！？!?｡؟।۔"
"""What ends a sentence wherever it stands …"""
_STOPS = ".．"
"""… and what does only where it ends a word."""
_CLOSERS = "\"'”’»)]}」』）】》"
_ENDS = re.compile(f"[{_STOPS}{_MARKS}]+[{_STOPS}…{_MARKS}{re.escape(_CLOSERS)}]*")
_LAST_WORD = re.compile(r"[^\s(\[{\"“„«‘]*$")
_NEAR = 40
"""How far an abbreviation is looked for, in characters."""
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")

BEFORE_A_NAME = re.compile(
    "mr|mrs|ms|mx|dr|prof|rev|fr|st|mt|gen|col|capt|cmdr|lt|sgt|maj|hon|gov|sen|rep|pres|messrs|"
    "sr|sra|srta|dra|mme|mlle|hr|fam|cf|vs|bzw|ca|evtl|inkl|str|[ei]\\.[ge]|z\\.b|d\\.h|u\\.a|p\\.ex"
)
"""Abbreviations that something follows, in lower case and without the last stop."""
BEFORE_A_NUMBER = re.compile("nos?|nr|fig|vol|pp?|ch|chap|sec|art|eq|op")
"""What is an abbreviation where a number follows; elsewhere it may be a word."""
BEFORE_MORE = re.compile("etc|usw|jr|inc|ltd|co|corp|dept|est|approx|ave|blvd|bros")
"""Abbreviations that may end a sentence: they do where the next word has a capital."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """``text`` without space around it; ``start`` and ``end`` in samples."""

    text: str
    start: int
    end: int
    words: tuple[Word, ...]


def sentences(text: str, words: Sequence[Word], n_samples: int) -> list[Sentence]:
    """Cut a text into sentences; every character but the space between them is in one.

    The words are those of the text, in order. A sentence lasts from its first word to its last; a
    text without words, from the beginning of the audio to its end.
    """
    found = places(text, [word.text for word in words])
    cuts = [0, *_ends(text, found), len(text)]
    parts: list[tuple[str, list[Word]]] = []
    rest = deque(zip(found, words, strict=True))
    for begin, end in pairwise(cuts):
        own = []
        while rest and (rest[0][0][0] < end or end == len(text)):
            own.append(rest.popleft()[1])
        if own or not parts:
            parts.append((text[begin:end], own))
        else:
            parts[-1] = parts[-1][0] + text[begin:end], parts[-1][1]
    if len(parts) > 1 and not parts[0][1]:
        (before, _), (after, own) = parts[:2]
        parts[:2] = [(before + after, own)]
    return [
        Sentence(
            part.strip(),
            own[0].start if own else 0,
            own[-1].end if own else n_samples,
            tuple(own),
        )
        for part, own in parts
        if part.strip()
    ]


def _ends(text: str, words: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Where a sentence ends and another may begin, behind its last mark; never inside a word."""
    inside = iter([*words, (len(text), len(text))])
    start, end = next(inside)
    for marks in _ENDS.finditer(text):
        while end < marks.end():
            start, end = next(inside)
        within_word = start < marks.end() < end
        if not within_word and _is_end(text, marks) and marks.end() < len(text):
            yield marks.end()


def _is_end(text: str, marks: re.Match[str]) -> bool:
    if any(mark in _MARKS for mark in marks[0]):
        return True
    before = text[max(0, marks.start() - _NEAR) : marks.start()]
    after = text[marks.end() : marks.end() + _NEAR]
    if after[:1].isalnum() and not begins_unspaced(after):
        return False  # a decimal, an address, the inside of an abbreviation
    word = _LAST_WORD.search(before)
    return len(marks[0]) > 1 or word is None or not _is_abbreviation(word[0], after.lstrip())


def _is_abbreviation(word: str, after: str) -> bool:
    """Whether the stop behind a word says that it is short and not that the sentence ends."""
    name = word.lower()
    if BEFORE_A_NAME.fullmatch(name):
        return True
    if BEFORE_A_NUMBER.fullmatch(name) and after[:1].isdigit():
        return True
    if len(word) == 1 and word.isupper() and word != "I":
        return True  # J. Smith
    if BEFORE_MORE.fullmatch(name) or _INITIALS.fullmatch(word):
        return not after[:1].isupper() and not begins_unspaced(after)
    return False
