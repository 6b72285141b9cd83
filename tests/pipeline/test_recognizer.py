"""The recognizer over a scripted model that hears one word in each half second."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
import trio

from polyasr.errors import InferenceFailed
from polyasr.pipeline.recognizer import Heard, RecognizerOptions, Utterance, recognize
from polyasr.pipeline.types import (
    Accepted,
    EndOfAudio,
    Endpoint,
    Final,
    Hypothesis,
    Partial,
    Rejected,
    Result,
    Segment,
    Silence,
    Speech,
    Urgency,
)
from polyasr.pipeline.vad import WINDOW
from polyasr.samples import SAMPLE_RATE
from tests.fakes import Asked, ScriptedEngine

WORDS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
END = EndOfAudio(stop_id="s", through_seq=7, complete=True)


async def one_word_each_half_second(asked: Asked) -> Hypothesis:
    heard = len(asked.samples) // (SAMPLE_RATE // 2)
    pieces = tuple(f" {word}".encode() for word in (WORDS * 6)[:heard])
    text = b"".join(pieces).decode().strip()
    return Hypothesis(text, "English", tuple(range(heard)), (-0.01,) * heard, pieces)


def speech_of(windows: int, start: int = 0) -> list[Speech]:
    places = range(start, start + windows * WINDOW, WINDOW)
    return [Speech(np.ones(WINDOW, np.float32), at) for at in places]


def passage(start: int, windows: int) -> list[Heard]:
    return [*speech_of(windows, start), Endpoint(start + windows * WINDOW)]


async def hear(utterance: Utterance, events: list[Heard]) -> None:
    for event in events:
        assert not isinstance(event, EndOfAudio)
        await utterance.hear(event)


async def finish(utterance: Utterance, end: EndOfAudio = END) -> Final:
    """The final; the segments that come before it are all but those told already."""
    *_, final = await utterance.finish(end)
    assert isinstance(final, Final)
    return final


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(one_word_each_half_second)


async def test_short_passages_join_the_next_instead_of_being_decoded_alone(
    engine: ScriptedEngine,
) -> None:
    utterance = Utterance(engine, RecognizerOptions(partials=False))
    await hear(utterance, passage(0, 10) + passage(100 * WINDOW, 10))
    assert engine.asked == []
    final = await finish(utterance)
    assert [len(asked.samples) for asked in engine.asked] == [20 * WINDOW]
    assert final.text == "one two three four five six"
    (segment,) = final.segments
    assert (segment.start, segment.end) == (0, 110 * WINDOW)


async def test_a_pause_after_eight_seconds_seals_and_the_final_joins(
    engine: ScriptedEngine,
) -> None:
    utterance = Utterance(engine, RecognizerOptions(partials=False))
    await hear(utterance, passage(0, 50) + passage(100 * WINDOW, 10))
    final = await finish(utterance)
    assert [len(asked.samples) for asked in engine.asked] == [50 * WINDOW, 10 * WINDOW]
    assert [asked.urgency for asked in engine.asked] == [Urgency.PARTIAL, Urgency.FINAL]
    assert [s.start for s in final.segments] == [0, 100 * WINDOW]
    assert final.text == " ".join(segment.text for segment in final.segments)


async def test_half_a_minute_without_a_pause_is_cut_and_no_audio_is_lost(
    engine: ScriptedEngine,
) -> None:
    utterance = Utterance(engine, RecognizerOptions(partials=False))
    await hear(utterance, passage(0, 400))
    final = await finish(utterance)
    assert sum(len(asked.samples) for asked in engine.asked) == 400 * WINDOW
    assert all(len(asked.samples) <= 30 * SAMPLE_RATE for asked in engine.asked)
    bounds = [(segment.start, segment.end) for segment in final.segments]
    assert all(bounds[i][1] == bounds[i + 1][0] for i in range(len(bounds) - 1))


async def test_a_rejected_passage_leaves_no_trace(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    await hear(utterance, passage(0, 10))
    before = await utterance.partial(0.0)
    await hear(utterance, passage(100 * WINDOW, 16)[:-1])
    await utterance.partial(1.0)
    await hear(utterance, passage(116 * WINDOW, 4)[:-1])
    assert (await utterance.partial(1.5)).text != before.text
    await hear(utterance, [Rejected(100 * WINDOW, 120 * WINDOW, 0.3)])
    assert utterance.partial_is_due(1.0)
    assert (await utterance.partial(2.0)).text == before.text
    assert (await finish(utterance)).text == before.text


async def test_partials_wait_for_new_audio_and_for_the_interval(engine: ScriptedEngine) -> None:
    options = RecognizerOptions(partial_min_delta=4 * WINDOW, partial_interval=0.6)
    utterance = Utterance(engine, options)
    speech = passage(0, 20)[:-1]
    await hear(utterance, speech[:8])
    assert utterance.partial_is_due(now=9.0)
    await utterance.partial(now=9.0)
    await hear(utterance, speech[8:11])
    assert not utterance.partial_is_due(now=10.0)
    await hear(utterance, speech[11:12])
    assert utterance.partial_is_due(now=10.0)
    await utterance.partial(now=10.0)
    await hear(utterance, speech[12:16])
    assert not utterance.partial_is_due(now=10.5)
    assert utterance.partial_is_due(now=10.58)


async def test_who_begins_to_speak_is_heard_window_by_window_until_something_is_shown(
    engine: ScriptedEngine,
) -> None:
    utterance = Utterance(engine, RecognizerOptions(partial_min_delta=SAMPLE_RATE))
    shown = []
    for now, piece in enumerate(passage(0, 10)[:-1]):
        await hear(utterance, [piece])
        if utterance.partial_is_due(0.16 * now):
            shown.append((await utterance.partial(0.16 * now)).text)
    assert shown == ["", "", "", "", "one"]


@pytest.mark.parametrize("passage_before", [0, 10])
async def test_what_lies_before_a_voice_is_not_decoded_without_it(
    engine: ScriptedEngine, passage_before: int
) -> None:
    """A word would be heard in it, and shown as if it were one of a pause."""
    utterance = Utterance(engine, RecognizerOptions(partial_min_delta=WINDOW))
    if passage_before:
        await hear(utterance, passage(0, passage_before))
        await utterance.partial(now=0.0)
    before, voice = speech_of(2, start=20 * WINDOW)
    await hear(utterance, [replace(before, is_voiced=False)])
    assert not utterance.partial_is_due(now=9.0)
    await hear(utterance, [voice])
    assert utterance.partial_is_due(now=9.0)


async def test_a_first_word_that_is_heard_otherwise_each_time_is_shown_when_it_is_high_time() -> (
    None
):
    numbers = itertools.count(1)

    async def changing(asked: Asked) -> Hypothesis:
        return Hypothesis(f"word{next(numbers)}", "English")

    utterance = Utterance(ScriptedEngine(changing), RecognizerOptions())
    shown = []
    for now, piece in enumerate(speech_of(6)):
        await hear(utterance, [piece])
        shown.append((await utterance.partial(0.16 * now)).text)
    assert shown == ["", "", "", "", "word5", "word5"]


async def test_noise_in_which_nothing_is_said_is_not_decoded_window_by_window() -> None:
    async def nothing(asked: Asked) -> Hypothesis:
        return Hypothesis("", "")

    engine = ScriptedEngine(nothing)
    utterance = Utterance(engine, RecognizerOptions(partial_min_delta=5 * SAMPLE_RATE))
    for now, piece in enumerate(passage(0, 30)[:-1]):
        await hear(utterance, [piece])
        if utterance.partial_is_due(0.16 * now):
            await utterance.partial(0.16 * now)
    assert len(engine.asked) == 2 * SAMPLE_RATE // WINDOW


async def test_at_a_pause_the_text_is_shown_at_once(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    await hear(utterance, passage(0, 2))
    assert utterance.partial_is_due(now=0.0)


async def test_words_that_survive_new_audio_are_committed(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    speech = passage(0, 20)[:-1]
    await hear(utterance, speech[:8])
    assert (await utterance.partial(0.0)).committed == ""
    await hear(utterance, speech[8:16])
    partial = await utterance.partial(1.0)
    assert (partial.committed, partial.tentative) == ("one two", " three four")
    assert partial.end_sample == 16 * WINDOW


async def test_what_is_accepted_later_is_promised_without_another_decode(
    engine: ScriptedEngine,
) -> None:
    utterance = Utterance(engine, RecognizerOptions(append_only=True))
    speech = [replace(piece, is_doubtful=True) for piece in speech_of(16)]
    await hear(utterance, [*speech[:8]])
    await utterance.partial(0.0)
    await hear(utterance, [*speech[8:]])
    partial = await utterance.partial(1.0)
    assert (partial.committed, utterance.promise()) == ("", None)
    await hear(utterance, [Accepted(8 * WINDOW)])
    assert utterance.promise() == replace(partial, committed="one two", tentative=" three four")
    assert utterance.promise() is None
    assert len(engine.asked) == 2


async def test_nothing_new_is_not_decoded_again(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    await hear(utterance, passage(0, 10))
    await utterance.partial(0.0)
    await hear(utterance, [Silence(50 * WINDOW)])
    await finish(utterance)
    assert len(engine.asked) == 1


async def test_a_partial_costs_the_same_after_an_hour() -> None:
    """A ratio, and generous: joined anew each time, the text made it five hundred."""

    async def a_sentence(asked: Asked) -> Hypothesis:
        return Hypothesis("It is what it is and nothing more than that.", "English")

    async def seconds_a_partial(utterance: Utterance) -> float:
        began = time.perf_counter()
        for _ in range(100):
            await utterance.partial(0.0)
        return time.perf_counter() - began

    utterance = Utterance(ScriptedEngine(a_sentence), RecognizerOptions())
    costs = []
    for n_segments in (1, 450):
        for _ in range(n_segments):
            await hear(utterance, passage(0, 51))
        costs.append(min([await seconds_a_partial(utterance) for _ in range(3)]))
    assert costs[1] < 10 * costs[0]


async def test_silence_is_an_empty_final_with_coverage(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    await hear(utterance, [Silence(50 * WINDOW)])
    assert await finish(utterance) == Final("", "s", recognized_through_seq=7)
    assert engine.asked == []


async def test_audio_that_never_came_leaves_coverage_out(engine: ScriptedEngine) -> None:
    utterance = Utterance(engine, RecognizerOptions())
    await hear(utterance, passage(0, 10))
    final = await finish(utterance, EndOfAudio("s", through_seq=3, complete=False))
    assert final.text
    assert final.recognized_through_seq is None


async def test_what_queued_up_during_a_slow_decode_becomes_one_partial(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(asked: Asked) -> Hypothesis:
        await trio.sleep(5)
        return await one_word_each_half_second(asked)

    engine = ScriptedEngine(slow)
    to_recognizer, heard = trio.open_memory_channel[Heard](1000)
    to_test, results = trio.open_memory_channel[Result](1)

    async def speak() -> None:
        with to_recognizer:
            for event in passage(0, 40)[:-1]:
                await trio.sleep(0.16)
                await to_recognizer.send(event)
            await to_recognizer.send(END)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        nursery.start_soon(recognize, engine, RecognizerOptions(), heard, to_test)
        shown = [result async for result in results]
    assert [type(result) for result in shown] == [Partial, Partial, Segment, Final]
    assert isinstance(shown[0], Partial)
    assert shown[0].text == ""
    assert isinstance(shown[1], Partial)
    assert len(shown[1].text.split()) == 9
    assert isinstance(shown[-1], Final)
    assert len(shown[-1].text.split()) == 12


async def test_a_model_that_fails_is_an_error_and_never_empty_text() -> None:
    async def broken(asked: Asked) -> Hypothesis:
        raise InferenceFailed("out of memory")

    to_recognizer, heard = trio.open_memory_channel[Heard](100)
    to_test, _results = trio.open_memory_channel[Result](1)
    for event in (*passage(0, 10), END):
        await to_recognizer.send(event)
    with pytest.raises(InferenceFailed, match="out of memory"):
        await recognize(ScriptedEngine(broken), RecognizerOptions(), heard, to_test)


async def test_an_append_only_dictation_keeps_what_it_committed(autojump_clock: object) -> None:
    """The model changes its mind about the first word; who appends cannot take it back."""

    async def fickle(asked: Asked) -> Hypothesis:
        heard = len(asked.samples) // (SAMPLE_RATE // 2)
        words = ["ONE", *WORDS[1:]] if heard > 3 else WORDS
        text = " ".join(words[:heard])
        kept = asked.committed + text[len(asked.committed) :]
        return Hypothesis(kept, "English", commit_regret=kept != text)

    for append_only in (True, False):
        engine = ScriptedEngine(fickle)
        utterance = Utterance(engine, RecognizerOptions(append_only=append_only))
        committed = [""]
        for start in range(0, 20 * WINDOW, 5 * WINDOW):
            await hear(utterance, passage(start, 5))
            committed.append((await utterance.partial(0)).committed)
        final = await finish(utterance)
        grows = all(b.startswith(a) for a, b in itertools.pairwise(committed))
        assert grows == append_only
        assert final.text.startswith("one" if append_only else "ONE")
        assert final.segments[0].commit_regret == append_only


async def test_a_final_that_takes_back_what_was_committed_says_so() -> None:
    async def fickle(asked: Asked) -> Hypothesis:
        word = "once" if asked.urgency is Urgency.FINAL else "one"
        return Hypothesis(f"{word} two three four", "English")

    utterance = Utterance(ScriptedEngine(fickle), RecognizerOptions())
    for start in range(0, 10 * WINDOW, 5 * WINDOW):
        await hear(utterance, passage(start, 5))
        partial = await utterance.partial(0)
    assert partial.committed.startswith("one")
    await hear(utterance, passage(10 * WINDOW, 5))
    final = await finish(utterance)
    assert final.segments[0].commit_regret
