"""The dictation WebSocket, through the real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.protocol import frames
from tests.fakes import Asked, HeldModel, ScriptedEngine, tone

from .conftest import Server, serving

URL = "/ws/transcribe"
START = {"type": "start", "protocol": 1, "sessionId": "s1", "control": 2}


class Peer:
    """A client that says what it is told and listens to the end."""

    def __init__(self, connection: WebSocketConnection, stream: trio.SocketStream) -> None:
        self.connection, self.stream = connection, stream

    async def say(self, **message: Any) -> None:
        await self.connection.send_message(json.dumps(message))

    async def speak(self, sequence: int, pcm16: bytes) -> None:
        await self.connection.send_message(frames.encode(frames.Frame(sequence, pcm16)))

    async def hear(self) -> dict[str, Any]:
        with trio.fail_after(10):
            message: dict[str, Any] = json.loads(await self.connection.get_message())
        return message

    async def hear_out(self) -> tuple[list[dict[str, Any]], int]:
        """All messages until the server closes, and the code it closes with."""
        heard = []
        with suppress(ConnectionClosed):
            while True:
                heard.append(await self.hear())
        assert self.connection.closed is not None
        return heard, self.connection.closed.code


@asynccontextmanager
async def dictating(server: Server, query: str = "", **headers: str) -> AsyncIterator[Peer]:
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]
    host, port = server.url.removeprefix("http://").split(":")
    async with (
        await trio.open_tcp_stream(host, int(port)) as stream,
        trio.open_nursery() as nursery,
    ):
        connection = await wrap_client_stream(
            nursery, stream, f"{host}:{port}", URL + query, extra_headers=extra
        )
        yield Peer(connection, stream)
        await connection.aclose()
        nursery.cancel_scope.cancel()


async def test_speech_comes_back_as_text_with_coverage() -> None:
    async with serving(ScriptedEngine()) as server, dictating(server) as peer:
        await peer.say(**START)
        for sequence in range(5):
            await peer.speak(sequence, tone(0.1))
        await peer.say(type="stop", stopId="a", finalCapturedSeq=5)
        heard, code = await peer.hear_out()
    assert heard[0] == {
        "type": "started",
        "protocol": 1,
        "sessionId": "s1",
        "ackSeq": -1,
        "control": 2,
    }
    final, done = heard[-2:]
    assert (final["text"], final["recognizedThroughSeq"]) == ("Hello.", 5)
    assert done == {"type": "done", "sessionId": "s1", "stopId": "a"}
    assert code == 1000


@pytest.mark.parametrize(("message", "error"), [(b"", "unframed_audio"), ("", "invalid_json")])
async def test_an_empty_message_is_what_it_is_of_its_kind(message: bytes | str, error: str) -> None:
    async with serving(ScriptedEngine()) as server, dictating(server) as peer:
        await peer.say(**START)
        await peer.hear()
        await peer.connection.send_message(message)
        heard, code = await peer.hear_out()
    assert (heard[-1]["type"], heard[-1]["code"], code) == ("error", error, 1008)


@pytest.mark.parametrize("message", [bytes(2**20 + 1), "x" * (2**20 + 1), bytes(3 * 2**20)])
async def test_a_message_that_is_too_large_is_told_before_the_connection_closes(
    message: bytes | str,
) -> None:
    async with serving(ScriptedEngine()) as server, dictating(server) as peer:
        await peer.say(**START)
        await peer.hear()
        await peer.connection.send_message(message)
        heard, code = await peer.hear_out()
    assert (heard[-1]["code"], code) == ("message_too_large", 1008)


async def test_an_error_reaches_a_client_that_keeps_sending() -> None:
    async with serving(ScriptedEngine()) as server, dictating(server) as peer:
        await peer.connection.send_message("not json")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_until_closed, peer)
            heard, code = await peer.hear_out()
    assert ([message["code"] for message in heard], code) == (["invalid_json"], 1008)


async def send_until_closed(peer: Peer) -> None:
    with suppress(ConnectionClosed):
        for sequence in range(1000):
            await peer.speak(sequence, tone(0.1))


async def test_a_failing_model_is_an_error_and_never_an_empty_text() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    async with serving(ScriptedEngine(fail)) as server, dictating(server) as peer:
        await peer.say(**START)
        await peer.speak(0, tone(0.5))
        await peer.say(type="stop", stopId="a", finalCapturedSeq=1)
        heard, code = await peer.hear_out()
    assert (heard[-1]["code"], code) == ("inference_failed", 1011)
    assert not [message for message in heard if message["type"] == "final"]


async def test_a_dictation_too_many_is_refused_and_a_place_is_free_again_later() -> None:
    async with serving(ScriptedEngine(), max_sessions=1) as server:
        async with dictating(server) as first:
            await first.say(**START)
            await first.hear()
            async with dictating(server) as second:
                await second.say(**{**START, "sessionId": "s2"})
                heard, code = await second.hear_out()
            assert (heard[0]["code"], code) == ("too_many_sessions", 1008)
            await first.say(type="stop", stopId="a", finalCapturedSeq=0)
            assert (await first.hear_out())[1] == 1000
        async with dictating(server) as third:
            await third.say(**START)
            assert (await third.hear())["type"] == "started"


async def test_a_client_that_vanishes_comes_back_to_its_session() -> None:
    held = HeldModel()
    async with serving(ScriptedEngine(held.script), max_sessions=1) as server:
        async with dictating(server) as peer:
            await peer.say(**START)
            await peer.speak(0, tone(1))
            await held.begun.wait()
            await peer.stream.aclose()  # without a close handshake
        async with dictating(server) as again:
            await again.say(**{**START, "type": "resume"})
            resumed = await again.hear()
            held.release.set()
            await again.say(type="stop", stopId="a", finalCapturedSeq=1)
            heard, code = await again.hear_out()
    assert (resumed["type"], resumed["ackSeq"]) == ("resumed", 0)
    assert (heard[-2]["text"], heard[-2]["recognizedThroughSeq"], code) == ("Hello.", 1, 1000)


async def test_connections_are_bounded_also_those_that_say_nothing() -> None:
    async with (
        serving(ScriptedEngine(), max_sessions=1) as server,
        dictating(server),
        dictating(server),
        dictating(server) as third,
    ):
        heard, code = await third.hear_out()
    assert (heard[0]["code"], code) == ("too_many_sessions", 1008)


async def test_a_fault_of_the_server_is_told_and_closes_with_1011(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def crash(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("polyasr.routes.dictation.run_dictation", crash)
    async with serving(ScriptedEngine()) as server, dictating(server) as peer:
        heard, code = await peer.hear_out()
    assert (heard[0]["code"], code) == ("internal_error", 1011)
    assert "secret" not in heard[0]["error"]


@pytest.mark.parametrize("query", ["", "?token=wrong"])
async def test_without_the_key_a_client_is_told_so(query: str) -> None:
    async with (
        serving(ScriptedEngine(), api_key="secret") as server,
        dictating(server, query) as peer,
    ):
        heard, code = await peer.hear_out()
    assert ([message["code"] for message in heard], code) == (["unauthorized"], 1008)


@pytest.mark.parametrize(
    ("query", "headers"), [("?token=secret", {}), ("", {"Authorization": "Bearer secret"})]
)
async def test_the_key_is_taken_from_the_query_and_from_the_header(
    query: str, headers: dict[str, str]
) -> None:
    async with (
        serving(ScriptedEngine(), api_key="secret") as server,
        dictating(server, query, **headers) as peer,
    ):
        await peer.say(**START)
        assert (await peer.hear())["type"] == "started"


async def test_a_page_of_another_origin_is_refused_before_the_upgrade() -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Origin": "https://evil.example",
    }
    async with serving(ScriptedEngine()) as server:
        response = await server.http.get(URL, headers=upgrade)
    assert response.status_code == 403
    assert "POLYASR_CORS_ORIGINS" in response.json()["detail"]


async def test_the_servers_own_page_may_dictate() -> None:
    async with serving(ScriptedEngine()) as server, dictating(server, Origin=server.url) as peer:
        await peer.say(**START)
        assert (await peer.hear())["type"] == "started"
