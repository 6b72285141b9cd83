"""What a server must not do, found and called by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from bench.dictation.corpus import Clip
from bench.dictation.observed import Observed
from bench.dictation.scoring import alignment, tokens
from polyasr.samples import SAMPLE_RATE

Kind = Literal[
    "committed rewrite", "coverage violation", "dropped words", "burst", "text after the final"
]
KINDS: tuple[Kind, ...] = (
    "committed rewrite",
    "coverage violation",
    "dropped words",
    "burst",
    "text after the final",
)
DROPPED_WORDS = 3
"""So many words in a row that are missing were not misheard."""
BURST = 3
BURST_SEC = 0.1
"""So many texts within so short a time: all but the last were for statistics, not for people."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, when it was seen on the clip's clock, and what it was."""

    kind: Kind
    at: float
    detail: str


def find(clip: Clip, observed: Observed, batch: str | None) -> Iterator[Fault]:
    """All faults of one clip. ``batch`` is the server's own text of the whole recording; without
    it nobody can tell words that were dropped from words that were not understood."""
    yield from _rewrites(observed)
    yield from _bursts(observed)
    yield from _afterwards(observed)
    yield from _losses(clip, observed, batch)


def _rewrites(observed: Observed) -> Iterator[Fault]:
    """Promised text that changed, or shows up in no text."""
    promised = ""
    for event in observed.shown:
        heard = event.heard
        now = heard.promised
        if not heard.text.startswith(promised):
            now = now if now is not None else heard.text
            yield Fault("committed rewrite", event.at, f"{promised[-40:]!r} became {now[-40:]!r}")
        elif now is not None and not now.startswith(promised):
            yield Fault("committed rewrite", event.at, f"{promised[-40:]!r} shrank to {now!r}")
        promised = promised if now is None else now


def _bursts(observed: Observed) -> Iterator[Fault]:
    """Texts that nobody had the time to see."""
    times, shown = [], ""
    for event in observed.shown:
        if event.heard.text != shown:
            shown = event.heard.text
            times.append(event.at)
    together = [b - a <= BURST_SEC / (BURST - 1) for a, b in pairwise(times)]
    at = 0
    for is_close, group in groupby(together):
        n = len(list(group))
        if is_close and n >= BURST - 1:
            yield Fault("burst", times[at], f"{n + 1} texts in {times[at + n] - times[at]:.3f} s")
        at += n


def _afterwards(observed: Observed) -> Iterator[Fault]:
    final = observed.final
    if final is None:
        return
    for event in observed.events[len(observed.shown) :]:
        yield Fault("text after the final", event.at, repr(event.heard.text[-40:]))


def _losses(clip: Clip, observed: Observed, batch: str | None) -> Iterator[Fault]:
    """Words that are missing, and audio that is not in the text though the server says so."""
    final = observed.final
    if final is None:
        return
    covered = final.heard.covered
    if covered is not None and covered > observed.sent + 1 / SAMPLE_RATE:
        detail = f"{covered:.3f} s claimed, {observed.sent:.3f} s sent"
        yield Fault("coverage violation", final.at, detail)
    for words, end in _dropped(clip, final.heard.text, batch) if batch is not None else ():
        yield Fault("dropped words", final.at, words)
        if covered is not None and end <= covered:
            yield Fault("coverage violation", final.at, f"{covered:.3f} s claimed without: {words}")


def _dropped(clip: Clip, text: str, batch: str) -> Iterator[tuple[str, float]]:
    """Runs of words that the final lacks and the server, given the whole recording, hears: so it
    could have heard them.

    With the end of the last of them; where nobody knows the words' times, of the clip.
    """
    said = [(token, word.end) for word in clip.words for token in tokens(word.text)]
    said = said or [(token, clip.seconds) for token in tokens(clip.text)]
    names = [token for token, _ in said]
    places = alignment(names, tokens(text))
    heard = alignment(names, tokens(batch))
    at = 0
    for is_missing, group in groupby(place is None for place in places):
        n = len(list(group))
        run = range(at, at + n)
        at += n
        if is_missing and n >= DROPPED_WORDS and all(heard[index] is not None for index in run):
            yield " ".join(names[run[0] : run[-1] + 1]), said[run[-1]][1]
