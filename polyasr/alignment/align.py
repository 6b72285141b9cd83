"""The whole way: a recording in, the times of its words out.

It is heard twice. First it is transcribed, as any recording is; then the parts that were found are
aligned one after the other. So the models need not be in memory together, and the recording never
is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import trio

from polyasr.alignment.chunks import Chunk, given_chunks, recognized_chunks
from polyasr.alignment.sentences import Sentence, sentences
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.text import join
from polyasr.pipeline.types import Engine, Segment, Transcript, Word, WordAligner
from polyasr.samples import Samples

Stage = Literal["transcribe", "align"]
OnProgress = Callable[[Stage, int], Awaitable[object]]
"""Is told, again and again, up to which sample a stage has come."""
Reopened = Callable[[], AbstractContextManager[Iterator[Samples]]]
"""Opens the recording once more, from its beginning; its blocks are drawn on a worker thread."""


async def nobody(stage: Stage, n_samples: int) -> None:
    """Whom it is told where nobody asks how far it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be aligned: a text, and which part of it is said where.

    ``language``: Qwen names, with commas between, "" for none; so in `Alignment`.
    """

    text: str
    language: str
    chunks: Sequence[Chunk]
    n_samples: int


@dataclass(frozen=True, slots=True)
class Alignment:
    """A text in sentences of timed words."""

    text: str
    language: str
    sentences: tuple[Sentence, ...]
    n_samples: int


async def align(
    engine: Engine,
    blocks: Iterator[Samples],
    again: Reopened,
    options: RecognizerOptions,
    *,
    text: str | None = None,
    longest: int,
    tell: OnProgress = nobody,
) -> Alignment:
    """Tell when each word is said in mono audio at 16 kHz, of any length.

    ``blocks`` is the recording, and ``again`` opens it once more. The rest is as in `plan`, and so
    are the errors.
    """
    planned = await plan(engine, blocks, options, text=text, longest=longest, tell=tell)
    return await carry_out(engine.word_aligner, again, planned, tell)


async def plan(
    engine: Engine,
    blocks: Iterator[Samples],
    options: RecognizerOptions,
    *,
    text: str | None,
    longest: int,
    tell: OnProgress = nobody,
) -> Plan:
    """Find out what is said where, roughly, by recognizing it.

    ``text``: what is said, or None to take what is recognized. ``longest``: samples that are
    aligned at once. Raises InvalidRequest where ``text`` is not what is said, ModelUnavailable,
    InferenceFailed, and what the blocks or ``tell`` raise.
    """

    async def transcribed(segment: Segment) -> None:
        await tell("transcribe", segment.end)

    longest = min(longest, engine.word_aligner.longest)
    fitted = options.fitted(longest)
    transcript = await batch.transcribe(engine, blocks, fitted, transcribed)
    if text is None:
        chunks = recognized_chunks(transcript)
        text = join(chunk.text for chunk in chunks)
    else:
        text = text.strip()
        chunks = await trio.to_thread.run_sync(given_chunks, text, transcript, longest)
    language = options.language or transcript.language
    return Plan(text, language, chunks, transcript.n_samples)


async def carry_out(
    aligner: WordAligner, again: Reopened, planned: Plan, tell: OnProgress = nobody
) -> Alignment:
    """Time the words of a plan. Raises as ``time_words``."""
    words = await time_words(aligner, again, planned.chunks, tell)
    every = [word for of_chunk in words for word in of_chunk]
    found = sentences(planned.text, every, planned.n_samples)
    return Alignment(planned.text, planned.language, tuple(found), planned.n_samples)


async def with_words(aligner: WordAligner, transcript: Transcript, again: Reopened) -> Transcript:
    """The transcript with the words of each segment. Raises as ``time_words``."""
    words = await time_words(aligner, again, recognized_chunks(transcript), nobody)
    segments = [
        replace(segment, words=own) for segment, own in zip(transcript.segments, words, strict=True)
    ]
    return replace(transcript, segments=tuple(segments))


async def time_words(
    aligner: WordAligner, again: Reopened, chunks: Sequence[Chunk], tell: OnProgress
) -> list[tuple[Word, ...]]:
    """The words of each chunk, timed on the recording's clock. Chunks are in order.

    Raises ModelUnavailable, InferenceFailed, InvalidRequest where no such text can be said in so
    little time, and what the blocks or ``tell`` raise.
    """
    found = []
    with again() as blocks:
        recording = _Recording(blocks)
        for chunk in chunks:
            samples = await trio.to_thread.run_sync(recording.cut, chunk.start, chunk.end)
            words = await aligner.align(samples, chunk.text, chunk.language)
            found.append(tuple(_moved(word, chunk.start) for word in words))
            await tell("align", chunk.end)
    return found


class _Recording:
    """A recording that is read once, in parts that come one after the other."""

    def __init__(self, blocks: Iterator[Samples]) -> None:
        self._blocks = blocks
        self._held: list[Samples] = []
        self._start = self._end = 0

    def cut(self, start: int, end: int) -> Samples:
        """The samples [start, end); what lies before them cannot be had any more. Blocks."""
        while self._end < end and (block := next(self._blocks, None)) is not None:
            if self._end <= start:
                self._held, self._start = [], self._end
            self._held.append(block)
            self._end += len(block)
        held = np.concatenate([*self._held, np.empty(0, np.float32)])
        found: Samples = held[start - self._start : end - self._start]
        self._held, self._start = [held[end - self._start :]], min(end, self._end)
        return found


def _moved(word: Word, by: int) -> Word:
    return replace(word, start=word.start + by, end=word.end + by)
