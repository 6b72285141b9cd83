"""The speaker filter over scripted voices: the sign of a sample says who speaks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from polyasr.pipeline.recognizer import Heard
from polyasr.pipeline.speaker import SpeakerFilter, filter_speakers
from polyasr.pipeline.types import Accepted, EndOfAudio, Endpoint, Flush, Rejected, Speech
from polyasr.pipeline.vad import WINDOW, Detected
from polyasr.pipeline.voices import threshold
from polyasr.samples import SAMPLE_RATE, Samples
from tests.fakes import FakeEncoder

END = EndOfAudio(stop_id="", through_seq=0, complete=True)


class TwoVoices(FakeEncoder):
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
        Speech(np.full(WINDOW, 0.1 * voice, np.float32), start + i * WINDOW) for i in range(windows)
    ]
    end = start + windows * WINDOW
    return [*pieces, Endpoint(end)]


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


def pieces(*turns: tuple[float, int]) -> list[Detected]:
    """One passage of several turns without a pause: seconds, and whose voice."""
    voices = [
        voice for seconds, voice in turns for _ in range(round(seconds * SAMPLE_RATE / WINDOW))
    ]
    return [
        Speech(np.full(WINDOW, 0.1 * voice, np.float32), i * WINDOW)
        for i, voice in enumerate(voices)
    ]


def ends(speech: list[Detected]) -> Endpoint:
    last = speech[-1]
    assert isinstance(last, Speech)
    return Endpoint(last.end_sample)


async def test_who_cuts_in_without_a_pause_is_cut_out_from_where_to_where_they_speak() -> None:
    speech = pieces((6.4, +1), (4.8, -1), (6.4, +1))
    spans = rejections(await filtered([*speech, ends(speech)]))
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    assert abs(spans[0][0] - 6.4 * SAMPLE_RATE) <= 2 * WINDOW
    assert abs(spans[-1][1] - 11.2 * SAMPLE_RATE) <= 2 * WINDOW


async def test_what_is_clear_is_accepted_while_the_passage_grows() -> None:
    speech = pieces((16.0, +1))
    heard = accepted = 0
    for event in await filtered([*speech, ends(speech)]):
        if isinstance(event, Speech):
            heard = event.end_sample
        elif isinstance(event, Accepted):
            accepted = event.end_sample
        assert heard - accepted <= 2.5 * SAMPLE_RATE
    assert accepted == heard == speech[-1].end_sample  # type: ignore[union-attr]


@pytest.mark.parametrize(("seconds_later", "dropped"), [(0.5, True), (3.0, False)])
async def test_a_short_passage_goes_with_another_voice_that_spoke_just_before(
    seconds_later: float, dropped: bool
) -> None:
    other = passage(100_000, 3.2, -1)
    start = other[-1].end_sample + round(seconds_later * SAMPLE_RATE)  # type: ignore[union-attr]
    events = await filtered([*passage(0, 3.2, +1), *other, *passage(start, 0.64, -1)])
    assert (start in [first for first, _ in rejections(events)]) is dropped


async def test_a_short_word_of_the_speaker_stays_whoever_spoke_just_before() -> None:
    other = passage(100_000, 3.2, -1)
    start = other[-1].end_sample + 8000  # type: ignore[union-attr]
    events = await filtered([*passage(0, 3.2, +1), *other, *passage(start, 0.32, +1)])
    assert len(rejections(events)) == 1


async def test_a_flush_is_told_when_nothing_before_it_is_in_doubt() -> None:
    speech = pieces((3.2, +1), (3.2, -1), (1.6, -1))
    flush = Flush("f")
    events = await filtered([*speech[:30], flush, *speech[30:], ends(speech)])
    place = events.index(flush)
    before, after = rejections(events[:place]), rejections(events[place:])
    assert before[-1][1] == 30 * WINDOW
    assert after[0][0] == 30 * WINDOW
    assert after[-1][1] == 50 * WINDOW


turns = st.lists(
    st.tuples(st.sampled_from([0.16, 0.48, 0.96, 1.6, 2.4, 4.8]), st.sampled_from([+1, -1])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40)
@given(st.lists(st.tuples(turns, st.sampled_from(["pause", "flush"])), max_size=4))
def test_every_piece_gets_one_verdict_in_order_and_before_what_ends_it(
    passages: list[tuple[list[tuple[float, int]], str]],
) -> None:
    sent: list[Detected] = []
    at = 0
    for said, ending in passages:
        for each in pieces(*said):
            assert isinstance(each, Speech)
            sent.append(replace(each, start_sample=at))
            at += WINDOW
        sent.append(Flush("") if ending == "flush" else Endpoint(at))
        at += 0 if ending == "flush" else 8 * WINDOW
    doubtful: list[Speech] = []
    for event in trio.run(filtered, sent):
        match event:
            case Speech():
                assert event.is_doubtful
                doubtful.append(event)
            case Accepted(end_sample=end):
                assert doubtful and doubtful[0].end_sample <= end
                doubtful = [piece for piece in doubtful if piece.end_sample > end]
            case Rejected(start_sample=start, end_sample=end):
                assert doubtful[0].start_sample == start
                doubtful = [piece for piece in doubtful if piece.end_sample > end]
            case _:
                assert doubtful == []


async def test_what_is_kept_of_a_passage_without_an_end_is_bounded() -> None:
    judge = SpeakerFilter(TwoVoices())
    for piece in pieces(*[(4.8, +1), (3.2, -1)] * 30):
        assert isinstance(piece, Speech)
        await judge.hear(piece)
        assert len(judge._passage.doubtful) <= 80
        assert len(judge._passage._embeddings) <= 40


def test_the_threshold_follows_the_speech_behind_both_embeddings() -> None:
    def at(enrolled: float, heard: float) -> float:
        return threshold(round(enrolled * SAMPLE_RATE), round(heard * SAMPLE_RATE))

    assert at(1.5, 2) == at(2, 1.5) == pytest.approx(0.60, abs=0.015)
    assert at(3, 1.6) == pytest.approx(0.63, abs=0.015)
    assert at(60, 10) == at(6, 4) == pytest.approx(0.70)
    assert at(1, 1) < at(1.5, 1.5) < at(3, 1.5) < at(6, 6)
