"""`POST /v1/audio/transcriptions`: a recording in, its text out, as OpenAI's API does it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, jsonify, request

from polyasr import languages
from polyasr.pipeline import batch
from polyasr.pipeline.types import Recognizer, Segment, Transcript
from polyasr.routes import diarized, events, formats
from polyasr.routes.body import answered_by
from polyasr.routes.forms import Form, refusal
from polyasr.routes.services import Services
from polyasr.routes.uploads import language_of, open_blocks, open_upload, plain, recognition
from polyasr.routes.words import (
    aligner_ready,
    to_be_timed,
    with_words,
    with_words_if_there,
)
from polyasr.samples import Samples

DIARIZED = "diarized_json"
RESPONSE_FORMATS = ("json", "text", "verbose_json", DIARIZED, *formats.SUBTITLES)
GRANULARITIES = ("segment", "word")
MAX_TEMPERATURE = 1.0
"""OpenAI's range is 0 to 1. Decoding here is greedy whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the form asks for. ``language``: the model's name for it, None to let it decide;
    ``task``: ``transcribe`` or ``translate``; ``with_words``: the times of words are asked for."""

    language: str | None
    context: str
    response_format: str
    stream: bool
    with_logprobs: bool
    with_words: bool
    task: str = "transcribe"


def transcriptions(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("transcriptions", __name__)

    @blueprint.post("/v1/audio/transcriptions")
    async def transcribe() -> Response:
        return await answered_by(work)

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        async with open_upload(services, request, "file") as form:
            options = read_options(form)
            if options.response_format == DIARIZED:
                how = recognition(services, options.language, options.context)
                await diarized.respond(
                    services, form, how, stream=options.stream, task_status=task_status
                )
                return
            if options.with_words:
                await aligner_ready(services)
            async with open_blocks(services, form.file) as blocks:
                await respond(services, services.engine, form, blocks, options, task_status)

    return blueprint


async def respond(
    services: Services,
    recognizer: Recognizer,
    form: Form,
    blocks: Iterator[Samples],
    options: Options,
    task_status: trio.TaskStatus[Response],
) -> None:
    """Hand over the response; one that is streamed goes on being worked for."""
    if options.stream:
        form.record.text = await _stream(services, recognizer, blocks, options, task_status)
    else:
        how = recognition(services, options.language, options.context)
        subtitled = options.response_format in formats.SUBTITLES and options.task == "transcribe"
        if options.with_words or subtitled:
            how = to_be_timed(services, how)
        transcript = await batch.transcribe(recognizer, blocks, how)
        form.record.text = transcript.text
        if options.with_words:
            transcript = await with_words(services, transcript, form.file)
        elif subtitled:
            transcript = await with_words_if_there(services, transcript, form.file)
        task_status.started(await _answer(transcript, options))


def read_options(form: Form, spoken: Collection[str] = languages.NAMES) -> Options:
    """The options of a form. Raises InvalidRequest, which names the field and what it takes;
    `language` takes those ``spoken``.

    What would change the answer's shape and cannot be done here is refused, not ignored; `model`
    is free, for the server has one, and so is `chunking_strategy`, for it always chunks at pauses.
    `prompt`, `context` and `keywords[]` all bias the recognition. Word times are a matter of
    `verbose_json`.
    """
    response_format = form.get("response_format") or "json"
    if response_format not in RESPONSE_FORMATS:
        raise refusal("response_format", response_format, f"one of {', '.join(RESPONSE_FORMATS)}")
    stream = form.switch("stream", default=False)
    if stream and response_format in formats.SUBTITLES:
        raise refusal("stream", form.get("stream"), f"false with `{response_format}`")
    granularities = form.all("timestamp_granularities")
    for granularity in granularities:
        if granularity not in GRANULARITIES:
            raise refusal("timestamp_granularities", granularity, " or ".join(GRANULARITIES))
    with_words = "word" in granularities and response_format == "verbose_json"
    if with_words and stream:
        raise refusal("stream", form.get("stream"), "false with `timestamp_granularities[]=word`")
    include = form.all("include")
    for extra in include:
        if extra != "logprobs":
            raise refusal("include", extra, "logprobs")
        if response_format != "json":
            raise refusal("include", extra, "nothing but with the response_format json")
    _check_temperature(form.get("temperature"))
    return Options(
        language=language_of(form, spoken),
        context=" ".join([*form.all("prompt"), *form.all("context"), *form.all("keywords")]),
        response_format=response_format,
        stream=stream,
        with_logprobs=bool(include),
        with_words=with_words,
    )


async def _answer(transcript: Transcript, options: Options) -> Response:
    form = options.response_format
    if form == "json":
        return jsonify(formats.json(transcript, with_logprobs=options.with_logprobs))
    if form == "verbose_json":
        return jsonify(_verbose_json(transcript, options))
    if form == "text":
        return plain(formats.text(transcript), "text/plain")
    subtitles = await trio.to_thread.run_sync(formats.subtitle_file, transcript, form)
    return plain(subtitles, formats.SUBTITLES[form])


def _verbose_json(transcript: Transcript, options: Options) -> Mapping[str, object]:
    return formats.verbose_json(
        transcript, options.language, options.task, with_words=options.with_words
    )


async def _stream(
    services: Services,
    recognizer: Recognizer,
    blocks: Iterator[Samples],
    options: Options,
    task_status: trio.TaskStatus[Response],
) -> str:
    """Tell the text as it is decoded. Returns what of it was told."""
    text = ""
    async with events.streamed(task_status) as send:

        async def tell(segment: Segment) -> None:
            nonlocal text
            delta = formats.delta(text, segment)
            text += delta
            await send(formats.delta_event(delta, segment, with_logprobs=options.with_logprobs))

        how = recognition(services, options.language, options.context)
        transcript = await batch.transcribe(recognizer, blocks, how, tell)
        await send(formats.done_event(transcript, with_logprobs=options.with_logprobs))
    return text


def _check_temperature(given: str) -> None:
    try:
        accepted = 0.0 <= float(given or 0.0) <= MAX_TEMPERATURE
    except ValueError:
        accepted = False
    if not accepted:
        raise refusal("temperature", given, f"a number from 0 to {MAX_TEMPERATURE:g}")
