"""Hold-back: which words of a growing hypothesis are shown.

The last word of a hypothesis is often a guess at one that is half said ("I would", then "I always
drink"). Shown at once, such guesses flicker; held back by a number of words, as streaming systems
do (Polák et al., "CUNI-KIT System for Simultaneous Speech Translation Task at IWSLT 2022"), sure
words wait with them. Here a word waits until a second hypothesis has it too, or until another one
stands behind it and the model is sure of it. What is shown stays until words that may be shown say
otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from polyasr.pipeline.text import words
from polyasr.pipeline.types import Hypothesis

SURE = math.log(0.8)
"""The least log-probability of each token of a word that is shown as soon as another follows it."""


class HoldBack:
    """What is shown of a segment: ``shown`` are its words with the space before them."""

    def __init__(self, shown: Sequence[str] = ()) -> None:
        self.shown = list(shown)

    def show(self, hypothesis: Hypothesis, standing: int) -> str:
        """The words to show after a hypothesis whose first ``standing`` ones an earlier one had."""
        new, sure = words(hypothesis.text), sure_words(hypothesis)
        while standing < len(new) - 1 and sure[standing]:
            standing += 1
        if self.shown[:standing] != new[:standing]:
            self.shown = new[:standing]
        return "".join(self.shown)

    def show_all(self, hypothesis: Hypothesis) -> str:
        """The speaker is silent: no word is half said."""
        self.shown = words(hypothesis.text)
        return hypothesis.text

    def split(self, text: str) -> HoldBack:
        """The segment has been cut and its part has this text: what was shown of the rest."""
        rest = self.shown[len(words(text)) :]
        return HoldBack([rest[0].lstrip(), *rest[1:]] if rest else [])


def sure_words(hypothesis: Hypothesis) -> Sequence[bool]:
    """Whether the model is sure of each word; of none where it does not tell.

    Tokens know nothing of words: one counts for each word of which it writes a byte.
    """
    text = hypothesis.text.encode()
    begins = b"".join(hypothesis.pieces).find(text)
    ends = [0]
    for piece in hypothesis.pieces:
        ends.append(ends[-1] + len(piece))
    places = [begins]
    for word in words(hypothesis.text):
        places.append(places[-1] + len(word.encode()))
    if begins < 0 or not hypothesis.pieces:
        return [False] * (len(places) - 1)
    doubted = [
        token
        for token, logprob in zip(pairwise(ends), hypothesis.logprobs, strict=True)
        if logprob < SURE
    ]
    return [
        not any(start < word_end and end > word_start for start, end in doubted)
        for word_start, word_end in pairwise(places)
    ]
