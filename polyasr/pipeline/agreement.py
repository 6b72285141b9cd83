"""LocalAgreement: which words of a growing hypothesis are settled.

Macháček, Dabre and Bojar, "Turning Whisper into Real-Time Transcription System" (2023) commit the
prefix on which two consecutive hypotheses agree. Agreement is a matter of audio time rather than
of steps: a word is committed once it has stood unchanged through 0.5 s of new audio, at whatever
cadence hypotheses are made.
"""

from __future__ import annotations

from polyasr.pipeline.text import is_mark, words
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

    @property
    def committed(self) -> str:
        """The settled beginning of the last hypothesis.

        It ends with a whole word: the last word heard may still grow, and a mark at the end may
        still become a comma or vanish.
        """
        settled = 0
        while settled < len(self._words) - 1 and self._heard - self._since[settled] >= STABLE_FOR:
            settled += 1
        while settled and is_mark(self._words[settled - 1]):
            settled -= 1
        return "".join(self._words[:settled])

    @property
    def text(self) -> str:
        """The last hypothesis."""
        return "".join(self._words)
