"""Which dictations keep the recognizer in memory."""

from __future__ import annotations

from trio.testing import wait_all_tasks_blocked

from tests.fakes import ScriptedEngine, silence
from tests.peers import sessions


async def test_an_open_dictation_keeps_the_recognizer_even_in_silence() -> None:
    engine = ScriptedEngine()
    async with sessions(engine) as server:
        client = server.connect()
        await wait_all_tasks_blocked()
        assert engine.pins == 0
        await client.start()
        n_frames = await client.audio(silence(1.0))
        await client.acknowledged(n_frames - 1)
        assert engine.pins == 1
        await client.say("stop", finalCapturedSeq=n_frames)
        await client.next("done")
        await wait_all_tasks_blocked()
        assert engine.pins == 0


async def test_a_dictation_that_waits_for_its_client_keeps_it_too() -> None:
    engine = ScriptedEngine()
    async with sessions(engine) as server:
        client = server.connect()
        await client.start()
        await client.acknowledged(await client.audio(silence(1.0)) - 1)
        client.hang_up()
        await wait_all_tasks_blocked()
        assert engine.pins == 1
    assert engine.pins == 0
