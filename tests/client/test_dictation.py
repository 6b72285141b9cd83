"""The client against a scripted server on loopback."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from polyasr.client import DictationFailed, ServerUnreachable, open_dictation
from polyasr.client.dictation import FRAME_BYTES, speak
from polyasr.protocol.frames import Frame, decode
from polyasr.protocol.messages import Ack, Done, Error, Final, Partial, Started, StopExpired

Script = Callable[[WebSocketConnection, dict[str, Any]], Awaitable[None]]


@asynccontextmanager
async def server(script: Script) -> AsyncIterator[str]:
    """A server that reads the start and then does what the script says; yields its URL."""

    async def handle(request: WebSocketRequest) -> None:
        socket = await request.accept()
        try:
            await script(socket, json.loads(await socket.get_message()))
        except ConnectionClosed:
            pass  # the test hung up

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


async def test_the_start_carries_what_was_asked_for_and_the_key_is_sent() -> None:
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


# trio-websocket 0.12 leaves the socket to the garbage collector when its peer closes first.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_that_vanishes_is_an_error_and_never_an_empty_text() -> None:
    async def vanish(socket: WebSocketConnection, start: dict[str, Any]) -> None:
        await socket.aclose(1011)

    async with server(vanish) as url:
        with pytest.raises(DictationFailed, match="1011"):
            async with open_dictation(url) as dictation:
                [event async for event in dictation]
        gc.collect()


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
