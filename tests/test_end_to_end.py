"""A server with the bundled model, talked to by clients that are not ours: websockets and httpx."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import trio
from websockets.sync.client import connect

from polyasr import settings
from polyasr.engine import open_engine
from polyasr.protocol.frames import Frame, encode
from tests.fakes import wav
from tests.routes.conftest import Server, serving
from training.domain import Language, sentences
from training.scoring import errors, units
from training.synthesis import ESPEAK_ACCENTS, ESPEAK_MANDARIN, ESPEAK_VARIANTS, Voice, synthesize

FRAME_BYTES = 3200


@dataclass(frozen=True)
class Spoken:
    """A sentence and its recording, PCM16 at 16 kHz."""

    text: str
    language: Language
    pcm16: bytes


def spoken(seed: int, n: int, language: Language) -> list[Spoken]:
    """Sentences never trained on, in voices that were, with a little silence around them."""
    rng = random.Random(seed)
    return [
        Spoken(sentence.text, language, _record(rng, sentence, language))
        for sentence in sentences(seed, n, language, test=True)
    ]


def _record(rng: random.Random, sentence: Any, language: Language) -> bytes:
    accent = ESPEAK_MANDARIN if language == "Chinese" else rng.choice(ESPEAK_ACCENTS)
    variant = rng.choice(ESPEAK_VARIANTS)
    name = f"{accent}+{variant}" if variant else accent
    clip = synthesize(Voice("espeak", name, rate=rng.randint(140, 180)), sentence)
    padded = np.pad(clip.samples, (4000, 8000))
    return (np.clip(padded, -1, 1) * 32767).astype("<i2").tobytes()


def dictate(url: str, pcm16: bytes, session_id: str = "s") -> list[dict[str, Any]]:
    """All messages of one dictation, sent as fast as the socket takes it."""
    with connect(url) as socket:
        start = {"type": "start", "protocol": 1, "sessionId": session_id, "control": 2}
        socket.send(json.dumps(start))
        n_frames = send_frames(socket, pcm16)
        socket.send(json.dumps({"type": "stop", "stopId": "1", "finalCapturedSeq": n_frames}))
        return [json.loads(message) for message in socket]


def send_frames(socket: Any, pcm16: bytes, first: int = 0) -> int:
    """Send 100 ms frames; returns the number of the next."""
    pieces = [pcm16[at : at + FRAME_BYTES] for at in range(0, len(pcm16), FRAME_BYTES)]
    for sequence, piece in enumerate(pieces, start=first):
        socket.send(encode(Frame(sequence, piece)))
    return first + len(pieces)


def final(messages: list[dict[str, Any]]) -> str:
    (text,) = [message["text"] for message in messages if message["type"] == "final"]
    assert isinstance(text, str)
    return text


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    chosen = settings.load({}, {"model": "tiny"})
    async with open_engine(chosen) as engine, serving(engine) as running:
        await engine.ready()
        yield running


async def in_thread(server: Server, pcm16: bytes, session_id: str = "s") -> list[dict[str, Any]]:
    return await trio.to_thread.run_sync(dictate, server.websocket_url, pcm16, session_id)


async def test_sentences_are_recognized_and_equal_to_batch(server: Server) -> None:
    wrong = total = 0
    for item in [*spoken(11, 36, "English"), *spoken(12, 14, "Chinese")]:
        text = final(await in_thread(server, item.pcm16))
        batch = await server.transcribe(wav(item.pcm16))
        assert batch.json()["text"] == text
        wrong += errors(units(item.text), units(text))
        total += len(units(item.text))
    assert wrong / total <= 0.05, f"{wrong} of {total} words are wrong"


async def test_two_streams_at_once_do_not_mix(server: Server) -> None:
    items = spoken(13, 4, "English")
    alone = [final(await in_thread(server, item.pcm16)) for item in items]
    together: dict[int, str] = {}

    async def run(number: int) -> None:
        messages = await in_thread(server, items[number].pcm16, f"s{number}")
        assert {m["sessionId"] for m in messages if "sessionId" in m} == {f"s{number}"}
        together[number] = final(messages)

    async with trio.open_nursery() as nursery:
        for number in range(len(items)):
            nursery.start_soon(run, number)
    assert [together[number] for number in range(len(items))] == alone


async def test_a_second_client_is_served_while_the_first_is_mid_sentence(server: Server) -> None:
    first, second = spoken(14, 2, "English")

    def interrupted() -> tuple[str, str]:
        half = len(first.pcm16) // FRAME_BYTES // 2 * FRAME_BYTES
        with connect(server.websocket_url) as socket:
            socket.send(json.dumps({"type": "start", "protocol": 1, "sessionId": "first"}))
            send_frames(socket, first.pcm16[:half])
            other = final(dictate(server.websocket_url, second.pcm16, "second"))
            n_frames = send_frames(socket, first.pcm16[half:], half // FRAME_BYTES)
            socket.send(json.dumps({"type": "stop", "stopId": "1", "finalCapturedSeq": n_frames}))
            return final([json.loads(message) for message in socket]), other

    expected = [final(await in_thread(server, item.pcm16)) for item in (first, second)]
    assert list(await trio.to_thread.run_sync(interrupted)) == expected


async def test_partials_grow_into_the_final(server: Server) -> None:
    items = spoken(15, 5, "English")
    pcm16 = b"".join(item.pcm16 for item in items)
    messages = await in_thread(server, pcm16)
    partials = [m["partial"] for m in messages if m["type"] == "partial"]
    assert partials
    assert len(partials[-1]) <= len(final(messages)) + 20


@pytest.mark.parametrize(
    "pcm16", [bytes(2), bytes(2 * 16000 * 3), b""], ids=["one sample", "silence", "nothing"]
)
async def test_no_speech_is_empty_text(server: Server, pcm16: bytes) -> None:
    messages = await in_thread(server, pcm16)
    assert final(messages) == ""
    assert messages[-1]["type"] == "done"


async def test_ten_minutes_of_zeros_are_empty_text(server: Server) -> None:
    batch = await server.transcribe(wav(bytes(2 * 16000 * 600)))
    assert batch.json()["text"] == ""


async def test_a_dictation_that_loses_its_connection_three_times_has_the_same_final(
    server: Server,
) -> None:
    pcm16 = b"".join(item.pcm16 for item in spoken(18, 5, "English"))

    def interrupted() -> str:
        step, sent = len(pcm16) // FRAME_BYTES // 4 * FRAME_BYTES, 0
        say = {"protocol": 1, "sessionId": "weak", "control": 2}
        for kind in ("start", "resume", "resume"):
            with connect(server.websocket_url) as socket:
                socket.send(json.dumps({"type": kind, **say}))
                sent = json.loads(socket.recv())["ackSeq"] + 1
                send_frames(socket, pcm16[sent * FRAME_BYTES :][:step], sent)
        with connect(server.websocket_url) as socket:
            socket.send(json.dumps({"type": "resume", **say}))
            sent = json.loads(socket.recv())["ackSeq"] + 1
            n_frames = send_frames(socket, pcm16[sent * FRAME_BYTES :], sent)
            socket.send(json.dumps({"type": "stop", "stopId": "1", "finalCapturedSeq": n_frames}))
            messages = [json.loads(message) for message in socket]
        assert messages[-2]["recognizedThroughSeq"] == n_frames
        return final(messages)

    undisturbed = final(await in_thread(server, pcm16))
    assert await trio.to_thread.run_sync(interrupted) == undisturbed
