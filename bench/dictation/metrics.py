"""The figures of one clip: what was observed, against what was said and when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.dictation import faults
from bench.dictation.corpus import Clip
from bench.dictation.faults import Fault
from bench.dictation.observed import Event, Observed
from bench.dictation.scoring import Errors, alignment, character_errors, tokens, word_errors

UNSEEN_SEC = 0.05
"""A text that stands shorter than this before another takes its place was not seen by anybody."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A duration in seconds and where in the clip it began; None: it never ended."""

    at: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one clip. Durations in seconds; None is what never came, and counts as infinite.

    - ``first_partial``: from the onset of speech to the first text.
    - ``intervals``: how long each text stood before another took its place, for texts that were
      there before the speech ended.
    - ``commit_lags``: from the true end of each word to the moment the server promised to keep it;
      empty where the server promises nothing or nobody knows the words' times.
    - ``settle_lags``: from the true end of each word to the moment since when it stood unchanged,
      and all before it, whatever was promised.
    - ``final_after_audio``, ``final_after_speech``: from the last byte sent, from the end of
      speech, to the final. ``done``: from the end of speech to the last change of the text; 0
      where it was complete before.
    - ``erased``: words taken back or changed while the text grew, marks and case aside (and
      ``erased_as_shown`` with them); ``words``: of the final.
    - ``partials``: texts shown that differ from the one before.
    - word and character errors against the truth, and against the server's own text of the whole
      recording (None where it was not asked for).
    """

    clip: str
    seconds: float
    failure: str | None
    text: str
    connect: float
    late: float
    first_partial: float | None
    intervals: tuple[Timed, ...]
    commit_lags: tuple[Timed, ...]
    settle_lags: tuple[Timed, ...]
    final_after_audio: float | None
    final_after_speech: float | None
    done: float | None
    partials: int
    erased: int
    erased_as_shown: int
    words: int
    word_errors: Errors
    character_errors: Errors
    batch_word_errors: Errors | None
    """Of the server's own text of the whole recording, against the truth."""
    word_errors_to_batch: Errors | None
    faults: tuple[Fault, ...]


def measure(clip: Clip, observed: Observed, batch: str | None = None) -> Figures:
    """Judge what was observed. ``batch`` is the server's own text of the whole recording."""
    final = observed.final
    text = final.heard.text if final is not None else ""
    changes = _changes(observed.shown)
    after_audio = after_speech = done = None
    if final is not None:
        after_audio = None if observed.last_byte is None else final.at - observed.last_byte
        after_speech = final.at - clip.end
        done = max(0.0, changes[-1].at - clip.end) if changes else 0.0
    return Figures(
        clip=clip.name,
        seconds=clip.seconds,
        failure=observed.failure,
        text=text,
        connect=observed.connect,
        late=observed.late,
        first_partial=changes[0].at - clip.onset if changes else None,
        intervals=_intervals(changes, clip.end, final is not None),
        commit_lags=_commit_lags(clip, observed, text),
        settle_lags=_lags(clip, _texts(observed), text, final is not None),
        final_after_audio=after_audio,
        final_after_speech=after_speech,
        done=done,
        partials=sum(not change.heard.is_final for change in changes),
        erased=_erased([tokens(change.heard.text) for change in changes]),
        erased_as_shown=_erased([change.heard.text.split() for change in changes]),
        words=len(tokens(text)),
        word_errors=word_errors(clip.text, text),
        character_errors=character_errors(clip.text, text),
        batch_word_errors=None if batch is None else word_errors(clip.text, batch),
        word_errors_to_batch=None if batch is None else word_errors(batch, text),
        faults=tuple(faults.find(clip, observed, batch)),
    )


def _changes(events: Sequence[Event]) -> list[Event]:
    """Those events at which another text is shown."""
    shown, changes = "", []
    for event in events:
        if event.heard.text != shown:
            shown = event.heard.text
            changes.append(event)
    return changes


def _intervals(changes: Sequence[Event], end: float, is_whole: bool) -> tuple[Timed, ...]:
    seen = [a for a, b in pairwise(changes) if b.at - a.at >= UNSEEN_SEC] + list(changes[-1:])
    stood = [Timed(a.at, b.at - a.at) for a, b in pairwise(seen) if a.at < end]
    if not is_whole and seen and seen[-1].at < end:
        stood.append(Timed(seen[-1].at, None))
    return tuple(stood)


def _texts(observed: Observed) -> list[tuple[float, str]]:
    return [(event.at, event.heard.text) for event in observed.shown]


def _commit_lags(clip: Clip, observed: Observed, final: str) -> tuple[Timed, ...]:
    """What a final says is promised with it."""
    if all(event.heard.committed is None for event in observed.shown):
        return ()
    promised = [(event.at, event.heard.promised) for event in observed.shown]
    told = [(at, text) for at, text in promised if text is not None]
    return _lags(clip, told, final, observed.failure is None)


def _lags(
    clip: Clip, texts: Sequence[tuple[float, str]], final: str, is_whole: bool
) -> tuple[Timed, ...]:
    """From the true end of each word to the moment since when it stands as in the final.

    Words that the final left out have none, for they are counted as errors; without a final no
    word has got anywhere.
    """
    said = [(token, word.end) for word in clip.words for token in tokens(word.text)]
    if not is_whole:
        return tuple(Timed(end, None) for _, end in said)
    written = tokens(final)
    lags = []
    times = [at for at, _ in texts]
    stable = _stable_prefixes([tokens(text) for _, text in texts], written)
    places = alignment([token for token, _ in said], written)
    for (_, end), place in zip(said, places, strict=True):
        if place is not None:
            lags.append(Timed(end, times[bisect_right(stable, place)] - end))
    return tuple(lags)


def _stable_prefixes(texts: Sequence[list[str]], final: list[str]) -> list[int]:
    """For each text, how many of the final's first words stand from then on; never decreasing."""
    stable: list[int] = []
    least = len(final)
    for text in reversed(texts):
        least = min(least, _common(text, final))
        stable.append(least)
    return stable[::-1]


def _erased(texts: Sequence[list[str]]) -> int:
    return sum(len(before) - _common(before, after) for before, after in pairwise(texts))


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """How many of the first words are the same."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next(place for place in range(n) if a[place] != b[place])
