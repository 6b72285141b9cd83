"""How far a forced aligner's times are from the synthesiser's, on sentences never trained on."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from training.alignment import cleaned, official_processor, prompt_ids
from training.domain import Language, sentence, sentences
from training.evaluate import disturbed
from training.features import log_mel
from training.network import TIMESTAMP_MS, WINDOW_CHUNKS, decode, embed, encode, token_count
from training.prompts import Prompter
from training.synthesis import SAMPLE_RATE, Engine, Samples, Span, random_voice, silence, synthesize

Edit = Literal["", "missing", "extra", "wrong"]
Times = list[tuple[float, float]]


@dataclass(frozen=True)
class Case:
    """A clip, its transcript, and when each of its words is said.

    A word of the transcript that nobody says has no times.
    """

    samples: Samples
    language: Language
    words: tuple[str, ...]
    times: tuple[tuple[float, float] | None, ...]

    @property
    def text(self) -> str:
        """The transcript."""
        return (" " if self.language == "English" else "").join(self.words)


Align = Callable[[Sequence[Case]], list[Times]]


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    `seconds` is the length of the clips (0 for one sentence), `silence` the longest pause before,
    between and after sentences, and `edit` what is wrong with one word in ten of the transcript.
    """

    name: str
    language: Language
    engine: Engine
    clips: int
    new_voice: bool = False
    seconds: float = 0.0
    silence: float = 0.64
    edit: Edit = ""


def _lengths() -> Iterator[Kind]:
    languages: tuple[tuple[str, Language], ...] = (("English", "English"), ("Mandarin", "Chinese"))
    for name, language in languages:
        for seconds, clips in ((5, 60), (15, 40), (30, 24), (60, 12), (120, 6)):
            yield Kind(f"{name}, {seconds} s", language, "espeak", clips, seconds=seconds)


KINDS = (
    Kind("English, trained espeak-ng voices", "English", "espeak", 150),
    Kind("English, trained flite voices", "English", "flite", 100),
    Kind("English, new espeak-ng voices", "English", "espeak", 150, new_voice=True),
    Kind("English, new flite voice (awb)", "English", "flite", 100, new_voice=True),
    Kind("Mandarin, trained voices", "Chinese", "espeak", 150),
    Kind("Mandarin, new voices", "Chinese", "espeak", 100, new_voice=True),
    *_lengths(),
    Kind("English, 20 s, pauses up to 4 s", "English", "espeak", 30, seconds=20, silence=4.0),
    Kind("Mandarin, 20 s, pauses up to 4 s", "Chinese", "espeak", 30, seconds=20, silence=4.0),
    Kind("English, 10 s, words missing", "English", "espeak", 40, seconds=10, edit="missing"),
    Kind("English, 10 s, words too many", "English", "espeak", 40, seconds=10, edit="extra"),
    Kind("English, 10 s, words wrong", "English", "espeak", 40, seconds=10, edit="wrong"),
    Kind("Mandarin, 10 s, characters wrong", "Chinese", "espeak", 40, seconds=10, edit="wrong"),
)
QUICK = {0: 16, 1: 8, 4: 16, 7: 3, 12: 3}
"""Rows measured during training, and how many clips of each."""


@dataclass(frozen=True)
class Score:
    """Errors of the boundaries (starts and ends) of a row, in seconds."""

    kind: str
    clips: int
    errors: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean absolute error."""
        return float(np.mean(self.errors))

    @property
    def median(self) -> float:
        """The median absolute error."""
        return float(np.median(self.errors))

    def within(self, seconds: float) -> float:
        """The share of boundaries that are at most so far away."""
        return float(np.mean(np.asarray(self.errors) <= seconds))


def cases(kind: Kind, count: int, seed: int = 0) -> Iterator[Case]:
    """Clips of a kind: spoken afresh, at any level, half of them with noise at 15 to 45 dB."""
    rng = random.Random(f"{seed}/{kind.name}")
    noise = np.random.default_rng([seed, count])
    supply = sentences(seed, 1_000_000, kind.language, test=True)
    for _ in range(count):
        voice = random_voice(rng, kind.language, engine=kind.engine, test=kind.new_voice)
        pieces = [silence(rng.uniform(0.1, kind.silence))]
        words: list[Span] = []
        length = len(pieces[0])
        while not words or length < (kind.seconds - 1) * SAMPLE_RATE:
            clip = synthesize(voice, next(supply))
            pause = silence(rng.uniform(0.2, kind.silence))
            if words and length + len(clip.samples) + len(pause) > kind.seconds * SAMPLE_RATE:
                break
            shift = length / SAMPLE_RATE
            words += [Span(text, a + shift, b + shift) for text, a, b in clip.words]
            pieces += [clip.samples, pause]
            length += len(clip.samples) + len(pause)
        samples = disturbed(rng, noise, np.concatenate(pieces))
        texts, times = _transcript(rng, cleaned(words), kind)
        yield Case(samples, kind.language, texts, times)


def _transcript(
    rng: random.Random, words: list[Span], kind: Kind
) -> tuple[tuple[str, ...], tuple[tuple[float, float] | None, ...]]:
    made: list[tuple[str, tuple[float, float] | None]] = []
    for index, (text, start, end) in enumerate(words):
        times = (start, end)
        if not kind.edit or index == 0 or rng.random() > 0.1:
            made.append((text, times))
            continue
        (other, *_) = cleaned([Span(sentence(rng, kind.language).words[-1], 0, 0)])
        if kind.edit == "extra":
            made += [(text, times), (other.text, None)]
        elif kind.edit == "wrong":
            made.append((other.text, times))
    texts, spans = zip(*made, strict=True)
    return texts, spans


def score(kind: str, found: Sequence[Case], answers: list[Times]) -> Score:
    """Compare times with the synthesiser's; words that nobody says do not count."""
    errors: list[float] = []
    for case, times in zip(found, answers, strict=True):
        for true, (start, end) in zip(case.times, times, strict=True):
            if true is not None:
                errors += [abs(start - true[0]), abs(end - true[1])]
    return Score(kind, len(found), tuple(errors))


def table(
    align: Align, seed: int = 0, share: float = 1.0, kinds: Sequence[Kind] = KINDS
) -> list[Score]:
    """Measure rows; `share` scales the number of clips."""
    scores = []
    for kind in kinds:
        found = list(cases(kind, max(1, round(kind.clips * share)), seed))
        scores.append(score(kind.name, found, align(found)))
    return scores


def markdown(scores: Sequence[Score]) -> str:
    """The table as Markdown."""
    lines = [
        "| held-out sentences | clips | boundaries | mean error | median | ≤ 100 ms | ≤ 200 ms |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.kind} | {s.clips} | {len(s.errors)} | {1000 * s.mean:.0f} ms "
        f"| {1000 * s.median:.0f} ms | {100 * s.within(0.1):.1f} % | {100 * s.within(0.2):.1f} % |"
        for s in scores
    ]
    return "\n".join(lines)


def aligner(model: Any, prompter: Prompter, *, window_chunks: int = WINDOW_CHUNKS) -> Align:
    """The model as a function from clips to times, with the encoder's windows as served."""

    def align(found: Sequence[Case]) -> list[Times]:
        order = sorted(range(len(found)), key=lambda index: len(found[index].samples))
        answers: list[Times] = [[] for _ in found]
        batch: list[int] = []
        for index in [*order, None]:
            seconds = len(found[index].samples) / SAMPLE_RATE if index is not None else 0.0
            if batch and (index is None or seconds * (len(batch) + 1) > 120):
                group = [found[i] for i in batch]
                for i, times in zip(
                    batch, _forward(model, prompter, group, window_chunks), strict=True
                ):
                    answers[i] = times
                batch = []
            if index is not None:
                batch.append(index)
        return answers

    return align


@torch.inference_mode()
def _forward(
    model: Any, prompter: Prompter, group: Sequence[Case], window_chunks: int
) -> list[Times]:
    thinker = model.thinker
    features = [log_mel(case.samples) for case in group]
    rows = [
        torch.tensor(prompt_ids(prompter, case.words, token_count(clip.shape[1])))
        for case, clip in zip(group, features, strict=True)
    ]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=prompter.pad)
    audio = encode(thinker.audio_tower, features, window_chunks)
    hidden, _ = decode(thinker.model, embed(thinker, ids, audio, prompter.audio))
    answers = []
    for case, row, states in zip(group, ids, hidden, strict=True):
        classes = thinker.lm_head(states[row == prompter.timestamp]).argmax(-1)
        spans = official_processor().parse_timestamp(case.words, (classes * TIMESTAMP_MS).numpy())
        answers.append([(s["start_time"] / 1000, s["end_time"] / 1000) for s in spans])
    return answers


def load(folder: Path) -> tuple[Any, Prompter]:
    """A checkpoint in float32 and its prompter."""
    wrapper = _official(folder)
    return wrapper.model.eval(), Prompter(wrapper.processor.tokenizer)


def official_aligner(folder: Path) -> Align:
    """`Qwen3ForcedAligner.align`, which ignores the encoder's windows."""
    wrapper = _official(folder)

    def align(found: Sequence[Case]) -> list[Times]:
        answers = []
        for case in found:
            (result,) = wrapper.align((case.samples, SAMPLE_RATE), case.text, case.language)
            assert [item.text for item in result] == list(case.words)
            answers.append([(item.start_time, item.end_time) for item in result])
        return answers

    return align


def _official(folder: Path) -> Any:
    from qwen_asr import Qwen3ForcedAligner

    return Qwen3ForcedAligner.from_pretrained(str(folder), dtype=torch.float32)


def quick_errors(model: Any, prompter: Prompter) -> str:
    """Errors on a few held-out clips of some kinds, for the log of a training run."""
    align = aligner(model, prompter)
    report = []
    for index, clips in QUICK.items():
        found = _quick_cases(index, clips)
        result = score(KINDS[index].name, found, align(found))
        report.append(f"{result.kind} {1000 * result.mean:.0f} ms {100 * result.within(0.2):.1f} %")
    return "; ".join(report)


@functools.cache
def _quick_cases(index: int, clips: int) -> list[Case]:
    return list(cases(KINDS[index], clips, seed=99))
