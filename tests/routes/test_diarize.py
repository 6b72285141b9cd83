"""`/v1/diarize`, with voices that are tones."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import SpeakerEncoder, Turn
from polyasr.samples import Samples
from tests.fakes import (
    READY,
    FakeEncoder,
    ScriptedDiarizer,
    ScriptedEngine,
    pitch_embedding,
    silence,
    tone,
    wav,
)
from tests.media import media

from .conftest import Server, serving

LOW, HIGH = 440, 3000
TALK = wav(tone(3.2, hertz=LOW) + silence(0.8) + tone(3.2, hertz=HIGH) + silence(0.8))
SEGMENTS = [
    {"start": 0.0, "end": 3.2, "speaker": "SPEAKER_00"},
    {"start": 4.0, "end": 7.2, "speaker": "SPEAKER_01"},
]


class PitchEncoder(FakeEncoder):
    """Voices by their pitch."""

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        return pitch_embedding(samples[:25600])


class Listening(ScriptedEngine):
    """An engine that knows voices, and which nobody may ask to recognize."""

    async def ready(self) -> None:
        raise AssertionError("the recognizer was loaded")

    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        return PitchEncoder()


async def diarize(
    server: Server, file: bytes = TALK, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return await server.http.post("/v1/diarize", files={"file": file}, data=fields, headers=headers)


def data_url(file: bytes) -> str:
    return "data:audio/wav;base64," + base64.b64encode(file).decode()


async def test_a_recording_comes_back_as_turns() -> None:
    async with serving(Listening()) as server:
        response = await diarize(server, model="whisper-1")
    assert response.status_code == 200
    assert response.json() == {
        "segments": SEGMENTS,
        "speakers": ["SPEAKER_00", "SPEAKER_01"],
        "num_speakers": 2,
        "model": "Silero VAD + Resemblyzer",
    }


async def test_a_model_of_its_own_tells_the_turns_and_names_itself() -> None:
    told = [Turn(0, 48000, 1), Turn(64000, 115200, 0)]
    known: dict[str, Any] = {
        "known_speaker_names[]": "Ann",
        "known_speaker_references[]": data_url(wav(tone(2, hertz=HIGH))),
    }
    engine = Listening(diarizer=ScriptedDiarizer(told, name="some/pipeline"))
    async with serving(engine) as server:
        response = await diarize(server, num_speakers="2", return_speaker_embeddings="1", **known)
    body = response.json()
    assert body["segments"] == [
        {"start": 0.0, "end": 3.0, "speaker": "SPEAKER_00"},
        {"start": 4.0, "end": 7.2, "speaker": "Ann"},
    ]
    assert (body["num_speakers"], body["model"]) == (2, "some/pipeline")
    assert [len(voice) for voice in body["speaker_embeddings"].values()] == [256, 256]
    assert engine.diarizer is not None and engine.diarizer.asked[0][1:] == (2, 2)


async def test_a_model_of_its_own_that_is_not_there_is_a_503_that_says_what_to_do() -> None:
    engine = Listening(diarizer=ScriptedDiarizer(missing="install it"))
    async with serving(engine) as server:
        response = await diarize(server)
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "install it"


async def test_it_works_while_the_recognizer_is_loading_or_cannot_be_loaded() -> None:
    for state in ("loading", "failed"):
        async with serving(Listening(how=replace(READY, state=state))) as server:
            assert (await diarize(server)).json()["segments"] == SEGMENTS


async def test_a_film_is_taken_too() -> None:
    async with serving(Listening()) as server:
        response = await diarize(server, media("mp4", "aac", picture=True))
    assert response.json()["num_speakers"] == 1


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"num_speakers": "1"}, 1),
        ({"max_speakers": "1"}, 1),
        ({"min_speakers": "2", "max_speakers": "2"}, 2),
        ({"num_speakers": "2", "max_speakers": "1"}, 2),
        ({"num_speakers": "", "min_speakers": "", "max_speakers": ""}, 2),
    ],
)
async def test_the_number_of_speakers_can_be_given_and_bounded(
    fields: dict[str, Any], found: int
) -> None:
    async with serving(Listening()) as server:
        body = (await diarize(server, **fields)).json()
    assert body["num_speakers"] == len(body["speakers"]) == found


async def test_silence_has_no_segments() -> None:
    async with serving(Listening()) as server:
        body = (await diarize(server, wav(silence(3)), return_speaker_embeddings="true")).json()
    assert (body["segments"], body["speakers"], body["num_speakers"]) == ([], [], 0)
    assert body["speaker_embeddings"] == {}


async def test_embeddings_are_a_unit_vector_for_each_speaker_when_asked_for() -> None:
    async with serving(Listening()) as server:
        body = (await diarize(server, return_speaker_embeddings="true")).json()
    assert list(body["speaker_embeddings"]) == body["speakers"]
    for vector in body["speaker_embeddings"].values():
        assert len(vector) == 256
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_speakers_whose_voices_are_known_have_their_names() -> None:
    fields: dict[str, Any] = {
        "known_speaker_names[]": ["Ann", "Zoe"],
        "known_speaker_references[]": [
            data_url(wav(tone(2, hertz=HIGH))),
            data_url(wav(tone(2, hertz=1500))),
        ],
    }
    async with serving(Listening()) as server:
        body = (await diarize(server, **fields, return_speaker_embeddings="1")).json()
    assert body["speakers"] == ["SPEAKER_00", "Ann"] == list(body["speaker_embeddings"])
    assert [segment["speaker"] for segment in body["segments"]] == ["SPEAKER_00", "Ann"]


async def test_four_references_of_ten_seconds_are_not_too_much() -> None:
    people = [("Ann", HIGH), ("Ben", 1500), ("Cid", 5000), ("Dora", LOW)]
    fields: dict[str, Any] = {
        "known_speaker_names[]": [name for name, _ in people],
        "known_speaker_references[]": [data_url(wav(tone(10, hertz=hz))) for _, hz in people],
    }
    async with serving(Listening()) as server:
        body = (await diarize(server, **fields)).json()
        endless = await diarize(server, known_speaker_references="x" * (13 * 2**20))
    assert body["speakers"] == ["Dora", "Ann"]
    assert endless.status_code == 413
    assert endless.json()["error"]["param"] == "known_speaker_references"


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"num_speakers": "0"}, "num_speakers", "'0'"),
        ({"num_speakers": "33"}, "num_speakers", "1 to 32"),
        ({"max_speakers": "-1"}, "max_speakers", "'-1'"),
        ({"min_speakers": "two"}, "min_speakers", "'two'"),
        ({"min_speakers": "3", "max_speakers": "2"}, "min_speakers", "max_speakers"),
        ({"return_speaker_embeddings": "some"}, "return_speaker_embeddings", "true or false"),
        ({"known_speaker_names": "Ann"}, "known_speaker_references", "1 `known_speaker_names`"),
        (
            {"known_speaker_names": ["Ann"] * 2, "known_speaker_references": ["a", "b"]},
            "known_speaker_names",
            "Ann",
        ),
    ],
)
async def test_a_value_that_cannot_be_used_is_a_400_that_names_it(
    fields: dict[str, Any], param: str, said: str
) -> None:
    async with serving(Listening()) as server:
        response = await diarize(server, **fields)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["param"] == param
    assert said in error["message"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("https://example.org/ann.wav", "data URL"),
        ("data:audio/wav,abc", "data URL"),
        ("data:audio/wav;base64,a", "base64"),
        (data_url(b"a letter" * 99), "cannot be used"),
        (data_url(wav(tone(0.5))), "0.5 s"),
    ],
)
async def test_a_voice_that_cannot_be_used_is_a_400_that_says_whose(
    reference: str, said: str
) -> None:
    fields: dict[str, Any] = {"known_speaker_names": "Ann", "known_speaker_references": reference}
    async with serving(Listening()) as server:
        response = await diarize(server, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "known_speaker_references")
    assert "'Ann'" in error["message"] and said in error["message"]


async def test_what_is_no_recording_or_missing_is_told_as_for_transcriptions() -> None:
    async with serving(Listening()) as server:
        letter = await diarize(server, b"a letter" * 99)
        nothing = await server.http.post("/v1/diarize")
    assert letter.status_code == 415
    assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, "file")


async def test_a_recording_over_the_limit_is_a_413() -> None:
    async with serving(Listening(), max_audio_seconds=2) as server:
        response = await diarize(server)
    assert response.status_code == 413
    assert "POLYASR_MAX_AUDIO_SECONDS" in response.json()["error"]["message"]


class Failing(Listening):
    async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise InferenceFailed("the voice encoder failed")


async def test_a_model_that_fails_is_an_error_and_never_half_an_answer() -> None:
    async with serving(Failing()) as server:
        plain = await diarize(server)
        streamed = await diarize(server, headers={"Accept": "text/event-stream"})
    assert plain.status_code == 500
    assert plain.json()["error"]["code"] == "inference_failed"
    (event,) = told(streamed)
    assert event["error"]["code"] == "inference_failed"
    assert "[DONE]" not in streamed.text


def told(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream."""
    lines = response.text.splitlines()
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


async def test_a_client_that_accepts_events_is_told_how_far_it_is() -> None:
    long = wav(tone(12) + silence(1) + tone(12, hertz=HIGH))
    async with serving(Listening()) as server:
        streamed = await diarize(server, long, headers={"Accept": "text/event-stream"})
        plain = await diarize(server, long)
    *progress, done = told(streamed)
    assert streamed.headers["Content-Type"].startswith("text/event-stream")
    assert {event["type"] for event in progress} == {"diarize.progress"}
    seconds = [event["seconds"] for event in progress]
    assert seconds == sorted(seconds) and len(seconds) == 3 and seconds[-1] == 25.0
    assert done == {"type": "diarize.done", **plain.json()}
    assert streamed.text.endswith("data: [DONE]\n\n")
