"""Batch: a whole recording through the very stages that dictation uses, without partials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import trio

from polyasr.errors import ungrouped
from polyasr.pipeline.recognizer import Heard, RecognizerOptions, recognize
from polyasr.pipeline.types import (
    LONGEST_CHUNK,
    AudioChunk,
    EndOfAudio,
    Engine,
    Final,
    Partial,
    Transcript,
    Urgency,
)
from polyasr.pipeline.vad import detect_speech
from polyasr.samples import Samples


async def transcribe(engine: Engine, samples: Samples, options: RecognizerOptions) -> Transcript:
    """Transcribe mono audio at 16 kHz.

    The text is the same as a dictation's final for the same audio and options; those that concern
    partials and urgency are not looked at. Raises ModelUnavailable or InferenceFailed; silence
    gives empty text.
    """
    options = replace(options, partials=False, sealing=Urgency.BATCH, final=Urgency.BATCH)
    to_vad, audio = trio.open_memory_channel[AudioChunk | EndOfAudio](1)
    to_recognizer, heard = trio.open_memory_channel[Heard](64)
    to_caller, results = trio.open_memory_channel[Partial | Final](1)
    with ungrouped():
        async with trio.open_nursery() as nursery, results:
            nursery.start_soon(_feed, samples, to_vad)
            nursery.start_soon(detect_speech, engine.open_detector(), audio, to_recognizer)
            nursery.start_soon(recognize, engine, options, heard, to_caller)
            final = await results.receive()
    assert isinstance(final, Final), "without partials the only result is the final"
    return Transcript(final.text, final.segments, len(samples))


async def _feed(samples: Samples, audio: trio.MemorySendChannel[AudioChunk | EndOfAudio]) -> None:
    with audio:
        for start in range(0, len(samples), LONGEST_CHUNK):
            piece = np.ascontiguousarray(samples[start : start + LONGEST_CHUNK])
            await audio.send(AudioChunk(piece, start, 0))
        await audio.send(EndOfAudio(stop_id="", through_seq=0, complete=True))
