"""A transcript in the response formats of OpenAI's transcription API. Pure.

What the model does not tell is left out: `no_speech_prob` always, `avg_logprob` for a segment
without token probabilities. The times of words are guessed for subtitles and told nowhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from itertools import groupby

from polyasr import subtitles
from polyasr.diarization import Labels
from polyasr.pipeline.text import glue
from polyasr.pipeline.types import Segment, Transcript
from polyasr.samples import SAMPLE_RATE

SUBTITLES: Mapping[str, str] = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "tsv": "text/tab-separated-values",
}
"""The formats of ``subtitle_file`` and their media types."""
SAMPLES_PER_SEEK = SAMPLE_RATE // 100
"""Whisper counts `seek` in spectrogram frames, of which a second has 100."""


def json(transcript: Transcript, *, with_logprobs: bool = False) -> dict[str, object]:
    """``response_format=json``: the text, and how many seconds of audio it took.

    ``with_logprobs``: and its tokens with their probabilities (`include[]=logprobs`).
    """
    body: dict[str, object] = {"text": transcript.text}
    if with_logprobs:
        body["logprobs"] = logprobs(transcript.segments)
    return {**body, "usage": _usage(transcript)}


def logprobs(segments: Iterable[Segment]) -> list[Mapping[str, object]]:
    """The tokens with their natural-log probabilities; none where the model tells none.

    A token may be a part of a character only; then ``token`` shows a replacement and ``bytes`` what
    it is.
    """
    return [
        {"token": piece.decode("utf-8", "replace"), "bytes": list(piece), "logprob": logprob}
        for segment in segments
        for piece, logprob in zip(segment.pieces, segment.logprobs, strict=False)
    ]


def text(transcript: Transcript) -> str:
    """``response_format=text``: the text and a newline, as OpenAI's API answers."""
    return transcript.text + "\n"


def subtitle_file(transcript: Transcript, form: str, labels: Labels | None = None) -> str:
    """The transcript as subtitles, in one of SUBTITLES. Takes a second for a long film.

    With ``labels`` each cue begins with its speaker's, as in ``[SPEAKER_00] Hello.``.
    """
    write = {"srt": subtitles.srt, "vtt": subtitles.vtt, "tsv": subtitles.tsv}[form]

    def label(segment: Segment) -> str:
        speaker = labels.of(segment.start, segment.end) if labels else ""
        return f"[{speaker}]" if speaker else ""

    parts = groupby(transcript.segments, label)
    return write(subtitles.labelled_cues((of, subtitles.guessed_words(some)) for of, some in parts))


def delta(before: str, segment: Segment) -> str:
    """What a segment adds to the text that was told before."""
    return glue(before, segment.text) + segment.text


def delta_event(value: str, segment: Segment, *, with_logprobs: bool) -> Mapping[str, object]:
    """``stream``: more of the text, which the segment has added."""
    event: dict[str, object] = {"type": "transcript.text.delta", "delta": value}
    if with_logprobs:
        event["logprobs"] = logprobs([segment])
    return event


def done_event(transcript: Transcript, *, with_logprobs: bool) -> Mapping[str, object]:
    """``stream``: all of the text."""
    return {"type": "transcript.text.done", **json(transcript, with_logprobs=with_logprobs)}


def verbose_json(
    transcript: Transcript, language: str | None, task: str = "transcribe"
) -> Mapping[str, object]:
    """``response_format=verbose_json``, with the language that was asked for, or else heard.

    OpenAI names languages in full and in lower case (`english`); several heard in one recording
    are joined by commas, and silence has none (""). That of a translation is English.
    """
    translated = task == "translate"
    return {
        "task": task,
        "language": "english" if translated else (language or transcript.language).lower(),
        "duration": _seconds(transcript.n_samples),
        "text": transcript.text,
        "segments": [_segment(i, segment) for i, segment in enumerate(transcript.segments)],
        "usage": _usage(transcript),
    }


def timed_text(segment: Segment) -> Mapping[str, object]:
    """A segment as whisper-asr-webservice tells it."""
    return {"start": _seconds(segment.start), "end": _seconds(segment.end), "text": segment.text}


def _segment(index: int, segment: Segment) -> Mapping[str, object]:
    """Each segment is a window of its own, so ``seek`` is where it begins."""
    entry: dict[str, object] = {
        "id": index,
        "seek": segment.start // SAMPLES_PER_SEEK,
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": 0.0,
        "compression_ratio": _compression_ratio(segment.text),
    }
    if segment.logprobs:
        entry["avg_logprob"] = sum(segment.logprobs) / len(segment.logprobs)
    return entry


def _compression_ratio(value: str) -> float:
    """Bytes of UTF-8 a compressed byte stands for; Whisper's measure of repetition."""
    raw = value.encode()
    return len(raw) / len(zlib.compress(raw))


def _usage(transcript: Transcript) -> Mapping[str, object]:
    return {"type": "duration", "seconds": _seconds(transcript.n_samples)}


def _seconds(samples: int) -> float:
    """Seconds to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)
