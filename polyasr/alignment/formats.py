"""A text with its times, as JSON's values and as Praat's TextGrid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from polyasr.alignment.align import Alignment
from polyasr.alignment.sentences import Sentence
from polyasr.samples import SAMPLE_RATE

Interval = tuple[str, int, int]
"""A text, and from where to where it stands, in samples."""


def document(
    text: str, language: str, sentences: Iterable[Mapping[str, object]], models: Sequence[str]
) -> Mapping[str, object]:
    """As `/v1/align` answers. ``sentences`` as ``sentence`` makes them."""
    return {
        "text": text,
        "language": language,
        "segments": list(sentences),
        "model": " + ".join(models),
    }


def sentence(one: Sentence, offset: float = 0.0) -> Mapping[str, object]:
    """A segment of the document, its times moved by ``offset`` seconds."""
    return {
        "text": one.text,
        "start": _seconds(one.start, offset),
        "end": _seconds(one.end, offset),
        "words": [
            {
                "text": word.text,
                "start": _seconds(word.start, offset),
                "end": _seconds(word.end, offset),
            }
            for word in one.words
        ],
    }


def textgrid(found: Alignment) -> str:
    """Praat's long text format, with a tier of sentences and one of words.

    A tier's intervals leave no gap, and none may be empty of time: what has no time of its own
    shares the next one's.
    """
    end = found.n_samples
    words = [(word.text, word.start, word.end) for one in found.sentences for word in one.words]
    tiers = {
        "sentences": _tier([(one.text, one.start, one.end) for one in found.sentences], end),
        "words": _tier(words, end),
    }
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {_decimal(end)}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f'        name = "{name}"',
            "        xmin = 0",
            f"        xmax = {_decimal(end)}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (text, start, stop) in enumerate(intervals, 1):
            quoted = " ".join(text.split()).replace('"', '""')
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_decimal(start)}",
                f"            xmax = {_decimal(stop)}",
                f'            text = "{quoted}"',
            ]
    return "\n".join(lines) + "\n"


def _tier(timed: Iterable[Interval], end: int) -> list[Interval]:
    return list(_gapless(timed, end))


def _gapless(timed: Iterable[Interval], end: int) -> Iterator[Interval]:
    """Intervals from 0 to ``end``, each longer than nothing."""
    reached, waiting = 0, ""
    for text, start, stop in timed:
        waiting = f"{waiting} {text}".strip()
        if stop <= max(start, reached):
            continue
        if start > reached:
            yield "", reached, start
        yield waiting, max(start, reached), stop
        reached, waiting = stop, ""
    if reached < end or waiting:
        yield waiting, reached, end


def _decimal(samples: int) -> str:
    return f"{samples / SAMPLE_RATE:.6f}".rstrip("0").rstrip(".")


def _seconds(samples: int, offset: float) -> float:
    """Seconds to the millisecond."""
    return round(offset + samples / SAMPLE_RATE, 3)
