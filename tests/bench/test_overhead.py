"""What the pipeline costs beside the model, as a ratio, which belongs to the code and not to a
machine."""

from __future__ import annotations

import json
import time

import trio
from trio_websocket import WebSocketConnection

from bench.connections.server import serve_echo
from polyasr.client.socket import open_socket
from polyasr.protocol.frames import Frame, encode
from tests.fakes import ScriptedEngine, tone
from tests.routes.conftest import serving

N_FRAMES = 300
MOST = 6.0
"""Of a dictation without a model to an echo of the same frames; 2.1 when this was written."""


async def cpu_seconds(url: str, session_id: str) -> float:
    """Of this process, which is server and client, while a recording is dictated."""
    payload = tone(0.1)
    began = time.process_time()
    async with open_socket(url, None) as socket, trio.open_nursery() as nursery:
        nursery.start_soon(until_done, socket)
        start = {"type": "start", "protocol": 1, "sessionId": session_id, "control": 2}
        await socket.send_message(json.dumps(start))
        for sequence in range(N_FRAMES):
            await socket.send_message(encode(Frame(sequence, payload)))
        stop = {"type": "stop", "stopId": "1", "finalCapturedSeq": N_FRAMES}
        await socket.send_message(json.dumps(stop))
    return time.process_time() - began


async def until_done(socket: WebSocketConnection) -> None:
    while json.loads(await socket.get_message())["type"] != "done":
        pass


async def test_a_dictation_without_its_model_costs_a_few_echoes() -> None:
    async with trio.open_nursery() as nursery, serving(ScriptedEngine()) as server:
        echo = (await nursery.start(serve_echo)).replace("http", "ws", 1) + "/ws/transcribe"
        await cpu_seconds(server.websocket_url, "first")
        pairs = [
            (await cpu_seconds(server.websocket_url, f"{n}"), await cpu_seconds(echo, "echo"))
            for n in range(3)
        ]
        nursery.cancel_scope.cancel()
    assert min(ours / theirs for ours, theirs in pairs) < MOST, pairs
