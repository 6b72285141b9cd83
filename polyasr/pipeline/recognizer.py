"""Incremental recognition: passages in, partials and the final out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import trio

from polyasr.pipeline.agreement import LocalAgreement
from polyasr.pipeline.segmenter import SEAL_AT_PAUSE, Segmenter, SegmentTimeline
from polyasr.pipeline.text import glue, join
from polyasr.pipeline.types import (
    EndOfAudio,
    Endpoint,
    Engine,
    Final,
    Hypothesis,
    Partial,
    Recognition,
    Rejected,
    Segment,
    Silence,
    Speech,
    Urgency,
)
from polyasr.pipeline.vad import Detected
from polyasr.samples import SAMPLE_RATE
from polyasr.settings import Settings

Heard = Detected | Rejected
"""What reaches the recognizer."""

NOTHING = Hypothesis(text="", language="")
"""What was said in no audio."""


@dataclass(frozen=True, slots=True)
class RecognizerOptions:
    """How one utterance is recognized.

    ``language`` is a Qwen name to force or None; ``seal_at_pause`` in samples of a segment;
    ``partial_min_delta`` in samples of new audio and ``partial_interval`` in seconds between the
    partials of one stream. ``append_only``: what a partial has committed stays, and with it the
    language of its segment; otherwise every text is that of a fresh decode. ``sealing`` and
    ``final`` say how urgent those decodes are.
    """

    language: str | None = None
    context: str = ""
    seal_at_pause: int = SEAL_AT_PAUSE
    partials: bool = True
    partial_min_delta: int = SAMPLE_RATE // 2
    partial_interval: float = 0.6
    append_only: bool = False
    sealing: Urgency = Urgency.PARTIAL
    final: Urgency = Urgency.FINAL

    @classmethod
    def from_settings(
        cls, settings: Settings, *, language: str | None = None, context: str = ""
    ) -> RecognizerOptions:
        """The server's settings, in the pipeline's units."""
        return cls(
            language=language,
            context=context,
            seal_at_pause=round(settings.stable_commit_min_sec * SAMPLE_RATE),
            partials=settings.partials_enabled,
            partial_min_delta=round(settings.partial_min_delta_sec * SAMPLE_RATE),
            partial_interval=settings.partial_interval_sec,
        )


class OpenSegment:
    """The segment under recognition: its audio, its last hypothesis, what is settled of it."""

    def __init__(
        self, recognition: Recognition, timeline: SegmentTimeline, *, append_only: bool = False
    ) -> None:
        self.timeline = timeline
        self.committed = ""
        self._agreement = LocalAgreement()
        self._recognition, self._append_only = recognition, append_only
        self._hypothesis = NOTHING
        self._heard = 0

    @property
    def news(self) -> int:
        """Samples that no hypothesis has heard yet."""
        return self.timeline.length - self._heard

    def append(self, speech: Speech) -> None:
        """Add audio."""
        self.timeline.append(speech)
        self._recognition.append(speech.samples)

    def take_back(self, position: int) -> None:
        """Forget the audio from ``position`` on the client's clock on."""
        self._crop(self.timeline.offset(position))

    def split(self, length: int) -> OpenSegment:
        """Keep the first ``length`` samples; the rest begins the segment that is returned."""
        rest = OpenSegment(
            self._recognition.split(length),
            self.timeline.split(length),
            append_only=self._append_only,
        )
        self._crop(length)
        return rest

    async def hypothesis(self, urgency: Urgency) -> Hypothesis:
        """The greedy decode of the audio held, where append-only behind what is committed.

        Not done again when nothing is new.
        """
        if self.news:
            heard = self.timeline.length
            kept = self.committed if self._append_only else ""
            self._hypothesis = await self._recognition.hypothesis(urgency, kept)
            self._heard = heard
            self._agreement.observe(self._hypothesis.text, heard)
            agreed = self._agreement.committed
            if not self._append_only or len(agreed) > len(kept):
                self.committed = agreed
        return self._hypothesis

    async def seal(self, urgency: Urgency) -> Segment:
        """Decode the whole."""
        committed = self.committed
        decoded = await self.hypothesis(urgency)
        return Segment(
            text=decoded.text,
            language=decoded.language,
            start=self.timeline.position(0),
            end=self.timeline.end_position(self.timeline.length),
            tokens=decoded.tokens,
            logprobs=decoded.logprobs,
            pieces=decoded.pieces,
            language_logprob=decoded.language_logprob,
            finish_reason=decoded.finish_reason,
            commit_regret=decoded.commit_regret or not decoded.text.startswith(committed),
        )

    def close(self) -> None:
        """Free what the engine holds."""
        self._recognition.close()

    def _crop(self, length: int) -> None:
        self.timeline.crop(length)
        self._recognition.crop(length)
        if self._heard > length:
            self._hypothesis, self._heard = NOTHING, 0
            self._agreement = LocalAgreement()
            if not self._append_only:
                self.committed = ""


class Utterance:
    """All of one utterance: sealed segments and the open one."""

    def __init__(self, engine: Engine, options: RecognizerOptions) -> None:
        self._engine, self._options = engine, options
        self._segmenter = Segmenter(options.seal_at_pause)
        self._sealed: list[Segment] = []
        self._open = self._new_segment()
        self._show_now = False
        self._partial_at = float("-inf")

    async def hear(self, event: Speech | Silence | Endpoint | Rejected) -> None:
        """Take in one event; decodes only where a segment is sealed."""
        match event:
            case Speech():
                cut = self._segmenter.forced(self._open.timeline, len(event.samples))
                if cut is not None:
                    await self._seal(self._open.split(cut), self._options.sealing)
                self._open.append(event)
            case Endpoint():
                self._show_now = True
                if self._segmenter.at_pause(self._open.timeline):
                    await self._seal(self._new_segment(), self._options.sealing)
            case Rejected():
                self._show_now = True
                self._open.take_back(event.start_sample)
            case Silence():
                pass

    def partial_is_due(self, now: float) -> bool:
        """Whether there is something to show; ``now`` in seconds of any clock.

        At a pause, and when something was taken back, at once; else when enough is new.
        """
        if not self._options.partials:
            return False
        enough = self._open.news >= self._options.partial_min_delta
        waited = now - self._partial_at >= self._options.partial_interval
        return self._show_now or (enough and waited)

    async def partial(self, now: float) -> Partial:
        """The text so far, from a hypothesis over all the audio so far."""
        self._partial_at, self._show_now = now, False
        decoded = await self._open.hypothesis(Urgency.PARTIAL)
        sealed = join(segment.text for segment in self._sealed)
        settled = self._open.committed
        committed = sealed + glue(sealed, settled) + settled
        text = sealed + glue(sealed, decoded.text) + decoded.text
        return Partial(
            committed=committed,
            tentative=text[len(committed) :],
            language=decoded.language or self._last_language(),
            end_sample=self._open.timeline.end_position(self._open.timeline.length),
        )

    async def finish(self, end: EndOfAudio) -> Final:
        """Seal what is open and answer the stop; coverage only where all audio came."""
        await self._seal(self._new_segment(), self._options.final)
        segments = tuple(segment for segment in self._sealed if segment.text)
        return Final(
            text=join(segment.text for segment in segments),
            stop_id=end.stop_id,
            recognized_through_seq=end.through_seq if end.complete else None,
            segments=segments,
        )

    def close(self) -> None:
        """Free what the engine holds."""
        self._open.close()

    def _new_segment(self) -> OpenSegment:
        recognition = self._engine.open_recognition(
            language=self._options.language, context=self._options.context
        )
        return OpenSegment(recognition, SegmentTimeline(), append_only=self._options.append_only)

    async def _seal(self, following: OpenSegment, urgency: Urgency) -> None:
        ending, self._open = self._open, following
        try:
            self._sealed.append(await ending.seal(urgency))
        finally:
            ending.close()

    def _last_language(self) -> str:
        return next((s.language for s in reversed(self._sealed) if s.language), "")


async def recognize(
    engine: Engine,
    options: RecognizerOptions,
    heard: trio.MemoryReceiveChannel[Heard],
    results: trio.MemorySendChannel[Partial | Final],
) -> None:
    """The stage: at most one decode is under way, and the newest audio wins.

    Whatever has queued up is taken in before the next partial is made, so a slow model makes
    partials rarer and never late. A failed decode ends the stage with its error.
    """
    utterance = Utterance(engine, options)
    try:
        with heard, results:
            async for event in heard:
                for each in (event, *_queued(heard)):
                    if isinstance(each, EndOfAudio):
                        await results.send(await utterance.finish(each))
                        return
                    await utterance.hear(each)
                if utterance.partial_is_due(trio.current_time()):
                    await results.send(await utterance.partial(trio.current_time()))
    finally:
        utterance.close()


def _queued(heard: trio.MemoryReceiveChannel[Heard]) -> Iterator[Heard]:
    while True:
        try:
            yield heard.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return
