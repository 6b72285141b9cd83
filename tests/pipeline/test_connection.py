"""A whole connection over a scripted model and a scripted client, on a virtual clock."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.pipeline.connection import GOODBYE_WAIT, STOP_WAIT
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.frames import Frame, encode
from tests.fakes import Asked, ScriptedEngine, silence, tone
from tests.peers import ScriptedClient, dictation


async def test_an_utterance_is_acknowledged_shown_and_answered() -> None:
    async with dictation() as client:
        assert await client.start() == {
            "type": "started",
            "protocol": 1,
            "sessionId": "a",
            "ackSeq": -1,
            "control": 2,
        }
        n_frames = await client.audio(tone(2.0) + silence(0.3))
        assert (await client.next("partial"))["partial"] == "Hello."
        await client.say("stop", stopId="s1", finalCapturedSeq=n_frames)
        assert await client.next("final") == {
            "type": "final",
            "sessionId": "a",
            "stopId": "s1",
            "text": "Hello.",
            "recognizedThroughSeq": n_frames,
        }
        assert await client.rest() == [{"type": "done", "sessionId": "a", "stopId": "s1"}]
    assert client.closed == 1000


async def test_a_text_that_has_not_changed_is_not_shown_again() -> None:
    async with dictation() as client:
        await client.start()
        n_frames = await client.audio(tone(3.0))
        await client.audio(silence(2.0), first=n_frames)
        await client.say("stop", finalCapturedSeq=n_frames + 20)
        messages = await client.rest()
    assert [m["type"] for m in messages if m["type"] != "ack"] == ["partial", "final", "done"]


async def test_every_frame_is_acknowledged_in_the_end() -> None:
    async with dictation() as client:
        await client.start()
        n_frames = await client.audio(silence(1.0))
        await client.acknowledged(n_frames - 1)
        client.hang_up()


async def test_control_1_is_never_told_of_coverage() -> None:
    async with dictation() as client:
        assert "control" not in await client.start(control=1)
        n_frames = await client.audio(tone(1.0))
        await client.say("stop", stopId="s1", finalCapturedSeq=n_frames)
        assert "recognizedThroughSeq" not in await client.next("final")


async def test_silence_is_an_empty_final_with_coverage() -> None:
    async with dictation() as client:
        await client.start()
        n_frames = await client.audio(silence(3.0))
        await client.say("stop", finalCapturedSeq=n_frames)
        final = await client.next("final")
    assert (final["text"], final["recognizedThroughSeq"]) == ("", n_frames)


async def test_a_stop_waits_for_the_frames_it_has_overtaken(autojump_clock: MockClock) -> None:
    async with dictation() as client:
        await client.start()
        n_frames = await client.audio(tone(1.0))
        await client.say("stop", stopId="s1", finalCapturedSeq=n_frames + 5)
        await trio.sleep(STOP_WAIT * 0.9)
        await client.audio(tone(0.5), first=n_frames)
        assert (await client.next("final"))["recognizedThroughSeq"] == n_frames + 5
    assert trio.current_time() < STOP_WAIT


async def test_a_stop_whose_frames_never_come_is_answered_without_coverage(
    autojump_clock: MockClock,
) -> None:
    async with dictation() as client:
        await client.start()
        n_frames = await client.audio(tone(1.0))
        began = trio.current_time()
        await client.say("stop", stopId="s1", finalCapturedSeq=n_frames + 5)
        final = await client.next("final")
    assert final["text"] == "Hello."
    assert "recognizedThroughSeq" not in final
    assert trio.current_time() - began == pytest.approx(STOP_WAIT)


async def test_a_stop_for_audio_of_which_nothing_is_held_says_so(
    autojump_clock: MockClock,
) -> None:
    async with dictation() as client:
        await client.start()
        await client.say("stop", stopId="s1", finalCapturedSeq=12)
        assert await client.rest() == [
            {
                "type": "stopExpired",
                "sessionId": "a",
                "stopId": "s1",
                "reason": "session_not_held",
            }
        ]
    assert client.closed == 1000


async def test_a_second_start_switches_to_another_utterance() -> None:
    async with dictation() as client:
        await client.start()
        await client.audio(tone(1.0))
        await client.say("start", protocol=1, sessionId="b", control=2)
        assert (await client.next("started"))["sessionId"] == "b"
        n_frames = await client.audio(silence(0.5))
        await client.say("stop", stopId="s2", finalCapturedSeq=n_frames)
        final = await client.next("final")
    assert (final["sessionId"], final["text"]) == ("b", "")


async def test_context_and_language_reach_the_model() -> None:
    engine = ScriptedEngine()
    async with dictation(engine) as client:
        await client.start(context="Zulu", language="zh")
        n_frames = await client.audio(tone(1.0))
        await client.say("stop", finalCapturedSeq=n_frames)
        await client.next("final")
    assert {(asked.language, asked.context) for asked in engine.asked} == {("Chinese", "Zulu")}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (encode(Frame(0, bytes(2))), "audio_before_start"),
        ('{"type": "stop"}', "stop_before_start"),
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"type": "dance"}', "unsupported_message"),
        ('{"type": "start", "protocol": 1}', "missing_session_id"),
        ('{"type": "start", "protocol": 2, "sessionId": "a"}', "unsupported_version"),
        (
            '{"type": "start", "protocol": 1, "sessionId": "a", "language": "Klingon"}',
            "unsupported_message",
        ),
    ],
)
async def test_a_bad_beginning_is_named_and_closed(message: bytes | str, code: str) -> None:
    async with dictation() as client:
        await client.raw(message)
        error = (await client.rest())[-1]
    assert (error["type"], error["code"]) == ("error", code)
    assert error["error"]
    assert client.closed == 1008


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"", "unframed_audio"),
        (b"BASR\x01\x01", "unframed_audio"),
        (b"RIFF" + bytes(100), "unframed_audio"),
        (b"BASR\x02\x01" + bytes(12), "unframed_audio"),
        (b"BASR\x01\x02" + bytes(12), "unframed_audio"),
        (encode(Frame(0, bytes(2)))[:-1], "odd_payload"),
        (encode(Frame(0, bytes(2**20))), "message_too_large"),
    ],
)
async def test_a_bad_frame_is_named_and_closed(message: bytes, code: str) -> None:
    async with dictation() as client:
        await client.start()
        await client.raw(message)
        error = (await client.rest())[-1]
    assert (error["type"], error["code"]) == ("error", code)
    assert client.closed == 1008


@pytest.mark.parametrize("failure", [InferenceFailed("broken"), ModelUnavailable("no weights")])
async def test_a_failed_model_is_an_error_and_never_empty_text(failure: Exception) -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise failure

    async with dictation(ScriptedEngine(fail)) as client:
        await client.start()
        await client.audio(tone(2.0))
        error = (await client.rest())[-1]
    assert error == {"type": "error", "error": str(failure), "code": failure.code}  # type: ignore[attr-defined]
    assert client.closed == 1011


async def test_a_fault_of_ours_is_told_without_its_details() -> None:
    async def bug(asked: Asked) -> Hypothesis:
        raise ZeroDivisionError("secret")

    async with dictation(ScriptedEngine(bug)) as client:
        await client.start()
        await client.audio(tone(2.0))
        error = (await client.rest())[-1]
    assert error["code"] == "internal_error"
    assert "secret" not in error["error"]
    assert client.closed == 1011


async def test_a_client_that_hangs_up_mid_sentence_ends_everything() -> None:
    async with dictation() as client:
        await client.start()
        await client.audio(tone(1.0))
        client.hang_up()
    assert client.closed is None


async def test_a_client_that_does_not_read_is_let_go(autojump_clock: MockClock) -> None:
    class Deaf(ScriptedClient):
        async def send(self, text: str) -> None:
            if '"final"' in text:
                await trio.sleep_forever()
            await super().send(text)

    async with dictation(client=Deaf()) as client:
        await client.start()
        n_frames = await client.audio(tone(2.0))
        await client.say("stop", finalCapturedSeq=n_frames)
    assert client.closed == 1000
    assert trio.current_time() == pytest.approx(GOODBYE_WAIT)
