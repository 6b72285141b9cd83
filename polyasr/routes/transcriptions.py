"""`POST /v1/audio/transcriptions`: a recording in, its text out, as OpenAI's API does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import trio
from quart import Blueprint, Response, jsonify, request

from polyasr import audio, languages
from polyasr.errors import InvalidRequest, ModelUnavailable
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Transcript
from polyasr.routes import formats
from polyasr.routes.forms import Form, read_form
from polyasr.routes.services import Services, ServingEngine

RESPONSE_FORMATS = ("json", "text", "verbose_json")
MAX_TEMPERATURE = 1.0
"""OpenAI's range is 0 to 1. Decoding here is greedy whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the form asks for. ``language``: the model's name for it, None to let it decide."""

    language: str | None
    context: str
    response_format: str


def transcriptions(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("transcriptions", __name__)

    @blueprint.post("/v1/audio/transcriptions")
    async def transcribe() -> Response:
        with services.queue.enter():
            refuse_while_loading(services.engine)
            limit = services.settings.max_upload_mb
            async with read_form(request, file_field="file", max_file_mb=limit) as form:
                options = read_options(form, languages.parse)
                async with services.batch_turns:
                    transcript = await _transcribe(services, form, options)
        return _answer(transcript, options)

    return blueprint


def refuse_while_loading(engine: ServingEngine) -> None:
    """Turn a request away before its upload is read. Raises ModelUnavailable.

    A model that is merely not loaded yet is loaded by the request that needs it.
    """
    if engine.status().state == "loading":
        raise ModelUnavailable("the model is still loading: try again in a few seconds")


def read_options(form: Form, parse_language: Callable[[str], str]) -> Options:
    """The options of a form. Raises InvalidRequest, which names the field and what it takes.

    What would change the answer's shape and cannot be done here is refused, not ignored; `model`
    is free, for the server has one, and so is `chunking_strategy`, for it always chunks at pauses.
    `prompt`, `context` and `keywords[]` all bias the recognition.
    """
    response_format = form.get("response_format") or "json"
    if response_format not in RESPONSE_FORMATS:
        raise _refusal("response_format", response_format, f"one of {', '.join(RESPONSE_FORMATS)}")
    if form.get("stream").lower() not in ("", "false", "0"):
        raise _refusal("stream", form.get("stream"), "false: this server answers in one piece")
    for granularity in form.all("timestamp_granularities"):
        if granularity != "segment":
            raise _refusal("timestamp_granularities", granularity, "segment")
    for extra in form.all("include"):
        raise _refusal("include", extra, "nothing")
    _check_temperature(form.get("temperature"))
    language = form.get("language")
    return Options(
        language=parse_language(language) if language else None,
        context=" ".join([*form.all("prompt"), *form.all("context"), *form.all("keywords")]),
        response_format=response_format,
    )


async def _transcribe(services: Services, form: Form, options: Options) -> Transcript:
    settings = services.settings
    decode = partial(audio.decode, form.file, max_seconds=settings.max_audio_seconds)
    samples = await trio.to_thread.run_sync(decode)
    await services.engine.ready()
    how = RecognizerOptions.from_settings(
        settings, language=options.language, context=options.context
    )
    return await batch.transcribe(services.engine, samples, how)


def _answer(transcript: Transcript, options: Options) -> Response:
    if options.response_format == "text":
        return Response(formats.text(transcript), content_type="text/plain; charset=utf-8")
    if options.response_format == "verbose_json":
        return jsonify(formats.verbose_json(transcript, options.language))
    return jsonify(formats.json(transcript))


def _check_temperature(given: str) -> None:
    try:
        accepted = 0.0 <= float(given or 0.0) <= MAX_TEMPERATURE
    except ValueError:
        accepted = False
    if not accepted:
        raise _refusal("temperature", given, f"a number from 0 to {MAX_TEMPERATURE:g}")


def _refusal(field: str, given: str, accepted: str) -> InvalidRequest:
    return InvalidRequest(f"`{field}` is {given!r}; this server takes {accepted}", param=field)
