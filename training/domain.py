"""Sentences of the tiny domain: about 400 English words and 110 Chinese characters.

A sentence is kept as its written units (words in English, characters in Chinese, each with the
punctuation that follows it) beside what a synthesiser is asked to say, so that times measured on
the speech can be given back to the text.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Language = Literal["English", "Chinese"]
LANGUAGES: tuple[Language, ...] = ("English", "Chinese")
PUNCTUATION = ".,?!。，？！"
HELD_OUT_SHARE = 12
"""One sentence in this many, chosen by the hash of its text, is kept out of training."""


@dataclass(frozen=True)
class Sentence:
    """One sentence, written and spoken.

    `words` are the written units with their punctuation; `spoken` has one entry for each of them,
    in the synthesiser's spelling (plain words, or pinyin with tone digits).
    """

    language: Language
    words: tuple[str, ...]
    spoken: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentence as Qwen3-ASR would write it."""
        return join_words(self.words, self.language)

    def prefix(self, count: int) -> str:
        """The first `count` words; without the mark after the last one unless it is the end."""
        return self.span(0, count)

    def span(self, first: int, last: int) -> str:
        """Words `first` to `last` (exclusive) as a recognizer writes a cut-out piece of speech.

        It starts with a capital, and ends without a mark unless the sentence ends there.
        """
        text = join_words(self.words[first:last], self.language)
        if last < len(self.words):
            text = text.rstrip(PUNCTUATION)
        return text[:1].upper() + text[1:]


def join_words(words: tuple[str, ...] | list[str], language: Language) -> str:
    """Join written units: English with spaces, Chinese without."""
    return (" " if language == "English" else "").join(words)


def held_out(sentence: Sentence) -> bool:
    """Whether the sentence belongs to the test set, by the hash of its text.

    Sentences of up to three words (four characters) are too few to be split: they are trained on.
    """
    shortest = 4 if sentence.language == "English" else 5
    if len(sentence.words) < shortest:
        return False
    digest = hashlib.blake2b(sentence.text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % HELD_OUT_SHARE == 0


def sentence(rng: random.Random, language: Language) -> Sentence:
    """Draw one sentence of the domain."""
    from training import english, mandarin

    if language == "English":
        return english.sentence(rng)
    return mandarin.sentence(rng)


def sentences(
    seed: int, n: int, language: Language, *, test: bool | None = None
) -> Iterator[Sentence]:
    """Draw `n` sentences reproducibly.

    With `test` true only held-out sentences are drawn, each once; with false only the others.
    """
    rng = random.Random(f"{seed}/{language}/{test}")
    seen: set[str] = set()
    while n > 0:
        drawn = sentence(rng, language)
        if test is not None and held_out(drawn) is not test:
            continue
        if test:
            if drawn.text in seen:
                continue
            seen.add(drawn.text)
        n -= 1
        yield drawn
