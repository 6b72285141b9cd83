"""`POST /asr` and `POST /detect-language`, as whisper-asr-webservice and its kin have them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, jsonify, request

from polyasr import diarization, languages
from polyasr.diarization import Labels, SpeakerCount
from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.pipeline import batch
from polyasr.pipeline.types import Recognizer, Segment, Transcript
from polyasr.routes import formats
from polyasr.routes.forms import Form, refusal
from polyasr.routes.services import Services
from polyasr.routes.speakers import speaker_count
from polyasr.routes.translations import translator_of
from polyasr.routes.uploads import language_of, open_blocks, open_upload, plain, recognition
from polyasr.routes.words import to_be_timed, with_words_if_there

log = logging.getLogger(__name__)

FILE_FIELD = "audio_file"
TEXTS = ("text", "txt")
TASKS = {"transcribe": languages.NAMES, "translate": languages.TRANSLATED}
"""What can be done, and with which languages."""
OUTPUTS = ("json", *TEXTS, *formats.SUBTITLES)


@dataclass(frozen=True, slots=True)
class Options:
    """What query and form ask for. ``encoded`` False: the file may be headerless PCM16, and the
    answer is the bare text; ``with_words``: words are to be timed where that is possible."""

    translate: bool
    with_words: bool
    language: str | None
    context: str
    output: str
    encoded: bool
    diarize: bool
    count: SpeakerCount
    with_embeddings: bool


def asr(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("asr", __name__)

    @blueprint.post("/asr")
    async def transcribe() -> Response:
        async with open_upload(services, request, FILE_FIELD) as upload:
            form = upload.with_query(request.args)
            options = read_options(form, diarize=services.settings.diarize)
            labels = await _labels(services, form, options) if options.diarize else None
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
                if options.with_words:
                    how = to_be_timed(services, how)
                changes = labels.changes() if labels else ()
                transcript = await batch.transcribe(recognizer, blocks, how, changes=changes)
                if options.with_words:
                    transcript = await with_words_if_there(
                        services, transcript, upload.file, may_be_headerless=not options.encoded
                    )
            upload.record.text = transcript.text
        wants_text = any(kind.startswith("text/") for kind in request.accept_mimetypes.values())
        bare = wants_text or not options.encoded
        return await _answer(transcript, labels, options, bare=bare)

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


def read_options(form: Form, *, diarize: bool) -> Options:
    """The options; ``diarize`` where the form does not say. Raises InvalidRequest, which names the
    field. Both names of an option are looked at.
    """
    task = form.get("task") or "transcribe"
    if task not in TASKS:
        raise refusal("task", task, "transcribe or translate")
    output = form.get("output_format") or form.get("output") or "json"
    if output not in OUTPUTS:
        raise refusal("output_format", output, f"one of {', '.join(OUTPUTS)}")
    translate = task == "translate"
    word_times = form.switch("word_timestamps", default=True) and output not in TEXTS
    return Options(
        translate=translate,
        with_words=word_times and not translate,
        language=language_of(form, TASKS[task]),
        context=" ".join([*form.all("initial_prompt"), *form.all("hotwords")]),
        output=output,
        encoded=form.switch("encode", default=True),
        diarize=form.switch("diarize", default=form.switch("enable_diarization", default=diarize)),
        count=speaker_count(form),
        with_embeddings=form.switch("return_speaker_embeddings", default=False),
    )


async def _labels(services: Services, form: Form, options: Options) -> Labels | None:
    """Who speaks when. None where the models for it fail or are not there, for which this family of
    services does not fail a request: the text comes without labels."""
    async with open_blocks(
        services, form.file, may_be_headerless=not options.encoded, to_recognize=False
    ) as blocks:
        try:
            found = await diarization.diarize(services.engine, blocks, options.count)
        except (InferenceFailed, ModelUnavailable) as error:
            log.warning("the speakers of an upload were not told apart: %s", error)
            return None
    return Labels(found, [diarization.label(speaker) for speaker in range(len(found.voices))])


async def _answer(
    transcript: Transcript, labels: Labels | None, options: Options, *, bare: bool
) -> Response:
    if options.output == "json":
        return jsonify(_json(transcript, labels, options))
    if options.output in TEXTS:
        text, media_type = formats.text(transcript), "text/plain"
    else:
        media_type = formats.SUBTITLES[options.output]
        text = await trio.to_thread.run_sync(
            formats.subtitle_file, transcript, options.output, labels
        )
    return plain(text, media_type) if bare else jsonify({options.output: text})


def _json(transcript: Transcript, labels: Labels | None, options: Options) -> Mapping[str, object]:
    """The segments twice, as clients of either name expect."""
    segments = [_segment(segment, labels) for segment in transcript.segments]
    spoken = options.language or transcript.language.split(",")[0]
    body: dict[str, object] = {
        "text": segments,
        "language": languages.code(spoken) if spoken else "",
        "segments": segments,
        "word_segments": [
            word for segment in transcript.segments for word in formats.scored_words(segment)
        ],
    }
    if labels is not None and options.with_embeddings:
        body["speaker_embeddings"] = labels.embeddings()
    return body


def _segment(segment: Segment, labels: Labels | None) -> Mapping[str, object]:
    speaker = labels.of(segment.start, segment.end) if labels else ""
    return {**formats.timed_text(segment), **({"speaker": speaker} if speaker else {})}


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
