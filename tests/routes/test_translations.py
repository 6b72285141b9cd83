"""Translation: with a model that is a function, with a true Whisper of random numbers, and none."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import srt
import trio
import webvtt
from openai import OpenAI

from polyasr import settings
from polyasr.engine import open_engine
from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import to_pcm16
from tests.engine.test_whisper import noise
from tests.fakes import Asked, ScriptedEngine, silence, tone, wav

from .conftest import Server, serving

SPEECH = wav(silence(0.48) + tone(0.48))
TWO_SENTENCES = wav(2 * (tone(8.16) + silence(0.8)))


async def good_morning(asked: Asked) -> Hypothesis:
    return Hypothesis("Good morning.", asked.language or "Ukrainian", (1, 2), (-0.1, -0.2))


class Translating(ScriptedEngine):
    """An engine with a translator, whose recognizer nobody may ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.translator = ScriptedEngine(good_morning)

    async def ready(self) -> None:
        raise AssertionError("the recognizer was loaded")


async def translate(server: Server, file: bytes = SPEECH, **fields: Any) -> httpx.Response:
    url = "/v1/audio/translations"
    return await server.http.post(url, files={"file": ("speech.wav", file)}, data=fields)


async def test_without_a_model_it_is_a_501_in_the_envelope_that_names_the_setting() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await translate(server)
    assert response.status_code == 501
    assert response.headers["X-Should-Retry"] == "false"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "not_available")
    assert "POLYASR_TRANSLATE_MODEL" in error["message"]


async def test_a_recording_comes_back_in_english() -> None:
    engine = Translating()
    async with serving(engine) as server:
        response = await translate(server, model="whisper-1", prompt="Birds.", language="uk")
    assert response.json() == {
        "text": "Good morning.",
        "usage": {"type": "duration", "seconds": 0.96},
    }
    assert engine.translator is not None
    (asked,) = engine.translator.asked
    assert (asked.language, asked.context) == ("Ukrainian", "Birds.")
    assert engine.asked == []


async def test_verbose_json_is_of_the_task_and_in_english() -> None:
    async with serving(Translating()) as server:
        body = (await translate(server, response_format="verbose_json")).json()
    assert (body["task"], body["language"]) == ("translate", "english")
    (segment,) = body["segments"]
    assert (segment["text"], segment["start"], segment["end"]) == ("Good morning.", 0.32, 0.96)
    assert segment["avg_logprob"] == pytest.approx(-0.15)


async def test_every_format_is_there() -> None:
    async with serving(Translating()) as server:
        texts = {
            form: (await translate(server, response_format=form)).text
            for form in ("text", "srt", "vtt", "tsv")
        }
    assert texts["text"] == "Good morning.\n"
    assert next(srt.parse(texts["srt"])).content == "Good morning."
    assert webvtt.from_buffer(io.StringIO(texts["vtt"])).captions[0].text == "Good morning."
    assert texts["tsv"].splitlines()[1].endswith("\tGood morning.")


async def test_a_stream_tells_each_segment_as_it_is_translated() -> None:
    async with serving(Translating()) as server:
        response = await translate(server, TWO_SENTENCES, stream="true")
    *events, end = [line[6:] for line in response.text.splitlines() if line]
    told = [json.loads(event) for event in events]
    assert [event["type"] for event in told] == 2 * ["transcript.text.delta"] + [
        "transcript.text.done"
    ]
    assert (told[-1]["text"], end) == ("Good morning. Good morning.", "[DONE]")


async def test_a_translator_that_fails_is_an_error() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the translation model failed")

    engine = Translating()
    engine.translator = ScriptedEngine(fail)
    async with serving(engine) as server:
        response = await translate(server)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "inference_failed")


async def test_the_asr_family_translates_too_and_tells_what_was_spoken() -> None:
    async with serving(Translating()) as server:

        async def ask(**query: str) -> httpx.Response:
            return await server.http.post(
                "/asr",
                params={"task": "translate", "diarize": "false", **query},
                files={"audio_file": SPEECH},
            )

        body, subtitles = (await ask()).json(), await ask(output="srt", encode="false")
        unknown = await ask(language="tlh")
    assert body["language"] == "uk"
    assert [segment["text"] for segment in body["segments"]] == ["Good morning."]
    assert next(srt.parse(subtitles.text)).content == "Good morning."
    assert unknown.status_code == 400 and "Ukrainian (uk)" in unknown.json()["detail"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_openais_client_gets_what_whisper_says(whisper_directory: Path) -> None:
    given = {"model": "tiny", "preload": "0", "translate_model": str(whisper_directory)}
    speech = wav(to_pcm16(noise(1)))
    async with (
        open_engine(settings.load({}, {**given, "dtype": "float32"})) as engine,
        serving(engine) as server,
    ):
        engine.open_listener = ScriptedEngine().open_listener  # type: ignore[method-assign]

        def ask(**fields: Any) -> Any:
            with OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
                return client.audio.translations.create(file=speech, model="whisper-1", **fields)

        plain = await trio.to_thread.run_sync(ask)
        verbose = await trio.to_thread.run_sync(lambda: ask(response_format="verbose_json"))
        health = (await server.http.get("/health")).json()
        with pytest.raises(openai.BadRequestError, match="does not know French"):
            await trio.to_thread.run_sync(lambda: ask(extra_body={"language": "fr"}))
    assert plain.text == verbose.text != ""
    assert verbose.language == "english"
    assert health["manager"]["resident"] == ["translate"]
