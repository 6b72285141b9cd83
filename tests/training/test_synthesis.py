"""Synthesised speech and its times."""

from __future__ import annotations

import ctypes
import random
import shutil
from itertools import pairwise

import numpy as np
import pytest

from training import synthesis
from training.english import from_text as english
from training.mandarin import from_text as mandarin
from training.synthesis import (
    ESPEAK_TEST_VARIANTS,
    ESPEAK_VARIANTS,
    FLITE_TEST_VOICES,
    FLITE_VOICES,
    SAMPLE_RATE,
    Clip,
    SynthesizerMissing,
    Voice,
    random_voice,
    synthesize,
)

VOICES = (
    (Voice("espeak", "en-gb-scotland+f2", rate=140), english("Set a timer for ten minutes.")),
    (Voice("espeak", "en-us", warp=1.12), english("The cat is in front of the door.")),
    (Voice("espeak", "cmn-latn-pinyin+m3"), mandarin("今天天气很好。")),
    (Voice("flite", "slt", rate=180), english("Set a timer for ten minutes.")),
)


def loudness(clip: Clip, start: float, end: float) -> float:
    piece = clip.samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
    return float(np.sqrt(np.mean(piece**2)))


@pytest.mark.parametrize(("voice", "sentence"), VOICES)
def test_every_word_is_given_its_time_in_order(voice: Voice, sentence: object) -> None:
    clip = synthesize(voice, sentence)  # type: ignore[arg-type]
    assert [word.text for word in clip.words] == list(clip.sentence.words)
    assert clip.samples.dtype == np.float32
    assert clip.words[0].start < 0.1
    assert clip.words[-1].end == pytest.approx(clip.seconds, abs=0.1)
    for word in clip.words:
        assert 0 <= word.start < word.end <= clip.seconds
    for before, after in pairwise(clip.words):
        assert before.end <= after.start + 1e-6


def test_a_pause_at_a_comma_belongs_to_no_word() -> None:
    clip = synthesize(Voice("espeak", "en-us"), english("Good morning, how are you?"))
    pause = clip.words[2].start - clip.words[1].end
    assert pause > 0.1
    quiet = loudness(clip, clip.words[1].end + 0.04, clip.words[2].start - 0.02)
    assert quiet < 0.1 * loudness(clip, clip.words[1].start, clip.words[1].end)


def test_warped_speech_is_shorter_and_its_times_with_it() -> None:
    plain, warped = (
        synthesize(Voice("flite", "slt", warp=warp), english("Open the report."))
        for warp in (1.0, 1.1)
    )
    assert warped.seconds == pytest.approx(plain.seconds / 1.1, abs=0.03)
    assert warped.words[2].start == pytest.approx(plain.words[2].start / 1.1, abs=0.03)


def test_the_letter_a_is_not_read_as_the_article() -> None:
    clip = synthesize(Voice("espeak", "en-us"), english("B A D."))
    letter = clip.words[1]
    sounds = [p.text for p in clip.phones if letter.start <= p.start < letter.end - 0.01]
    assert "eI" in sounds


def test_voices_of_the_test_are_never_drawn_for_training() -> None:
    assert set(ESPEAK_VARIANTS).isdisjoint(ESPEAK_TEST_VARIANTS)
    assert set(FLITE_VOICES).isdisjoint(FLITE_TEST_VOICES)
    rng = random.Random(0)
    for _ in range(300):
        trained, tested = random_voice(rng, "English"), random_voice(rng, "English", test=True)
        assert trained.name.partition("+")[2] not in ESPEAK_TEST_VARIANTS
        assert trained.name not in FLITE_TEST_VOICES
        assert tested.name.partition("+")[2] in ESPEAK_TEST_VARIANTS + ("",)
        assert tested.engine == "espeak" or tested.name in FLITE_TEST_VOICES


def test_an_unknown_voice_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no voice xx-nobody"):
        synthesize(Voice("espeak", "xx-nobody"), english("Hello."))


def test_a_missing_flite_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SynthesizerMissing, match="package flite"):
        synthesize(Voice("flite", "slt"), english("Hello."))


def test_a_missing_espeak_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(SynthesizerMissing, match="packages espeak-ng"):
        synthesis._Espeak()
