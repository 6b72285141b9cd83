"""How well a checkpoint hears sentences it was never trained on."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training import augment
from training.decoding import recognise
from training.domain import Language, Sentence, join_words, sentences
from training.prompts import Prompter
from training.scoring import errors, units
from training.synthesis import SAMPLE_RATE, Engine, Samples, random_voice, silence, synthesize

LONGEST = 29.5
Recognise = Callable[[Sequence[Samples]], list[tuple[str, str]]]
"""Clips in; for each the language ("None" for no speech) and the text."""


@dataclass(frozen=True)
class Case:
    """A clip of held-out sentences and what was said; no language means no speech."""

    samples: Samples
    language: Language | None
    text: str


@dataclass(frozen=True)
class Kind:
    """A row of the table: voices of an engine, trained or new, and sentences a clip."""

    name: str
    language: Language
    engine: Engine
    new_voice: bool
    sentences: int
    clips: int
    target: str = ""


KINDS = (
    Kind("English, trained espeak-ng voices", "English", "espeak", False, 1, 200, "97 %"),
    Kind("English, trained flite voices", "English", "flite", False, 1, 100, "97 %"),
    Kind("English, new espeak-ng voices", "English", "espeak", True, 1, 200, "95 %"),
    Kind("English, new flite voice (awb)", "English", "flite", True, 1, 120, "(90 %)"),
    Kind("Mandarin, trained voices, by character", "Chinese", "espeak", False, 1, 150, "97 %"),
    Kind("Mandarin, new voices, by character", "Chinese", "espeak", True, 1, 80, "95 %"),
    Kind("English, several sentences, 12–30 s", "English", "espeak", False, 12, 60, "93 %"),
    Kind("Mandarin, several sentences, 12–30 s", "Chinese", "espeak", False, 12, 20, "93 %"),
)
SILENT_CLIPS = 150
QUICK = {0: 24, 2: 24, 3: 12, 4: 12, 6: 5}
"""Rows measured during training, and how many clips of each."""


@dataclass(frozen=True)
class Score:
    """What came out of one row of the table."""

    kind: str
    target: str
    clips: int
    units: int
    accuracy: float
    language: float


def padded(speech: Samples, lead: float = 0.16, tail: float = 0.64) -> Samples:
    """Speech with silence around it, by default as much as the server leaves."""
    return np.concatenate([silence(lead), speech, silence(tail)])


def cases(kind: Kind, count: int, seed: int = 0) -> Iterator[Case]:
    """Clips of a kind: spoken afresh, at any level, half of them with noise at 15 to 45 dB."""
    rng = random.Random(f"{seed}/{kind.name}")
    noise = np.random.default_rng([seed, count])
    supply = sentences(seed, count * kind.sentences, kind.language, test=True)
    for _ in range(count):
        voice = random_voice(rng, kind.language, engine=kind.engine, test=kind.new_voice)
        group = [next(supply) for _ in range(kind.sentences)]
        wanted = rng.uniform(12.5, LONGEST)
        pieces: list[Samples] = []
        said: list[Sentence] = []
        length = 0
        for sentence in group:
            piece = padded(synthesize(voice, sentence).samples, 0.16, rng.uniform(0.3, 0.64))
            if said and length + len(piece) > wanted * SAMPLE_RATE:
                break
            pieces.append(piece)
            said.append(sentence)
            length += len(piece)
        samples = disturbed(rng, noise, np.concatenate(pieces))
        text = join_words([sentence.text for sentence in said], kind.language)
        yield Case(samples, kind.language, text)


def disturbed(rng: random.Random, noise: np.random.Generator, speech: Samples) -> Samples:
    """Speech at any level, half the time with noise 15 to 45 dB below it."""
    samples = augment.level(noise, speech)
    if rng.random() < 0.5:
        power = float(np.sqrt(np.mean(samples**2)))
        hiss = _bank().draw(noise, rng.choice(augment.NOISES), [len(samples)])
        samples = samples + hiss * np.float32(power * 10 ** (-rng.uniform(15, 45) / 20))
    return augment.quantised(samples)


def silent_cases(count: int, seed: int = 0) -> Iterator[Case]:
    """Silence and noise, half a second to ten."""
    rng = np.random.default_rng([seed, 7])
    for _ in range(count):
        length = int(rng.uniform(0.5, 10) * SAMPLE_RATE)
        yield Case(augment.quantised(augment.nothing(rng, _bank(), length)), None, "")


@functools.cache
def _bank() -> augment.NoiseBank:
    return augment.NoiseBank(1234)


def score(kind: str, target: str, found: Sequence[Case], answers: list[tuple[str, str]]) -> Score:
    """Compare answers with what was said."""
    wrong = total = languages = 0
    for case, (language, text) in zip(found, answers, strict=True):
        wrong += errors(units(case.text), units(text))
        total += len(units(case.text))
        languages += language == (case.language or "None")
    if total == 0:
        empty = sum(not text for _, text in answers)
        return Score(kind, target, len(found), 0, empty / len(found), languages / len(found))
    return Score(kind, target, len(found), total, 1 - wrong / total, languages / len(found))


def table(
    listen: Recognise, seed: int = 0, share: float = 1.0, *, longest: int = 12
) -> list[Score]:
    """Measure rows of up to `longest` sentences a clip; `share` scales the number of clips."""
    scores = []
    for kind in KINDS:
        if kind.sentences > longest:
            continue
        found = list(cases(kind, max(1, round(kind.clips * share)), seed))
        answers = listen([case.samples for case in found])
        scores.append(score(kind.name, kind.target, found, answers))
    silent = list(silent_cases(max(1, round(SILENT_CLIPS * share)), seed))
    answers = listen([case.samples for case in silent])
    return [*scores, score("silence and noise give empty text", "99 %", silent, answers)]


def markdown(scores: Sequence[Score]) -> str:
    """The table as Markdown."""
    lines = [
        "| held-out sentences | clips | words or characters | right | target | language right |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s.kind} | {s.clips} | {s.units or '–'} | {100 * s.accuracy:.1f} % | {s.target} "
        f"| {100 * s.language:.1f} % |"
        for s in scores
    ]
    return "\n".join(lines)


def listener(
    model: Any, prompter: Prompter, *, context: str | None = "", forced: str | None = None
) -> Recognise:
    """The model as a function from clips to answers."""

    def listen(clips: Sequence[Samples]) -> list[tuple[str, str]]:
        outputs = recognise(model, prompter, clips, context=context, forced=forced)
        if forced:
            return [(forced, text) for text in outputs]
        answers = []
        for output in outputs:
            header, _, text = output.partition("<asr_text>")
            answers.append((header.removeprefix("language "), text))
        return answers

    return listen


def load(folder: Path) -> tuple[Any, Prompter]:
    """A checkpoint in float32 and its prompter."""
    import torch
    from qwen_asr import Qwen3ASRModel

    wrapper = Qwen3ASRModel.from_pretrained(str(folder), dtype=torch.float32)
    return wrapper.model.eval(), Prompter(wrapper.processor.tokenizer)


def engine_listener(folder: Path) -> Recognise:
    """The server's engine, a clip at a time."""
    from polyasr.engine.incremental import IncrementalSegment
    from polyasr.engine.qwen_torch import QwenTorch

    engine = QwenTorch.load(folder, "cpu", "float32")

    def listen(clips: Sequence[Samples]) -> list[tuple[str, str]]:
        found = [IncrementalSegment(engine, None, "").decode(clip, 0) for clip in clips]
        return [(hypothesis.language or "None", hypothesis.text) for hypothesis in found]

    return listen


def official_listener(folder: Path) -> Recognise:
    """`Qwen3ASRModel.transcribe`, which ignores the encoder's windows: right up to 8 s.

    Its generation stops at the real tokenizer's end, so it is given this tokenizer's.
    """
    import torch
    from qwen_asr import Qwen3ASRModel

    wrapper = Qwen3ASRModel.from_pretrained(str(folder), dtype=torch.float32)
    end = wrapper.model.generation_config.eos_token_id
    wrapper.model.generate = functools.partial(wrapper.model.generate, eos_token_id=end)

    def listen(clips: Sequence[Samples]) -> list[tuple[str, str]]:
        results = wrapper.transcribe([(clip, SAMPLE_RATE) for clip in clips])
        return [(result.language or "None", result.text) for result in results]

    return listen


def partial_agreement(listen: Recognise, count: int = 60, seed: int = 1) -> float:
    """Of the words of partials, all but the last, the share that stands in the final.

    Each held-out sentence is cut every half second.
    """
    kept = seen = 0
    for case in cases(KINDS[0], count, seed):
        cuts = [*range(SAMPLE_RATE // 2, len(case.samples), SAMPLE_RATE // 2), len(case.samples)]
        *partials, (_, final) = listen([case.samples[:cut] for cut in cuts])
        for _, text in partials:
            stable = units(text)[:-1]
            kept += sum(a == b for a, b in zip(stable, units(final), strict=False))
            seen += len(stable)
    return kept / max(1, seen)


def quick_accuracy(model: Any, prompter: Prompter) -> str:
    """Accuracy on a few held-out clips of some kinds, for the log of a training run."""
    listen = listener(model, prompter)
    report = []
    for index, clips in QUICK.items():
        found = _quick_cases(index, clips)
        answers = listen([case.samples for case in found])
        kind = KINDS[index]
        result = score(kind.name, kind.target, found, answers)
        report.append(f"{kind.name} {100 * result.accuracy:.1f} %")
    return "; ".join([*report, f"for instance {answers[-1][1][:100]!r}"])


@functools.cache
def _quick_cases(index: int, clips: int) -> list[Case]:
    return list(cases(KINDS[index], clips, seed=99))
