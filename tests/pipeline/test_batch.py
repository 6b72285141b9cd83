"""A whole recording through the stages."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from polyasr.errors import InferenceFailed, UnsupportedAudio
from polyasr.pipeline import batch
from polyasr.pipeline.batch import UNDER_WAY
from polyasr.pipeline.recognizer import Heard, RecognizerOptions, recognize
from polyasr.pipeline.types import (
    AudioChunk,
    EndOfAudio,
    Final,
    Hypothesis,
    Result,
    Segment,
    Urgency,
)
from polyasr.pipeline.vad import detect_speech
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16
from tests.fakes import Asked, HeldModel, ScriptedEngine, silence, tone

OPTIONS = RecognizerOptions()
SENTENCE = from_pcm16(tone(8.16) + silence(0.8))
"""Long enough that the pause behind it ends a segment."""


def blocks_of(samples: Samples, length: int = 3 * SAMPLE_RATE + 1) -> Iterator[Samples]:
    return iter([samples[at : at + length] for at in range(0, len(samples), length)])


async def numbered(asked: Asked) -> Hypothesis:
    """What is loud at the first sample tells which sentence it is."""
    return Hypothesis(f"{len(asked.samples)}", "English")


async def test_segments_are_cut_at_pauses_and_lie_where_they_were_said() -> None:
    engine = ScriptedEngine()
    samples = np.tile(SENTENCE, 3)
    transcript = await batch.transcribe(engine, blocks_of(samples), OPTIONS)
    assert transcript.text == "Hello. Hello. Hello."
    assert transcript.n_samples == len(samples)
    period = len(SENTENCE) / SAMPLE_RATE
    starts = [segment.start / SAMPLE_RATE for segment in transcript.segments]
    assert starts == pytest.approx([0, period, 2 * period], abs=0.32)
    assert all(asked.urgency == Urgency.BATCH for asked in engine.asked)


@pytest.mark.parametrize("length", [1, 160_000, 10**9])
async def test_how_the_audio_comes_in_blocks_changes_nothing(length: int) -> None:
    samples = SENTENCE[-20_000:] if length == 1 else np.tile(SENTENCE, 5)
    found = []
    for size in (length, 7 * SAMPLE_RATE):
        engine = ScriptedEngine(numbered)
        transcript = await batch.transcribe(engine, blocks_of(samples, size), OPTIONS)
        found.append((transcript, [asked.samples.tolist() for asked in engine.asked]))
    assert found[0] == found[1]


async def test_speech_without_a_pause_is_cut_before_it_grows_too_long() -> None:
    engine = ScriptedEngine()
    samples = from_pcm16(tone(70))
    transcript = await batch.transcribe(engine, blocks_of(samples), OPTIONS)
    assert [len(asked.samples) <= 30 * SAMPLE_RATE for asked in engine.asked] == [True] * 3
    assert sum(len(asked.samples) for asked in engine.asked) == len(samples)
    assert len(transcript.segments) == 3


async def test_a_breath_after_24_s_ends_a_segment_in_a_dictation_as_in_a_recording() -> None:
    samples = from_pcm16(tone(26) + silence(0.4) + tone(27) + silence(0.4) + tone(3))
    recording = await batch.transcribe(ScriptedEngine(), blocks_of(samples), OPTIONS)
    bounds = [(segment.start, segment.end) for segment in recording.segments]
    assert [round(end / SAMPLE_RATE) for _, end in bounds] == [26, 54, 57]
    assert bounds == await dictated_bounds(samples)


async def dictated_bounds(samples: Samples) -> list[tuple[int, int]]:
    """Where the segments of a dictation begin and end."""
    engine = ScriptedEngine()
    to_vad, audio = trio.open_memory_channel[AudioChunk | EndOfAudio](2)
    to_recognizer, heard = trio.open_memory_channel[Heard](math.inf)
    to_client, results = trio.open_memory_channel[Result](math.inf)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(detect_speech, engine.open_detector(), audio, to_recognizer)
        nursery.start_soon(recognize, engine, OPTIONS, heard, to_client)
        await to_vad.send(AudioChunk(samples, 0))
        await to_vad.send(EndOfAudio("s", 0, complete=True))
        (final,) = [result async for result in results if isinstance(result, Final)]
    return [(segment.start, segment.end) for segment in final.segments]


async def asked_for(engine: ScriptedEngine, number: int) -> None:
    """Wait until so many decodes have been asked for, and nothing more happens."""
    with trio.fail_after(30):
        while len(engine.asked) < number:
            await wait_all_tasks_blocked(0.05)
    await wait_all_tasks_blocked(0.2)
    assert len(engine.asked) == number


async def test_several_segments_are_under_way_and_no_more_audio_is_drawn_meanwhile() -> None:
    held, engine, drawn = HeldModel(), ScriptedEngine(), 0

    def endless() -> Iterator[Samples]:
        nonlocal drawn
        while True:
            drawn += 1
            yield SENTENCE

    async def many_are_quick(asked: Asked) -> Hypothesis:
        number = len(engine.asked)
        return await (numbered(asked) if number <= UNDER_WAY else held.script(asked))

    engine.script = many_are_quick
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.transcribe, engine, endless(), OPTIONS)
        await asked_for(engine, 2 * UNDER_WAY)
        assert engine.pins == 1
        assert drawn < 2 * UNDER_WAY + 25  # the bounded channels between the stages
        nursery.cancel_scope.cancel()
    assert engine.pins == 0


@pytest.mark.parametrize(("is_told", "at_first"), [(True, 1), (False, 5)])
async def test_who_is_told_each_segment_has_the_model_for_the_first(
    is_told: bool, at_first: int
) -> None:
    async def tell(segment: Segment) -> None:
        pass

    held = HeldModel()
    engine = ScriptedEngine(held.script)
    recording = blocks_of(np.tile(SENTENCE, 5))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(batch.transcribe, engine, recording, OPTIONS, tell if is_told else None)
        await asked_for(engine, at_first)
        held.release.set()
    assert len(engine.asked) == 5


async def test_a_segment_is_told_once_it_and_all_before_it_are_there() -> None:
    second_may_end = trio.Event()
    told: list[str] = []
    engine = ScriptedEngine()

    async def second_is_slow(asked: Asked) -> Hypothesis:
        number = len(engine.asked)
        if number == 2:
            await second_may_end.wait()
        return Hypothesis(f"{number}.", "English")

    async def tell(segment: Segment) -> None:
        told.append(segment.text)

    engine.script = second_is_slow
    async with trio.open_nursery() as nursery:
        blocks = blocks_of(np.tile(SENTENCE, 4))
        nursery.start_soon(batch.transcribe, engine, blocks, OPTIONS, tell)
        await asked_for(engine, 3)
        assert told == ["1."]
        second_may_end.set()
    assert told == ["1.", "2.", "3.", "4."]


async def test_silence_is_no_segment() -> None:
    engine = ScriptedEngine()
    transcript = await batch.transcribe(engine, blocks_of(from_pcm16(silence(20))), OPTIONS)
    assert (transcript.text, transcript.segments, engine.asked) == ("", (), [])
    assert transcript.n_samples == 20 * SAMPLE_RATE


async def test_a_failed_decode_ends_it_with_its_error() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("NaN")

    with pytest.raises(InferenceFailed, match="NaN"):
        await batch.transcribe(ScriptedEngine(fail), blocks_of(np.tile(SENTENCE, 9)), OPTIONS)


async def test_audio_that_turns_out_damaged_ends_it_with_its_error() -> None:
    def broken() -> Iterator[Samples]:
        yield SENTENCE
        raise UnsupportedAudio("cut off")

    with pytest.raises(UnsupportedAudio, match="cut off"):
        await batch.transcribe(ScriptedEngine(), broken(), OPTIONS)


async def test_no_segment_runs_over_a_change_and_no_sample_is_lost() -> None:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, 40 * SAMPLE_RATE).astype(np.float32)
    whole, cut = ScriptedEngine(numbered), ScriptedEngine(numbered)
    changes = (0, 16_005, 16_007, 48_000, 50_000, 320_000, len(samples), len(samples) + 5)
    await batch.transcribe(whole, blocks_of(samples), OPTIONS)
    transcript = await batch.transcribe(cut, blocks_of(samples), OPTIONS, changes=changes)
    bounds = [(each.start, each.end) for each in transcript.segments]
    assert [start for start, _ in bounds[:5]] == [0, 16_000, 48_000, 49_920, 320_000][:5]
    for start, end in bounds:
        assert not any(start < change // 160 * 160 < end for change in changes)
    first, second = (np.concatenate([a.samples for a in each.asked]) for each in (whole, cut))
    assert np.array_equal(first, second)
