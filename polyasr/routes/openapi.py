"""The OpenAPI document: every HTTP operation, what it takes, and every answer it gives. Pure.

Written by hand, for uploads are read as streams and no library derives them from the code;
`tests/routes/test_openapi.py` holds it to the routes and to what a live server answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from polyasr import __version__
from polyasr.routes import align, asr, events, formats, transcriptions
from polyasr.routes.bodies import KNOWN, LANGUAGE, SCHEMAS, SPEAKERS
from polyasr.routes.schema import (
    NUMBER,
    STRING,
    Json,
    event_stream,
    listed,
    record,
    ref,
    switch,
    text,
)

JSON = "application/json"
TEXT = "text/plain"
EXPLAINED = {
    400: "A value that cannot be used; the message names the field and what it takes.",
    401: "The key is missing or wrong.",
    403: "A browser page that may not use this server.",
    404: "There is nothing of that name.",
    408: "The upload came to a stop.",
    413: "The upload, or the audio in it, is over a limit of this server.",
    415: "Not audio or video that can be decoded.",
    422: "The file is missing.",
    500: "A model failed, or the server did; its log says more.",
    501: "This server is not set up for it; the message names the setting.",
    503: "Too many uploads, or the model is loading or cannot be loaded; `Retry-After` is sent.",
}
PROGRESS = "With `Accept: text/event-stream`: how far it is, then all of it."
RECORDING = (400, 403, 408, 413, 415, 500, 503)
"""What may become of a recording that is sent."""


def document(*, has_key: bool) -> Json:
    """The document. ``has_key``: a key is asked for."""
    paths: Json = {
        "/v1/audio/transcriptions": {"post": _transcription()},
        "/v1/audio/translations": {"post": _translation()},
        "/v1/align": {"post": _alignment()},
        "/v1/align/manifest": {"post": _manifest()},
        "/v1/diarize": {"post": _diarization()},
        "/v1/models": {"get": _get("The model", "OpenAI's API", ref("Models"))},
        "/v1/models/{model}": {"get": _model()},
        "/asr": {"post": _asr()},
        "/detect-language": {"post": _detection()},
        "/": {"get": _root()},
        "/health": {"get": _health("How the server is, and why", ref("Health"))},
        "/ready": {"get": _health("Whether work may be sent", ref("Readiness"))},
        "/metrics": {"get": _metrics()},
        "/queue-metrics": {"get": _get("Uploads at work", "operations", ref("Queue"))},
        "/model/unload": {"post": _unload()},
    }
    if not has_key:
        for operation in (each for methods in paths.values() for each in methods.values()):
            del operation["responses"]["401"]
            del operation["security"]
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "polyasr",
            "version": __version__,
            "description": "Speech recognition: recordings over HTTP. Live dictation is a "
            "WebSocket, `/ws/transcribe`, which OpenAPI cannot describe.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    summary: str,
    group: str,
    answers: Mapping[str, Json],
    *,
    errors: Iterable[int] = (),
    error: str = "Detail",
    open_: bool = False,
    **more: Any,
) -> Json:
    """``answers``: the schemas of the 200's media types. ``open_``: needs no key."""
    responses: Json = {"200": {"description": summary, "content": _content(answers)}}
    for status in sorted({*errors, 401}):
        responses[str(status)] = {
            "description": EXPLAINED[status],
            "content": _content({JSON: ref(error)}),
        }
    security: list[Json] = [] if open_ else [{"key": []}]
    return {
        "summary": summary,
        "tags": [group],
        "responses": responses,
        "security": security,
        **more,
    }


def _content(schemas: Mapping[str, Json]) -> Json:
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}


def _form(file: str, fields: Mapping[str, Json]) -> Json:
    binary = {"type": "string", "format": "binary", "description": "Audio or video of any kind."}
    schema = {
        "type": "object",
        "properties": {file: binary, **fields},
        "required": [file],
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _get(summary: str, group: str, schema: Json, *, open_: bool = False) -> Json:
    error = "Error" if group == "OpenAI's API" else "Detail"
    return _operation(summary, group, {JSON: schema}, error=error, open_=open_)


def _metrics() -> Json:
    summary = "What is counted and timed, for Prometheus"
    return _operation(summary, "operations", {TEXT: STRING}, error="Detail")


def _texts() -> dict[str, Json]:
    """The formats that are no JSON, by media type."""
    return dict.fromkeys((TEXT, *formats.SUBTITLES.values()), STRING)


def _recognition(forms: Iterable[str]) -> dict[str, Json]:
    """The fields of OpenAI's API."""
    return {
        "model": text("May be anything: the server has one."),
        "language": LANGUAGE,
        "prompt": text("What it is about; biases the recognition."),
        "response_format": text("", values=forms, default="json"),
        "temperature": {"type": "number", "minimum": 0, "maximum": transcriptions.MAX_TEMPERATURE},
        "stream": switch("As server-sent events while it is decoded.", default=False),
    }


def _transcription() -> Json:
    bodies = ("Transcription", "VerboseTranscription", "DiarizedTranscription")
    fields = {
        **_recognition(transcriptions.RESPONSE_FORMATS),
        "context": text("As `prompt`."),
        "keywords[]": listed(STRING),
        "timestamp_granularities[]": listed(text(values=("segment", "word"))),
        "include[]": listed(text(values=("logprobs",))),
        "chunking_strategy": text("May be anything: recordings are cut at pauses."),
        **KNOWN,
        **SPEAKERS,
    }
    return _operation(
        "A recording's text",
        "OpenAI's API",
        {
            JSON: {"anyOf": [ref(body) for body in bodies]},
            **_texts(),
            events.MEDIA_TYPE: event_stream(
                "`transcript.text.delta`, `transcript.text.segment` with `diarized_json`, "
                "`transcript.text.done`, `[DONE]`"
            ),
        },
        errors=RECORDING,
        error="Error",
        requestBody=_form("file", fields),
    )


def _translation() -> Json:
    forms = [form for form in transcriptions.RESPONSE_FORMATS if form != transcriptions.DIARIZED]
    return _operation(
        "A recording's text in English",
        "OpenAI's API",
        {
            JSON: {"anyOf": [ref("Transcription"), ref("VerboseTranscription")]},
            **_texts(),
            events.MEDIA_TYPE: event_stream("As for transcriptions."),
        },
        errors=(*RECORDING, 501),
        error="Error",
        requestBody=_form("file", _recognition(forms)),
    )


def _model() -> Json:
    name = {"name": "model", "in": "path", "required": True, "schema": STRING}
    return _operation(
        "The model of that name",
        "OpenAI's API",
        {JSON: ref("Model")},
        errors=(404,),
        error="Error",
        parameters=[name],
    )


def _alignment() -> Json:
    fields = {
        "text": text("What is said; left out, the recording is transcribed first."),
        "language": LANGUAGE,
        "max_chunk_seconds": _chunk_seconds(),
        "model": text("May be anything."),
    }
    return _operation(
        "When each word is said",
        "alignment",
        {JSON: ref("Alignment"), events.MEDIA_TYPE: event_stream(PROGRESS)},
        errors=RECORDING,
        error="Error",
        requestBody=_form("file", fields),
    )


def _manifest() -> Json:
    entry = record({"path": STRING, "offset": NUMBER}, {"id": STRING})
    body = record(
        {"manifest": {**listed(entry), "minItems": 1}},
        {"language": LANGUAGE, "max_chunk_seconds": _chunk_seconds(), "model": STRING},
    )
    return _operation(
        "When each word is said, in recordings on the server",
        "alignment",
        {JSON: ref("Alignment"), events.MEDIA_TYPE: event_stream(PROGRESS)},
        errors=RECORDING,
        error="Error",
        requestBody={"required": True, "content": _content({JSON: body})},
    )


def _chunk_seconds() -> Json:
    return {
        "type": "number",
        "minimum": align.LEAST_CHUNK_SECONDS,
        "maximum": align.MOST_CHUNK_SECONDS,
        "default": align.CHUNK_SECONDS,
    }


def _root() -> Json:
    answers = {JSON: ref("Server"), "text/html": STRING}
    return _operation(
        "The dictation page, or which server this is", "operations", answers, open_=True
    )


def _diarization() -> Json:
    fields = {
        **SPEAKERS,
        **KNOWN,
        "return_speaker_embeddings": switch("A voice of each speaker, too.", default=False),
        "model": text("May be anything."),
    }
    return _operation(
        "Who spoke when",
        "speakers",
        {
            JSON: ref("Diarization"),
            events.MEDIA_TYPE: event_stream(PROGRESS),
        },
        errors=RECORDING,
        error="Error",
        requestBody=_form("file", fields),
    )


def _asr() -> Json:
    fields: Mapping[str, Json] = {
        "task": text("", values=asr.TASKS, default="transcribe"),
        "language": LANGUAGE,
        "initial_prompt": text("What it is about."),
        "hotwords": text("Words that may occur."),
        "output": text("", values=asr.OUTPUTS, default="json"),
        "output_format": text("As `output`, and before it.", values=asr.OUTPUTS),
        "word_timestamps": switch("Times of words, where they are known.", default=True),
        "diarize": switch("Tell the speakers apart.", default=True),
        "enable_diarization": switch("As `diarize`, which is before it.", default=True),
        "return_speaker_embeddings": switch("A voice of each speaker, too.", default=False),
        "encode": switch("False: the text bare; and PCM16 may come bare.", default=True),
        **SPEAKERS,
    }
    return _operation(
        "A recording's text, as whisper-asr-webservice tells it",
        "whisper-asr-webservice",
        {JSON: {"anyOf": [ref("AsrTranscription"), ref("WrappedText")]}, **_texts()},
        errors=(*RECORDING, 422, 501),
        parameters=_query(fields),
        requestBody=_form(asr.FILE_FIELD, fields),
    )


def _detection() -> Json:
    encode = {"encode": switch("False: PCM16 may come bare.", default=True)}
    return _operation(
        "The language that is spoken first",
        "whisper-asr-webservice",
        {JSON: ref("Language")},
        errors=(*RECORDING, 422),
        parameters=_query(encode),
        requestBody=_form(asr.FILE_FIELD, encode),
    )


def _query(fields: Mapping[str, Json]) -> list[Json]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]


def _health(summary: str, schema: Json) -> Json:
    operation = _get(summary, "operations", schema, open_=True)
    not_now = {"description": "It cannot serve.", "content": _content({JSON: schema})}
    operation["responses"]["503"] = not_now
    return operation


def _unload() -> Json:
    return _operation(
        "Give the models' memory back now",
        "operations",
        {JSON: ref("Unloaded")},
        errors=(403, 500),
    )
