"""Control 3: what is committed stays, pauses settle, and what a client may ask meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE
from tests.fakes import Asked, HeldModel, ScriptedEngine, silence, tone
from tests.peers import Message, ScriptedClient, Sessions, sessions

NUMBERS = ["One", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


async def counting(asked: Asked) -> Hypothesis:
    """A model that hears a sentence that grows by a number in each half second of audio."""
    heard = len(asked.samples) // (SAMPLE_RATE // 2)
    return Hypothesis(" ".join((NUMBERS * 6)[:heard]) + ("." if heard else ""), "English")


async def started(server: Sessions, **fields: object) -> ScriptedClient:
    client = server.connect()
    assert (await client.start(control=3, **fields))["control"] == 3
    return client


async def answered(client: ScriptedClient, n_frames: int) -> list[Message]:
    """All that is told until the end but acknowledgements."""
    await client.stop(n_frames)
    return [message for message in await client.rest() if message["type"] != "ack"]


async def told(pcm16: bytes, engine: ScriptedEngine, **fields: object) -> list[Message]:
    """What a dictation of this audio is told, as it comes at the speed of speech."""
    async with sessions(engine) as server:
        client = await started(server, **fields)
        for first in range(0, len(pcm16), 3200):
            await client.audio(pcm16[first : first + 3200], first=first // 3200)
            await trio.sleep(0.1)
        return await answered(client, -(-len(pcm16) // 3200))


def of(kind: str, messages: Sequence[Message], *names: str) -> list[Any]:
    """These fields of the messages of a type."""
    some = [message for message in messages if message["type"] == kind]
    if len(names) == 1:
        return [message[names[0]] for message in some]
    return [tuple(message[name] for name in names) for message in some]


def assert_contract(messages: Sequence[Message]) -> None:
    """Committed only grows, the final begins with it and is the join of the segments."""
    committed = ""
    for message in messages:
        if message["type"] == "partial":
            assert message["committed"].startswith(committed)
            assert message["committed"] + message["tentative"] == message["partial"]
            committed = message["committed"]
    (text,) = of("final", messages, "text")
    assert text.startswith(committed)
    assert " ".join(of("segment", messages, "text")) == text
    assert of("segment", messages, "id") == list(range(len(of("segment", messages, "id"))))


async def test_a_partial_says_what_is_settled_and_where_in_the_audio_it_is(
    autojump_clock: MockClock,
) -> None:
    messages = await told(tone(4.0), ScriptedEngine(counting))
    assert_contract(messages)
    last = [message for message in messages if message["type"] == "partial"][-1]
    assert last["committed"].startswith("One two")
    assert last["tentative"].endswith(".")
    assert last["language"] == "English"
    assert 3.0 < last["audioSec"] <= 4.0


async def test_what_control_3_tells_is_not_told_below_it() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = server.connect()
        await client.start(control=2, timestamps="word", speakerFilter="no", endpointing=0)
        messages = await answered(client, await client.audio(tone(4.0) + silence(1.0)))
    assert {message["type"] for message in messages} == {"partial", "final", "done"}
    assert {name for m in messages if m["type"] == "partial" for name in m} <= {
        "type",
        "sessionId",
        "partial",
        "delta",
    }


async def test_a_pause_settles_everything_but_the_mark_at_the_end(
    autojump_clock: MockClock,
) -> None:
    messages = await told(tone(2.08) + silence(1.12), ScriptedEngine(counting))
    last = [message for message in messages if message["type"] == "partial"][-1]
    assert (last["committed"], last["tentative"]) == ("One two three four five", ".")
    assert_contract(messages)


async def test_without_endpointing_a_pause_neither_commits_nor_seals(
    autojump_clock: MockClock,
) -> None:
    audio = tone(9.6) + silence(1.12) + tone(2.08)
    with_pauses = await told(audio, ScriptedEngine(counting))
    without = await told(audio, ScriptedEngine(counting), endpointing=False)
    for messages in (with_pauses, without):
        assert_contract(messages)
    assert len(of("segment", with_pauses, "id")) == 2
    assert len(of("segment", without, "id")) == 1
    assert of("speech", without, "state") == of("speech", with_pauses, "state")


async def test_speech_is_told_as_it_starts_and_stops_on_the_clients_clock(
    autojump_clock: MockClock,
) -> None:
    audio = silence(1.6) + tone(1.6) + silence(3.2) + tone(0.8)
    messages = await told(audio, ScriptedEngine(counting))
    assert of("speech", messages, "state", "audioSec") == [
        ("started", 1.6),
        ("stopped", 3.2),
        ("started", 6.4),
        ("stopped", 7.2),
    ]
    assert of("segment", messages, "start", "end") == [(1.44, 7.2)]


async def test_a_short_word_is_never_dropped(autojump_clock: MockClock) -> None:
    engine = ScriptedEngine(counting)
    messages = await told(tone(9.6) + silence(1.6) + tone(0.48) + silence(3.2), engine)
    assert of("segment", messages, "text")[1] == "One two."  # the pre-roll and the pause count
    assert_contract(messages)


async def test_a_flush_seals_what_was_heard_and_the_session_goes_on() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = await started(server)
        n_frames = await client.audio(tone(2.0))
        await client.say("flush", id="f1")
        segment = await client.next("segment", "flushed")
        assert (segment["id"], segment["text"]) == (0, "One two three four.")
        assert (segment["start"], segment["end"]) == (0.0, 2.0)
        flushed = await client.next("segment", "flushed")
        assert flushed == {"type": "flushed", "sessionId": "a", "id": "f1"}
        n_frames = await client.audio(tone(1.0), first=n_frames)
        messages = await answered(client, n_frames)
    assert of("segment", messages, "id", "text", "start") == [(1, "One two.", 2.0)]
    assert of("final", messages, "text", "recognizedThroughSeq") == [
        ("One two three four. One two.", n_frames)
    ]


async def test_a_flush_of_nothing_is_answered_without_a_segment() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = await started(server)
        for number in range(3):
            await client.say("flush", id=number)
            assert await client.next("segment", "flushed") == {
                "type": "flushed",
                "sessionId": "a",
                "id": number,
            }
        n_frames = await client.audio(silence(2.0))
        await client.say("flush")
        assert (await client.next("segment", "flushed"))["id"] == ""
        await answered(client, n_frames)


@pytest.mark.parametrize("audio", [tone(2.05), silence(1.9) + tone(0.05), silence(0.5), b""])
async def test_a_mark_covers_every_frame_before_it_and_changes_nothing(audio: bytes) -> None:
    async def run(marks: bool) -> tuple[list[Message], list[Message]]:
        async with sessions(ScriptedEngine(counting)) as server:
            client, answers = await started(server), []
            n_frames = await client.audio(audio)
            if marks:
                await client.say("mark", id="m")
                answers.append(await client.next("marked"))
                assert answers[0]["recognizedThroughSeq"] == n_frames
            n_frames = await client.audio(tone(0.77), first=n_frames)
            return answers, await answered(client, n_frames)

    marks, messages = await run(marks=True)
    assert marks[0].keys() == {"type", "sessionId", "id", "recognizedThroughSeq"}
    for kind in ("segment", "final"):
        unmarked = (await run(marks=False))[1]
        assert [m for m in messages if m["type"] == kind] == [
            m for m in unmarked if m["type"] == kind
        ]


async def test_a_mark_is_answered_when_its_audio_has_been_decoded_and_shown() -> None:
    held = HeldModel()
    async with sessions(ScriptedEngine(held.script)) as server:
        client = await started(server)
        n_frames = await client.audio(tone(0.25))
        await client.say("mark", id=7)
        await held.begun.wait()
        await wait_all_tasks_blocked()
        held.release.set()
        assert (await client.next("partial", "marked"))["audioSec"] == 0.25
        assert (await client.next("partial", "marked"))["id"] == 7
        await answered(client, n_frames)


async def test_answers_come_in_the_order_of_the_questions() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client, n_frames = await started(server), 0
        for number in range(4):
            n_frames = await client.audio(tone(0.7), first=n_frames)
            await client.say("mark", id=f"m{number}")
            await client.say("flush", id=f"f{number}")
        messages = await answered(client, n_frames)
    asked = [m["id"] for m in messages if m["type"] in ("marked", "flushed")]
    assert asked == [f"{kind}{number}" for number in range(4) for kind in "mf"]
    assert of("marked", messages, "recognizedThroughSeq") == [7, 14, 21, 28]
    assert len(of("segment", messages, "id")) == 4
    assert_contract(messages)


async def test_frames_behind_a_gap_are_not_covered_by_a_mark() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = await started(server)
        n_frames = await client.audio(tone(1.0))
        await client.audio(tone(1.0), first=n_frames + 5)
        await client.say("mark", id="m")
        assert (await client.next("marked"))["recognizedThroughSeq"] == n_frames
        await client.audio(tone(0.5), first=n_frames)
        await answered(client, n_frames + 15)


@pytest.mark.parametrize("kind", ["flush", "mark"])
async def test_flush_and_mark_take_control_3_and_a_session(kind: str) -> None:
    for control in (None, 2):
        async with sessions() as server:
            client = server.connect()
            if control is not None:
                await client.start(control=control)
            await client.say(kind, id="x")
            (error,) = await client.rest()
        assert error["code"] == "unsupported_message"
        assert kind in error["error"]
        assert client.closed == 1008


@pytest.mark.parametrize(
    ("field", "value"),
    [("timestamps", "char"), ("timestamps", True), ("speakerFilter", "no"), ("endpointing", 0)],
)
async def test_an_option_that_is_not_understood_is_refused(field: str, value: object) -> None:
    async with sessions() as server:
        client = server.connect()
        await client.say("start", sessionId="a", control=3, **{field: value})
        (error,) = await client.rest()
    assert error["code"] == "unsupported_message"
    assert field in error["error"]


async def test_a_flush_and_a_mark_behind_a_stop_are_answered_by_the_final() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = await started(server)
        n_frames = await client.audio(tone(1.0))
        await client.stop(n_frames)
        await client.say("flush", id="late")
        await client.say("mark", id="late")
        assert [m["type"] for m in await client.rest()][-2:] == ["final", "done"]


async def test_a_client_that_comes_back_is_told_all_segments_and_answers_it_missed() -> None:
    held = HeldModel()
    async with sessions(ScriptedEngine(held.script)) as server:
        client = await started(server)
        n_frames = await client.audio(tone(1.0))
        await client.say("flush", id="f1")
        await held.begun.wait()
        client.hang_up()
        await wait_all_tasks_blocked()
        again = server.connect()
        assert (await again.resume(control=3))["control"] == 3
        held.release.set()
        assert (await again.next("segment", "flushed"))["id"] == 0
        assert (await again.next("segment", "flushed"))["id"] == "f1"
        again.hang_up()
        await wait_all_tasks_blocked()
        third = server.connect()
        await third.resume(control=3)
        n_frames = await third.audio(tone(1.0), first=n_frames)
        messages = await answered(third, n_frames)
    assert of("segment", messages, "id") == [0, 1]
    assert of("flushed", messages, "id") == []
    assert_contract(messages)


async def test_a_session_begun_below_control_3_is_not_resumed_with_it() -> None:
    async with sessions(ScriptedEngine(counting)) as server:
        client = server.connect()
        await client.start(control=2)
        n_frames = await client.audio(tone(1.0))
        await client.acknowledged(n_frames - 1)
        client.hang_up()
        await wait_all_tasks_blocked()
        again = server.connect()
        assert (await again.resume(control=3))["control"] == 2
        await answered(again, n_frames)


async def test_words_come_with_their_segment_on_the_clients_clock(
    autojump_clock: MockClock,
) -> None:
    audio = silence(1.6) + tone(0.96) + silence(3.2) + tone(0.96)
    (segment,) = [
        message
        for message in await told(audio, ScriptedEngine(counting), timestamps="word")
        if message["type"] == "segment"
    ]
    words = segment["words"]
    assert [word["text"] for word in words] == segment["text"].rstrip(".").split()
    assert words[0]["start"] == segment["start"] == 1.44
    assert words[-1]["end"] <= segment["end"] == 6.72
    assert words[-1]["start"] >= 5.6
    assert all(word["start"] < word["end"] for word in words)


@pytest.mark.parametrize("audio", [tone(14.0), (tone(2.4) + silence(1.2)) * 4])
async def test_segments_with_words_are_cut_to_what_the_aligner_is_good_at_as_a_recordings_are(
    audio: bytes, autojump_clock: MockClock
) -> None:
    engine, longest = ScriptedEngine(counting), 5 * SAMPLE_RATE
    engine.aligner.longest = longest
    messages = await told(audio, engine, timestamps="word")
    assert_contract(messages)
    assert max(n_samples for n_samples, *_ in engine.aligner.asked) <= longest
    samples = np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(32768)
    recording = await batch.transcribe(
        ScriptedEngine(counting), iter([samples]), RecognizerOptions().fitted(longest)
    )
    assert of("segment", messages, "start", "end") == [
        (segment.start / SAMPLE_RATE, segment.end / SAMPLE_RATE) for segment in recording.segments
    ]


async def test_words_that_are_not_to_be_had_are_told_at_the_start() -> None:
    engine = ScriptedEngine(counting)
    engine.aligner.missing = "there is no aligner: set POLYASR_ALIGNER_MODEL"
    async with sessions(engine) as server:
        client = server.connect()
        await client.say("start", sessionId="a", control=3, timestamps="word")
        *_, error = await client.rest()
    assert error == {"type": "error", "error": engine.aligner.missing, "code": "model_unavailable"}
