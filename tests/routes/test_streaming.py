"""`stream=true`: the text as it is decoded, in server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.routes import events
from polyasr.routes.events import EventBody
from tests.fakes import Asked, HeldModel, ScriptedEngine, silence, tone, wav
from tests.media import media

from .conftest import Server, serving

THREE_SENTENCES = wav(3 * (tone(8.16) + silence(0.8)))


@asynccontextmanager
async def streaming(server: Server, file: bytes, **fields: str) -> AsyncIterator[httpx.Response]:
    """The response to a recording, its body unread."""
    async with server.http.stream(
        "POST",
        "/v1/audio/transcriptions",
        files={"file": ("speech.wav", file)},
        data={"stream": "true", **fields},
    ) as response:
        yield response


async def told(response: httpx.Response) -> AsyncIterator[Any]:
    """Its events; `[DONE]` is a text."""
    async for line in response.aiter_lines():
        if line:
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else json.loads(data)


async def all_told(server: Server, file: bytes, **fields: str) -> list[Any]:
    async with streaming(server, file, **fields) as response:
        return [event async for event in told(response)]


@pytest.mark.parametrize("form", ["json", "text", "verbose_json", ""])
async def test_the_deltas_make_up_the_text_that_done_tells(form: str) -> None:
    async with (
        serving(ScriptedEngine()) as server,
        streaming(server, THREE_SENTENCES, response_format=form) as response,
    ):
        *deltas, done, end = [event async for event in told(response)]
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert [event["delta"] for event in deltas] == ["Hello.", " Hello.", " Hello."]
    assert done == {
        "type": "transcript.text.done",
        "text": "Hello. Hello. Hello.",
        "usage": {"type": "duration", "seconds": 26.88},
    }
    assert end == "[DONE]"


async def test_the_first_delta_comes_while_the_rest_is_not_decoded() -> None:
    release = trio.Event()
    engine = ScriptedEngine()

    async def all_but_the_first_wait(asked: Asked) -> Hypothesis:
        number = len(engine.asked)
        if number > 1:
            await release.wait()
        return Hypothesis(f"{number}.", "English")

    engine.script = all_but_the_first_wait
    async with (
        serving(engine) as server,
        streaming(server, THREE_SENTENCES) as response,
    ):
        stream = told(response)
        with trio.fail_after(30):
            assert (await anext(stream))["delta"] == "1."
        release.set()
        *_, done, _end = [event async for event in stream]
    assert done["text"] == "1. 2. 3."


async def test_a_client_that_goes_away_stops_the_work_and_frees_its_place() -> None:
    held = HeldModel()
    async with serving(ScriptedEngine(held.script), max_queue_size=1) as server:
        async with streaming(server, THREE_SENTENCES) as response:
            assert response.status_code == 200
            await held.begun.wait()
        with trio.fail_after(10):
            await held.cancelled.wait()
            held.release.set()
            while (answer := await server.transcribe()).status_code == 503:
                await trio.lowlevel.checkpoint()
        assert answer.status_code == 200


async def test_silence_is_done_at_once() -> None:
    async with serving(ScriptedEngine()) as server:
        done, end = await all_told(server, wav(silence(2)))
    assert (done["text"], end) == ("", "[DONE]")


async def test_what_is_no_recording_is_a_status_and_not_an_event() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(b"a letter" * 99, stream="true")
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_audio"


async def test_damage_that_shows_later_is_an_event_without_an_end() -> None:
    whole = media("flac", "flac", seconds=40, layout="mono")
    async with serving(ScriptedEngine()) as server:
        *_, last = await all_told(server, whole[: len(whole) // 2])
    assert last["error"]["code"] == "unsupported_audio"
    assert "claims 40.0 s" in last["error"]["message"]


async def test_a_failing_model_is_an_event() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    async with serving(ScriptedEngine(fail)) as server:
        (event,) = await all_told(server, THREE_SENTENCES)
    assert event["error"]["type"] == "server_error"
    assert "NaN" in event["error"]["message"]


async def test_a_fault_of_the_server_is_an_event_without_its_inner_life() -> None:
    async def crash(asked: Asked) -> Hypothesis:
        raise ZeroDivisionError("secret detail")

    async with serving(ScriptedEngine(crash)) as server:
        (event,) = await all_told(server, THREE_SENTENCES)
    assert event["error"]["code"] == "internal_error"
    assert "secret" not in json.dumps(event)


async def test_subtitles_are_not_streamed() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(stream="true", response_format="srt")
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "stream"


async def test_a_long_silence_is_bridged_by_comments(
    autojump_clock: trio.testing.MockClock,
) -> None:
    to_client, channel = trio.open_memory_channel[bytes](0)
    body = EventBody(channel)
    assert await anext(body) == events.STILL_AT_WORK
    assert trio.current_time() == events.KEEP_ALIVE_SEC
    to_client.close()
    with pytest.raises(StopAsyncIteration):
        await anext(body)
