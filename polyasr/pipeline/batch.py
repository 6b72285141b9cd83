"""Batch: a whole recording, cut where a dictation is cut, several segments under way at a time.

A segment's text depends on its own audio alone, so segments need not wait for each other; an engine
that runs several at once is given several. Whatever the length of the recording, what lies in
memory is a block of it and the segments under way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import trio

from polyasr.errors import ungrouped
from polyasr.pipeline.recognizer import OpenSegment, RecognizerOptions, open_segment
from polyasr.pipeline.segmenter import HOP, SegmentTimeline
from polyasr.pipeline.text import join
from polyasr.pipeline.types import (
    LONGEST_CHUNK,
    AudioChunk,
    EndOfAudio,
    Endpoint,
    Recognizer,
    Segment,
    Speech,
    Transcript,
    Urgency,
)
from polyasr.pipeline.vad import Detected, detect_speech
from polyasr.samples import Samples

UNDER_WAY = 8
"""Segments of one recording that are decoded or wait for it; at most 30 s of audio, 2 MB, each. For
who is told each segment it begins with one, and each that is done makes room for one more, so that
the first text is not late for the sake of the rest."""

OnSegment = Callable[[Segment], Awaitable[object]]
"""Is told each segment that holds text, in order, as soon as it and all before it are decoded."""


async def transcribe(
    engine: Recognizer,
    blocks: Iterator[Samples],
    options: RecognizerOptions,
    on_segment: OnSegment | None = None,
    changes: Sequence[int] = (),
) -> Transcript:
    """Transcribe mono audio at 16 kHz, given in blocks that are drawn on a worker thread.

    The text is the same as a dictation's final for the same audio and options; those that concern
    partials and urgency are not looked at. Silence gives empty text. Raises ModelUnavailable or
    InferenceFailed, and what the blocks or ``on_segment`` raise. When cancelled, the block that is
    being drawn is waited for, so that ``blocks`` can be closed. No segment runs over one of the
    ``changes``, samples in ascending order, to 10 ms.
    """
    work = _Transcription(engine, options, on_segment, changes)
    to_vad, audio = trio.open_memory_channel[AudioChunk | EndOfAudio](1)
    to_cutter, heard = trio.open_memory_channel[Detected](64)
    to_collector, decodes = trio.open_memory_channel[_Decode](UNDER_WAY)
    with ungrouped(), engine.pinned():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work.draw, blocks, to_vad)
            nursery.start_soon(detect_speech, engine.open_detector(), audio, to_cutter)
            nursery.start_soon(work.cut, heard, to_collector, nursery)
            nursery.start_soon(work.collect, decodes)
    return Transcript(
        join(segment.text for segment in work.segments), tuple(work.segments), work.n_samples
    )


class _Decode:
    """The decode of one segment."""

    def __init__(self, open_segment: OpenSegment) -> None:
        self._open_segment = open_segment
        self._done = trio.Event()
        self._segment: Segment | None = None

    async def run(self) -> None:
        try:
            self._segment = await self._open_segment.seal(Urgency.BATCH)
        finally:
            self._open_segment.close()
        self._done.set()

    async def result(self) -> Segment:
        await self._done.wait()
        assert self._segment is not None, "a decode that fails ends the nursery"
        return self._segment


class _Transcription:
    """The stages of one transcription, and what they have brought forth."""

    def __init__(
        self,
        engine: Recognizer,
        options: RecognizerOptions,
        on_segment: OnSegment | None,
        changes: Sequence[int],
    ) -> None:
        self._engine, self._options, self._on_segment = engine, options, on_segment
        self._segmenter = options.segmenter()
        self._changes = [change // HOP * HOP for change in changes]
        self._n_places = UNDER_WAY if on_segment is None else 1
        self._places = trio.Semaphore(self._n_places)
        self.segments: list[Segment] = []
        self.n_samples = 0

    async def draw(
        self,
        blocks: Iterator[Samples],
        audio: trio.MemorySendChannel[AudioChunk | EndOfAudio],
    ) -> None:
        """The blocks as chunks."""
        with audio:
            while (block := await trio.to_thread.run_sync(next, blocks, None)) is not None:
                for start in range(0, len(block), LONGEST_CHUNK):
                    chunk = AudioChunk(block[start : start + LONGEST_CHUNK], self.n_samples)
                    await audio.send(chunk)
                    self.n_samples += len(chunk.samples)
            await audio.send(EndOfAudio(stop_id="", through_seq=0, complete=True))

    async def cut(
        self,
        heard: trio.MemoryReceiveChannel[Detected],
        decodes: trio.MemorySendChannel[_Decode],
        nursery: trio.Nursery,
    ) -> None:
        """Passages into segments, each of which begins to be decoded once there is a place."""

        growing = self._new_segment()
        before: Speech | None = None

        async def end(at: int | None) -> None:
            """So many samples of what is gathered are a segment; None: all of it is."""
            nonlocal growing
            await self._places.acquire()
            ended = growing
            growing = self._new_segment() if at is None else ended.split(at)
            under_way = _Decode(ended)
            nursery.start_soon(under_way.run)
            decodes.send_nowait(under_way)

        with heard, decodes:
            try:
                async for event in heard:
                    if isinstance(event, Speech):
                        for part in _parted(event, self._changes):
                            if self._changes_before(part, growing.timeline):
                                await end(None)
                            at = self._segmenter.forced(growing.timeline, len(part.samples))
                            if at is not None:
                                await end(at)
                            growing.append(part)
                            at = self._segmenter.at_lull(growing.timeline, before, part, None)
                            before = part
                            if at is not None:
                                await end(at)
                    elif isinstance(event, Endpoint) and self._segmenter.at_pause(growing.timeline):
                        await end(None)
                await end(None)
            finally:
                growing.close()

    async def collect(self, decodes: trio.MemoryReceiveChannel[_Decode]) -> None:
        """The segments in order; those without text leave no trace."""
        async with decodes:
            async for under_way in decodes:
                segment = await under_way.result()
                self._make_room()
                if segment.text:
                    self.segments.append(segment)
                    if self._on_segment is not None:
                        await self._on_segment(segment)

    def _changes_before(self, part: Speech, growing: SegmentTimeline) -> bool:
        """Whether one of the changes is between what is gathered and this."""
        if not (self._changes and growing.length):
            return False
        passed = bisect_right(self._changes, growing.end_position(growing.length) - 1)
        return bisect_right(self._changes, part.start_sample) > passed

    def _new_segment(self) -> OpenSegment:
        return open_segment(self._engine, self._options)

    def _make_room(self) -> None:
        """A segment is done."""
        self._places.release()
        if self._n_places < UNDER_WAY:
            self._n_places += 1
            self._places.release()


def _parted(speech: Speech, changes: Sequence[int]) -> Iterator[Speech]:
    """The pieces of a passage between changes."""
    if not changes:
        yield speech
        return
    first = bisect_right(changes, speech.start_sample)
    cuts = [0]
    for change in changes[first:]:
        if change >= speech.end_sample:
            break
        cuts.append(change - speech.start_sample)
    for start, end in pairwise([*cuts, len(speech.samples)]):
        if end > start:
            at = speech.start_sample + start
            yield replace(speech, samples=speech.samples[start:end], start_sample=at)
