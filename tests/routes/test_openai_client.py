"""OpenAI's own client, sync and async, against a live server; and Open WebUI's requests."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import openai
import pytest
import srt
import trio
import webvtt
from openai import AsyncOpenAI, OpenAI

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis
from polyasr.routes.services import ServingEngine
from tests.fakes import READY, Asked, HeldModel, ScriptedEngine, silence, tone, wav
from tests.media import media

from .conftest import Server, serving

T = TypeVar("T")
LEAVES_GENERATORS = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
"""The client's async streams leave the closing of their generators to the garbage collector."""
SPEECH = wav(tone(0.96))
TWO_SENTENCES = wav(2 * (tone(8.16) + silence(0.8)))


@asynccontextmanager
async def connected(engine: ServingEngine, **changes: Any) -> AsyncIterator[tuple[Server, OpenAI]]:
    """A server and a client of it."""
    async with serving(engine, **changes) as server:
        with OpenAI(base_url=f"{server.url}/v1", api_key="none") as client:
            yield server, client


async def in_thread(call: Callable[[], T]) -> T:
    return await trio.to_thread.run_sync(call)


async def test_the_plain_call_returns_the_text() -> None:
    async with connected(ScriptedEngine()) as (_, client):
        answer = await in_thread(
            lambda: client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
        )
    assert answer.text == "Hello."
    assert answer.usage is not None
    assert answer.usage.type == "duration"
    assert answer.usage.seconds == 0.96


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("text", lambda text: text.strip()),
        ("srt", lambda text: next(srt.parse(text)).content),
        ("vtt", lambda text: webvtt.from_buffer(io.StringIO(text)).captions[0].text),
    ],
)
async def test_formats_that_are_no_json_are_texts(form: Any, read: Callable[[str], str]) -> None:
    async with connected(ScriptedEngine()) as (_, client):
        answer = await in_thread(
            lambda: client.audio.transcriptions.create(
                file=SPEECH, model="whisper-1", response_format=form
            )
        )
    assert isinstance(answer, str)
    assert read(answer) == "Hello."


async def test_verbose_json_has_its_type() -> None:
    async with connected(ScriptedEngine()) as (_, client):
        answer = await in_thread(
            lambda: client.audio.transcriptions.create(
                file=("memo.m4a", media("ipod", "aac")),
                model="whisper-1",
                response_format="verbose_json",
                timestamp_granularities=["segment"],
                language="en",
                prompt="About birds.",
                temperature=0.2,
            )
        )
    assert answer.segments is not None
    assert [segment.text for segment in answer.segments] == ["Hello."]
    assert (answer.language, answer.words) == ("english", None)
    assert answer.duration == pytest.approx(2, abs=0.05)


async def test_word_times_have_their_type() -> None:
    async with connected(ScriptedEngine()) as (_, client):
        answer = await in_thread(
            lambda: client.audio.transcriptions.create(
                file=TWO_SENTENCES,
                model="whisper-1",
                response_format="verbose_json",
                timestamp_granularities=["word", "segment"],
            )
        )
    assert answer.words is not None
    assert [word.word for word in answer.words] == ["Hello", "Hello"]
    assert answer.words[0].end <= answer.words[1].start < answer.words[1].end


async def test_a_stream_is_deltas_and_done() -> None:
    async with connected(ScriptedEngine()) as (_, client):
        stream = await in_thread(
            lambda: client.audio.transcriptions.create(
                file=TWO_SENTENCES, model="gpt-4o-transcribe", stream=True
            )
        )
        told = await in_thread(lambda: list(stream))
    assert [event.type for event in told] == 2 * ["transcript.text.delta"] + [
        "transcript.text.done"
    ]
    assert told[-1].type == "transcript.text.done"
    assert told[-1].text == "Hello. Hello."


async def test_probabilities_of_tokens_have_their_types() -> None:
    async def spoken(asked: Asked) -> Hypothesis:
        return Hypothesis("Hi.", "English", (1, 2), (-0.1, -0.2), pieces=(b"Hi", b"."))

    async with connected(ScriptedEngine(spoken)) as (_, client):

        def ask(**fields: Any) -> Any:
            return client.audio.transcriptions.create(
                file=SPEECH, model="gpt-4o-transcribe", include=["logprobs"], **fields
            )

        answer = await in_thread(ask)
        told = await in_thread(lambda: list(ask(stream=True)))
    assert [(each.token, each.logprob) for each in answer.logprobs] == [("Hi", -0.1), (".", -0.2)]
    for event in told:
        assert [each.bytes for each in event.logprobs] == [[72, 105], [46]]


async def test_an_error_in_a_stream_is_raised() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    async with connected(ScriptedEngine(fail)) as (_, client):
        stream = await in_thread(
            lambda: client.audio.transcriptions.create(file=SPEECH, model="whisper-1", stream=True)
        )
        with pytest.raises(openai.APIError, match="NaN"):
            await in_thread(lambda: list(stream))


async def test_models_are_listed_and_found_by_their_encoded_name() -> None:
    engine = ScriptedEngine(how=replace(READY, model="Qwen/Qwen3-ASR-0.6B"))
    async with connected(engine) as (_, client):
        models = await in_thread(lambda: list(client.models.list()))
        found = await in_thread(lambda: client.models.retrieve("Qwen/Qwen3-ASR-0.6B"))
        with pytest.raises(openai.NotFoundError, match="whisper-9"):
            await in_thread(lambda: client.models.retrieve("whisper-9"))
    assert [model.id for model in models] == [found.id] == ["Qwen/Qwen3-ASR-0.6B"]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_translations_are_an_error_that_names_the_setting() -> None:
    async with connected(ScriptedEngine()) as (_, client):
        with pytest.raises(openai.InternalServerError, match="POLYASR_TRANSLATE_MODEL"):
            await in_thread(
                lambda: client.audio.translations.create(file=SPEECH, model="whisper-1")
            )


@pytest.mark.parametrize(
    ("file", "fields", "error", "status"),
    [
        (b"a letter" * 99, {}, openai.APIStatusError, 415),
        (b"", {}, openai.BadRequestError, 400),
        (SPEECH, {"language": "tlh"}, openai.BadRequestError, 400),
        (SPEECH, {"temperature": 7}, openai.BadRequestError, 400),
        (bytes(2 * 2**20), {}, openai.APIStatusError, 413),
    ],
)
async def test_errors_have_their_types_and_are_not_tried_again(
    file: bytes, fields: dict[str, Any], error: type[openai.APIStatusError], status: int
) -> None:
    engine = ScriptedEngine()
    async with connected(engine, max_upload_mb=1) as (_, client):
        with pytest.raises(error) as refused:
            await in_thread(
                lambda: client.audio.transcriptions.create(file=file, model="whisper-1", **fields)
            )
    assert refused.value.status_code == status
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "invalid_request_error"
    assert engine.asked == []


async def test_a_wrong_key_is_an_authentication_error() -> None:
    async with connected(ScriptedEngine(), api_key="right") as (_, client):
        with pytest.raises(openai.AuthenticationError):
            await in_thread(
                lambda: client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
            )


async def test_a_failing_model_is_asked_once_not_three_times() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    engine = ScriptedEngine(fail)
    async with connected(engine) as (_, client):
        with pytest.raises(openai.InternalServerError, match="NaN"):
            await in_thread(
                lambda: client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
            )
    assert len(engine.asked) == 1


class LoadingOnce(ScriptedEngine):
    """An engine that is still loading when it is first asked how it is about an upload."""

    looks = 0

    def status(self) -> Any:
        self.looks += 1
        starting = replace(READY, state="loading", last_ok_age_sec=None)
        return starting if self.looks == 2 else READY


async def test_a_model_that_still_loads_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polyasr.routes.errors.RETRY_AFTER_SEC", 0.01)
    async with connected(LoadingOnce()) as (_, client):
        answer = await in_thread(
            lambda: client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
        )
    assert answer.text == "Hello."


@LEAVES_GENERATORS
async def test_the_async_client_works_as_well() -> None:
    async with (
        serving(ScriptedEngine()) as server,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        answer = await client.audio.transcriptions.create(file=SPEECH, model="whisper-1")
        verbose = await client.audio.transcriptions.create(
            file=SPEECH, model="whisper-1", response_format="verbose_json"
        )
        stream = await client.audio.transcriptions.create(
            file=TWO_SENTENCES, model="whisper-1", stream=True
        )
        told = [event async for event in stream]
        models = [model.id async for model in client.models.list()]
        with pytest.raises(openai.BadRequestError, match="tlh"):
            await client.audio.transcriptions.create(file=SPEECH, model="whisper-1", language="tlh")
    assert answer.text == verbose.text == "Hello."
    assert [event.type for event in told][-1] == "transcript.text.done"
    assert models == ["tiny"]


@LEAVES_GENERATORS
async def test_an_async_stream_that_is_closed_early_stops_the_work() -> None:
    held = HeldModel()
    engine = ScriptedEngine()

    async def all_but_the_first_wait(asked: Asked) -> Hypothesis:
        if len(engine.asked) == 1:
            return Hypothesis("One.", "English")
        return await held.script(asked)

    engine.script = all_but_the_first_wait
    async with (
        serving(engine) as server,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        stream = await client.audio.transcriptions.create(
            file=TWO_SENTENCES, model="whisper-1", stream=True
        )
        event = await anext(stream)
        assert event.type == "transcript.text.delta"
        await held.begun.wait()
        await stream.close()
        with trio.fail_after(10):
            await held.cancelled.wait()


async def test_open_webui_reads_the_text_or_the_message() -> None:
    """It sends a bearer, tries again without `language` after any error, reads `error.message`."""
    async with serving(ScriptedEngine(), api_key="k") as server:

        async def ask(**data: str) -> Any:
            return await server.http.post(
                "/v1/audio/transcriptions",
                headers={"Authorization": "Bearer k"},
                files={"file": ("audio.webm", media("webm", "libopus"))},
                data={"model": "whisper-1", **data},
            )

        refused, accepted = await ask(language="xx"), await ask()
    assert refused.status_code == 400
    assert "xx" in refused.json()["error"]["message"]
    assert accepted.json()["text"] == "Hello."
