"""``mlx-qwen3-asr``'s streaming as a server, so that it can be measured like one.

It is a library and has no server for streams. This one speaks WhisperLiveKit's ``/asr``; it runs in
an environment of its own:

    pip install mlx-qwen3-asr 'mlx[cpu]' websockets
    python bench/peers/mlx_streaming.py CHECKPOINT --port 8001 --chunk-sec 1
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from mlx_qwen3_asr import Session
from websockets.sync.server import ServerConnection, serve


def main() -> None:
    """Serve until it is terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--chunk-sec", type=float, default=2.0, help="its own default is 2")
    parser.add_argument("--language", default="English")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(1) as model:  # MLX wants one thread, and the library locks nothing
        session = model.submit(Session, arguments.checkpoint).result()
        begin = partial(
            session.init_streaming,
            chunk_size_sec=arguments.chunk_sec,
            language=arguments.language,
        )
        with serve(partial(_talk, model, session, begin), "127.0.0.1", arguments.port) as server:
            print(f"ws://127.0.0.1:{arguments.port}/asr", flush=True)
            server.serve_forever()


def _talk(model: ThreadPoolExecutor, session: Any, begin: Any, socket: ServerConnection) -> None:
    socket.send(json.dumps({"type": "config", "useAudioWorklet": True}))
    state = model.submit(begin).result()
    for message in socket:
        if not message or isinstance(message, str):
            break
        pcm = np.frombuffer(message, "<i2").astype(np.float32) / 32768
        state = model.submit(session.feed_audio, pcm, state).result()
        socket.send(_shown(state))
    state = model.submit(session.finish_streaming, state).result()
    socket.send(_shown(state))
    socket.send(json.dumps({"type": "ready_to_stop"}))


def _shown(state: Any) -> str:
    """What is stable as a line, the rest as the buffer."""
    stable = state.stable_text if state.text.startswith(state.stable_text) else ""
    lines = [{"speaker": 1, "text": stable}] if stable else []
    return json.dumps({"lines": lines, "buffer_transcription": state.text[len(stable) :]})


if __name__ == "__main__":
    main()
