"""The last resort against real servers: a recording is posted where a dictation fails."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import pytest
import trio

from polyasr.client import DictationFailed, ServerUnreachable, open_dictation
from polyasr.client.batch import rescuer, transcribe_recording
from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol.messages import Final, Start
from tests.fakes import Asked, ScriptedEngine, hello, tone
from tests.routes.conftest import serving

START = Start("a", control=2, language="en", context="Zoë")


async def batch_alone(asked: Asked) -> Hypothesis:
    """A model that fails in dictations."""
    if asked.context != "batch" and asked.urgency.name != "BATCH":
        raise InferenceFailed("no dictation here")
    return await hello(asked)


async def test_a_dictation_that_fails_is_saved_by_the_servers_batch_endpoint() -> None:
    async with (
        serving(ScriptedEngine(batch_alone)) as server,
        open_dictation(server.websocket_url) as dictation,
    ):
        await dictation.send(tone(2.0))
        await dictation.stop("s")
        *_, final = [event async for event in dictation]
    assert final == Final(dictation.session_id, "s", "Hello.", 20)


async def test_a_recording_takes_its_key_its_language_and_its_context_along() -> None:
    engine = ScriptedEngine()
    async with serving(engine, api_key="sesame") as server:
        text = await transcribe_recording(server.websocket_url, "sesame", tone(1.0), START)
        with pytest.raises(DictationFailed, match="API key"):
            await transcribe_recording(server.websocket_url, None, tone(1.0), START)
    assert text == "Hello."
    assert [(asked.language, asked.context) for asked in engine.asked] == [("English", "Zoë")]


async def test_the_next_server_is_asked_when_one_refuses_or_is_gone() -> None:
    async with (
        serving(ScriptedEngine(), api_key="other") as refuses,
        serving(ScriptedEngine()) as b,
    ):
        gone = "ws://127.0.0.1:9/ws/transcribe"
        elsewhere = "ws://127.0.0.1:9/elsewhere"
        rescue = rescuer([gone, elsewhere, refuses.websocket_url, b.websocket_url], None, 0)
        assert await rescue(tone(1.0), START) == "Hello."


async def raw(stream: trio.SocketStream, answer: bytes) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
        await stream.send_all(answer)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ServerUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", ServerUnreachable),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}", ServerUnreachable),
        (b"HTTP/1.1 404 None\r\nContent-Length: 2\r\n\r\nno", DictationFailed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", DictationFailed),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"text":null}', DictationFailed),
        (b"SSH-2.0\r\n\r\n", ServerUnreachable),
    ],
)
async def test_an_answer_without_a_text_is_an_error(answer: bytes, error: type[Exception]) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        async with stream:
            await raw(stream, answer)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, handle, 0, host="127.0.0.1"))
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}/ws/transcribe"
        with pytest.raises(error):
            await transcribe_recording(url, None, tone(30.0), START)
        nursery.cancel_scope.cancel()
