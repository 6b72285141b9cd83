"""Utterances put together for training."""

from __future__ import annotations

import random

import numpy as np
import pytest

from training.augment import NoiseBank
from training.corpus import SESSIONS_A_JOB, Corpus
from training.synthesis import SAMPLE_RATE
from training.utterances import LONGEST, plan, render


def test_the_corpus_holds_whole_sessions_of_one_voice_each(corpus: Corpus) -> None:
    assert len(corpus.sessions) == SESSIONS_A_JOB
    assert {session.language for session in corpus.sessions} == {"English", "Chinese"}
    entry = corpus.sessions[-1].entries[-1]
    assert len(corpus.samples(entry)) == entry.length
    assert entry.offset + entry.length == len(corpus.pcm)


def test_plans_keep_to_thirty_seconds_and_are_often_long(corpus: Corpus) -> None:
    rng = random.Random(0)
    plans = [plan(rng, corpus) for _ in range(2000)]
    lengths = [item.seconds for item in plans]
    assert max(lengths) <= LONGEST + 2.5
    long = sum(length for length in lengths if length > 10)
    assert 0.3 <= long / sum(lengths) <= 0.7


def test_cut_speech_has_the_words_before_the_cut_and_no_mark(corpus: Corpus) -> None:
    rng = random.Random(1)
    cut = 0
    for _ in range(1000):
        item = plan(rng, corpus)
        for part in item.parts[:-1]:
            assert part.last == len(part.entry.words)
        if item.parts and item.parts[-1].last < len(item.parts[-1].entry.words):
            cut += 1
            assert item.text[-1] not in ".?,。？，"
    assert cut > 150


def test_rendering_is_reproducible_and_as_long_as_planned(corpus: Corpus, bank: NoiseBank) -> None:
    rng = random.Random(2)
    for _ in range(20):
        item = plan(rng, corpus)
        made, again = render(item, corpus, bank), render(item, corpus, bank)
        assert np.array_equal(made.samples, again.samples)
        assert len(made.samples) / SAMPLE_RATE == pytest.approx(item.seconds, abs=0.2)
        assert np.abs(made.samples).max() <= 1.0
        assert made.text == item.text


def test_phonemes_lie_within_the_speech(corpus: Corpus, bank: NoiseBank) -> None:
    rng = random.Random(4)
    spoken = [p for p in (plan(rng, corpus) for _ in range(60)) if p.parts]
    for item in spoken:
        made = render(item, corpus, bank)
        assert made.phones
        assert min(phone.start for phone in made.phones) >= item.lead - 0.01
        assert max(phone.end for phone in made.phones) <= len(made.samples) / SAMPLE_RATE + 0.05
