"""Utterances and transcripts for the forced aligner."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from training.alignment import (
    LONGEST_FIRST,
    LONGEST_LAST,
    cleaned,
    draw,
    imperfect,
    make,
    prompt_ids,
)
from training.augment import NoiseBank
from training.corpus import Corpus
from training.network import token_count
from training.prompts import Prompter
from training.synthesis import SAMPLE_RATE, Span
from training.tokenizer import load_tokenizer
from training.utterances import Part, Plan, render

ALIGNER = Path(__file__).parents[2] / "polyasr" / "models" / "tiny-aligner"
WORDS = [Span(word, index / 2, index / 2 + 0.4) for index, word in enumerate("abcdefghij")]


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return Prompter(load_tokenizer(ALIGNER))


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("Wake me up at seven o'clock.", "English", ["Wake", "me", "up", "at", "seven", "o'clock"]),
        ("现在七点半。你好吗？", "Chinese", list("现在七点半你好吗")),
    ],
)
def test_the_prompt_is_the_one_that_qwen_asr_builds(
    prompter: Prompter, text: str, language: str, words: list[str]
) -> None:
    from qwen_asr import Qwen3ForcedAligner

    official = Qwen3ForcedAligner.from_pretrained(str(ALIGNER))
    split, built = official.aligner_processor.encode_timestamp(text, language)
    samples = np.zeros(23_456, np.float32)
    inputs = official.processor(text=[built], audio=[samples], return_tensors="pt", padding=True)
    assert split == words
    expected = inputs["input_ids"][0].tolist()
    assert prompt_ids(prompter, words, token_count(len(samples) // 160)) == expected


def test_marks_are_taken_from_words() -> None:
    spans = [Span("o'clock,", 0.0, 0.5), Span("好？", 0.5, 1.0)]
    assert [word.text for word in cleaned(spans)] == ["o'clock", "好"]


def test_words_keep_their_times_through_pauses_cuts_and_silence(
    corpus: Corpus, bank: NoiseBank
) -> None:
    rng = random.Random(5)
    for _ in range(30):
        plan = draw(rng, corpus)
        made = render(plan, corpus, bank)
        expected = [
            word.text for part in plan.parts for word in part.entry.words[part.first : part.last]
        ]
        assert [word.text for word in made.words] == expected
        assert made.words[0].start >= plan.lead - 0.01
        assert made.words[-1].end <= len(made.samples) / SAMPLE_RATE + 0.05
        for before, after in pairwise(made.words):
            assert before.start <= before.end <= after.start + 1e-3


def test_a_hesitation_lies_between_two_words(corpus: Corpus, bank: NoiseBank) -> None:
    entry = next(e for s in corpus.sessions for e in s.entries if len(e.words) >= 4)
    seconds = entry.length / SAMPLE_RATE
    part = Part(entry, 0, len(entry.words), 0.0, seconds, pause=(2, 1.5))
    made = render(Plan(1, entry.sentence.language, (part,), 0.7, 0.2), corpus, bank)
    shift = 0.7
    for index, (before, after) in enumerate(zip(entry.words, made.words, strict=True)):
        late = shift + (1.5 if index >= 2 else 0.0)
        assert after.start == pytest.approx(before.start + late, abs=2e-3)
    silent = slice(
        int((made.words[1].end + 0.1) * SAMPLE_RATE), int((made.words[2].start - 0.1) * SAMPLE_RATE)
    )
    assert np.std(made.samples[silent]) < 0.5 * np.std(made.samples)


def test_the_longest_clips_grow(corpus: Corpus) -> None:
    rng = random.Random(0)
    first, last = ([draw(rng, corpus, at).seconds for _ in range(1000)] for at in (0.0, 1.0))
    assert np.quantile(first, 0.9) < LONGEST_FIRST + 4
    assert 0.8 * LONGEST_LAST < max(last) <= LONGEST_LAST + 10  # of which silence at the edges
    assert np.median(last) < 8


def test_an_imperfect_transcript_keeps_the_times_of_what_is_said() -> None:
    rng = random.Random(0)
    kinds = {"perfect": 0, "missing": 0, "wrong": 0, "extra": 0, "lower": 0}
    original = [word._replace(text=word.text.upper()) for word in WORDS]
    for _ in range(500):
        made = imperfect(rng, original, "English")
        assert made
        said = [word for word in made if word.end > word.start]
        assert {(word.start, word.end) for word in said} <= {(w.start, w.end) for w in original}
        assert all(a.start <= b.start and a.end <= b.end for a, b in pairwise(made))
        texts = [word.text for word in said]
        kinds["perfect"] += made == original
        kinds["lower"] += texts == [word.text for word in WORDS]
        kinds["missing"] += len(said) < len(original)
        kinds["extra"] += len(made) > len(said)
        kinds["wrong"] += any(len(text) > 1 for text in texts)
    assert kinds["perfect"] > 250
    assert all(count > 20 for count in kinds.values())


def test_a_batch_has_two_times_for_every_word_in_the_order_of_its_ids(
    corpus: Corpus, bank: NoiseBank, prompter: Prompter
) -> None:
    rng = random.Random(1)
    group = [draw(rng, corpus) for _ in range(6)]
    batch = make(group, corpus, bank, prompter)
    counts = (batch.ids == prompter.timestamp).sum(1).tolist()
    assert len(batch.times) == sum(counts)
    assert all(count % 2 == 0 and count > 0 for count in counts)
    for times, clip in zip(torch.split(batch.times, counts), batch.features, strict=True):
        assert (times[1:] - times[:-1]).min() >= -0.01
        assert times.max() <= clip.shape[1] / 100 + 0.05
    tokens = (batch.ids == prompter.audio).sum(1).tolist()
    assert tokens == [token_count(clip.shape[1]) for clip in batch.features]
