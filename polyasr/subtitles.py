"""Subtitles: timed words cut into cues that can be read, and the cues written as SRT, WebVTT, TSV.

Pure. Where no aligner has told the times of words they are guessed (``spoken_words``): a segment's
words share its time in proportion to their length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from unicodedata import east_asian_width

from polyasr.pipeline import text as rules
from polyasr.pipeline import types
from polyasr.pipeline.types import Segment
from polyasr.samples import SAMPLE_RATE

LINE_WIDTH = 42
"""Columns in a line, and two lines in a cue: what broadcasters agree on for Latin script. Han, kana
and other wide characters take two, which makes 21 of them."""
SHORTEST_SEC, LONGEST_SEC = 1.0, 7.0
"""How long a cue stands: less flickers, more is read twice."""
PAUSE_SEC = 0.3
"""A pause that is heard as one …"""
LONG_PAUSE_SEC = 1.5
"""… and one over which no cue stands."""
SENTENCE_ENDS, CLAUSE_ENDS = frozenset(".?!…。？！"), frozenset(",;:、，；：—–")
CLOSERS = "\"'”’»)]}」』）】》"
"""What may follow a mark that ends a sentence or a clause."""
OPENERS = "“‘«([{「『（【《"
"""What belongs to the word behind it."""
MARK_BONUS = 10
"""By how many columns the wider line may be wider if the upper one then ends with a mark."""
CUE, SHORT, CROSSED_PAUSE, AT_CLAUSE, AT_WORD = 4.0, 6.0, 3.0, 1.0, 5.0
"""Costs, found by trying: of each cue, for each missing second of the shortest, for a pause that a
cue runs over; of ending a cue at a clause, and in the midst of one (at a sentence: nothing)."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word, in seconds of the recording. ``text`` begins with the space that is before it."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on the screen from ``start`` to ``end`` seconds: one line or two."""

    lines: tuple[str, ...]
    start: float
    end: float


def spoken_words(segments: Iterable[Segment]) -> list[Word]:
    """The words of segments, at the times that the aligner has told, or else guessed.

    Guessed, each is spoken evenly: a word's time is in proportion to its columns, and wrong by as
    much as its speaker paused.
    """
    words: list[Word] = []
    before = ""
    for segment in segments:
        text = rules.glue(before, segment.text) + " ".join(segment.text.split())
        if segment.words:
            words += timed_words(text, segment.words)
        else:
            words += _spread(text, segment.start / SAMPLE_RATE, segment.end / SAMPLE_RATE)
        before = segment.text
    return words


def timed_words(text: str, words: Sequence[types.Word]) -> list[Word]:
    """The words of a text where an aligner has heard them, each with the marks around it."""
    found = rules.pieces(text, [word.text for word in words])
    return [
        Word(piece, word.start / SAMPLE_RATE, word.end / SAMPLE_RATE)
        for piece, word in zip(found, words, strict=True)
    ]


def cues(words: Sequence[Word]) -> list[Cue]:
    """Cut words, in order, into cues, as `labelled_cues` without a label."""
    return labelled_cues([("", words)])


def labelled_cues(parts: Iterable[tuple[str, Sequence[Word]]]) -> list[Cue]:
    """Cut words, in order, into cues: never overlapping, of at most two lines of LINE_WIDTH.

    Each part begins with a cue of its own, and each of its cues with its label, such as who speaks,
    unless that is "".

    Of all ways to cut them it is the one of least cost: few cues, ended at sentences, else at
    clauses and pauses, neither shorter nor longer than can be read. A cue is shorter than
    SHORTEST_SEC only where words follow too fast.
    """
    return _timed([cue for label, words in parts for cue in _cut(label, words)])


def _cut(label: str, words: Sequence[Word]) -> Iterator[Cue]:
    units = _units(words)
    best = [0.0] + [float("inf")] * len(units)
    begins = [0] * (len(units) + 1)
    for begin in range(len(units)):
        for end, cost in _costs(units, begin, width(label)):
            if best[begin] + cost < best[end]:
                best[end], begins[end] = best[begin] + cost, begin
    cuts = [len(units)]
    while cuts[-1]:
        cuts.append(begins[cuts[-1]])
    cuts.reverse()
    for begin, end in pairwise(cuts):
        yield _cue(label, units[begin:end])


def srt(cues: Iterable[Cue]) -> str:
    """SubRip. It cannot escape the arrow that is its syntax, so a text's is shortened."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n"
        f"{_lines(cue).replace('-->', '->')}\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """WebVTT, in which ``&``, ``<`` and ``>`` are escaped."""
    return "WEBVTT\n" + "".join(
        f"\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_lines(cue))}\n"
        for cue in cues
    )


def tsv(cues: Iterable[Cue]) -> str:
    """Whisper's table: start and end in milliseconds, and the text in one line."""
    return "start\tend\ttext\n" + "".join(
        f"{_ms(cue.start)}\t{_ms(cue.end)}\t{rules.join(cue.lines)}\n" for cue in cues
    )


def width(text: str) -> int:
    """Columns that a text takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


@dataclass(frozen=True, slots=True)
class _Unit:
    """What no line and no cue divides: a word with the marks around it.

    ``columns`` counts the space before it as well, which is dropped where a line begins;
    ``end_cost`` is what it costs to end a cue here, ``gap`` the pause in seconds that follows.
    """

    text: str
    start: float
    end: float
    columns: int
    gap: float
    end_cost: float

    @property
    def columns_first(self) -> int:
        """The columns at the beginning of a line."""
        return self.columns - (self.text[:1] == " ")


def _units(words: Sequence[Word]) -> list[_Unit]:
    joined: list[Word] = []
    for word in chain.from_iterable(map(_pieces, words)):
        if joined and _belong_together(joined[-1].text, word.text):
            joined[-1] = Word(joined[-1].text + word.text, joined[-1].start, word.end)
        else:
            joined.append(word)
    following = [*(word.start for word in joined[1:]), float("inf")]
    return [
        _Unit(
            text=word.text,
            start=word.start,
            end=word.end,
            columns=width(word.text),
            gap=begin - word.end,
            end_cost=_end_cost(word.text, begin - word.end),
        )
        for word, begin in zip(joined, following, strict=False)
    ]


def _pieces(word: Word) -> list[Word]:
    """The word, or what becomes of one that is wider than a line."""
    if width(word.text) <= LINE_WIDTH:
        return [word]
    return _spread(word.text, word.start, word.end)


def _spread(text: str, start: float, end: float) -> list[Word]:
    """The words of a text, none wider than a line, said evenly from ``start`` to ``end``."""
    pieces = [piece for word in rules.words(text) for piece in _fitting(word)]
    columns = [0, *accumulate(width(piece) for piece in pieces)]
    times = [start + (end - start) * column / max(columns[-1], 1) for column in columns]
    return [Word(p, a, b) for p, (a, b) in zip(pieces, pairwise(times), strict=True)]


def _fitting(word: str) -> Iterator[str]:
    """The word in pieces that fit in a line."""
    piece = ""
    for character in word:
        if width(piece + character) > LINE_WIDTH:
            yield piece
            piece = ""
        piece += character
    yield piece


def _belong_together(left: str, right: str) -> bool:
    """Whether a line may not end between these: an opening mark and its word, a word and a mark."""
    opens = left[-1:] in OPENERS
    closes = rules.is_mark(right) and right.strip()[:1] not in OPENERS
    return (opens or closes) and width(left + right) <= LINE_WIDTH


def _end_cost(text: str, gap: float) -> float:
    mark = text.rstrip(CLOSERS)[-1:]
    if mark in SENTENCE_ENDS or gap >= LONG_PAUSE_SEC:
        return 0.0
    return AT_CLAUSE if mark in CLAUSE_ENDS or gap >= PAUSE_SEC else AT_WORD


def _costs(units: Sequence[_Unit], begin: int, indent: int) -> Iterator[tuple[int, float]]:
    """The ends of the cues that may begin here, and what each costs. One unit is always a cue.

    The first line has ``indent`` columns less, and the space behind them.
    """
    start, crossed = units[begin].start, 0.0
    lines, columns = 1, indent + bool(indent)
    for end in range(begin, len(units)):
        unit = units[end]
        columns += unit.columns if columns else unit.columns_first
        if columns > LINE_WIDTH:
            lines, columns = lines + 1, unit.columns_first
        if end > begin and (lines > 2 or unit.end - start > LONGEST_SEC):
            return
        missing = max(0.0, SHORTEST_SEC - (unit.end + unit.gap - start))
        yield end + 1, CUE + crossed + SHORT * missing + unit.end_cost
        if unit.gap >= LONG_PAUSE_SEC:
            return
        crossed += CROSSED_PAUSE * (unit.gap >= PAUSE_SEC)


def _cue(label: str, units: Sequence[_Unit]) -> Cue:
    first, *others = (unit.text for unit in units)
    texts = [f"{label} {first.lstrip()}" if label else first, *others]
    return Cue(_broken(texts), units[0].start, units[-1].end)


def _broken(texts: Sequence[str]) -> tuple[str, ...]:
    """Texts that fit, in one line, or in two that are as alike as punctuation allows."""
    whole = "".join(texts).strip()
    if width(whole) <= LINE_WIDTH:
        return (whole,)
    choices: list[tuple[float, tuple[str, str]]] = []
    for cut in range(1, len(texts)):
        upper, lower = "".join(texts[:cut]).strip(), "".join(texts[cut:]).strip()
        wider = max(width(upper), width(lower))
        if wider <= LINE_WIDTH:
            ends = upper.rstrip(CLOSERS)[-1:] in SENTENCE_ENDS | CLAUSE_ENDS
            choices.append((wider - MARK_BONUS * ends, (upper, lower)))
    return min(choices)[1]


def _timed(cues: Sequence[Cue]) -> list[Cue]:
    """The cues made to stand as long as can be read, as far as the next one lets them."""
    nexts = [*(cue.start for cue in cues[1:]), float("inf")]
    return [
        replace(
            cue,
            end=min(max(cue.end, cue.start + SHORTEST_SEC), cue.start + LONGEST_SEC, following),
        )
        for cue, following in zip(cues, nexts, strict=False)
    ]


def _lines(cue: Cue) -> str:
    return "\n".join(cue.lines)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    """``hh:mm:ss`` and milliseconds."""
    rest, ms = divmod(_ms(seconds), 1000)
    return f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}{point}{ms:03}"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
