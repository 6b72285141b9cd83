"""The client against a scripted server on loopback."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from polyasr.client import DictationFailed, ServerUnreachable, open_dictation, transcribe
from polyasr.client.capture import FRAME_BYTES
from polyasr.client.dictation import speak
from polyasr.errors import ConfigurationError
from polyasr.protocol.frames import Frame, decode
from polyasr.protocol.messages import (
    Ack,
    Done,
    Error,
    Final,
    Flushed,
    Marked,
    Partial,
    Resumed,
    Started,
    StopExpired,
)

Script = Callable[[WebSocketConnection, dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[str]:
    """A server that reads the start and then does what the script says; yields its URL."""

    async def handle(request: WebSocketRequest) -> None:
        socket = await request.accept()
        with suppress(ConnectionClosed):  # the test hung up
            await script(socket, json.loads(await socket.get_message()))

    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        yield f"ws://127.0.0.1:{listening.port}/ws/transcribe"
        nursery.cancel_scope.cancel()


async def frames_until_stop(socket: WebSocketConnection) -> tuple[list[Frame], dict[str, Any]]:
    frames: list[Frame] = []
    while True:
        message = await socket.get_message()
        if isinstance(message, str):
            return frames, json.loads(message)
        frames.append(decode(message))


async def answer(socket: WebSocketConnection, start: dict[str, Any]) -> None:
    """A server that hears how many frames came."""
    session_id = start["sessionId"]
    await socket.send_message(Started(session_id, -1, 2).to_json())
    frames, stop = await frames_until_stop(socket)
    await socket.send_message(Ack(session_id, len(frames) - 1).to_json())
    await socket.send_message(Partial(session_id, "so far").to_json())
    covered = stop["finalCapturedSeq"]
    text = f"{len(frames)} frames, {sum(len(frame.payload) for frame in frames)} bytes"
    await socket.send_message(Final(session_id, stop["stopId"], text, covered).to_json())
    await socket.send_message(Done(session_id, stop["stopId"]).to_json())


async def test_audio_of_any_size_goes_out_in_frames_and_the_final_comes_back() -> None:
    async with server(answer) as url, open_dictation(url, session_id="mine") as dictation:
        for size in (1, 5000, FRAME_BYTES, 77, 2 * FRAME_BYTES):
            await dictation.send(bytes(size))
        await dictation.stop("s1")
        events = [event async for event in dictation]
    total = 1 + 5000 + 77 + 3 * FRAME_BYTES
    n_frames = -(-total // FRAME_BYTES)
    assert events == [
        Partial("mine", "so far"),
        Final("mine", "s1", f"{n_frames} frames, {total} bytes", n_frames),
    ]


async def test_half_a_sample_at_the_end_is_no_audio() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        await dictation.send(bytes(3))
        await dictation.stop()
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert final.text == "1 frames, 2 bytes"


async def test_no_audio_is_an_utterance_too() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        await dictation.stop("")
        *_, final = [event async for event in dictation]
    assert final == Final(dictation.session_id, "", "0 frames, 0 bytes", 0)


async def test_a_send_that_is_cancelled_loses_no_audio() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        with trio.CancelScope() as scope:
            scope.cancel()
            await dictation.send(bytes(5000))
        await dictation.stop()
        *_, final = [event async for event in dictation]
    assert isinstance(final, Final)
    assert final.text == "2 frames, 5000 bytes"


async def test_listening_can_be_left_and_taken_up_again() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        await dictation.stop()
        async for event in dictation:
            assert isinstance(event, Partial)
            break
        assert [type(event) async for event in dictation] == [Final]
        assert [event async for event in dictation] == []


async def test_the_start_carries_what_was_asked_for() -> None:
    seen: dict[str, Any] = {}

    async def script(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        seen.update(start)
        await answer(socket, start)

    async with (
        server(script) as url,
        open_dictation(url, control=1, language="zh", context="Zulu") as dictation,
    ):
        await dictation.stop()
        assert [type(event) async for event in dictation] == [Partial, Final]
    assert (seen["type"], seen["protocol"], seen["control"]) == ("start", 1, 1)
    assert (seen["language"], seen["context"]) == ("zh", "Zulu")
    assert (seen["sampleRate"], seen["channels"], seen["encoding"]) == (16000, 1, "pcm16")


async def test_the_key_goes_along_as_a_bearer_token() -> None:
    headers: list[tuple[bytes, bytes]] = []

    async def handle(request: WebSocketRequest) -> None:
        headers.extend(request.headers)
        await request.accept()

    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, handle, "127.0.0.1", 0, None)
        async with open_dictation(f"ws://127.0.0.1:{listening.port}/", api_key="sesame"):
            nursery.cancel_scope.cancel()
    assert (b"authorization", b"Bearer sesame") in headers


async def test_every_message_is_kept_with_the_time_it_came() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        await dictation.stop()
        [event async for event in dictation]
        kinds = [type(received.message) for received in dictation.received]
        times = [received.at for received in dictation.received]
    assert kinds == [Started, Ack, Partial, Final, Done]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Error("too many", "too_many_sessions"), "too_many_sessions"),
        (StopExpired("a", "s", "session_not_held"), "session_not_held"),
    ],
)
async def test_what_the_server_refuses_is_an_error_with_its_code(
    message: Error | StopExpired, code: str
) -> None:
    async def refuse(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.send_message(message.to_json())

    async with server(refuse) as url:
        with pytest.raises(DictationFailed) as caught:
            async with open_dictation(url) as dictation:
                [event async for event in dictation]
    assert caught.value.code == code


async def test_a_server_that_vanishes_is_an_error_and_never_an_empty_text() -> None:
    async def vanish(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.aclose(1011)

    async with server(vanish) as url:
        with pytest.raises(DictationFailed, match="1011"):
            async with open_dictation(url, patience=0) as dictation:
                [event async for event in dictation]
        gc.collect()  # a connection left open is a warning, and a warning is a failure


async def test_who_sends_to_a_server_that_has_refused_learns_why_when_listening() -> None:
    closed = trio.Event()

    async def refuse(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.send_message(Error("Full.", "too_many_sessions").to_json())
        await socket.aclose(1008)
        closed.set()

    async with server(refuse) as url, open_dictation(url) as dictation:
        await closed.wait()
        for _ in range(5):
            await dictation.send(bytes(FRAME_BYTES))
        await dictation.stop()
        with pytest.raises(DictationFailed, match="Full") as caught:
            [event async for event in dictation]
    assert caught.value.code == "too_many_sessions"


@pytest.mark.parametrize("said", ["{", '{"type": "final"}', b"binary"])
async def test_a_server_that_cannot_be_understood_is_a_failure(said: str | bytes) -> None:
    async def babble(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.send_message(said)

    async with server(babble) as url, open_dictation(url) as dictation:
        with pytest.raises(DictationFailed):
            [event async for event in dictation]


async def test_what_the_caller_raises_comes_out_as_it_is() -> None:
    async with server(answer) as url:
        with pytest.raises(ValueError, match="my own"):
            async with open_dictation(url):
                raise ValueError("my own")


async def test_another_server_at_the_address_is_told_by_its_status() -> None:
    async def reject(request: WebSocketRequest) -> None:
        await request.reject(404, body=b"no such page")

    async with trio.open_nursery() as nursery:
        listening = await nursery.start(serve_websocket, reject, "127.0.0.1", 0, None)
        with pytest.raises(ServerUnreachable, match=r"404.*/ws/transcribe"):
            async with open_dictation(f"ws://127.0.0.1:{listening.port}/nowhere"):
                raise AssertionError("connected to a page")
        nursery.cancel_scope.cancel()
    gc.collect()


async def test_a_server_without_tls_at_a_tls_address_is_told_apart() -> None:
    async with server(answer) as url:
        with pytest.raises(ServerUnreachable, match="ws:// and not at wss://"):
            async with open_dictation(url.replace("ws://", "wss://")):
                raise AssertionError("spoke TLS to a plain server")
    gc.collect()


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8766", "http://127.0.0.1:8766/", "ws://", "ws://a:99999/", "ws://a/b c"]
)
async def test_what_is_no_address_is_told_with_an_example(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ws://127"):
        async with open_dictation(url):
            raise AssertionError("connected to nowhere")


async def test_a_key_that_cannot_be_sent_is_told() -> None:
    with pytest.raises(ConfigurationError, match="line break"):
        async with open_dictation("ws://127.0.0.1:1/", api_key="sesame\n"):
            raise AssertionError("sent a line break in a header")


async def test_nobody_at_the_address_is_one_line_that_says_what_to_do() -> None:
    async with server(answer) as url:
        pass
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:\d+.*polyasr serve") as caught:
        async with open_dictation(url):
            raise AssertionError("connected to nobody")
    assert "\n" not in str(caught.value)


async def test_speech_is_paced_by_the_clock(autojump_clock: MockClock) -> None:
    sent: list[tuple[float, int]] = []

    class Recorder:
        async def send(self, pcm16: bytes) -> None:
            sent.append((trio.current_time(), len(pcm16)))

        async def stop(self) -> None:
            sent.append((trio.current_time(), 0))

    began = trio.current_time()
    await speak(Recorder(), bytes(2 * FRAME_BYTES + 800))
    at = [(round(time - began, 3), size) for time, size in sent]
    assert at == [(0.1, 3200), (0.2, 3200), (0.225, 800), (0.225, 0)]


async def test_unpaced_speech_goes_out_at_once(autojump_clock: MockClock) -> None:
    heard = bytearray()

    class Recorder:
        async def send(self, pcm16: bytes) -> None:
            heard.extend(pcm16)

        async def stop(self) -> None:
            heard.extend(b"end")

    began = trio.current_time()
    await speak(Recorder(), b"ab" * 5000, paced=False)
    assert trio.current_time() == began
    assert heard == b"ab" * 5000 + b"end"


async def test_a_recording_is_transcribed_from_plain_code() -> None:
    partials: list[str] = []
    async with server(answer) as url:
        call = partial(transcribe, url, bytes(7000), on_partial=partials.append)
        final = await trio.to_thread.run_sync(call)
    assert (final.text, final.recognized_through_seq) == ("3 frames, 7000 bytes", 3)
    assert partials == ["so far"]


async def test_plain_code_gets_the_servers_error() -> None:
    async def refuse(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.send_message(Error("No model.", "model_unavailable").to_json())

    async with server(refuse) as url:
        with pytest.raises(DictationFailed, match=r"^No model\.$"):
            await trio.to_thread.run_sync(transcribe, url, bytes(7000))


def test_the_client_needs_no_model_library() -> None:
    heavy = "{'torch', 'numpy', 'transformers', 'quart'}"
    script = f"import sys, polyasr.client; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    subprocess.run([sys.executable, "-c", script], check=True)


async def test_flushes_and_marks_go_out_behind_the_audio_and_are_asked_again_when_lost() -> None:
    heard: list[list[str]] = []

    async def lossy(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        """Loses the first connection after the mark; answers all on the second."""
        said: list[str] = []
        heard.append(said)
        kind = Resumed if start["type"] == "resume" else Started
        await socket.send_message(kind("a", 1 if kind is Resumed else -1, 3).to_json())
        while True:
            message = await socket.get_message()
            fields = {"type": "audio"} if isinstance(message, bytes) else json.loads(message)
            said.append(fields["type"])
            if len(heard) == 1 and fields["type"] == "mark":
                return await socket.aclose()
            if fields["type"] == "mark":
                await socket.send_message(Marked("a", fields["id"], 3).to_json())
            elif fields["type"] == "flush" and len(heard) == 2:
                await socket.send_message(Flushed("a", fields["id"]).to_json())
            elif fields["type"] == "stop":
                await socket.send_message(Final("a", fields["stopId"], "Hi.", 4).to_json())
                await socket.send_message(Done("a", fields["stopId"]).to_json())

    async with (
        server(lossy) as url,
        open_dictation(url, control=3, session_id="a", endpointing=False) as dictation,
    ):
        await dictation.send(bytes(2 * FRAME_BYTES + 11))
        flush = await dictation.flush()
        await dictation.mark("m")
        told = [type(await anext(dictation)) for _ in range(2)]
        await dictation.send(bytes(FRAME_BYTES - 1))
        await dictation.stop()
        told += [type(event) async for event in dictation]
    assert told == [Flushed, Marked, Final]
    assert heard[0][-3:] == ["audio", "flush", "mark"]
    assert heard[1] == ["audio", "flush", "mark", "audio", "stop"]
    assert isinstance(flush, str)


async def test_a_flush_takes_control_3() -> None:
    async with server(answer) as url, open_dictation(url) as dictation:
        with pytest.raises(ValueError, match="control=3"):
            await dictation.flush()
