"""`response_format=diarized_json`: who said what."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import trio
from openai import OpenAI

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis, SpeakerEncoder
from tests.fakes import Asked, ScriptedEngine, silence, tone, wav

from .conftest import Server, serving
from .test_diarize import HIGH, LOW, PitchEncoder, data_url

TALK = wav(tone(3.2, hertz=LOW) + silence(0.8) + tone(3.2, hertz=HIGH) + tone(1.6, hertz=LOW))


async def pitch(asked: Asked) -> Hypothesis:
    """A model that says how high most of what it hears is."""
    spectrum = np.abs(np.fft.rfft(asked.samples))
    hertz = spectrum.argmax() * 16000 / len(asked.samples)
    return Hypothesis("High." if hertz > 1000 else "Low.", "English")


class Talk(ScriptedEngine):
    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        return PitchEncoder()


def engine() -> Talk:
    return Talk(pitch)


async def test_the_recording_comes_back_as_who_said_what() -> None:
    async with serving(engine()) as server:
        response = await server.transcribe(TALK, response_format="diarized_json")
    body = response.json()
    starts = [segment.pop("start") for segment in body["segments"]]
    ends = [segment.pop("end") for segment in body["segments"]]
    assert starts == pytest.approx([0.0, 3.6, 7.2], abs=0.4)
    assert ends == pytest.approx([3.6, 7.2, 8.8], abs=0.4)
    assert body == {
        "task": "transcribe",
        "duration": 8.8,
        "text": "Low. High. Low.",
        "segments": [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{number}",
                "text": text,
                "speaker": speaker,
            }
            for number, (text, speaker) in enumerate([("Low.", "A"), ("High.", "B"), ("Low.", "A")])
        ],
        "usage": {"type": "duration", "seconds": 8.8},
    }


async def streamed(server: Server, **fields: Any) -> list[Any]:
    response = await server.transcribe(
        TALK, response_format="diarized_json", stream="true", **fields
    )
    assert response.status_code == 200
    lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def test_a_stream_tells_each_piece_as_text_and_then_whose_it_is() -> None:
    async with serving(engine()) as server:
        *pieces, done, end = await streamed(server)
        whole = await server.transcribe(TALK, response_format="diarized_json")
    assert [each["type"] for each in pieces] == 3 * [
        "transcript.text.delta",
        "transcript.text.segment",
    ]
    assert pieces[1::2] == whole.json()["segments"]
    assert [each["segment_id"] for each in pieces[::2]] == ["seg_0", "seg_1", "seg_2"]
    assert "".join(each["delta"] for each in pieces[::2]) == done["text"] == "Low. High. Low."
    assert end == "[DONE]"


async def test_people_whose_voices_come_along_are_called_by_their_names() -> None:
    fields: dict[str, Any] = {
        "known_speaker_names[]": ["Ann"],
        "known_speaker_references[]": [data_url(wav(tone(3, hertz=HIGH)))],
        "chunking_strategy": "auto",
    }
    async with serving(engine()) as server:
        body = (await server.transcribe(TALK, response_format="diarized_json", **fields)).json()
    assert [segment["speaker"] for segment in body["segments"]] == ["A", "Ann", "A"]


async def test_openais_client_reads_it() -> None:
    async with serving(engine()) as server:

        def ask() -> Any:
            with OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
                return client.audio.transcriptions.create(
                    file=TALK,
                    model="gpt-4o-transcribe-diarize",
                    response_format="diarized_json",
                    chunking_strategy="auto",
                )

        answer = await trio.to_thread.run_sync(ask)
    assert type(answer).__name__ == "TranscriptionDiarized"
    assert [(each.speaker, each.text) for each in answer.segments] == [
        ("A", "Low."),
        ("B", "High."),
        ("A", "Low."),
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"known_speaker_names": "Ann"}, "known_speaker_references"),
        ({"num_speakers": "none"}, "num_speakers"),
        ({"include": "logprobs"}, "include"),
    ],
)
@pytest.mark.parametrize("stream", ["true", "false"])
async def test_what_cannot_be_used_is_a_400_streamed_or_not(
    fields: dict[str, Any], param: str, stream: str
) -> None:
    async with serving(engine()) as server:
        response = await server.transcribe(
            TALK, response_format="diarized_json", stream=stream, **fields
        )
        letter = await server.transcribe(
            b"a letter" * 99, response_format="diarized_json", stream=stream
        )
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert letter.status_code == 415


class Voiceless(Talk):
    async def embed_windows(self, windows: Any) -> Any:
        raise InferenceFailed("the voice encoder failed")


async def test_speakers_that_cannot_be_told_are_an_error_for_who_asked_for_them() -> None:
    async with serving(Voiceless(pitch)) as server:
        whole = await server.transcribe(TALK, response_format="diarized_json")
        (event,) = await streamed(server)
    assert (whole.status_code, whole.json()["error"]["code"]) == (500, "inference_failed")
    assert event["error"]["code"] == "inference_failed"


async def test_translations_are_not_diarized() -> None:
    talk = engine()
    talk.translator = ScriptedEngine()
    async with serving(talk) as server:
        response = await server.http.post(
            "/v1/audio/translations",
            files={"file": TALK},
            data={"response_format": "diarized_json"},
        )
    assert (response.status_code, response.json()["error"]["param"]) == (400, "response_format")
