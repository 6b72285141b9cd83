"""Batches of training utterances of like length, equal in size for every process."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training import augment
from training.corpus import Corpus
from training.domain import sentence
from training.features import log_mel
from training.network import Sequences, assemble, token_count
from training.prompts import Prompt, Prompter
from training.utterances import Plan, Utterance, plan, render

POOL = 960
TOKEN_FRAMES = 8


@dataclass(frozen=True)
class Batch:
    """Features of each clip, decoder sequences, and targets of the auxiliary losses.

    `phones` holds a class for every audio token (0 is silence); `texts` the token ids of each
    answer's text without its language, for CTC.
    """

    features: list[Tensor]
    sequences: Sequences
    phones: Tensor
    texts: list[tuple[int, ...]]
    seconds: float


def phone_classes(corpus: Corpus) -> dict[str, int]:
    """All phoneme names of the corpus, numbered from 1."""
    names = {p.text for session in corpus.sessions for e in session.entries for p in e.phones}
    return {name: index for index, name in enumerate(sorted(names), 1)}


def plans(seed: int, corpus: Corpus, budget: float, processes: int) -> Iterator[list[list[Plan]]]:
    """Without end, for each step one list of plans a process, all of about `budget` seconds."""
    rng = random.Random(seed)
    while True:
        pool = sorted((plan(rng, corpus) for _ in range(POOL)), key=lambda p: p.seconds)
        groups: list[list[Plan]] = [[]]
        for item in pool:
            if groups[-1] and item.seconds * (len(groups[-1]) + 1) > budget:
                groups.append([])
            groups[-1].append(item)
        steps = [
            groups[i : i + processes] for i in range(0, len(groups) - processes + 1, processes)
        ]
        rng.shuffle(steps)
        yield from steps


def make(
    group: list[Plan],
    corpus: Corpus,
    bank: augment.NoiseBank,
    prompter: Prompter,
    classes: dict[str, int],
) -> Batch:
    """Render plans and build what the network is trained with."""
    utterances = [render(item, corpus, bank) for item in group]
    features, prompts = [], []
    for item, utterance in zip(group, utterances, strict=True):
        rng = np.random.default_rng([item.seed, 1])
        clip = log_mel(utterance.samples)
        if rng.random() < 0.5:
            augment.masked_bands(rng, clip.numpy())
        features.append(clip)
        prompts.append(_prompt(random.Random(item.seed), prompter, utterance))
    frames = [clip.shape[1] for clip in features]
    phones = [
        _phone_targets(utterance, count, classes)
        for utterance, count in zip(utterances, frames, strict=True)
    ]
    return Batch(
        features,
        assemble(prompter, prompts, frames),
        torch.cat(phones),
        [prompter.ids(utterance.text) for utterance in utterances],
        sum(frames) / 100,
    )


def _prompt(rng: random.Random, prompter: Prompter, utterance: Utterance) -> Prompt:
    forced = None
    if rng.random() < 0.35:
        forced = utterance.language or rng.choice(("English", "Chinese"))
    return prompter.prompt(
        context=_context(rng, utterance),
        forced=forced,
        language=utterance.language,
        text=utterance.text,
    )


def _context(rng: random.Random, utterance: Utterance) -> str | None:
    """No system turn, an empty one, or words of which some may occur in the speech."""
    choice = rng.random()
    if choice < 0.2:
        return None
    if choice < 0.65:
        return ""
    words = [
        word
        for _ in range(rng.randint(1, 4))
        for word in sentence(rng, rng.choice(("English", "English", "Chinese"))).text.split()
    ]
    if choice < 0.8:
        words += rng.sample(utterance.text.split(), min(2, len(utterance.text.split())))
    if rng.random() < 0.5:
        rng.shuffle(words)
    return rng.choice((" ", ", ")).join(words[: rng.randint(1, 20)])


def _phone_targets(utterance: Utterance, frames: int, classes: dict[str, int]) -> Tensor:
    count = token_count(frames)
    index = np.arange(count)
    centres = (index // 13 * 100 + index % 13 * TOKEN_FRAMES + TOKEN_FRAMES / 2) / 100
    targets = np.zeros(count, np.int64)
    for name, start, end in utterance.phones:
        targets[(centres >= start) & (centres < end)] = classes[name]
    return torch.from_numpy(targets)
