"""Each adapter against a server that speaks its protocol as documented."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from bench.adapters import ADAPTERS
from bench.adapters.port import Adapter, StreamFailed
from bench.dictation.drive import Pace, observe
from bench.dictation.observed import Heard
from polyasr.errors import ungrouped
from tests.bench.scripted_server import clip
from tests.fakes import ScriptedEngine, tone
from tests.routes.conftest import serving

Talk = Callable[["Peer"], Awaitable[None]]
PCM16 = np.arange(3200, dtype="<i2").tobytes()


class Peer:
    """The server's end of a connection."""

    def __init__(self, socket: WebSocketConnection, request: WebSocketRequest) -> None:
        self._socket, self.path = socket, request.path
        self.headers = {name.lower(): value for name, value in request.headers}

    async def say(self, **message: Any) -> None:
        await self._socket.send_message(json.dumps(message))

    async def hear(self) -> Any:
        """The next message: a JSON object, or bytes."""
        message = await self._socket.get_message()
        return message if isinstance(message, bytes) else json.loads(message)


@asynccontextmanager
async def peer(talk: Talk, path: str) -> AsyncIterator[str]:
    """The address of a server that talks to each connection so."""

    async def handler(request: WebSocketRequest) -> None:
        await talk(Peer(await request.accept(), request))

    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, handler, "127.0.0.1", 0, ssl_context=None)
        server = await nursery.start(serve)
        yield f"ws://127.0.0.1:{server.port}{path}"
        nursery.cancel_scope.cancel()


async def heard(adapter: Adapter) -> list[Heard]:
    """What is told of two pieces of audio."""
    with ungrouped():
        async with adapter.open("English") as stream:
            await stream.send(PCM16)
            await stream.send(PCM16)
            await stream.stop()
            return [each async for each in stream]


async def test_whisperlivekit() -> None:
    async def talk(server: Peer) -> None:
        assert server.path == "/asr?language=en"
        await server.say(type="config", useAudioWorklet=True, mode="full")
        assert [await server.hear() for _ in range(3)] == [PCM16, PCM16, b""]
        silence = {"speaker": -2, "text": None}
        await server.say(lines=[silence], buffer_transcription=" One tw")
        lines = [{"speaker": 1, "text": "One two."}, silence]
        await server.say(lines=lines, buffer_transcription="")
        await server.say(type="ready_to_stop")

    async with peer(talk, "/asr") as url:
        assert await heard(ADAPTERS["whisperlivekit"](url, None)) == [
            Heard("One tw", ""),
            Heard("One two.", "One two."),
            Heard("One two.", "One two.", is_final=True),
        ]


async def test_whisperlivekit_without_pcm_is_refused() -> None:
    async def talk(server: Peer) -> None:
        await server.say(type="config", useAudioWorklet=False)
        with pytest.raises(ConnectionClosed):
            await server.hear()

    async with peer(talk, "/asr") as url:
        with pytest.raises(StreamFailed, match="--pcm-input"):
            await heard(ADAPTERS["whisperlivekit"](url, None))


async def test_deepgram() -> None:
    def results(text: str, is_final: bool) -> dict[str, Any]:
        alternatives = [{"transcript": text, "confidence": 0.9}]
        return {
            "type": "Results",
            "is_final": is_final,
            "channel": {"alternatives": alternatives},
        }

    async def talk(server: Peer) -> None:
        assert server.headers[b"authorization"] == b"Token secret"
        for part in ("model=nova-3", "encoding=linear16", "sample_rate=16000", "language=en"):
            assert part in server.path
        assert [await server.hear() for _ in range(2)] == [PCM16, PCM16]
        assert await server.hear() == {"type": "CloseStream"}
        await server.say(**results("One", False))
        await server.say(**results("One two.", True))
        await server.say(**results("", True))
        await server.say(**results("Three", False))
        await server.say(**results("Three.", True))
        await server.say(type="Metadata", duration=0.2)

    async with peer(talk, "/v1/listen?model=nova-3") as url:
        assert await heard(ADAPTERS["deepgram"](url, "secret")) == [
            Heard("One", ""),
            Heard("One two.", "One two."),
            Heard("One two.", "One two."),
            Heard("One two. Three", "One two."),
            Heard("One two. Three.", "One two. Three."),
            Heard("One two. Three.", "One two. Three.", is_final=True),
        ]


async def test_vllm_realtime() -> None:
    async def talk(server: Peer) -> None:
        assert server.headers[b"authorization"] == b"Bearer secret"
        assert await server.hear() == {"type": "session.update", "model": "asr"}
        commit = {"type": "input_audio_buffer.commit"}
        assert await server.hear() == commit | {"final": False}
        audio = {"type": "input_audio_buffer.append", "audio": base64.b64encode(PCM16).decode()}
        assert [await server.hear() for _ in range(2)] == [audio, audio]
        assert await server.hear() == commit | {"final": True}
        await server.say(type="session.created", id="sess-1", created=1)
        await server.say(type="transcription.delta", delta="One")
        await server.say(type="transcription.delta", delta=" two.")
        await server.say(type="transcription.done", text="One two.", usage={})

    async with peer(talk, "/v1/realtime?model=asr") as url:
        assert await heard(ADAPTERS["vllm"](url, "secret")) == [
            Heard("One", "One"),
            Heard("One two.", "One two."),
            Heard("One two.", is_final=True),
        ]


async def test_vllm_is_asked_for_a_recording_with_the_name_of_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def request(method: str, url: str, **body: Any) -> dict[str, Any]:
        if (method, url) == ("GET", "http://vllm/v1/models"):
            return {"data": [{"id": "asr"}]}
        assert (method, url) == ("POST", "http://vllm/v1/audio/transcriptions")
        return {"text": f"Hello from {body['data']['model']}."}

    monkeypatch.setattr("bench.adapters.http.request", request)
    system = ADAPTERS["vllm"]("ws://vllm/v1/realtime", None)
    assert await system.batch(PCM16, "English") == "Hello from asr."
    assert await system.describe() == {"model": "asr"}


async def test_an_error_of_the_server_is_a_failure_in_its_words() -> None:
    async def talk(server: Peer) -> None:
        await server.hear()
        await server.say(type="error", error="no such model", code="model_not_found")

    async with peer(talk, "/v1/realtime?model=asr") as url:
        with pytest.raises(StreamFailed, match="model_not_found: no such model"):
            await heard(ADAPTERS["vllm"](url, None))


async def test_openai_realtime() -> None:
    item = "conversation.item.input_audio_transcription."

    async def talk(server: Peer) -> None:
        assert "intent=transcription" in server.path
        session = (await server.hear())["session"]
        assert session["type"] == "transcription"
        given = session["audio"]["input"]
        assert given["format"] == {"type": "audio/pcm", "rate": 24000}
        assert given["transcription"] == {"model": "whisper-1", "language": "en"}
        n_samples = 0
        while (message := await server.hear())["type"] == "input_audio_buffer.append":
            n_samples += len(base64.b64decode(message["audio"])) // 2
        assert n_samples == pytest.approx(2 * len(PCM16) / 2 * 1.5, abs=2)
        assert message == {"type": "input_audio_buffer.commit"}
        await server.say(type="input_audio_buffer.committed", item_id="a")
        await server.say(type=item + "delta", item_id="a", delta="One")
        await server.say(type="input_audio_buffer.committed", item_id="b", previous_item_id="a")
        await server.say(type=item + "completed", item_id="b", transcript="Three.")
        await server.say(type=item + "completed", item_id="a", transcript="One two.")

    async with peer(talk, "/v1/realtime?model=whisper-1") as url:
        assert await heard(ADAPTERS["openai"](url, None)) == [
            Heard("One", ""),
            Heard("One Three.", ""),
            Heard("One two. Three.", "One two. Three.", is_final=True),
        ]


async def test_openai_realtime_that_had_committed_all_before() -> None:
    async def talk(server: Peer) -> None:
        while (await server.hear())["type"] != "input_audio_buffer.commit":
            pass
        await server.say(type="error", error={"code": "input_audio_buffer_commit_empty"})

    async with peer(talk, "/v1/realtime") as url:
        assert await heard(ADAPTERS["openai"](url, None)) == [Heard("", "", is_final=True)]


async def test_a_server_that_closes_early_has_failed() -> None:
    async def talk(server: Peer) -> None:
        await server.say(type="config", useAudioWorklet=True)

    async with peer(talk, "/asr") as url:
        observed = await observe(ADAPTERS["whisperlivekit"](url, None), clip(seconds=0.5), Pace())
    assert observed.failure is not None
    assert observed.failure.startswith("stream_failed: the server closed before")


@pytest.mark.parametrize(("adapter", "covers"), [("polyasr", True), ("polyasr1", False)])
async def test_polyasr(adapter: str, covers: bool) -> None:
    async with serving(ScriptedEngine()) as server:
        system = ADAPTERS[adapter](server.websocket_url, None)
        async with system.open("English") as stream:
            await stream.send(tone(0.95))
            await stream.stop()
            told = [each async for each in stream]
        assert told[-1] == Heard("Hello.", is_final=True, covered=0.95 if covers else None)
        assert await system.batch(tone(0.5), "English") == "Hello."
        assert (await system.describe())["model"] == "tiny"


async def test_http_batch_sends_all_at_the_end() -> None:
    async with serving(ScriptedEngine()) as server:
        system = ADAPTERS["http"](server.url + "/v1/audio/transcriptions", None)
        assert await heard(system) == [Heard("Hello.", is_final=True)]
        assert (await system.describe())["model"]
        with pytest.raises(StreamFailed, match="404"):
            await ADAPTERS["http"](server.url + "/nowhere", None).batch(PCM16, "")


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    system = ADAPTERS["polyasr"]("ws://127.0.0.1:9/ws/transcribe", None)
    observed = await observe(system, clip(seconds=0.1), Pace())
    assert observed.failure is not None and observed.failure.startswith("server_unreachable")
    with pytest.raises(StreamFailed):
        await system.describe()
