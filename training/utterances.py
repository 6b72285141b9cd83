"""Utterances for training, put together from the corpus: what is said, cut, joined and how."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from training import augment
from training.corpus import Corpus, Entry, Session
from training.domain import Language, join_words
from training.synthesis import SAMPLE_RATE, Samples, Span, silence

LONGEST = 29.8  # seconds
_FADE = 96  # samples, where speech is cut for a pause


@dataclass(frozen=True)
class Part:
    """Words `first` to `last` of an entry, heard from `start` to `end`, then `gap` seconds.

    `spliced` says that silence was cut out of the gap; `pause` holds a word index and the
    seconds of hesitation before that word.
    """

    entry: Entry
    first: int
    last: int
    start: float
    end: float
    gap: float = 0.0
    spliced: bool = False
    pause: tuple[int, float] | None = None

    @property
    def text(self) -> str:
        """The words as written."""
        return self.entry.sentence.span(self.first, self.last)

    @property
    def whole(self) -> bool:
        """Whether the sentence is complete."""
        return self.first == 0 and self.last == len(self.entry.words)

    @property
    def seconds(self) -> float:
        """Length with its gap and its hesitation."""
        return self.end - self.start + self.gap + (self.pause[1] if self.pause else 0.0)


@dataclass(frozen=True)
class Plan:
    """One utterance before it is rendered; no parts is an utterance of silence or noise."""

    seed: int
    language: Language | None
    parts: tuple[Part, ...]
    lead: float
    tail: float

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.lead + self.tail + sum(part.seconds for part in self.parts)

    @property
    def text(self) -> str:
        """What a recognizer should write."""
        if self.language is None:
            return ""
        return join_words([part.text for part in self.parts], self.language)


@dataclass(frozen=True)
class Utterance:
    """Audio (float32, 16 kHz, full scale ±1) and what is in it."""

    samples: Samples
    language: Language | None
    text: str
    words: list[Span]
    phones: list[Span]


def plan(rng: random.Random, corpus: Corpus) -> Plan:
    """Draw an utterance: silence, one sentence, a few, or many."""
    seed = rng.getrandbits(48)
    choice = rng.random()
    if choice < 0.03:
        return Plan(seed, None, (), rng.choice((0.5, 1.0, 2.0, 4.0, 9.0)) * rng.uniform(0.6, 1), 0)
    session = draw_session(rng, corpus)
    if choice < 0.6:
        wanted, most = 0.0, 1
    elif choice < 0.85:
        wanted, most = LONGEST, rng.randint(2, 4)
    else:
        wanted, most = rng.uniform(10.0, LONGEST), 12
    return speech(rng, session.entries, seed, min(wanted, LONGEST - 1), most)


def draw_session(rng: random.Random, corpus: Corpus) -> Session:
    """Draw a voice; the easiest, English of espeak-ng, gives way to another draw half the time."""
    session = rng.choice(corpus.sessions)
    easy = session.language == "English" and session.voice.engine == "espeak"
    return rng.choice(corpus.sessions) if easy and rng.random() < 0.5 else session


def speech(
    rng: random.Random, entries: Sequence[Entry], seed: int, wanted: float, most: int
) -> Plan:
    """Sentences of one language in any order: at most so many, and (but for the first) seconds."""
    lead = rng.uniform(0.05, 0.3) if rng.random() < 0.85 else rng.uniform(0.0, 1.0)
    parts: list[Part] = []
    total = lead
    for entry in rng.sample(entries, len(entries)):
        part = _part(rng, entry)
        if parts and (len(parts) >= most or total + part.seconds > wanted):
            break
        parts.append(part)
        total += part.seconds
    parts[-1] = replace(parts[-1], gap=0.0, spliced=False)
    if rng.random() < 0.05:
        parts[0] = _without_beginning(rng, parts[0])
    cut = rng.random() < 0.3
    if cut:
        parts[-1] = _without_end(rng, parts[-1])
    language = entries[0].sentence.language
    return Plan(seed, language, tuple(parts), lead, _tail(rng, cut))


def _part(rng: random.Random, entry: Entry) -> Part:
    seconds = entry.length / SAMPLE_RATE
    count = len(entry.words)
    choice = rng.random()
    spliced = False
    if choice < 0.25:
        gap = rng.uniform(0.1, 0.4)
    elif choice < 0.45:
        gap = rng.uniform(0.4, 0.8)
    elif choice < 0.85:
        gap, spliced = rng.uniform(0.6, 0.82), True
    else:
        gap = rng.uniform(0.8, 2.5)
    pause = None
    if count >= 3 and rng.random() < 0.1:
        pause = (rng.randrange(1, count), rng.uniform(0.15, 1.0))
    return Part(entry, 0, count, 0.0, seconds, gap, spliced, pause)


def _without_beginning(rng: random.Random, part: Part) -> Part:
    if part.last < 4:
        return part
    first = rng.randrange(1, part.last - 1)
    return replace(part, first=first, start=part.entry.words[first].start, pause=None)


def _without_end(rng: random.Random, part: Part) -> Part:
    """Cut the speech between two words, or inside one that is counted if most of it is heard."""
    words = part.entry.words
    index = rng.randrange(part.first, part.last)
    word = words[index]
    if rng.random() < 0.3:
        heard = rng.choice((rng.uniform(0.1, 0.45), rng.uniform(0.82, 0.95)))
        last = index + (1 if heard > 0.5 else 0)
        end = word.start + heard * (word.end - word.start)
    else:
        last = index + 1
        end = word.end + rng.uniform(-0.01, 0.03)
    if last <= part.first:
        return part
    pause = part.pause if part.pause and part.pause[0] < last else None
    return replace(part, last=last, end=min(end, part.end), pause=pause)


def _tail(rng: random.Random, cut: bool) -> float:
    choice = rng.random()
    if cut:
        return 0.0 if choice < 0.7 else rng.uniform(0.02, 0.64)
    if choice < 0.12:
        return rng.uniform(0.0, 0.1)
    return rng.uniform(0.1, 0.7) if choice < 0.92 else rng.uniform(0.7, 2.0)


def render(plan: Plan, corpus: Corpus, bank: augment.NoiseBank) -> Utterance:
    """Make the audio of a plan; the same plan always sounds the same."""
    rng = np.random.default_rng(plan.seed)
    if plan.language is None:
        count = max(int(plan.seconds * SAMPLE_RATE), 3200)
        noise = augment.nothing(rng, bank, count)
        return Utterance(augment.quantised(noise), None, "", [], [])
    pieces, words, phones, splices = [silence(plan.lead)], [], [], []
    at = len(pieces[0])
    for part in plan.parts:
        loudness = np.float32(10 ** (rng.uniform(-3, 3) / 20))
        for piece in _pieces(part, corpus):
            words += piece.after(piece.words, at)
            phones += piece.after(piece.phones, at)
            pieces.append(piece.samples * loudness)
            at += len(piece.samples)
        pieces.append(silence(part.gap))
        if part.spliced:
            splices.append(at + max(0, len(pieces[-1]) - int(0.16 * SAMPLE_RATE)))
        at += len(pieces[-1])
    pieces.append(silence(plan.tail))
    samples = augment.level(rng, augment.colour(rng, np.concatenate(pieces)))
    speech = sum(part.seconds - part.gap for part in plan.parts) * SAMPLE_RATE
    power = float(np.sqrt(np.sum(samples**2) / speech))
    samples = augment.noisy(rng, bank, samples, [*splices, len(samples)], power)
    return Utterance(augment.quantised(samples), plan.language, plan.text, words, phones)


@dataclass(frozen=True)
class _Piece:
    """Samples, and the words and sounds in them with their times from the first sample."""

    samples: Samples
    words: list[Span]
    phones: list[Span]

    def after(self, spans: list[Span], count: int) -> list[Span]:
        """The spans, when the piece comes after so many samples."""
        shift = count / SAMPLE_RATE
        return [Span(text, a + shift, b + shift) for text, a, b in spans]


def _pieces(part: Part, corpus: Corpus) -> list[_Piece]:
    """The speech of a part, in two pieces with silence between if the speaker hesitates."""
    samples = corpus.samples(part.entry)
    cuts = [(part.first, part.start), (part.last, part.end)]
    if part.pause and part.first < part.pause[0] < part.last:
        cuts.insert(1, (part.pause[0], part.entry.words[part.pause[0]].start))
    made: list[_Piece] = []
    for index, ((first, start), (last, end)) in enumerate(pairwise(cuts)):
        piece = samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)].copy()
        if index > 0 and part.pause:
            _fade(piece, at_start=True)
            made.append(_Piece(silence(part.pause[1]), [], []))
        if index + 2 < len(cuts):
            _fade(piece, at_start=False)
        phones = [phone for phone in part.entry.phones if phone.end > start and phone.start < end]
        words = list(part.entry.words[first:last])
        made.append(_Piece(piece, _within(words, start, end), _within(phones, start, end)))
    return made


def _within(spans: list[Span], start: float, end: float) -> list[Span]:
    """Spans cut to what lies between two times and counted from the first."""
    return [Span(text, max(a, start) - start, min(b, end) - start) for text, a, b in spans]


def _fade(piece: Samples, *, at_start: bool) -> None:
    count = min(_FADE, len(piece))
    ramp = np.linspace(0, 1, count, dtype=np.float32)
    if at_start:
        piece[:count] *= ramp
    elif count:
        piece[-count:] *= ramp[::-1]
