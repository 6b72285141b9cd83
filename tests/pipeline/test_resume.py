"""Sessions that outlive their connections, over a scripted model on a virtual clock."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock, wait_all_tasks_blocked

from polyasr.errors import InferenceFailed
from polyasr.pipeline import registry
from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.connection import STOP_WAIT
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.expired import REMEMBERED_SEC
from polyasr.samples import SAMPLE_RATE, Samples
from tests.fakes import Asked, FakeEncoder, HeldModel, ScriptedEngine, hello, silence, tone
from tests.peers import ScriptedClient, Sessions, sessions

TTL = 300.0


async def spoken(server: Sessions, seconds: float = 2.0) -> tuple[ScriptedClient, int]:
    """A client that has spoken and knows that it was heard."""
    client = server.connect()
    await client.start()
    n_frames = await client.audio(tone(seconds))
    await client.acknowledged(n_frames - 1)
    return client, n_frames


async def lose(client: ScriptedClient) -> None:
    """Lose the connection, and let the server notice."""
    client.hang_up()
    await wait_all_tasks_blocked()


async def stopped(client: ScriptedClient, n_frames: int, stop_id: str = "s1") -> list[object]:
    """The answer to a stop, without what came before it."""
    await client.stop(n_frames, stop_id)
    return [message for message in await client.rest() if message["type"] not in ("ack", "partial")]


def final(n_frames: int, stop_id: str = "s1", text: str = "Hello.") -> list[object]:
    """What a stop is answered when all is well."""
    whole = {"text": text, "recognizedThroughSeq": n_frames}
    return [
        {"type": "final", "sessionId": "a", "stopId": stop_id, **whole},
        {"type": "done", "sessionId": "a", "stopId": stop_id},
    ]


async def test_a_resumed_session_goes_on_where_it_was() -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await lose(client)
        again = server.connect()
        assert await again.resume() == {
            "type": "resumed",
            "protocol": 1,
            "sessionId": "a",
            "ackSeq": n_frames - 1,
            "control": 2,
        }
        n_frames = await again.audio(tone(1.0), first=n_frames)
        assert await stopped(again, n_frames) == final(n_frames)
    assert again.closed == 1000


async def test_nothing_is_decoded_twice_when_a_client_resends_what_is_held(
    mock_clock: MockClock,
) -> None:
    async def run(lost_after: int | None) -> tuple[list[object], list[int]]:
        engine = ScriptedEngine()
        async with sessions(engine) as server:
            client = server.connect()
            await client.start()
            n_frames = 0
            for number in range(12):
                n_frames = await client.audio(tone(0.9) + silence(0.8), first=n_frames)
                await client.acknowledged(n_frames - 1)
                await wait_all_tasks_blocked()
                if number == lost_after:
                    await lose(client)
                    client = server.connect()
                    await client.resume()
                    await client.audio(tone(0.9) + silence(0.8), first=n_frames - 17)
            answer = await stopped(client, n_frames)
        return answer, [len(asked.samples) for asked in engine.asked]

    undisturbed = await run(lost_after=None)
    assert undisturbed[0] == final(12 * 17, text="Hello. Hello. Hello.")
    assert await run(lost_after=5) == undisturbed


async def test_a_client_that_comes_back_is_shown_the_text_and_no_delta_to_what_it_may_lack() -> (
    None
):
    async with sessions() as server:
        client = server.connect()
        await client.start()
        n_frames = await client.audio(tone(2.0) + silence(0.3))
        assert (await client.next("partial"))["delta"] == "Hello."
        await lose(client)
        again = server.connect()
        await again.resume()
        assert await again.next("partial") == {
            "type": "partial",
            "sessionId": "a",
            "partial": "Hello.",
        }
        await stopped(again, n_frames)


async def test_a_resume_negotiates_control_anew() -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await lose(client)
        again = server.connect()
        assert "control" not in await again.resume(control=1)
        answer, _ = await stopped(again, n_frames)
        assert isinstance(answer, dict)
        assert "recognizedThroughSeq" not in answer


async def test_a_resume_without_a_held_session_begins_an_empty_one() -> None:
    engine = ScriptedEngine()
    async with sessions(engine) as server:
        client = server.connect()
        assert (await client.resume(language="zh"))["ackSeq"] == -1
        n_frames = await client.audio(tone(1.0))
        assert await stopped(client, n_frames) == final(n_frames)
    assert engine.asked[-1].language == "Chinese"


async def test_a_gap_over_a_reconnect_is_waited_for() -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        end = await client.audio(tone(0.5), first=n_frames + 3)
        await wait_all_tasks_blocked()
        await lose(client)
        again = server.connect()
        assert (await again.resume())["ackSeq"] == n_frames - 1
        await again.audio(tone(0.3), first=n_frames)
        assert await stopped(again, end) == final(end)


async def test_a_session_is_held_for_its_time_and_no_longer(autojump_clock: MockClock) -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await lose(client)
        await trio.sleep(TTL - 1)
        again = server.connect()
        assert (await again.resume())["ackSeq"] == n_frames - 1
        await lose(again)
        await trio.sleep(TTL)
        late = server.connect()
        assert (await late.resume())["ackSeq"] == -1
        assert await stopped(late, n_frames) == [
            {
                "type": "stopExpired",
                "sessionId": "a",
                "stopId": "s1",
                "reason": "session_not_held",
            }
        ]
    assert late.closed == 1000


async def test_a_session_whose_time_is_up_frees_what_the_engine_holds(
    autojump_clock: MockClock,
) -> None:
    held = HeldModel()
    async with sessions(ScriptedEngine(held.script)) as server:
        client = server.connect()
        await client.start()
        await client.audio(tone(2.0))
        await held.begun.wait()
        await lose(client)
        await held.cancelled.wait()
        assert trio.current_time() == pytest.approx(TTL)


async def test_a_stop_that_is_asked_again_gets_the_identical_answer(
    autojump_clock: MockClock,
) -> None:
    engine = ScriptedEngine()
    async with sessions(engine) as server:
        client, n_frames = await spoken(server)
        first = await stopped(client, n_frames)
        decodes = len(engine.asked)
        for _ in range(3):
            await trio.sleep(TTL / 4)
            again = server.connect()
            assert (await again.resume())["ackSeq"] == n_frames - 1
            assert await stopped(again, n_frames) == first
    assert len(engine.asked) == decodes


async def test_an_answer_is_kept_for_its_time_and_then_known_to_have_expired(
    autojump_clock: MockClock,
) -> None:
    expired = {
        "type": "stopExpired",
        "sessionId": "a",
        "stopId": "s1",
        "reason": "stop_result_expired",
    }
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await stopped(client, n_frames)
        await trio.sleep(TTL)
        for _ in range(2):
            late = server.connect()
            assert (await late.resume())["ackSeq"] == -1
            assert await stopped(late, n_frames) == [expired]
        await trio.sleep(REMEMBERED_SEC)
        forgotten = server.connect()
        await forgotten.resume()
        (answer,) = await stopped(forgotten, n_frames)
        assert answer == {**expired, "reason": "session_not_held"}


async def test_a_final_whose_connection_is_lost_meanwhile_goes_to_the_next() -> None:
    held = HeldModel()
    engine = ScriptedEngine(held.script)
    async with sessions(engine) as server:
        client, n_frames = await spoken(server, 0.1)
        await client.stop(n_frames)
        await held.begun.wait()
        await lose(client)
        again = server.connect()
        await again.resume()
        await again.stop(n_frames)
        await wait_all_tasks_blocked()
        held.release.set()
        assert (await again.rest())[-2:] == final(n_frames)
    assert len(engine.asked) == 1


async def test_a_stop_that_waits_for_frames_is_withdrawn_with_its_connection(
    autojump_clock: MockClock,
) -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await client.stop(n_frames + 10)
        await wait_all_tasks_blocked()
        await lose(client)
        await trio.sleep(10 * STOP_WAIT)
        again = server.connect()
        await again.resume()
        await again.audio(tone(1.0), first=n_frames)
        assert await stopped(again, n_frames + 10) == final(n_frames + 10)


async def test_of_two_connections_of_a_session_the_newer_wins() -> None:
    async with sessions() as server:
        half_dead, n_frames = await spoken(server)
        newer = server.connect()
        assert (await newer.resume())["ackSeq"] == n_frames - 1
        await half_dead.rest()
        assert half_dead.closed == 1008
        n_frames = await newer.audio(tone(0.5), first=n_frames)
        assert await stopped(newer, n_frames) == final(n_frames)


async def test_what_the_older_connection_still_says_changes_nothing() -> None:
    async with sessions() as server:
        half_dead, n_frames = await spoken(server)
        newer = server.connect()
        await newer.resume()
        await half_dead.stop(n_frames, stop_id="old")
        await half_dead.audio(tone(9.0), first=n_frames)
        await wait_all_tasks_blocked()
        n_frames = await newer.audio(tone(0.5), first=n_frames)
        assert await stopped(newer, n_frames) == final(n_frames)


async def test_a_start_over_a_held_id_begins_anew_and_forgets_the_answers() -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await stopped(client, n_frames, stop_id="")
        second = server.connect()
        assert (await second.start())["ackSeq"] == -1
        assert await stopped(second, 0, stop_id="") == final(0, stop_id="", text="")


async def test_a_start_over_a_held_id_forgets_what_has_expired(autojump_clock: MockClock) -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await stopped(client, n_frames)
        await trio.sleep(TTL)
        second = server.connect()
        await second.start()
        await second.audio(tone(1.0))
        assert await stopped(second, 10) == final(10)


async def test_a_start_over_an_attached_id_ends_the_older_connection() -> None:
    async with sessions() as server:
        older, _ = await spoken(server)
        newer = server.connect()
        assert (await newer.start())["ackSeq"] == -1
        await older.rest()
        assert older.closed == 1008
        assert await stopped(newer, 0) == final(0, text="")


async def test_a_session_that_is_switched_away_from_is_held() -> None:
    async with sessions() as server:
        client, n_frames = await spoken(server)
        await client.say("start", sessionId="b", control=2)
        await client.next("started")
        await client.say("resume", sessionId="a", control=2)
        assert (await client.next("resumed"))["ackSeq"] == n_frames - 1
        assert await stopped(client, n_frames) == final(n_frames)


async def test_a_failure_while_nobody_listens_leaves_no_session_behind() -> None:
    failing = trio.Event()

    async def fail(asked: Asked) -> Hypothesis:
        await failing.wait()
        raise InferenceFailed("broken")

    async with sessions(ScriptedEngine(fail)) as server:
        client, _ = await spoken(server)
        await lose(client)
        failing.set()
        await wait_all_tasks_blocked()
        again = server.connect()
        assert (await again.resume())["ackSeq"] == -1
        again.hang_up()


async def test_a_failure_of_one_session_is_not_told_to_another() -> None:
    async def fail_in_chinese(asked: Asked) -> Hypothesis:
        if asked.language == "Chinese":
            raise InferenceFailed("broken")
        return await hello(asked)

    async with sessions(ScriptedEngine(fail_in_chinese)) as server:
        well, ill = server.connect("well"), server.connect("ill")
        await well.start()
        await ill.start(language="zh")
        for client in (well, ill):
            await client.audio(tone(2.0))
        assert (await ill.next("error"))["code"] == "inference_failed"
        await well.stop(20)
        assert (await well.next("final"))["text"] == "Hello."


async def test_another_speaker_in_the_end_is_out_of_the_text_and_covered_all_the_same() -> None:
    class LoudAndSoft(FakeEncoder):
        """An encoder for which the loud are one voice and the soft another."""

        async def embed(self, samples: Samples) -> NDArray[np.float32]:
            is_loud = float(np.abs(samples).max()) > 0.2
            return np.array([is_loud, not is_loud], np.float32)

    class TwoSpeakers(ScriptedEngine):
        @property
        def speaker_encoder(self) -> LoudAndSoft:
            return LoudAndSoft()

    async def seconds(asked: Asked) -> Hypothesis:
        return Hypothesis(f"{len(asked.samples) / SAMPLE_RATE:.1f} s", "English")

    async with sessions(TwoSpeakers(seconds)) as server:
        client = server.connect()
        await client.start()
        mine = tone(2.08) + silence(1.12)
        n_frames = await client.audio(mine + tone(3.2, amplitude=0.1))
        answer = await stopped(client, n_frames)
    assert answer == final(n_frames, text="2.7 s")


async def test_sessions_with_a_connection_are_bounded_and_taking_over_needs_no_place() -> None:
    async with sessions(config=DictationConfig(max_sessions=1)) as server:
        _, n_frames = await spoken(server)
        other = server.connect("b")
        await other.say("start", sessionId="b")
        (error,) = await other.rest()
        assert error["code"] == "too_many_sessions"
        newer = server.connect()
        await newer.resume()
        assert await stopped(newer, n_frames) == final(n_frames)
        third = server.connect("c")
        await third.start()
        third.hang_up()


async def test_of_too_many_sessions_without_a_connection_the_oldest_is_given_up(
    autojump_clock: MockClock,
) -> None:
    async with sessions(config=DictationConfig(max_sessions=2)) as server:
        for session_id in "abc":
            client = server.connect(session_id)
            await client.start()
            await client.audio(tone(0.5))
            await client.acknowledged(4)
            await lose(client)
            await trio.sleep(1)
        held = {}
        for session_id in "abc":
            client = server.connect(session_id)
            held[session_id] = (await client.resume())["ackSeq"]
            await lose(client)
    assert held == {"a": -1, "b": 4, "c": 4}


async def test_answers_are_bounded_and_those_given_up_are_known_to_have_expired(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_ANSWERED", 2)
    async with sessions() as server:
        for session_id in "abc":
            client = server.connect(session_id)
            await client.start()
            await client.stop(0)
            await client.next("done")
            await trio.sleep(1)
        answers = {}
        for session_id in "abc":
            client = server.connect(session_id)
            await client.resume()
            await client.stop(0)
            answers[session_id] = (await client.rest())[-1]["type"]
    assert answers == {"a": "stopExpired", "b": "done", "c": "done"}


async def test_a_session_of_which_nothing_would_be_lost_is_not_held() -> None:
    async with sessions(config=DictationConfig(max_sessions=1)) as server:
        client, n_frames = await spoken(server)
        await lose(client)
        for _ in range(3):
            empty = server.connect("b")
            await empty.start()
            await lose(empty)
        again = server.connect()
        assert (await again.resume())["ackSeq"] == n_frames - 1
        again.hang_up()


@pytest.mark.parametrize("started", [False, True])
async def test_a_connection_that_says_nothing_is_closed(
    started: bool, autojump_clock: MockClock
) -> None:
    async with sessions(config=DictationConfig(idle_timeout=60)) as server:
        client = server.connect()
        if started:
            await client.start()
        await client.rest()
    assert client.closed == 1008
    assert trio.current_time() == pytest.approx(60)


async def test_a_connection_whose_final_takes_its_time_is_not_idle(
    autojump_clock: MockClock,
) -> None:
    async def slow(asked: Asked) -> Hypothesis:
        await trio.sleep(1000)
        return await hello(asked)

    async with sessions(ScriptedEngine(slow)) as server:
        client, n_frames = await spoken(server)
        assert await stopped(client, n_frames) == final(n_frames)
