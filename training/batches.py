"""Batches of training utterances of like length, equal in size for every process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training import augment
from training.corpus import Corpus
from training.domain import sentence
from training.features import log_mel
from training.network import Sequences, assemble, token_centres
from training.prompts import Prompt, Prompter
from training.utterances import Plan, Utterance, plan, render

POOL = 960


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


def plans(
    seed: int,
    corpus: Corpus,
    budget: float,
    processes: int,
    draw: Callable[[random.Random, Corpus], Plan] = plan,
    pool_size: int = POOL,
) -> Iterator[list[list[Plan]]]:
    """Without end, for each step one list of plans a process, all of about `budget` seconds."""
    rng = random.Random(seed)
    while True:
        pool = sorted((draw(rng, corpus) for _ in range(pool_size)), key=lambda p: p.seconds)
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
    features = [
        masked_features(item, utterance) for item, utterance in zip(group, utterances, strict=True)
    ]
    prompts = [
        _prompt(random.Random(item.seed), prompter, utterance)
        for item, utterance in zip(group, utterances, strict=True)
    ]
    frames = [clip.shape[1] for clip in features]
    return Batch(
        features,
        assemble(prompter, prompts, frames),
        phone_targets(utterances, frames, classes),
        [prompter.ids(utterance.text) for utterance in utterances],
        sum(frames) / 100,
    )


def masked_features(plan: Plan, utterance: Utterance) -> Tensor:
    """Features of a rendered plan; every other one has bands and moments blanked."""
    rng = np.random.default_rng([plan.seed, 1])
    clip = log_mel(utterance.samples)
    if rng.random() < 0.5:
        augment.masked_bands(rng, clip.numpy())
    return clip


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


def phone_targets(
    utterances: Sequence[Utterance], frames: Sequence[int], classes: dict[str, int]
) -> Tensor:
    """The class of the sound at each audio token of all clips; 0 is silence."""
    return torch.cat(
        [
            _phone_targets(utterance, count, classes)
            for utterance, count in zip(utterances, frames, strict=True)
        ]
    )


def _phone_targets(utterance: Utterance, frames: int, classes: dict[str, int]) -> Tensor:
    centres = token_centres(frames).numpy()
    targets = np.zeros(len(centres), np.int64)
    for name, start, end in utterance.phones:
        targets[(centres >= start) & (centres < end)] = classes[name]
    return torch.from_numpy(targets)
