"""The client with several servers, of which some are lost, fail, or know nothing: virtual clock."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from polyasr.client import DictationFailed, ServerUnreachable
from polyasr.client.capture import FRAME_BYTES, Capture
from polyasr.client.dictation import dictate_over, speak
from polyasr.client.link import Rescue
from polyasr.client.servers import LOYAL_SEC, Connect
from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.messages import Final, Resume, Resumed, Start
from tests.client.network import Network, Wire
from tests.client.test_resume import START, checksum, disturb, n_frames, network, speech
from tests.fakes import Asked, ScriptedEngine, tone


async def failing(asked: Asked) -> Hypothesis:
    raise InferenceFailed("the model is broken")


async def no_rescue(pcm16: bytes, start: Start) -> str:
    raise ServerUnreachable("nobody takes recordings")


@asynccontextmanager
async def networks(*engines: ScriptedEngine) -> AsyncIterator[list[Network]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(network(engine)) for engine in engines]


async def dictate(connects: Sequence[Connect], pcm16: bytes, rescue: Rescue | None = None) -> Final:
    """The final of a whole dictation."""
    async with (
        dictate_over(connects, START, rescue=rescue) as dictation,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(speak, dictation, pcm16)
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    return final


@pytest.mark.seeds(sample=10, soak=300)
async def test_a_final_is_the_same_whichever_servers_are_lost(
    seed: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(seed)
    pcm16 = speech(rng)
    async with network(ScriptedEngine(checksum)) as net:
        undisturbed = await dictate([net.connect], pcm16)
    begun = 0

    async def checksum_until_it_breaks(asked: Asked) -> Hypothesis:
        nonlocal begun
        begun += 1
        return await (failing if begun > fails_after else checksum)(asked)

    fails_after = rng.choice((0, 3, 10, 1000))
    first = ScriptedEngine(checksum_until_it_breaks)
    async with networks(first, ScriptedEngine(checksum)) as nets, trio.open_nursery() as nursery:
        for net in nets:
            nursery.start_soon(disturb, net, rng, len(pcm16) / 32_000)
        final = await dictate([net.connect for net in nets], pcm16)
        nursery.cancel_scope.cancel()
    assert (final.text, final.recognized_through_seq) == (undisturbed.text, n_frames(pcm16))


async def test_a_server_that_fails_is_left_for_the_next_which_hears_everything(
    autojump_clock: MockClock,
) -> None:
    async with networks(ScriptedEngine(failing), ScriptedEngine()) as nets:
        final = await dictate([net.connect for net in nets], tone(3.0))
        assert (final.text, final.recognized_through_seq) == ("Hello.", 30)
        assert [len(net.wires) for net in nets] == [1, 1]


async def test_an_error_of_the_last_server_is_raised(autojump_clock: MockClock) -> None:
    async with networks(ScriptedEngine(failing), ScriptedEngine(failing)) as nets:
        with pytest.raises(BaseExceptionGroup) as caught:
            await dictate([net.connect for net in nets], tone(3.0))
    assert caught.group_contains(DictationFailed, match="model is broken")


async def test_at_first_the_next_server_is_asked_at_once(autojump_clock: MockClock) -> None:
    async with networks(ScriptedEngine(), ScriptedEngine()) as nets:
        nets[0].server = None
        began = trio.current_time()
        async with dictate_over([net.connect for net in nets], START):
            assert trio.current_time() - began < 0.1


async def test_when_no_server_is_there_at_first_that_is_raised(autojump_clock: MockClock) -> None:
    async with networks(ScriptedEngine(), ScriptedEngine()) as nets:
        for net in nets:
            net.server = None
        with pytest.raises(ServerUnreachable):
            async with dictate_over([net.connect for net in nets], START):
                raise AssertionError("nobody there")


async def test_the_server_that_holds_the_session_is_looked_for_before_another_is_asked(
    autojump_clock: MockClock,
) -> None:
    async with networks(ScriptedEngine(), ScriptedEngine()) as nets:
        connects = [net.connect for net in nets]
        for away, visited in ((LOYAL_SEC / 2, 0), (LOYAL_SEC * 2, 1)):
            async with dictate_over(connects, START) as dictation:
                await dictation.send(tone(1.0))
                await anext(dictation)
                server, nets[0].server = nets[0].server, None
                nets[0].cut()
                await trio.sleep(away)
                nets[0].server = server
                await dictation.stop()
                *_, final = [event async for event in dictation]
            assert isinstance(final, Final)
            assert final.recognized_through_seq == 10
            assert len(nets[1].wires) == visited


async def test_a_stop_that_a_server_cannot_answer_is_asked_of_the_next(
    autojump_clock: MockClock,
) -> None:
    """The first server has answered this stop so long ago that it remembers no more than that."""
    async with networks(ScriptedEngine(), ScriptedEngine(checksum)) as nets:
        connects = [net.connect for net in nets]
        pcm16 = tone(1.0)
        async with dictate_over(connects[:1], START) as earlier:
            await earlier.send(pcm16)
            await earlier.stop("s")
            [event async for event in earlier]
        await trio.sleep(1000)
        async with dictate_over(connects, START) as dictation:
            dictation._link._opening = Resume("a", control=2)
            await dictation.send(pcm16)
            await dictation.stop("s")
            *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert final.recognized_through_seq == 10


async def test_a_server_that_lacks_what_is_not_kept_is_left_for_the_one_that_has_it(
    autojump_clock: MockClock,
) -> None:
    capture = Capture(kept_bytes=10 * FRAME_BYTES)
    async with (
        networks(ScriptedEngine(), ScriptedEngine()) as nets,
        dictate_over([net.connect for net in nets], START, capture=capture) as dictation,
    ):
        for _ in range(30):
            await dictation.send(tone(0.1))
        await anext(dictation)
        server, nets[0].server = nets[0].server, None
        nets[0].cut()
        await trio.sleep(2 * LOYAL_SEC)
        nets[0].server = server
        await dictation.stop()
        *_, final = [event async for event in dictation]
        resumed = [m.message for m in dictation.received if isinstance(m.message, Resumed)]
    assert isinstance(final, Final)
    assert final.recognized_through_seq == 30
    assert resumed[-1].ack_seq > 0
    assert len(nets[1].wires) == 1


async def test_when_no_server_is_left_the_recording_is_posted_at_the_stop(
    autojump_clock: MockClock,
) -> None:
    pcm16, posted = tone(3.0), []

    async def rescue(recording: bytes, start: Start) -> str:
        posted.append((recording, start))
        return "saved"

    async with (
        networks(ScriptedEngine(failing)) as (net,),
        dictate_over([net.connect], START, rescue=rescue) as dictation,
    ):
        await dictation.send(pcm16[:64_000])
        await trio.sleep(30)
        assert isinstance(dictation.trouble, DictationFailed)
        assert posted == []
        await dictation.send(pcm16[64_000:])
        await dictation.stop("s")
        events = [event async for event in dictation]
    assert events[-1] == Final("a", "s", "saved", 30)
    assert posted == [(pcm16, START)]


async def test_when_the_rescue_fails_the_first_failure_is_raised(
    autojump_clock: MockClock,
) -> None:
    async with networks(ScriptedEngine(failing)) as nets:
        with pytest.raises(BaseExceptionGroup) as caught:
            await dictate([net.connect for net in nets], tone(3.0), no_rescue)
    assert caught.group_contains(DictationFailed, match="model is broken")


async def test_a_guess_is_replaced_by_the_rescue_or_else_delivered_as_what_it_is(
    autojump_clock: MockClock,
) -> None:
    """The stops that the server hears name more frames than were captured."""

    async def rescue(recording: bytes, start: Start) -> str:
        return "saved"

    for chosen, expected in ((rescue, ("saved", 10)), (no_rescue, ("Hello.", None))):
        async with network(ScriptedEngine()) as net:

            @asynccontextmanager
            async def connect(net: Network = net) -> AsyncIterator[Wire]:
                async with net.connect() as wire:
                    wire.altered = lambda said: said.replace('Seq": 10', 'Seq": 99')
                    yield wire

            final = await dictate([connect], tone(1.0), chosen)
            assert (final.text, final.recognized_through_seq) == expected
            assert len(net.wires) == 2


async def test_a_session_that_was_never_begun_fails_at_once(autojump_clock: MockClock) -> None:
    async with (
        network(ScriptedEngine(), max_sessions=1) as net,
        dictate_over(net.connect, Start("other", control=2)) as other,
    ):
        await other.send(tone(0.1))
        await trio.sleep(1)
        with pytest.raises(DictationFailed) as caught:
            async with dictate_over(net.connect, START, rescue=no_rescue) as dictation:
                [event async for event in dictation]
    assert caught.value.code == "too_many_sessions"


async def test_leaving_does_not_wait_for_a_rescue(autojump_clock: MockClock) -> None:
    async def never(recording: bytes, start: Start) -> str:
        await trio.sleep_forever()
        raise AssertionError

    async with network(ScriptedEngine(failing)) as net:
        async with dictate_over(net.connect, START, rescue=never) as dictation:
            await dictation.send(tone(1.0))
            await dictation.stop()
            await trio.sleep(20)
            began = trio.current_time()
        assert trio.current_time() - began < 0.1


async def test_audio_is_not_taken_without_bound_while_there_is_no_server(
    autojump_clock: MockClock,
) -> None:
    capture = Capture(kept_bytes=20 * FRAME_BYTES)
    async with network(ScriptedEngine(failing)) as net:
        async with dictate_over(net.connect, START, 60, capture, no_rescue) as dictation:
            for _ in range(500):
                await dictation.send(tone(0.1))
            with pytest.raises(DictationFailed, match="model is broken"):
                [event async for event in dictation]
        assert capture.n_frames < 100
