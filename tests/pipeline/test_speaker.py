"""The speaker filter over scripted voices: the sign of a sample says who speaks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from polyasr.pipeline.recognizer import Heard
from polyasr.pipeline.speaker import SpeakerFilter, filter_speakers, threshold
from polyasr.pipeline.types import EndOfAudio, Endpoint, Rejected, Speech
from polyasr.pipeline.vad import WINDOW, Detected
from polyasr.samples import SAMPLE_RATE, Samples

END = EndOfAudio(stop_id="", through_seq=0, complete=True)


class TwoVoices:
    """An encoder for which samples above zero are one voice, those below another."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        self.heard.append(len(samples))
        angle = float(np.mean(samples < 0)) * np.pi / 2
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


def passage(start: int, seconds: float, voice: int) -> list[Detected]:
    windows = round(seconds * SAMPLE_RATE / WINDOW)
    pieces: list[Detected] = [
        Speech(np.full(WINDOW, 0.1 * voice, np.float32), start + i * WINDOW, 0)
        for i in range(windows)
    ]
    end = start + windows * WINDOW
    return [*pieces, Endpoint(end, 0, windows * WINDOW)]


async def filtered(events: list[Detected], encoder: TwoVoices | None = None) -> list[Heard]:
    to_filter, passages = trio.open_memory_channel[Detected](1000)
    to_test, kept = trio.open_memory_channel[Heard](1000)
    for event in [*events, END]:
        await to_filter.send(event)
    to_filter.close()
    await filter_speakers(SpeakerFilter(encoder or TwoVoices()), passages, to_test)
    return [event async for event in kept]


def rejections(events: list[Heard]) -> list[tuple[int, int]]:
    return [(e.start_sample, e.end_sample) for e in events if isinstance(e, Rejected)]


async def test_speech_goes_on_at_once_and_another_voice_is_taken_back_before_its_endpoint() -> None:
    mine, other = passage(0, 1.6, +1), passage(100_000, 1.6, -1)
    events = await filtered([*mine, *other, *passage(200_000, 1.6, +1)])
    (rejected,) = [e for e in events if isinstance(e, Rejected)]
    place = events.index(rejected)
    assert [e.start_sample for e in events[:place] if isinstance(e, Speech)] == [
        e.start_sample for e in (*mine, *other) if isinstance(e, Speech)
    ]
    assert events[place + 1] == other[-1]
    assert (rejected.start_sample, rejected.end_sample) == (100_000, 100_000 + 10 * WINDOW)
    assert rejected.similarity == pytest.approx(0, abs=1e-6)


async def test_the_first_second_of_speech_enrolls_its_voice() -> None:
    encoder = TwoVoices()
    short = passage(0, 0.64, -1)
    events = await filtered(
        [*short, *passage(50_000, 1.6, +1), *passage(100_000, 1.6, -1)], encoder
    )
    assert rejections(events) == [(100_000, 100_000 + 10 * WINDOW)]
    assert len(encoder.heard) == 2


async def test_a_passage_too_short_to_tell_is_kept() -> None:
    events = await filtered([*passage(0, 1.6, +1), *passage(50_000, 0.8, -1)])
    assert rejections(events) == []


async def test_a_voice_that_never_pauses_is_judged_all_the_same() -> None:
    events = await filtered([*passage(0, 1.6, +1), *passage(50_000, 16, -1)])
    spans = rejections(events)
    assert spans[0][0] == 50_000
    assert spans[-1][1] == 50_000 + 100 * WINDOW
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_the_threshold_follows_the_speech_behind_both_embeddings() -> None:
    def at(enrolled: float, heard: float) -> float:
        return threshold(round(enrolled * SAMPLE_RATE), round(heard * SAMPLE_RATE))

    assert at(1.5, 2) == at(2, 1.5) == pytest.approx(0.59, abs=0.01)
    assert at(3, 20) == pytest.approx(0.60)
    assert at(60, 10) == pytest.approx(0.70)
    assert at(1, 1) < at(1.5, 1.5) < at(6, 6)
