"""LocalAgreement: which words of a growing hypothesis are settled.

Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System" (2023) commit the
prefix on which two consecutive hypotheses agree. Agreement is a matter of audio time rather than
of steps: a word is committed once it has stood unchanged through 0.5 s of new audio, at whatever
cadence hypotheses are made.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from polyasr.pipeline.text import without_last_marks, words
from polyasr.samples import SAMPLE_RATE

STABLE_FOR = SAMPLE_RATE // 2
"""Samples of new audio a word must survive: 0.5 s."""


class LocalAgreement:
    """The agreement of one segment's hypotheses."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._since: list[int] = []
        self._heard = 0

    def observe(self, text: str, heard: int) -> None:
        """A hypothesis made after ``heard`` samples of the segment."""
        new = words(text)
        same = 0
        while same < min(len(new), len(self._words)) and new[same] == self._words[same]:
            same += 1
        self._since = self._since[:same] + [heard] * (len(new) - same)
        self._words, self._heard = new, heard

    def crop(self, heard: int) -> None:
        """Audio was taken back to so many samples, and with it the words that it had added."""
        self._heard = min(self._heard, heard)
        stay = bisect_right(self._since, heard)
        del self._words[stay:], self._since[stay:]

    @property
    def standing(self) -> int:
        """How many of the first words a hypothesis of less audio had, too."""
        return bisect_left(self._since, self._heard)

    def settled(self, through: int) -> str:
        """The settled beginning of the last hypothesis, of words that ``through`` samples held.

        It ends with a whole word: the last word heard may still grow, and a mark at the end may
        still become a comma or vanish.
        """
        settled = 0
        while settled < len(self._words) - 1 and self._is_settled(settled, through):
            settled += 1
        return without_last_marks("".join(self._words[:settled]))

    def _is_settled(self, word: int, through: int) -> bool:
        return self._since[word] <= min(through, self._heard - STABLE_FOR)
