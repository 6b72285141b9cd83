"""`POST /asr` and `POST /detect-language`, as whisper-asr-webservice and its kin have them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, jsonify, request

from polyasr import languages
from polyasr.pipeline import batch
from polyasr.pipeline.types import Recognizer, Segment, Transcript
from polyasr.routes import formats
from polyasr.routes.forms import Form, refusal
from polyasr.routes.services import Services
from polyasr.routes.translations import translator_of
from polyasr.routes.uploads import language_of, open_blocks, open_upload, plain, recognition

FILE_FIELD = "audio_file"
TEXTS = ("text", "txt")
TASKS = {"transcribe": languages.NAMES, "translate": languages.TRANSLATED}
"""What can be done, and with which languages."""
OUTPUTS = ("json", *TEXTS, *formats.SUBTITLES)


@dataclass(frozen=True, slots=True)
class Options:
    """What query and form ask for. ``encoded`` False: the file may be headerless PCM16, and the
    answer is the bare text."""

    translate: bool
    language: str | None
    context: str
    output: str
    encoded: bool


def asr(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("asr", __name__)

    @blueprint.post("/asr")
    async def transcribe() -> Response:
        async with open_upload(services, request, FILE_FIELD) as upload:
            options = read_options(upload.with_query(request.args))
            recognizer: Recognizer = services.engine
            if options.translate:
                recognizer = translator_of(services, "task")
            async with open_blocks(
                services,
                upload.file,
                may_be_headerless=not options.encoded,
                to_recognize=not options.translate,
            ) as blocks:
                how = recognition(services, options.language, options.context)
                transcript = await batch.transcribe(recognizer, blocks, how)
            upload.record.text = transcript.text
        wants_text = any(kind.startswith("text/") for kind in request.accept_mimetypes.values())
        return await _answer(transcript, options, bare=wants_text or not options.encoded)

    @blueprint.post("/detect-language")
    async def detect_language() -> Response:
        async with open_upload(services, request, FILE_FIELD) as upload:
            encoded = upload.with_query(request.args).switch("encode", default=True)
            async with open_blocks(services, upload.file, may_be_headerless=not encoded) as blocks:
                heard: list[Segment] = []

                async def listen(segment: Segment) -> None:
                    if segment.language:
                        heard.append(segment)
                        enough.cancel()

                with trio.CancelScope() as enough:
                    how = recognition(services, None, "")
                    await batch.transcribe(services.engine, blocks, how, listen)
        return jsonify(_detected(heard[0] if heard else None))

    return blueprint


def read_options(form: Form) -> Options:
    """The options. Raises InvalidRequest, which names the field.

    Both names of an option are looked at. Those about speakers are accepted and change nothing: who
    speaks is not told yet, which this family of services answers by leaving the labels out.
    """
    task = form.get("task") or "transcribe"
    if task not in TASKS:
        raise refusal("task", task, "transcribe or translate")
    output = form.get("output_format") or form.get("output") or "json"
    if output not in OUTPUTS:
        raise refusal("output_format", output, f"one of {', '.join(OUTPUTS)}")
    form.switch("word_timestamps", default=True)
    return Options(
        translate=task == "translate",
        language=language_of(form, TASKS[task]),
        context=" ".join([*form.all("initial_prompt"), *form.all("hotwords")]),
        output=output,
        encoded=form.switch("encode", default=True),
    )


async def _answer(transcript: Transcript, options: Options, *, bare: bool) -> Response:
    if options.output == "json":
        return jsonify(_json(transcript, options.language))
    if options.output in TEXTS:
        text, media_type = formats.text(transcript), "text/plain"
    else:
        media_type = formats.SUBTITLES[options.output]
        text = await trio.to_thread.run_sync(formats.subtitle_file, transcript, options.output)
    return plain(text, media_type) if bare else jsonify({options.output: text})


def _json(transcript: Transcript, language: str | None) -> Mapping[str, object]:
    """The segments twice, as clients of either name expect. Words come with the aligner."""
    segments = [formats.timed_text(segment) for segment in transcript.segments]
    spoken = language or transcript.language.split(",")[0]
    return {
        "text": segments,
        "language": languages.code(spoken) if spoken else "",
        "segments": segments,
        "word_segments": [],
    }


def _detected(heard: Segment | None) -> Mapping[str, object]:
    """The language of the first speech; empty names, and no confidence in them, without any."""
    if heard is None:
        return {"detected_language": "", "language_code": ""}
    body: dict[str, object] = {
        "detected_language": heard.language.lower(),
        "language_code": languages.code(heard.language),
    }
    if heard.language_logprob is not None:
        body["confidence"] = math.exp(heard.language_logprob)
    return body
