"""Utterances and their transcripts for a forced aligner, and the times it is to find.

The transcript is written as `qwen_asr` writes it: words without marks, each character of Chinese
by itself, two `<timestamp>`s behind every one, for its start and its end.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from training import augment
from training.batches import masked_features
from training.corpus import Corpus
from training.domain import Language, sentence
from training.network import WINDOW_CHUNKS, token_count
from training.prompts import Prompter
from training.synthesis import Span
from training.utterances import Plan, draw_session, render, speech

LONGEST_FIRST, LONGEST_LAST = 8.0, 20.0
"""Seconds of the longest clips at the training's beginning and end."""
POOL = 320
WHOLE_CLIP = 1_000
"""As many chunks a window as no clip has: the attention of qwen-asr's own encoder."""
_MARK = "<timestamp>"


@functools.cache
def official_processor() -> Any:
    """qwen-asr's own splitting of transcripts and mending of times."""
    from qwen_asr.inference.qwen3_forced_aligner import Qwen3ForceAlignProcessor

    return Qwen3ForceAlignProcessor()


def cleaned(words: Sequence[Span]) -> list[Span]:
    """Words as the aligner is given them, without marks."""
    processor = official_processor()
    return [word._replace(text=processor.clean_token(word.text)) for word in words]


def prompt_ids(prompter: Prompter, words: Sequence[str], tokens: int) -> list[int]:
    """The decoder's input for a clip of so many audio tokens."""
    head = prompter.ids("<|audio_start|>"), prompter.ids("<|audio_end|>")
    text = "".join(word + _MARK + _MARK for word in words)
    return [*head[0], *[prompter.audio] * tokens, *head[1], *prompter.ids(text)]


def draw(rng: random.Random, corpus: Corpus, progress: float = 1.0) -> Plan:
    """Draw an utterance: mostly one sentence, else more of them.

    The longest grow with the progress of the training (0 to 1). Some have seconds of silence
    before or after them.
    """
    seed = rng.getrandbits(48)
    session = draw_session(rng, corpus)
    longest = LONGEST_FIRST * (LONGEST_LAST / LONGEST_FIRST) ** progress
    wanted = 0.0 if rng.random() < 0.75 else rng.uniform(4.0, longest)
    plan = speech(rng, session.entries, seed, wanted, 12)
    if rng.random() < 0.12:
        plan = replace(plan, lead=rng.uniform(0.5, 5.0))
    if rng.random() < 0.12:
        plan = replace(plan, tail=plan.tail + rng.uniform(0.5, 5.0))
    return plan


def imperfect(rng: random.Random, words: list[Span], language: Language) -> list[Span]:
    """A transcript as people and recognizers write it: now and then wrong.

    Words are missing, another stands in a word's place, one too many has no length; the beginning
    or the end is left out; case is not kept.
    """
    if rng.random() < 0.15:
        words = [word._replace(text=word.text.lower()) for word in words]
    if len(words) > 3 and rng.random() < 0.08:
        half = rng.randrange(1, len(words))
        words = words[half:] if rng.random() < 0.5 else words[:half]
    if rng.random() > 0.3:
        return words
    wrong = rng.uniform(0.0, 0.15)
    made: list[Span] = []
    strange = cleaned([Span(w, 0.0, 0.0) for w in sentence(rng, language).words])
    for word in words:
        choice = rng.random()
        other = rng.choice(strange).text
        if choice < wrong / 3 and len(words) > 1:
            continue
        if choice < 2 * wrong / 3:
            made.append(word._replace(text=other))
            continue
        made.append(word)
        if choice < wrong:
            made.append(Span(other, word.end, word.end))
    return made or words


@dataclass(frozen=True)
class AlignmentBatch:
    """Features of each clip, right-padded decoder ids [clips, longest], and targets.

    `times` holds the seconds of all timestamps, clip after clip; `window_chunks` says how far the
    encoder sees.
    """

    features: list[Tensor]
    ids: Tensor
    times: Tensor
    window_chunks: int
    seconds: float


def make(
    group: list[Plan],
    corpus: Corpus,
    bank: augment.NoiseBank,
    prompter: Prompter,
) -> AlignmentBatch:
    """Render plans and build what the network is trained with."""
    utterances = [render(item, corpus, bank) for item in group]
    features = [masked_features(p, u) for p, u in zip(group, utterances, strict=True)]
    frames = [clip.shape[1] for clip in features]
    rows, times = [], []
    for item, utterance, count in zip(group, utterances, frames, strict=True):
        rng = random.Random(item.seed)
        words = cleaned(utterance.words)
        if utterance.language is not None:
            words = imperfect(rng, words, utterance.language)
        ids = prompt_ids(prompter, [word.text for word in words], token_count(count))
        rows.append(torch.tensor(ids))
        times += [time for word in words for time in (word.start, word.end)]
    return AlignmentBatch(
        features,
        nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=prompter.pad),
        torch.tensor(times),
        WHOLE_CLIP if random.Random(group[0].seed).random() < 0.2 else WINDOW_CHUNKS,
        sum(frames) / 100,
    )
