"""Voices told apart by the real models, on speech of several synthesizers' voices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from polyasr import settings
from polyasr.diarization import SpeakerCount, diarize
from polyasr.engine import open_engine
from polyasr.engine.voices import load_resemblyzer
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings
from training.domain import sentences
from training.synthesis import Voice, synthesize

VOICES = (Voice("flite", "slt"), Voice("flite", "awb"))


@pytest.fixture(scope="module")
def talk() -> list[tuple[int, Samples]]:
    """Turns of two people, one after the other; who speaks, and the audio."""
    drawn = sentences(seed=3, n=6, language="English", test=True)
    return [(i % 2, synthesize(VOICES[i % 2], one).samples) for i, one in enumerate(drawn)]


def configured() -> Settings:
    return settings.load({}, {"model": "tiny", "preload": "0"})


async def test_windows_are_embedded_as_the_encoder_embeds_passages() -> None:
    noise = np.random.default_rng(0).standard_normal((3, 25600)).astype(np.float32) / np.float32(10)
    async with open_engine(configured()) as engine:
        embeddings = await engine.embed_windows(noise)
    encoder = load_resemblyzer()
    whole = np.stack([encoder.embed_utterance(window) for window in noise])
    assert embeddings.shape == (3, 256)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.einsum("ij,ij->i", embeddings, whole) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("count", [SpeakerCount(2, 2), SpeakerCount()])
async def test_two_voices_are_told_apart_without_the_recognizer(
    talk: list[tuple[int, Samples]], count: SpeakerCount
) -> None:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    pieces: list[Samples] = []
    truth: list[tuple[int, int]] = []
    for who, samples in talk:
        middle = sum(map(len, pieces)) + len(samples) // 2
        truth.append((middle, who))
        pieces += [samples, pause]

    def blocks() -> Iterator[Samples]:
        yield np.concatenate(pieces)

    async with open_engine(configured()) as engine:
        found = await diarize(engine, blocks(), count)
        assert engine.residency().body()["resident"] == []
    assert len(found.voices) == 2
    for middle, who in truth:
        (turn,) = (each for each in found.turns if each.start <= middle < each.end)
        assert turn.speaker == who
