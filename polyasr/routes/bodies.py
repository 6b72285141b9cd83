"""What the HTTP operations take and answer, for the OpenAPI document. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from polyasr.diarization import MOST_ASKED_FOR
from polyasr.routes import asr
from polyasr.routes.schema import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Json,
    listed,
    record,
    ref,
    text,
    whole,
)

MAYBE_NUMBER = {"type": "number", "nullable": True}
LANGUAGE = text("A code (`en`, `zh-CN`) or a name; empty: the model decides.")
SPEAKERS: Mapping[str, Json] = {
    "num_speakers": whole("How many speakers there are.", MOST_ASKED_FOR),
    "min_speakers": whole("At least so many.", MOST_ASKED_FOR),
    "max_speakers": whole("At most so many.", MOST_ASKED_FOR),
}
KNOWN: Mapping[str, Json] = {
    "known_speaker_names[]": listed(STRING),
    "known_speaker_references[]": listed(text("A recording as a data URL.")),
}
EMBEDDINGS = {"type": "object", "additionalProperties": listed(NUMBER)}
SEGMENT_TIMES = {"start": NUMBER, "end": NUMBER, "text": STRING}
USAGE = record({"type": text(values=("duration",)), "seconds": NUMBER})
LOGPROBS = listed(record({"token": STRING, "bytes": listed(INTEGER), "logprob": NUMBER}))
WORDS = listed(record({"word": STRING, "start": NUMBER, "end": NUMBER}, {"score": NUMBER}))

SCHEMAS: Mapping[str, Json] = {
    "Error": record(
        {
            "error": record(
                {
                    "message": STRING,
                    "type": text(values=("invalid_request_error", "server_error")),
                    "param": {"type": "string", "nullable": True},
                    "code": STRING,
                }
            )
        }
    ),
    "Detail": record({"detail": STRING}),
    "Transcription": record({"text": STRING, "usage": USAGE}, {"logprobs": LOGPROBS}),
    "VerboseTranscription": record(
        {
            "task": text(values=("transcribe", "translate")),
            "language": STRING,
            "duration": NUMBER,
            "text": STRING,
            "segments": listed(
                record(
                    {
                        "id": INTEGER,
                        "seek": INTEGER,
                        **SEGMENT_TIMES,
                        "tokens": listed(INTEGER),
                        "temperature": NUMBER,
                        "compression_ratio": NUMBER,
                    },
                    {"avg_logprob": NUMBER},
                )
            ),
            "usage": USAGE,
        },
        {"words": WORDS},
    ),
    "DiarizedTranscription": record(
        {
            "task": text(values=("transcribe",)),
            "duration": NUMBER,
            "text": STRING,
            "segments": listed(
                record({"type": STRING, "id": STRING, **SEGMENT_TIMES, "speaker": STRING})
            ),
            "usage": USAGE,
        }
    ),
    "AsrSegment": record(SEGMENT_TIMES, {"speaker": STRING, "words": WORDS}),
    "AsrTranscription": record(
        {
            "text": listed(ref("AsrSegment")),
            "language": STRING,
            "segments": listed(ref("AsrSegment")),
            "word_segments": WORDS,
        },
        {"speaker_embeddings": EMBEDDINGS},
    ),
    "WrappedText": {
        "type": "object",
        "properties": {form: STRING for form in asr.OUTPUTS if form != "json"},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    },
    "Language": record(
        {"detected_language": STRING, "language_code": STRING}, {"confidence": NUMBER}
    ),
    "Diarization": record(
        {
            "segments": listed(record({"start": NUMBER, "end": NUMBER, "speaker": STRING})),
            "speakers": listed(STRING),
            "num_speakers": INTEGER,
            "model": STRING,
        },
        {"speaker_embeddings": EMBEDDINGS},
    ),
    "Alignment": record(
        {
            "text": STRING,
            "language": STRING,
            "segments": listed(
                record({**SEGMENT_TIMES, "words": listed(record(dict(SEGMENT_TIMES)))})
            ),
            "model": STRING,
        }
    ),
    "Model": record(
        {
            "id": STRING,
            "object": text(values=("model",)),
            "created": INTEGER,
            "owned_by": STRING,
        }
    ),
    "Models": record({"object": text(values=("list",)), "data": listed(ref("Model"))}),
    "Server": record({"name": STRING, "version": STRING, "model": STRING}),
    "Units": record(
        {
            "resident": listed(STRING),
            "idle_seconds": NUMBER,
            "idle_for": MAYBE_NUMBER,
            "units": {
                "type": "object",
                "additionalProperties": record(
                    {
                        "state": text(values=("idle", "loading", "ready", "failed")),
                        "in_use": BOOLEAN,
                        "idle_for": MAYBE_NUMBER,
                    }
                ),
            },
        }
    ),
    "Health": record(
        {
            "status": text(values=("ok", "degraded", "starting")),
            "reasons": listed(STRING),
            "model": STRING,
            "backend": STRING,
            "device": STRING,
            "dtype": STRING,
            "weights_present": BOOLEAN,
            "streaming_probe": record({"last_ok_age_sec": MAYBE_NUMBER}),
            "manager": ref("Units"),
            "archive": {"type": "object"},
            "version": STRING,
        },
        {"memory_mb": NUMBER},
    ),
    "Readiness": record({"ready": BOOLEAN, "reasons": listed(STRING)}),
    "Queue": record(
        {
            "serve_mode": STRING,
            "device": STRING,
            "loaded_models": listed(STRING),
            "queue": record(
                {
                    "requests_queued": INTEGER,
                    "requests_in_flight": INTEGER,
                    "gpu_concurrency": INTEGER,
                    "max_queue_size": INTEGER,
                }
            ),
        }
    ),
    "Unloaded": record({"unloaded": {"type": "string", "nullable": True}, "manager": ref("Units")}),
}
