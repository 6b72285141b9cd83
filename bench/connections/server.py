"""The servers that are measured: ours without a recognizer, and an echo of the same frames.

    python -m bench.connections.server polyasr|echo [LOG_DIR]

prints its address and serves until it is terminated.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import hypercorn.trio
import numpy as np
import trio
from quart import websocket
from quart_trio import QuartTrio

from polyasr import settings
from polyasr.engine import SpeechEngine
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Hypothesis, Recognition, Urgency
from polyasr.protocol.frames import decode
from polyasr.protocol.messages import Ack
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.server import hypercorn_config, listen, open_server, share_the_interpreter

DECODE_SEC = 0.05
"""What each decode takes; none of it is the CPU's, as with a GPU."""
MAX_SESSIONS = 10_000


class ConstantTime:
    """A recognition that takes the same time whatever it has heard: two words a second."""

    def __init__(self, length: int = 0) -> None:
        self._length = length

    @property
    def audio(self) -> Samples:
        return np.zeros(self._length, np.float32)

    def append(self, samples: Samples) -> None:
        self._length += len(samples)

    def crop(self, length: int) -> None:
        self._length = length

    def split(self, length: int) -> ConstantTime:
        rest, self._length = ConstantTime(self._length - length), length
        return rest

    async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
        await trio.sleep(DECODE_SEC)
        words = (f"word{number}" for number in range(2 * self._length // SAMPLE_RATE))
        return Hypothesis(" ".join(words), "English")

    def close(self) -> None:
        pass


class EngineWithoutRecognizer(SpeechEngine):
    """The real detector on the real thread; recognition costs nothing."""

    async def ready(self) -> None:
        pass

    @contextmanager
    def pinned(self) -> Iterator[None]:
        yield

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        return ConstantTime()


async def serve_polyasr(log_dir: str) -> None:
    """The server as it is, but for its recognizer and the speaker filter."""
    chosen = settings.load(
        {},
        {
            "model": "tiny",
            "port": "0",
            "preload": "0",
            "speaker_filter": "0",
            "max_sessions": str(MAX_SESSIONS),
            "log_dir": log_dir,
        },
    )
    engine = EngineWithoutRecognizer(chosen, ModelThread(), ModelThread("polyasr-detector"))
    async with open_server(chosen, engine) as address:
        print(address, flush=True)
        await trio.sleep_forever()


async def serve_echo(task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """A WebSocket of Quart's with nothing behind it: an acknowledgement for each frame.

    The task starts with the server's address.
    """
    app = QuartTrio("echo")

    @app.websocket("/ws/transcribe")
    async def echo() -> None:
        await websocket.accept()
        while True:
            message = await websocket.receive()
            if isinstance(message, bytes):
                await websocket.send(Ack("s", decode(message).sequence).to_json())
            elif '"stop"' in message:
                await websocket.send('{"type": "done"}')
                await websocket.close(1000)

    with listen("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(address, flush=True)
        task_status.started(address)
        config = hypercorn_config()
        config.bind = [f"fd://{listener.detach()}"]
        await hypercorn.trio.serve(app, config)


if __name__ == "__main__":
    share_the_interpreter()
    if sys.argv[1] == "echo":
        trio.run(serve_echo)
    else:
        trio.run(serve_polyasr, sys.argv[2] if len(sys.argv) > 2 else "")
