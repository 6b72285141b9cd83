"""Clients that misbehave: the right error or a clean close, and nothing left behind."""

from __future__ import annotations

import json
import random
import tracemalloc

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock, wait_all_tasks_blocked

from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.emitter import ROOM
from polyasr.protocol.frames import Frame, encode
from polyasr.protocol.session import Limits
from tests.fakes import LoudnessDetector, ScriptedEngine, silence, tone
from tests.peers import ScriptedClient, sessions

CODES = {
    "audio_before_start",
    "unframed_audio",
    "odd_payload",
    "unsupported_version",
    "missing_session_id",
    "stop_before_start",
    "unsupported_message",
    "invalid_json",
    "message_too_large",
    "session_too_long",
    "too_many_sessions",
}
VALUES: list[object] = [
    0,
    1,
    -1,
    2**70,
    1.5,
    True,
    None,
    "",
    "a",
    "b",
    "x" * 300,
    "\ud800",
    [],
    {},
    "16000",
]
FIELDS = [
    "protocol",
    "sessionId",
    "control",
    "context",
    "language",
    "stopId",
    "finalCapturedSeq",
    "id",
    "timestamps",
]
KINDS = ("frame", "frame", "frame", "start", "stop", "flush", "odd", "bytes", "text")
AUDIO = (tone(0.1), silence(0.1), b"", tone(1.5))


def random_message(rng: random.Random) -> bytes | str:
    """What a client might say, from sound to senseless."""
    match rng.choice(KINDS):
        case "frame":
            sequence = rng.choice(
                (rng.randrange(8), rng.randrange(8), 2**64 - 1, rng.randrange(99))
            )
            return encode(Frame(sequence, rng.choice(AUDIO)))
        case "start":
            kind = rng.choice(("start", "resume"))
            control = rng.randrange(1, 5)
            options = {name: rng.random() < 0.5 for name in ("speakerFilter", "endpointing")}
            return json.dumps(
                {"type": kind, "sessionId": rng.choice("ab"), "control": control, **options}
            )
        case "flush":
            return json.dumps({"type": rng.choice(("flush", "mark")), "id": rng.choice("xy")})
        case "stop":
            return json.dumps({"type": "stop", "finalCapturedSeq": rng.randrange(9)})
        case "odd":
            kinds = ("start", "resume", "stop", "flush", "mark", "final", None)
            fields = {rng.choice(FIELDS): rng.choice(VALUES) for _ in range(rng.randrange(4))}
            return json.dumps({"type": rng.choice(kinds), "sessionId": "a", **fields})
        case "bytes":
            return rng.choice((b"", b"BASR", encode(Frame(0, b"ab"))[:-1], rng.randbytes(40)))
        case _:
            return rng.choice(("", "{", "[1]", "null", "[" * 100_000, '{"type": "start"}'))


@pytest.mark.seeds(sample=60, soak=1850)
async def test_whatever_is_said_gets_its_error_or_a_clean_close(
    seed: int, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Some 110 messages a seed."""
    rng = random.Random(seed)
    config = DictationConfig(limits=Limits(max_session_bytes=200_000))
    async with sessions(config=config) as server:
        for _ in range(20):
            client = server.connect()
            for _ in range(rng.randrange(12)):
                await client.raw(random_message(rng))
            if rng.random() < 0.5:
                client.hang_up()
                await wait_all_tasks_blocked()
                continue
            last = (await client.rest())[-1:]
            errors = {message["code"] for message in last if message["type"] == "error"}
            assert errors <= CODES
            assert client.closed == (1000 if last and not errors and _is_answer(last[0]) else 1008)
    assert "fault of this server" not in caplog.text


def _is_answer(message: dict[str, object]) -> bool:
    return message["type"] in ("done", "stopExpired")


async def test_what_waits_for_a_client_that_does_not_read_is_bounded(
    autojump_clock: MockClock,
) -> None:
    class Deaf(ScriptedClient):
        async def send(self, text: str) -> None:
            await trio.sleep_forever()

    async with sessions() as server:
        client = server.connect(client=Deaf())
        for number in range(10 * ROOM):
            await client.say("start", sessionId=str(number))
        await wait_all_tasks_blocked()
        unheard = client._said.statistics().current_buffer_used
        assert unheard >= 9 * ROOM - 2
        client.hang_up()
        server.registry._nursery.cancel_scope.cancel()


class Stuck(LoudnessDetector):
    """A detector that has stopped working."""

    async def probabilities(self, windows: NDArray[np.float32]) -> list[float]:
        await trio.sleep_forever()
        return []


@pytest.mark.parametrize("out_of_order", [False, True])
async def test_what_a_session_holds_at_the_worst_is_below_40_MiB(
    out_of_order: bool, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken from the server; the audio comes in the largest messages there can be."""
    frame = bytes(2**20 - 16)
    monkeypatch.setattr(ScriptedEngine, "open_detector", lambda self: Stuck())
    async with sessions() as server:
        client = server.connect()
        await client.start()
        tracemalloc.start()
        order = (*range(1, 16), 0) if out_of_order else range(16)
        for sequence in (*order, *range(16, 40)):
            await client.raw(encode(Frame(sequence, frame)))
        await wait_all_tasks_blocked()
        unread = client._said.statistics().current_buffer_used * len(frame)
        held = tracemalloc.get_traced_memory()[0] - unread
        tracemalloc.stop()
        assert unread
        assert 2**20 < held < 40 * 2**20
        client.hang_up()
        server.registry._nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("max_sessions", "seconds"), [(1, 60), (32, 60), (200, 10), (10_000, 2)])
async def test_audio_that_comes_faster_than_it_is_recognized_waits_with_the_client(
    max_sessions: int, seconds: int, autojump_clock: MockClock
) -> None:
    stuck = trio.Event()

    class Stuck(LoudnessDetector):
        async def probabilities(self, windows: NDArray[np.float32]) -> list[float]:
            await stuck.wait()
            return [0.0] * len(windows)

    async with sessions(config=DictationConfig(max_sessions=max_sessions)) as server:
        server.registry._engine.open_detector = Stuck  # type: ignore[method-assign]
        client = server.connect()
        await client.start()
        n_frames = await client.audio(silence(99.0))
        await wait_all_tasks_blocked()
        heard = n_frames - client._said.statistics().current_buffer_used
        assert 10 * seconds <= heard < 10 * (seconds + 1)
        stuck.set()
        await client.stop(n_frames)
        assert (await client.next("final"))["recognizedThroughSeq"] == n_frames


async def test_frames_of_a_sample_each_are_heard(autojump_clock: MockClock) -> None:
    n_frames = 5000
    async with sessions() as server:
        client = server.connect()
        await client.start()
        speech = tone(n_frames / 16_000)
        for sequence in range(n_frames):
            await client.raw(encode(Frame(sequence, speech[2 * sequence : 2 * sequence + 2])))
        await client.stop(n_frames)
        final = await client.next("final")
    assert (final["text"], final["recognizedThroughSeq"]) == ("Hello.", n_frames)
