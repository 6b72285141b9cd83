"""Speakers that a model of its own tells apart, with voices that are tones."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from polyasr.diarization import SpeakerCount, Turn, diarize, name_voices
from polyasr.errors import ModelUnavailable
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16
from tests.fakes import ScriptedDiarizer, ScriptedEngine, pitch_embedding, silence, tone

LOW, HIGH = 440, 3000
TALK = tone(4, hertz=LOW) + silence(1) + tone(4, hertz=HIGH)
SECOND = SAMPLE_RATE
TOLD = (Turn(0, 4 * SECOND, 1), Turn(5 * SECOND, 10 * SECOND, 0))


def engine(*told: Turn, missing: str = "") -> ScriptedEngine:
    return ScriptedEngine(diarizer=ScriptedDiarizer(told, missing, "some/pipeline"))


def blocks(pcm16: bytes = TALK) -> Iterator[Samples]:
    samples = from_pcm16(pcm16)
    return (samples[start : start + SECOND] for start in range(0, len(samples), SECOND))


def voice(hertz: int) -> Samples:
    return pitch_embedding(from_pcm16(tone(1.6, hertz=hertz)))


async def test_turns_are_the_models_and_voices_those_of_the_built_in_way() -> None:
    serving = engine(*TOLD)
    found = await diarize(serving, blocks(), SpeakerCount(2, 5))
    assert found.turns == (Turn(0, 4 * SECOND, 0), Turn(5 * SECOND, 9 * SECOND, 1))
    assert (found.n_samples, found.model) == (9 * SECOND, "some/pipeline")
    assert np.allclose(found.voices, [voice(LOW), voice(HIGH)], atol=0.05)
    assert serving.diarizer is not None
    assert serving.diarizer.asked == [(9 * SECOND, 2, 5)]
    people = {"Ann": (voice(HIGH), 2 * SECOND)}
    assert name_voices(found.voices, [4 * SECOND] * 2, people) == ("SPEAKER_00", "Ann")


async def test_a_voice_is_made_of_longer_turns_where_there_are_any() -> None:
    blip = Turn(6 * SECOND, 6 * SECOND + SECOND // 2, 0)
    found = await diarize(engine(Turn(0, 2 * SECOND, 0), blip), blocks())
    assert np.allclose(found.voices, [voice(LOW)], atol=0.05)
    found = await diarize(engine(blip), blocks())
    assert np.allclose(found.voices, [voice(HIGH)], atol=0.05)


async def test_how_far_the_model_is_is_told_in_samples() -> None:
    told = []

    async def hear(n_samples: int) -> None:
        told.append(n_samples)

    await diarize(engine(*TOLD), blocks(), on_heard=hear)
    assert told == [4.5 * SECOND, 9 * SECOND]


@pytest.mark.parametrize("pcm16", [b"", silence(3)])
async def test_nobody_is_heard_where_the_model_hears_nobody(pcm16: bytes) -> None:
    found = await diarize(engine(), blocks(pcm16))
    assert (found.turns, found.voices.shape) == ((), (0, 256))
    assert (found.n_samples, found.model) == (len(pcm16) // 2, "some/pipeline")


async def test_a_model_that_is_not_to_be_had_is_told_before_the_recording_is_read() -> None:
    drawn = blocks()
    with pytest.raises(ModelUnavailable, match="install it"):
        await diarize(engine(missing="install it"), drawn)
    assert len(next(drawn)) == SECOND
    assert sum(map(len, drawn)) == 8 * SECOND
