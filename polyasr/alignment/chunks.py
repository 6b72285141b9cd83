"""Which part of a text is said in which part of a recording, so that each can be aligned alone.

Pure. What was recognized says it of itself. For a transcript that was given, its words are matched
with those that were recognized, and it is cut where the recording pauses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from polyasr.errors import InvalidRequest
from polyasr.pipeline import text as rules
from polyasr.pipeline.types import Segment, Transcript
from polyasr.samples import SAMPLE_RATE

COMFORTABLE = 30 * SAMPLE_RATE
"""Samples in which an aligner is at its best; what is no longer is never cut."""
CUT, IN_DOUBT, NO_PAUSE, LONG = 1.0, 10.0, 5.0, 2.0
"""Costs: of each cut, of one where the words next to it were not recognized as they stand there, of
one where nobody pauses, and of each further COMFORTABLE in a chunk."""
LEAST_HEARD = 0.3
"""The share of a transcript's words that must be recognized. Texts that have nothing to do with
each other share some short words in order, up to a fifth of them, or a third of the characters of
Mandarin with few words; of the right one half is recognized even where recognition is bad."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the recording, [start, end) in samples, and what is said in it.

    ``language``: a Qwen name, or None where it is not known.
    """

    text: str
    start: int
    end: int
    language: str | None


def recognized_chunks(transcript: Transcript) -> list[Chunk]:
    """A chunk for each segment: it was cut at pauses, and its text is known."""
    return [
        Chunk(segment.text, segment.start, segment.end, segment.language or None)
        for segment in transcript.segments
    ]


def given_chunks(text: str, transcript: Transcript, longest: int) -> list[Chunk]:
    """A given text over the recording that ``transcript`` is recognized of.

    ``longest``: samples that a chunk may have; no segment has more. The chunks' texts joined are
    the text. Raises InvalidRequest where the text is not what is said.
    """
    segments = transcript.segments
    match = _Match(text, segments)
    match.check()
    if transcript.n_samples <= min(longest, COMFORTABLE):
        language = segments[0].language or None
        return [Chunk(text, 0, transcript.n_samples, language)]
    return match.chunks(_cheapest_cuts(segments, match.cuts, longest), longest)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where the text is cut between two segments: before which character, and how surely."""

    character: int
    in_doubt: bool


class _Match:
    """The words of a text against those of recognized segments."""

    def __init__(self, text: str, segments: Sequence[Segment]) -> None:
        self._text, self._segments = text, segments
        given, heard = _Tokens(text), [_Tokens(segment.text) for segment in segments]
        self._given, self._n_heard = given, sum(len(tokens.words) for tokens in heard)
        numbers: dict[str, int] = {}
        every = [word for tokens in heard for word in tokens.words]
        self._operations = list(
            Levenshtein.opcodes(
                [numbers.setdefault(word, len(numbers)) for word in every],
                [numbers.setdefault(word, len(numbers)) for word in given.words],
            )
        )
        ends, total = [], 0
        for tokens in heard[:-1]:
            total += len(tokens.words)
            ends.append(total)
        self.cuts = [self._cut(end) for end in ends]

    def check(self) -> None:
        """Raises InvalidRequest for a text without words, and for one that is of something else."""
        n_words = len(self._given.words)
        if not n_words:
            raise InvalidRequest("`text` holds no words, only marks", param="text")
        if not self._n_heard:
            raise InvalidRequest(
                "no speech was found in the recording that `text` could be aligned with",
                param="text",
            )
        same = sum(each.dest_end - each.dest_start for each in self._operations if _is_same(each))
        if same < LEAST_HEARD * n_words:
            raise InvalidRequest(
                f"`text` does not belong to this recording: of its {n_words} words, {same} were "
                "heard; leave it out to have the recording transcribed",
                param="text",
            )

    def chunks(self, cuts: Sequence[int], longest: int) -> list[Chunk]:
        """The chunks when it is cut behind these segments (their numbers)."""
        found = []
        first, begin = 0, 0
        for last in [*cuts, len(self._segments) - 1]:
            cut = self.cuts[last] if last < len(self.cuts) else None
            end = cut.character if cut else len(self._text)
            segments = self._segments[first : last + 1]
            start, until = segments[0].start, segments[-1].end
            if cut and cut.in_doubt:  # words that were not recognized may be in between
                until = max(until, min(self._segments[last + 1].start, start + longest))
            found.append(Chunk(self._text[begin:end], start, until, segments[0].language or None))
            first, begin = last + 1, end
        return found

    def _cut(self, heard: int) -> _Cut:
        """Where in the text the boundary before the recognized word number ``heard`` is."""
        low, sure_before = self._place(heard - 1, behind=True)
        high, sure_after = self._place(heard, behind=False)
        if sure_before and sure_after and low == high:
            return _Cut(self._given.start(high), in_doubt=False)
        marked = [at for at in range(low, high + 1) if self._given.ends_sentence(at)]
        return _Cut(self._given.start(marked[0] if marked else high), in_doubt=True)

    def _place(self, heard: int, *, behind: bool) -> tuple[int, bool]:
        """The given word at a recognized one, or the one ``behind`` it, and whether it is sure."""
        if not 0 <= heard < self._n_heard:
            return (0 if heard < 0 else len(self._given.words)), False
        number = bisect_left(self._operations, heard + 1, key=lambda each: each.src_end)
        operation = self._operations[number]
        into = heard - operation.src_start + behind
        length = operation.dest_end - operation.dest_start
        if _is_same(operation):
            return operation.dest_start + into, True
        return operation.dest_start + min(into, length), False


class _Tokens:
    """The words of a text in the form in which they are compared, and where they stand."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.words: list[str] = []
        self._starts: list[int] = []
        end = 0
        for word in rules.words(text):
            start, end = end, end + len(word)
            folded = "".join(c for c in word.casefold() if c.isalnum())
            if folded:
                self.words.append(folded)
                self._starts.append(start)

    def start(self, number: int) -> int:
        """Where a cut before this word goes; 0 before the first, so that nothing is before it."""
        if number >= len(self._starts):
            return len(self._text)
        return self._starts[number] if number else 0

    def ends_sentence(self, number: int) -> bool:
        """Whether a sentence seems to end before this word."""
        return self._text[: self.start(number)].rstrip()[-1:] in (*"。！？!?.…",)


def _is_same(operation: object) -> bool:
    return getattr(operation, "tag", "") == "equal"


def _cheapest_cuts(segments: Sequence[Segment], cuts: Sequence[_Cut], longest: int) -> list[int]:
    """Behind which segments to cut, so that no chunk is longer and the costs are least."""
    best = [0.0] + [float("inf")] * len(segments)
    begins = [0] * (len(segments) + 1)
    for end in range(1, len(segments) + 1):
        last = segments[end - 1]
        cost = 0.0
        if end <= len(cuts):
            pauses = segments[end].start > last.end
            cost = CUT + IN_DOUBT * cuts[end - 1].in_doubt + NO_PAUSE * (not pauses)
        for begin in range(end - 1, -1, -1):
            length = last.end - segments[begin].start
            if length > longest and begin < end - 1:
                break
            whole = best[begin] + cost + LONG * max(0.0, length / COMFORTABLE - 1)
            if whole < best[end]:
                best[end], begins[end] = whole, begin
    found = []
    end = begins[len(segments)]
    while end:
        found.append(end - 1)
        end = begins[end]
    return found[::-1]
