"""A transcript in the response formats of OpenAI's transcription API. Pure.

What the model does not tell is left out: `no_speech_prob` always, `avg_logprob` for a segment
without token probabilities, `score` for a word whose time was mended, words where no aligner timed
them. Only for subtitles are the times of words guessed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from itertools import groupby

from polyasr import subtitles
from polyasr.diarization import Labels
from polyasr.pipeline.text import glue, pieces
from polyasr.pipeline.types import Segment, Transcript, Word
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
    return write(subtitles.labelled_cues((of, subtitles.spoken_words(some)) for of, some in parts))


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
    transcript: Transcript,
    language: str | None,
    task: str = "transcribe",
    *,
    with_words: bool = False,
) -> Mapping[str, object]:
    """``response_format=verbose_json``, with the language that was asked for, or else heard.

    OpenAI names languages in full and in lower case (`english`); several heard in one recording
    are joined by commas, and silence has none (""). That of a translation is English.
    ``with_words``: and with `words` (`timestamp_granularities[]=word`).
    """
    translated = task == "translate"
    body: dict[str, object] = {
        "task": task,
        "language": "english" if translated else (language or transcript.language).lower(),
        "duration": _seconds(transcript.n_samples),
        "text": transcript.text,
        "segments": [_segment(i, segment) for i, segment in enumerate(transcript.segments)],
    }
    if with_words:
        body["words"] = [
            {"word": word.text, **_times(word)}
            for segment in transcript.segments
            for word in segment.words or ()
        ]
    return {**body, "usage": _usage(transcript)}


def timed_text(segment: Segment) -> Mapping[str, object]:
    """A segment as whisper-asr-webservice tells it; with its words where they are known."""
    told: dict[str, object] = {**_times(segment), "text": segment.text}
    if segment.words is not None:
        told["words"] = scored_words(segment)
    return told


def scored_words(segment: Segment) -> list[Mapping[str, object]]:
    """The words of a segment as whisper-asr-webservice tells them, with the marks around them."""
    words = segment.words or ()
    spelled = pieces(segment.text, [word.text for word in words])
    return [
        {
            "word": spelling.strip(),
            **_times(word),
            **({} if word.score is None else {"score": round(word.score, 3)}),
        }
        for spelling, word in zip(spelled, words, strict=True)
    ]


def _segment(index: int, segment: Segment) -> Mapping[str, object]:
    """Each segment is a window of its own, so ``seek`` is where it begins."""
    entry: dict[str, object] = {
        "id": index,
        "seek": segment.start // SAMPLES_PER_SEEK,
        **_times(segment),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": 0.0,
        "compression_ratio": _compression_ratio(segment.text),
    }
    if segment.logprobs:
        entry["avg_logprob"] = sum(segment.logprobs) / len(segment.logprobs)
    return entry


def _times(timed: Segment | Word) -> Mapping[str, float]:
    return {"start": _seconds(timed.start), "end": _seconds(timed.end)}


def _compression_ratio(value: str) -> float:
    """Bytes of UTF-8 a compressed byte stands for; Whisper's measure of repetition."""
    raw = value.encode()
    return len(raw) / len(zlib.compress(raw))


def _usage(transcript: Transcript) -> Mapping[str, object]:
    return {"type": "duration", "seconds": _seconds(transcript.n_samples)}


def _seconds(samples: int) -> float:
    """Seconds to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)
