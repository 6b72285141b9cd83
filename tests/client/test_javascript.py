"""The JavaScript client in Node: its own tests, its types, and dictations with real servers."""

from __future__ import annotations

import os
import random
import subprocess
import wave
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio

from polyasr import settings
from polyasr.client.capture import FRAME_BYTES
from polyasr.commands.demo import RECORDING
from polyasr.engine import open_engine
from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis, Urgency
from tests.client.test_plug import PCM16, checksum, plug
from tests.fakes import Asked, ScriptedEngine, hello, tone
from tests.javascript import CLIENT, dictate, needs_node, node
from tests.routes.conftest import Server, serving

pytestmark = needs_node
NOWHERE = "ws://127.0.0.1:9/ws/transcribe"
N_FRAMES = -(-len(PCM16) // FRAME_BYTES)


def port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def outcome(events: list[dict[str, Any]]) -> tuple[str, bool, bool]:
    final = events[-1]
    assert final["type"] == "final", events[-3:]
    return final["text"], final["covered"], final["viaBatch"]


def test_its_own_tests_pass() -> None:
    done = subprocess.run(node("--test", "test/"), cwd=CLIENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "# fail 0" in done.stdout or "fail 0" in done.stdout


def test_its_types_are_sound() -> None:
    compiler = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.exists():
        pytest.skip("there is no TypeScript: npm install --prefix client/js")
    done = subprocess.run(node(str(compiler)), cwd=CLIENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


async def test_a_dictation_gives_its_partials_and_its_final() -> None:
    async with serving(ScriptedEngine()) as server:
        events = await dictate([server.websocket_url], PCM16, language="en", sessionId="mine")
    kinds = Counter(event["type"] for event in events)
    assert kinds["connected"] == kinds["final"] == 1
    assert kinds["partial"] >= 1
    partials = [event for event in events if event["type"] == "partial"]
    assert all(each["committed"] + each["tentative"] == each["partial"] for each in partials)
    final = events[-1]
    assert (final["sessionId"], final["recognizedThroughSeq"]) == ("mine", N_FRAMES)
    assert outcome(events)[1:] == (True, False)


async def test_the_bundled_model_at_control_3(tmp_path: Path) -> None:
    recording = tmp_path / "speech.pcm"
    with wave.open(str(RECORDING)) as reader:
        recording.write_bytes(reader.readframes(reader.getnframes()))
    chosen = settings.load({}, {"model": "tiny"})
    async with open_engine(chosen) as engine, serving(engine) as server:
        environment = os.environ | {
            "POLYASR_URL": server.websocket_url,
            "POLYASR_PCM": str(recording),
        }
        done = await trio.run_process(
            node("--test", "test/live.test.js"),
            cwd=CLIENT,
            env=environment,
            capture_stdout=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout.decode()
    assert b"# pass 2" in done.stdout or b"pass 2" in done.stdout


@pytest.mark.seeds(sample=2, soak=50)
async def test_a_final_is_the_same_wherever_the_plug_is_pulled(seed: int) -> None:
    rng = random.Random(seed)
    async with serving(ScriptedEngine(checksum)) as server:
        undisturbed = outcome(await dictate([server.websocket_url], PCM16))
        cuts = [rng.randint(1_000, len(PCM16) // 2) for _ in range(rng.randint(1, 4))]
        async with plug(port(server), cuts) as weak:
            events = await dictate([f"ws://127.0.0.1:{weak}/ws/transcribe"], PCM16)
    assert outcome(events) == undisturbed
    assert [event["type"] for event in events].count("trouble") >= 1


async def test_a_server_that_fails_is_left_for_the_next() -> None:
    async def fails(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model is broken")

    async with (
        serving(ScriptedEngine(fails)) as broken,
        serving(ScriptedEngine(checksum)) as sound,
    ):
        alone = outcome(await dictate([sound.websocket_url], PCM16))
        events = await dictate([NOWHERE, broken.websocket_url, sound.websocket_url], PCM16)
    assert outcome(events) == alone
    assert "inference_failed" in [event.get("code") for event in events]


async def test_where_no_dictation_is_possible_the_recording_is_posted() -> None:
    async def batch_alone(asked: Asked) -> Hypothesis:
        if asked.urgency is not Urgency.BATCH:
            raise InferenceFailed("no dictation here")
        return await hello(asked)

    async with serving(ScriptedEngine(batch_alone), api_key="sesame") as server:
        urls = [server.websocket_url]
        saved = await dictate(urls, tone(1.0), apiKey="sesame")
        lost = await dictate(urls, tone(1.0), apiKey="sesame", batch=False)
    assert outcome(saved) == ("Hello.", True, True)
    assert (lost[-1]["type"], lost[-1]["code"]) == ("failed", "inference_failed")


async def test_the_key_goes_along_and_a_wrong_one_is_told() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        right = await dictate([server.websocket_url], tone(1.0), apiKey="sesame")
        wrong = await dictate([server.websocket_url], tone(1.0), apiKey="simsim")
    assert outcome(right) == ("Hello.", True, False)
    assert (wrong[-1]["type"], wrong[-1]["code"]) == ("failed", "unauthorized")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (NOWHERE, "server_unreachable"),
        ("http://127.0.0.1:9/", "configuration_error"),
    ],
)
async def test_an_address_without_a_server_is_told(url: str, code: str) -> None:
    events = await dictate([url], tone(1.0))
    assert [(event["type"], event["code"]) for event in events] == [("failed", code)]
