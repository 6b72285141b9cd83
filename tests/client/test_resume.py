"""The client over a network that breaks, against the server's own sessions, on a virtual clock."""

from __future__ import annotations

import random
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock

from polyasr.client import DictationFailed, Restarted, ServerUnreachable
from polyasr.client.capture import FRAME_BYTES, Capture
from polyasr.client.dictation import dictate_over, speak
from polyasr.client.link import STALL_SEC, Told
from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.registry import open_sessions
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.messages import Final, Flushed, Resumed, Segment, Start, Started
from tests.client.network import Network
from tests.fakes import Asked, LoudnessDetector, ScriptedEngine, hello, silence, tone

START = Start("a", control=2)


async def checksum(asked: Asked) -> Hypothesis:
    """A model that hears something else in any other audio."""
    return Hypothesis(f"{zlib.crc32(asked.samples.tobytes()):08x}", "English")


@dataclass
class CountingEngine(ScriptedEngine):
    """Counts the windows of audio that were judged."""

    windows: list[int] = field(default_factory=list)

    def open_detector(self) -> LoudnessDetector:
        windows = self.windows

        class Counting(LoudnessDetector):
            async def probabilities(self, judged: NDArray[np.float32]) -> Sequence[float]:
                windows.append(len(judged))
                return await super().probabilities(judged)

        return Counting()


@asynccontextmanager
async def network(engine: ScriptedEngine, max_sessions: int = 32) -> AsyncIterator[Network]:
    """A network with a server."""
    async with (
        open_sessions(engine, DictationConfig(max_sessions=max_sessions)) as server,
        trio.open_nursery() as nursery,
    ):
        net = Network(nursery)
        net.server = server
        yield net
        nursery.cancel_scope.cancel()


def speech(rng: random.Random) -> bytes:
    """Passages and pauses, some 20 s."""
    pieces = []
    for _ in range(rng.randint(3, 8)):
        pieces.append(tone(rng.uniform(0.1, 4.0), rng.uniform(0.1, 0.5)))
        pieces.append(silence(rng.uniform(0.0, 2.0)))
    return b"".join(pieces)


def n_frames(pcm16: bytes) -> int:
    return -(-len(pcm16) // FRAME_BYTES)


async def dictate(net: Network, pcm16: bytes, paced: bool = True) -> Final:
    """The final of a whole dictation."""
    async with (
        dictate_over(net.connect, START) as dictation,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(speak, dictation, pcm16, paced)
        events = [event async for event in dictation]
    final = events[-1]
    assert isinstance(final, Final)
    return final


async def disturb(net: Network, rng: random.Random, seconds: float) -> None:
    """Cut connections at random times, also after the last word."""
    at = 0.0
    await trio.sleep(0.01)  # the first connection stands: without it there is no dictation
    while at < seconds + 3:
        pause = rng.expovariate(1 / 3)
        at += pause
        await trio.sleep(pause)
        kind = rng.choice(("clean", "clean", "half dead", "stalled", "down"))
        if kind == "down":
            server, net.server = net.server, None
            net.cut()
            await trio.sleep(rng.uniform(0, 5))
            net.server = server
        else:
            net.cut(client_knows=kind != "stalled", server_knows=kind != "half dead")


@pytest.mark.seeds(sample=100, soak=1000)
async def test_a_final_is_the_same_however_often_the_connection_is_lost(
    seed: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(seed)
    pcm16, paced = speech(rng), rng.random() < 0.8
    finals, windows = [], []
    for disturbed in (False, True):
        engine = CountingEngine(checksum)
        async with network(engine) as net, trio.open_nursery() as nursery:
            if disturbed:
                net.jumble = rng if rng.random() < 0.5 else None
                nursery.start_soon(disturb, net, rng, len(pcm16) / 32_000 if paced else 1.0)
            finals.append(await dictate(net, pcm16, paced))
            nursery.cancel_scope.cancel()
        windows.append(sum(engine.windows))
    assert finals[0].recognized_through_seq == n_frames(pcm16)
    assert [(f.text, f.recognized_through_seq) for f in finals] == [
        (finals[0].text, n_frames(pcm16))
    ] * 2
    assert windows[0] == windows[1]


async def test_a_server_that_restarts_hears_everything_again(autojump_clock: MockClock) -> None:
    before, after = tone(1.2) + silence(1.0), tone(1.2)
    async with network(ScriptedEngine(checksum)) as net:
        undisturbed = await dictate(net, before + after)
    async with (
        network(ScriptedEngine(checksum)) as net,
        network(ScriptedEngine(checksum)) as restarted,
        dictate_over(net.connect, START) as dictation,
    ):
        await dictation.send(before)
        await anext(dictation)
        net.server = restarted.server
        net.cut()
        await dictation.send(after)
        await dictation.stop(undisturbed.stop_id)
        told = [event async for event in dictation]
        ack_seqs = [r.message.ack_seq for r in dictation.received if isinstance(r.message, Resumed)]
    assert told[-1] == undisturbed
    assert ack_seqs == [-1]
    assert told.count(Restarted()) == 1


async def test_a_segment_is_told_once_though_a_resumed_session_tells_it_again(
    autojump_clock: MockClock,
) -> None:
    async with (
        network(ScriptedEngine()) as net,
        dictate_over(net.connect, Start("a", control=3)) as dictation,
    ):
        await dictation.send(tone(1.0))
        await dictation.flush("f")
        told = list[Told]()
        while not isinstance(event := await anext(dictation), Flushed):
            told.append(event)
        net.cut()
        await dictation.send(tone(1.0))
        await dictation.stop()
        told += [event async for event in dictation]
        received = [r.message for r in dictation.received if isinstance(r.message, Segment)]
    assert [each.id for each in received] == [0, 0, 1]
    assert [each.id for each in told if isinstance(each, Segment)] == [0, 1]


async def test_a_server_that_restarts_when_audio_is_no_longer_kept_is_an_error(
    autojump_clock: MockClock,
) -> None:
    async with (
        network(ScriptedEngine()) as net,
        network(ScriptedEngine()) as restarted,
        dictate_over(net.connect, START, capture=Capture(kept_bytes=16_000)) as dictation,
    ):
        await dictation.send(tone(3.0))
        await anext(dictation)
        net.server = restarted.server
        net.cut()
        await dictation.stop()
        with pytest.raises(DictationFailed, match="not kept") as caught:
            [event async for event in dictation]
    assert caught.value.code == "session_not_held"


async def test_a_server_that_stays_away_is_looked_for_and_then_given_up(
    autojump_clock: MockClock,
) -> None:
    async with (
        network(ScriptedEngine()) as net,
        dictate_over(net.connect, START, patience=20) as dictation,
    ):
        await dictation.send(tone(1.0))
        await anext(dictation)
        net.server = None
        net.cut()
        lost_at = trio.current_time()
        with pytest.raises(ServerUnreachable, match="nobody there"):
            [event async for event in dictation]
        assert 20 <= trio.current_time() - lost_at < 25


async def test_a_server_that_falls_silent_is_noticed(autojump_clock: MockClock) -> None:
    async with network(ScriptedEngine()) as net, dictate_over(net.connect, START) as dictation:
        await dictation.send(tone(1.0))
        await anext(dictation)
        silent_at = trio.current_time()
        net.cut(client_knows=False)
        await dictation.stop()
        *_, final = [event async for event in dictation]
        assert isinstance(final, Final)
        assert final.recognized_through_seq == 10
        assert trio.current_time() - silent_at == pytest.approx(STALL_SEC, abs=1)


async def test_a_silent_client_and_a_server_that_answers_pings_stay_connected(
    autojump_clock: MockClock,
) -> None:
    async with network(ScriptedEngine()) as net, dictate_over(net.connect, START) as dictation:
        await trio.sleep(4 * STALL_SEC)
        await dictation.stop()
        [event async for event in dictation]
        assert len(net.wires) == 1


async def test_audio_that_nobody_acknowledges_is_not_taken_without_bound(
    autojump_clock: MockClock,
) -> None:
    capture = Capture(kept_bytes=10 * FRAME_BYTES)
    async with (
        network(ScriptedEngine()) as net,
        dictate_over(net.connect, START, capture=capture) as dictation,
    ):
        server, net.server = net.server, None
        net.cut()
        with trio.move_on_after(10) as waiting:
            while True:
                await dictation.send(bytes(FRAME_BYTES))
        assert waiting.cancelled_caught
        assert capture.n_frames == 11
        net.server = server
        for _ in range(20):
            await dictation.send(bytes(FRAME_BYTES))
        await dictation.stop()
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert final.recognized_through_seq == 31


async def test_a_final_that_is_a_guess_is_asked_for_once_more_with_all_audio(
    autojump_clock: MockClock,
) -> None:
    """The server has heard a stop that says more was captured than it ever got."""
    async with network(ScriptedEngine()) as net, dictate_over(net.connect, START) as dictation:
        await dictation.send(tone(1.0))
        await anext(dictation)
        wire = net.wires[0]
        await wire.send_message('{"type": "stop", "stopId": "s", "finalCapturedSeq": 99}')
        await dictation.stop("s")
        events = [event async for event in dictation]
        openings = [r.message for r in dictation.received if isinstance(r.message, Started)]
    finals = [event for event in events if isinstance(event, Final)]
    assert [(final.text, final.recognized_through_seq) for final in finals] == [("Hello.", 10)]
    assert [type(opening) for opening in openings] == [Started, Started]


async def test_a_session_that_finds_no_place_when_it_comes_back_waits_for_one(
    autojump_clock: MockClock,
) -> None:
    async with (
        network(ScriptedEngine(), max_sessions=1) as net,
        dictate_over(net.connect, START) as dictation,
    ):
        await dictation.send(tone(1.0))
        await anext(dictation)
        net.cut()
        async with dictate_over(net.connect, Start("b", control=2)) as other:
            await trio.sleep(10)
            await other.stop()
            assert [event async for event in other]
        await dictation.stop()
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert final.recognized_through_seq == 10


async def test_leaving_while_the_server_is_away_does_not_wait_for_it(
    autojump_clock: MockClock,
) -> None:
    async with network(ScriptedEngine(hello)) as net:
        async with dictate_over(net.connect, START) as dictation:
            await dictation.send(tone(1.0))
            net.server = None
            net.cut()
            await trio.sleep(10)
            began = trio.current_time()
        assert trio.current_time() - began < 0.1
