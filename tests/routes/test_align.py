"""`/v1/align`: a recording in, its sentences and words with their times out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Word
from polyasr.samples import Samples
from tests.alignment.tones import by_pitch
from tests.fakes import READY, EvenAligner, ScriptedEngine, silence, tone, wav

from .conftest import Server, serving

TALK = wav(tone(8) + silence(2) + tone(8, hertz=880) + silence(2))


def engine(**changes: Any) -> ScriptedEngine:
    return ScriptedEngine(script=by_pitch, **changes)


async def align(
    server: Server, file: bytes = TALK, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return await server.http.post("/v1/align", files={"file": file}, data=fields, headers=headers)


async def test_a_recording_comes_back_in_sentences_of_timed_words() -> None:
    async with serving(engine()) as server:
        response = await align(server, model="whisper-1")
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["text", "language", "segments", "model"]
    assert body["text"] == "One two. Three four!"
    assert body["language"] == "English"
    assert body["model"] == "tiny + tiny"
    first, second = body["segments"]
    assert list(first) == ["text", "start", "end", "words"]
    assert [list(word) for word in first["words"]] == [["text", "start", "end"]] * 2
    assert [word["text"] for word in second["words"]] == ["Three", "four"]
    assert 9 < second["start"] < 11 < second["end"] <= 20


@pytest.mark.parametrize("language", ["zh", "Chinese", "zh-CN"])
async def test_a_language_is_told_by_name_or_code_and_goes_to_both_models(language: str) -> None:
    asked = engine()
    async with serving(asked) as server:
        body = (await align(server, language=language)).json()
    assert body["language"] == "Chinese"
    assert {heard.language for heard in asked.asked} == {"Chinese"}
    assert {named for _, _, named in asked.aligner.asked} == {"Chinese"}


async def test_a_transcript_that_is_given_is_aligned() -> None:
    async with serving(engine()) as server:
        body = (await align(server, text="One, two, three? Four.")).json()
    assert body["text"] == "One, two, three? Four."
    assert [segment["text"] for segment in body["segments"]] == ["One, two, three?", "Four."]


async def test_silence_is_an_empty_alignment() -> None:
    async with serving(engine()) as server:
        body = (await align(server, wav(silence(2)))).json()
    assert (body["text"], body["language"], body["segments"]) == ("", "", [])


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"max_chunk_seconds": "0"}, "max_chunk_seconds", "'0'"),
        ({"max_chunk_seconds": "301"}, "max_chunk_seconds", "1 to 300"),
        ({"max_chunk_seconds": "-5"}, "max_chunk_seconds", "'-5'"),
        ({"max_chunk_seconds": "nan"}, "max_chunk_seconds", "'nan'"),
        ({"max_chunk_seconds": "all"}, "max_chunk_seconds", "'all'"),
        ({"language": "Klingon"}, "language", "'Klingon'"),
        ({"text": ""}, "text", "empty"),
        ({"text": " \n"}, "text", "empty"),
        ({"text": "—…!"}, "text", "no words"),
        ({"text": "A letter from somewhere else."}, "text", "does not belong"),
        ({"text": "One two. " + "And much more than that. " * 99}, "text", "does not belong"),
    ],
)
async def test_a_value_that_cannot_be_used_is_a_400_that_names_it(
    fields: dict[str, Any], param: str, said: str
) -> None:
    async with serving(engine()) as server:
        response = await align(server, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert said in error["message"]


async def test_a_text_without_speech_behind_it_is_a_400() -> None:
    async with serving(engine()) as server:
        response = await align(server, wav(silence(5)), text="One two.")
    assert response.status_code == 400
    assert "no speech" in response.json()["error"]["message"]


async def test_what_is_no_recording_or_too_long_is_told_as_for_transcriptions() -> None:
    async with serving(engine(), max_audio_seconds=5) as server:
        letter = await align(server, b"a letter" * 99)
        nothing = await server.http.post("/v1/align")
        long = await align(server)
    assert letter.status_code == 415
    assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, "file")
    assert long.status_code == 413


async def test_an_aligner_that_is_not_there_is_a_503_before_anything_is_recognized() -> None:
    asked = engine(aligner=EvenAligner(missing="no weights; set POLYASR_ALIGNER_MODEL"))
    async with serving(asked) as server:
        response = await align(server)
    assert response.status_code == 503
    assert "POLYASR_ALIGNER_MODEL" in response.json()["error"]["message"]
    assert asked.asked == []


class Failing(EvenAligner):
    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        if text.startswith("Three"):
            raise InferenceFailed("the aligner failed")
        return await super().align(samples, text, language)


async def test_a_model_that_fails_halfway_is_an_error_and_never_half_an_answer() -> None:
    async with serving(engine(aligner=Failing())) as server:
        plain = await align(server)
        streamed = await align(server, headers={"Accept": "text/event-stream"})
    assert (plain.status_code, plain.json()["error"]["code"]) == (500, "inference_failed")
    told = events(streamed)
    assert told[-1]["error"]["code"] == "inference_failed"
    assert "[DONE]" not in streamed.text


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_who_accepts_events_is_told_how_far_it_is() -> None:
    async with serving(engine()) as server:
        plain = (await align(server)).json()
        streamed = await align(server, headers={"Accept": "text/event-stream"})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.rstrip().endswith("data: [DONE]")
    *progress, done = events(streamed)
    assert done == {"type": "align.done", **plain}
    assert [event["stage"] for event in progress] == ["transcribe"] * 2 + ["align"] * 2
    assert all(event["type"] == "align.progress" for event in progress)
    assert 18 < progress[-1]["seconds"] <= 20


async def test_a_recognizer_that_failed_is_a_503() -> None:
    async with serving(engine(how=replace(READY, state="failed", reason="gone"))) as server:
        assert (await align(server)).status_code == 503
