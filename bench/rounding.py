"""What weights of fewer bits change: the bundled checkpoint against itself in float32."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from bench.dictation.scoring import word_errors
from bench.report import table
from polyasr.checkpoint import BUNDLED
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import Samples
from training.domain import LANGUAGES, sentences
from training.synthesis import random_voice, synthesize

EXACT = "float32"

Progress = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence that the checkpoint was not trained on, and what it says."""

    text: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Rounded:
    """One number format over all clips, against float32.

    ``equal``: clips whose tokens are the same; ``edits``: tokens to change in the others;
    ``logprob``: mean difference of the log-probabilities of the tokens in the clips that are equal;
    ``word_error``: against what was said, 0 to 1.
    """

    dtype: str
    clips: int
    equal: int
    tokens: int
    edits: int
    logprob: float
    word_error: float


def corpus(n: int, seed: int = 0) -> list[Spoken]:
    """``n`` clips of each language."""
    spoken = []
    for language in LANGUAGES:
        rng = random.Random(seed)
        for sentence in sentences(seed=seed, n=n, language=language, test=True):
            clip = synthesize(random_voice(rng, language), sentence)
            spoken.append(Spoken(sentence.text, clip.samples))
    return spoken


def measure(dtypes: Sequence[str], n: int, progress: Progress) -> list[Rounded]:
    """Decode ``n`` clips of each language in float32 and in every one of ``dtypes``."""
    clips = corpus(n)
    progress(f"decoding {len(clips)} clips in {EXACT}")
    exact = _decoded(EXACT, clips)
    found = [_compared(EXACT, clips, exact, exact)]
    for dtype in dtypes:
        progress(f"decoding {len(clips)} clips in {dtype}")
        found.append(_compared(dtype, clips, exact, _decoded(dtype, clips)))
    return found


def report(found: Sequence[Rounded]) -> str:
    """A table in Markdown."""
    head = [
        "weights",
        "clips of equal tokens",
        "tokens changed",
        "log-prob. off by",
        "word error",
    ]
    rows = [
        [
            each.dtype,
            f"{each.equal} of {each.clips}",
            f"{each.edits} of {each.tokens}",
            f"{each.logprob:.4f}",
            f"{each.word_error:.1%}",
        ]
        for each in found
    ]
    return table(head, rows)


def _decoded(dtype: str, clips: Sequence[Spoken]) -> list[Hypothesis]:
    model = QwenTorch.load(BUNDLED, "cpu", dtype)
    return [IncrementalSegment(model, None, "").decode(clip.samples, 0) for clip in clips]


def _compared(
    dtype: str, clips: Sequence[Spoken], exact: Sequence[Hypothesis], rounded: Sequence[Hypothesis]
) -> Rounded:
    pairs = list(zip(exact, rounded, strict=True))
    same = [(a, b) for a, b in pairs if a.tokens == b.tokens]
    off = [abs(p - q) for a, b in same for p, q in zip(a.logprobs, b.logprobs, strict=True)]
    errors = [word_errors(c.text, h.text) for c, h in zip(clips, rounded, strict=True)]
    return Rounded(
        dtype=dtype,
        clips=len(pairs),
        equal=len(same),
        tokens=sum(len(a.tokens) for a in exact),
        edits=sum(Levenshtein.distance(a.tokens, b.tokens) for a, b in pairs),
        logprob=float(np.mean(off)) if off else float("nan"),
        word_error=sum(e.wrong for e in errors) / sum(e.total for e in errors),
    )
