"""The whole way, with voices that are tones; and the formats it is told in."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from polyasr import diarization
from polyasr.diarization import Diarization, SpeakerCount, Turn, diarize, name_voices
from polyasr.diarization.regions import WINDOWS_A_CALL
from polyasr.errors import InferenceFailed, UnsupportedAudio
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16
from tests.fakes import ScriptedEngine, silence, tone

LOW, HIGH = 440, 3000
TALK = tone(4, hertz=LOW) + silence(1) + tone(4, hertz=HIGH) + silence(1) + tone(3, hertz=LOW)


def blocks(pcm16: bytes, seconds: float = 10) -> Iterator[Samples]:
    samples = from_pcm16(pcm16)
    size = round(seconds * SAMPLE_RATE)
    return (samples[start : start + size] for start in range(0, len(samples), size))


def told(found: Diarization) -> list[tuple[float, float, int]]:
    """The turns, to the half second."""
    return [
        (
            round(turn.start / SAMPLE_RATE * 2) / 2,
            round(turn.end / SAMPLE_RATE * 2) / 2,
            turn.speaker,
        )
        for turn in found.turns
    ]


async def test_two_voices_take_turns() -> None:
    found = await diarize(ScriptedEngine(), blocks(TALK))
    assert told(found) == [(0.0, 4.0, 0), (5.0, 9.0, 1), (10.0, 13.0, 0)]
    assert found.voices.shape == (2, 256)
    assert np.allclose(np.linalg.norm(found.voices, axis=1), 1, atol=1e-5)
    assert found.speech_of(0) == pytest.approx(7 * SAMPLE_RATE, rel=0.1)


async def test_a_change_without_a_pause_is_found() -> None:
    found = await diarize(ScriptedEngine(), blocks(tone(5, hertz=HIGH) + tone(5, hertz=LOW)))
    first, second = found.turns
    assert (first.speaker, second.speaker) == (0, 1)
    assert first.end == second.start == pytest.approx(5 * SAMPLE_RATE, abs=0.4 * SAMPLE_RATE)


@pytest.mark.parametrize("seconds", [0.01, 0.7, 60])
async def test_how_the_audio_comes_changes_nothing(seconds: float) -> None:
    whole = await diarize(ScriptedEngine(), blocks(TALK))
    pieces = await diarize(ScriptedEngine(), blocks(TALK, seconds))
    assert pieces.turns == whole.turns


async def test_silence_has_no_speakers() -> None:
    found = await diarize(ScriptedEngine(), blocks(silence(5)), SpeakerCount(2, 2))
    assert (found.turns, found.voices.shape, found.n_samples) == ((), (0, 256), 5 * SAMPLE_RATE)


async def test_one_voice_is_one_speaker() -> None:
    found = await diarize(ScriptedEngine(), blocks(tone(6) + silence(2) + tone(3)))
    assert {turn.speaker for turn in found.turns} == {0}


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.0, 1.61])
async def test_a_recording_may_be_a_word_long(seconds: float) -> None:
    found = await diarize(ScriptedEngine(), blocks(tone(seconds)))
    assert found.turns == (Turn(0, round(seconds * SAMPLE_RATE), 0),)


async def test_a_word_that_is_too_short_to_tell_a_voice_makes_no_speaker_of_its_own() -> None:
    word = silence(1) + tone(0.4, hertz=1500)
    found = await diarize(ScriptedEngine(), blocks(tone(5, hertz=LOW) + word))
    assert len(found.voices) == 1
    assert len(found.turns) == 2


async def test_speakers_are_counted_in_the_order_in_which_they_speak() -> None:
    for first, second in ((LOW, HIGH), (HIGH, LOW)):
        talk = tone(3, hertz=first) + silence(1) + tone(6, hertz=second)
        found = await diarize(ScriptedEngine(), blocks(talk))
        assert [turn.speaker for turn in found.turns] == [0, 1]


async def test_the_model_thread_is_given_little_at_a_time() -> None:
    sizes = []

    class Counting(ScriptedEngine):
        async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
            sizes.append(len(windows))
            return await super().embed_windows(windows)

    await diarize(Counting(), blocks(tone(40)))
    assert sum(sizes) > 90
    assert max(sizes) <= WINDOWS_A_CALL


async def test_progress_is_told_up_to_the_end() -> None:
    heard: list[int] = []

    async def hear(n_samples: int) -> None:
        heard.append(n_samples)

    await diarize(ScriptedEngine(), blocks(TALK, 5), on_heard=hear)
    assert heard == [5 * SAMPLE_RATE, 10 * SAMPLE_RATE, 13 * SAMPLE_RATE]


async def test_a_failure_of_the_model_or_of_the_recording_is_raised() -> None:
    class Failing(ScriptedEngine):
        async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
            raise InferenceFailed("no voice")

    def damaged() -> Iterator[Samples]:
        yield from_pcm16(tone(1))
        raise UnsupportedAudio("damaged")

    with pytest.raises(InferenceFailed):
        await diarize(Failing(), blocks(tone(3)))
    with pytest.raises(UnsupportedAudio):
        await diarize(ScriptedEngine(), damaged())


async def test_cancelling_ends_it() -> None:
    class Endless(ScriptedEngine):
        async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
            scope.cancel()
            await trio.sleep_forever()
            raise AssertionError

    with trio.CancelScope() as scope:
        await diarize(Endless(), blocks(tone(3)))
    assert scope.cancelled_caught


VOICES = np.eye(3, 256, dtype=np.float32)
SECONDS_OF_EACH = [10 * SAMPLE_RATE] * 3


def reference(similarity: float, voice: int) -> tuple[NDArray[np.float32], int]:
    """Five seconds of somebody who resembles one of the voices so much."""
    vector = similarity * VOICES[voice]
    vector[-1] = (1 - similarity**2) ** 0.5
    return vector, 5 * SAMPLE_RATE


def test_people_are_recognized_by_their_voices_and_others_have_labels() -> None:
    known = {"Ann": reference(0.9, 2), "Bob": reference(0.4, 0)}
    names = name_voices(VOICES, SECONDS_OF_EACH, known)
    assert names == ("SPEAKER_00", "SPEAKER_01", "Ann")


def test_a_name_is_given_once_and_to_the_voice_that_is_nearest() -> None:
    voices = np.stack([reference(0.9, 0)[0], VOICES[0]])
    assert name_voices(voices, SECONDS_OF_EACH[:2], {"Ann": (VOICES[0], 80000)}) == (
        "SPEAKER_00",
        "Ann",
    )


def test_a_voice_nobody_can_be_told_by_is_compared_more_leniently() -> None:
    known = {"Ann": reference(0.65, 0)}
    assert name_voices(VOICES[:1], [10 * SAMPLE_RATE], known) == ("SPEAKER_00",)
    assert name_voices(VOICES[:1], [1 * SAMPLE_RATE], known) == ("Ann",)


def test_nobody_spoke_and_nobody_is_named() -> None:
    assert name_voices(VOICES[:0], [], {"Ann": reference(0.9, 0)}) == ()


FOUND = Diarization(
    (Turn(0, 24000, 0), Turn(24000, 60 * 61 * SAMPLE_RATE, 1)), VOICES[:2], 60 * 61 * SAMPLE_RATE
)


def test_the_formats() -> None:
    names = ["Ann Lee", "SPEAKER_01"]
    assert diarization.rttm(FOUND, names, "a talk") == (
        "SPEAKER a_talk 1 0.000 1.500 <NA> <NA> Ann_Lee <NA> <NA>\n"
        "SPEAKER a_talk 1 1.500 3658.500 <NA> <NA> SPEAKER_01 <NA> <NA>\n"
    )
    assert diarization.text(FOUND, names) == (
        "0:00:00.0  0:00:01.5  Ann Lee\n0:00:01.5  1:01:00.0  SPEAKER_01\n"
    )
    body = json.loads(json.dumps(diarization.document(FOUND, names, with_embeddings=True)))
    assert body["segments"][0] == {"start": 0.0, "end": 1.5, "speaker": "Ann Lee"}
    assert (body["speakers"], body["num_speakers"]) == (names, 2)
    assert [len(vector) for vector in body["speaker_embeddings"].values()] == [256, 256]
