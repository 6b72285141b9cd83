"""Incremental recognition: passages in, partials and the final out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import trio

from polyasr.pipeline.agreement import LocalAgreement
from polyasr.pipeline.holdback import HoldBack
from polyasr.pipeline.segmenter import (
    LONGEST,
    SEAL_AT_PAUSE,
    Segmenter,
    SegmentTimeline,
)
from polyasr.pipeline.text import join, without_last_marks, words
from polyasr.pipeline.types import (
    Accepted,
    EndOfAudio,
    Endpoint,
    Engine,
    Final,
    Flush,
    Flushed,
    Hypothesis,
    Mark,
    Marked,
    Partial,
    Recognition,
    Recognizer,
    Rejected,
    Result,
    Segment,
    Silence,
    Speech,
    Urgency,
    Word,
    WordAligner,
)
from polyasr.pipeline.vad import WINDOW, Detected
from polyasr.samples import SAMPLE_RATE
from polyasr.settings import Settings

Heard = Detected | Accepted | Rejected
"""What reaches the recognizer."""

EAGER = 2 * SAMPLE_RATE
"""So much of a segment is decoded window by window until there is something to show."""
HIGH_TIME = SAMPLE_RATE * 8 // 10
"""So much of a segment, pre-roll and all, is heard until its first word is shown as it is: one in
ten is heard otherwise again and again."""
JITTER = 0.05
"""Seconds that audio may come early: half of a usual frame. A partial that is due some milliseconds
later would otherwise wait for another frame."""
NOTHING = Hypothesis(text="", language="")
"""What was said in no audio."""


@dataclass(frozen=True, slots=True)
class RecognizerOptions:
    """How one utterance is recognized.

    ``language`` is a Qwen name to force or None; ``seal_at_pause`` in samples of a segment;
    ``partial_min_delta`` in samples of new audio and ``partial_interval`` in seconds between the
    partials of one stream. ``append_only``: what a partial has committed stays, and with it the
    language of its segment; otherwise every text is that of a fresh decode. Without ``endpointing``
    a pause neither commits nor seals; with ``word_times`` segments come with their words.
    ``sealing`` and ``final`` say how urgent those decodes are.
    ``longest``, in samples, bounds the segments.
    """

    language: str | None = None
    context: str = ""
    seal_at_pause: int = SEAL_AT_PAUSE
    longest: int = LONGEST
    partials: bool = True
    partial_min_delta: int = SAMPLE_RATE // 2
    partial_interval: float = 0.6
    append_only: bool = False
    endpointing: bool = True
    word_times: bool = False
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

    def segmenter(self) -> Segmenter:
        """What decides where segments end."""
        return Segmenter(self.seal_at_pause, self.longest)

    def fitted(self, longest: int) -> RecognizerOptions:
        """The same in segments of at most so many samples, as the aligner of their words is good
        at. Who knows a segment's text knows what is said in no smaller part of it."""
        if longest >= self.longest:
            return self
        return replace(self, longest=longest, seal_at_pause=min(self.seal_at_pause, longest // 2))


class OpenSegment:
    """The segment under recognition: its audio, its last hypothesis, what is settled of it.

    ``accepted``: so many samples of its audio are going to stay, and what they say may be
    committed; not what is said behind ``earliest_cut``, where it may have to be cut.
    """

    def __init__(
        self,
        recognition: Recognition,
        timeline: SegmentTimeline,
        earliest_cut: int,
        *,
        append_only: bool = False,
    ) -> None:
        self.timeline = timeline
        self.committed = ""
        self.accepted = 0
        self._agreement = LocalAgreement()
        self._recognition, self._append_only = recognition, append_only
        self._earliest_cut = earliest_cut
        self._hypothesis = NOTHING
        self._heard = 0
        self._pause: int | None = None

    @property
    def news(self) -> int:
        """Samples that no hypothesis has heard yet."""
        return self.timeline.length - self._heard

    @property
    def standing(self) -> int:
        """How many of the hypothesis' first words are no first guess."""
        return max(self._agreement.standing, len(words(self.committed)))

    def append(self, speech: Speech) -> None:
        """Add audio."""
        self.timeline.append(speech)
        self._recognition.append(speech.samples)
        self._pause = None

    def pause(self) -> None:
        """All that was said has ended, and does not grow any more."""
        self._pause = self.timeline.length

    def take_back(self, position: int) -> None:
        """Forget the audio from ``position`` on the client's clock on."""
        self._crop(self.timeline.offset(position))

    def split(self, length: int) -> OpenSegment:
        """Keep the first ``length`` samples; the rest begins the segment that is returned."""
        rest = OpenSegment(
            self._recognition.split(length),
            self.timeline.split(length),
            self._earliest_cut,
            append_only=self._append_only,
        )
        rest.accepted = max(0, self.accepted - length)
        self._crop(length)
        return rest

    async def hypothesis(self, urgency: Urgency) -> Hypothesis:
        """The greedy decode of the audio held, where append-only behind what is committed.

        Not done again when nothing is new.
        """
        if self.news:
            heard = self.timeline.length
            self._hypothesis = await self._recognition.hypothesis(urgency, self._kept)
            self._heard = heard
            self._agreement.observe(self._hypothesis.text, heard)
        self._settle()
        return self._hypothesis

    def settle(self) -> bool:
        """Commit what has been accepted since; whether that is more than before."""
        before = len(self.committed)
        self._settle()
        return len(self.committed) > before

    async def foretell(self, tail: Sequence[Speech], urgency: Urgency) -> Hypothesis:
        """The decode of the audio held with more behind it, which leaves no trace."""
        if not (tail or self.news):
            return self._hypothesis
        for piece in tail:
            self._recognition.append(piece.samples)
        try:
            return await self._recognition.hypothesis(urgency, self._kept)
        finally:
            self._recognition.crop(self.timeline.length)

    async def seal(self, urgency: Urgency, aligner: WordAligner | None = None) -> Segment:
        """Decode the whole; with an aligner, its words are told."""
        committed = self.committed
        decoded = await self.hypothesis(urgency)
        words = None
        if aligner is not None and decoded.text:
            audio, language = self._recognition.audio, decoded.language or None
            found = await aligner.align(audio, decoded.text, language)
            words = tuple(self._placed(word) for word in found)
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
            words=words,
        )

    def close(self) -> None:
        """Free what the engine holds."""
        self._recognition.close()

    @property
    def _kept(self) -> str:
        """What the next answer begins with."""
        return self.committed if self._append_only else ""

    def _placed(self, word: Word) -> Word:
        """A word on the client's clock."""
        timeline = self.timeline
        start, end = timeline.position(word.start), timeline.end_position(word.end)
        return replace(word, start=start, end=max(start, end))

    def _settle(self) -> None:
        """Commit what the last hypothesis has settled; a forced cut is never before it."""
        settled = self._agreement.settled(min(self.accepted, self._earliest_cut))
        if self._append_only and self._pause == self._heard:
            settled = without_last_marks(self._hypothesis.text)
        if not self._append_only or len(settled) > len(self.committed):
            self.committed = settled

    def _crop(self, length: int) -> None:
        self.timeline.crop(length)
        self._recognition.crop(length)
        self.accepted = min(self.accepted, length)
        self._pause = None
        if self._heard > length:
            self._hypothesis, self._heard = NOTHING, 0
            self._agreement.crop(length)
            if not self._append_only:
                self.committed = ""


def open_segment(engine: Recognizer, options: RecognizerOptions) -> OpenSegment:
    """A segment that holds nothing yet."""
    return OpenSegment(
        engine.open_recognition(language=options.language, context=options.context),
        SegmentTimeline(),
        options.segmenter().earliest_cut,
        append_only=options.append_only,
    )


class Utterance:
    """All of one utterance: sealed segments and the open one.

    Doubtful speech is decoded with the rest, so that partials do not wait for the speaker filter;
    it is committed and sealed, and segments are cut, only where it has been accepted.
    """

    def __init__(self, engine: Engine, options: RecognizerOptions) -> None:
        self._aligner = engine.word_aligner if options.word_times else None
        if self._aligner is not None:
            options = options.fitted(self._aligner.longest)
        self._engine, self._options = engine, options
        self._segmenter = options.segmenter()
        self._sealed: list[Segment] = []
        self._sealed_text = ""
        self._open = self._new_segment()
        self._doubtful: deque[Speech] = deque()
        self._before: Speech | None = None
        """The last piece that was accepted."""
        self._end_sample = 0
        self._holdback = HoldBack()
        self._awaits_voice = True
        """What has been heard of this passage is only what lies before the voice."""
        self._is_quiet = False
        self._show_now = False
        self._partial_at = float("-inf")
        self._shown = Partial("", "", "", 0)

    async def hear(
        self, event: Speech | Silence | Endpoint | Accepted | Rejected | Flush | Mark
    ) -> Sequence[Result]:
        """Take in one event; returns what it brings forth.

        Decodes only where a segment is sealed and for a mark.
        """
        match event:
            case Speech():
                self._end_sample, self._is_quiet = event.end_sample, not event.is_voiced
                self._awaits_voice = self._awaits_voice and self._is_quiet
                self._open.append(event)
                self._doubtful.append(event)
                return [] if event.is_doubtful else await self._accept(event.end_sample)
            case Accepted():
                return await self._accept(event.end_sample)
            case Rejected():
                self._take_back(event)
                return [event]
            case Endpoint():
                self._end_sample = event.end_sample
                self._show_now = self._is_quiet = self._awaits_voice = True
                return await self._pause() if self._options.endpointing else []
            case Silence():
                self._end_sample = event.end_sample
                return []
            case Mark():
                return await self._mark(event)
            case Flush():
                self._show_now = self._is_quiet = True
                sealed = await self._seal(self._new_segment(), self._options.final)
                return [*sealed, Flushed(event.flush_id)]

    def partial_is_due(self, now: float) -> bool:
        """Whether there is something to show; ``now`` in seconds of any clock.

        At a pause, and when something was taken back, at once; else when enough is new, of which
        less is enough while nothing of what is being said is shown. What lies before a voice is not
        decoded without it: a word would be heard in it, and shown as one of a pause.
        """
        if not self._options.partials:
            return False
        if self._show_now:
            return True
        if self._awaits_voice:
            return False
        if self._is_eager and self._open.news >= WINDOW:
            return True
        enough = self._open.news >= self._options.partial_min_delta
        return enough and now - self._partial_at >= self._options.partial_interval - JITTER

    async def partial(self, now: float) -> Partial:
        """The text so far, from a hypothesis over all the audio so far."""
        self._partial_at, self._show_now = now, False
        decoded = await self._open.hypothesis(Urgency.PARTIAL)
        if self._is_quiet:
            text = self._holdback.show_all(decoded)
        else:
            text = self._holdback.show(decoded, self._least_standing)
        self._shown = self._with(text, decoded.language, self._end_sample)
        return self._shown

    def promise(self) -> Partial | None:
        """The last partial again, once more of it is settled, which takes no other decode.

        Not once nothing is in doubt any more: that is a pause or the end, which tells its own.
        """
        promises = self._options.partials and self._options.append_only and self._doubtful
        if not (promises and self._open.settle()):
            return None
        text, shown = "".join(self._holdback.shown), self._shown
        return self._with(text, shown.language, shown.end_sample)

    async def finish(self, end: EndOfAudio) -> Sequence[Result]:
        """Seal what is open and answer the stop; coverage only where all audio came."""
        sealed = await self._seal(self._new_segment(), self._options.final)
        segments = tuple(segment for segment in self._sealed if segment.text)
        final = Final(
            text=self._sealed_text,
            stop_id=end.stop_id,
            recognized_through_seq=end.through_seq if end.complete else None,
            segments=segments,
        )
        return [*sealed, final]

    def close(self) -> None:
        """Free what the engine holds."""
        self._open.close()

    async def _accept(self, end_sample: int) -> Sequence[Result]:
        """Speech before ``end_sample`` stays: where it is too much for a segment, one is cut."""
        told: list[Result] = []
        while self._doubtful and self._doubtful[0].end_sample <= end_sample:
            piece = self._doubtful.popleft()
            held = self._open.timeline.offset(piece.start_sample)
            cut = self._segmenter.forced(self._open.timeline, len(piece.samples), held)
            if cut is not None:
                told += await self._seal(self._open.split(cut), self._options.sealing)
                held -= cut
            held += len(piece.samples)
            self._open.accepted = held
            cut = self._segmenter.at_lull(self._open.timeline, self._before, piece, held)
            self._before = piece
            if cut is not None:
                told += await self._seal(self._open.split(cut), self._options.sealing)
        return told

    def _take_back(self, rejected: Rejected) -> None:
        """Another voice is cropped; what was heard behind it comes back."""
        later = [piece for piece in self._doubtful if piece.start_sample >= rejected.end_sample]
        self._doubtful = deque(later)
        self._show_now = self._is_quiet = True
        self._open.take_back(rejected.start_sample)
        for piece in later:
            self._open.append(piece)

    async def _pause(self) -> Sequence[Result]:
        self._open.pause()
        if self._segmenter.at_pause(self._open.timeline):
            return await self._seal(self._new_segment(), self._options.sealing)
        return []

    async def _mark(self, mark: Mark) -> Sequence[Result]:
        end_sample = mark.tail[-1].end_sample if mark.tail else self._end_sample
        decoded = await self._open.foretell(mark.tail, Urgency.PARTIAL)
        partial = self._with(decoded.text, decoded.language, end_sample)
        marked = Marked(mark.mark_id, mark.through_seq)
        return [partial, marked] if self._options.partials else [marked]

    @property
    def _is_eager(self) -> bool:
        """Whether somebody has just begun to speak and sees nothing of it yet."""
        return not self._holdback.shown and self._open.timeline.length <= EAGER

    @property
    def _least_standing(self) -> int:
        """How many of the hypothesis' first words may be shown; one when it is high time."""
        waits = not self._holdback.shown and self._open.timeline.length >= HIGH_TIME
        return max(self._open.standing, int(waits))

    def _with(self, shown: str, language: str, end_sample: int) -> Partial:
        """The text so far, with this of the open segment."""
        committed = join((self._sealed_text, self._open.committed))
        text = join((self._sealed_text, shown))
        return Partial(
            committed=committed,
            tentative=text[len(committed) :],
            language=language or self._last_language(),
            end_sample=end_sample,
        )

    def _new_segment(self) -> OpenSegment:
        return open_segment(self._engine, self._options)

    async def _seal(self, following: OpenSegment, urgency: Urgency) -> Sequence[Result]:
        ending, self._open = self._open, following
        try:
            segment = await ending.seal(urgency, self._aligner)
        finally:
            ending.close()
        self._sealed.append(segment)
        self._sealed_text = join((self._sealed_text, segment.text))
        is_split = self._open.timeline.length > 0
        self._holdback = self._holdback.split(segment.text) if is_split else HoldBack()
        return [segment] if segment.text else []

    def _last_language(self) -> str:
        return next((s.language for s in reversed(self._sealed) if s.language), "")


async def recognize(
    engine: Engine,
    options: RecognizerOptions,
    heard: trio.MemoryReceiveChannel[Heard],
    results: trio.MemorySendChannel[Result],
) -> None:
    """The stage: at most one decode is under way, and the newest audio wins.

    Whatever has queued up is taken in before the next partial is made, so a slow model makes
    partials rarer and never late. A failed decode ends the stage with its error.
    """
    utterance = Utterance(engine, options)

    async def tell(told: Sequence[Result]) -> None:
        for result in told:
            await results.send(result)

    try:
        with heard, results:
            async for event in heard:
                for each in (event, *_queued(heard)):
                    if isinstance(each, EndOfAudio):
                        return await tell(await utterance.finish(each))
                    await tell(await utterance.hear(each))
                if utterance.partial_is_due(trio.current_time()):
                    await tell([await utterance.partial(trio.current_time())])
                elif (promised := utterance.promise()) is not None:
                    await tell([promised])
    finally:
        utterance.close()


def _queued(heard: trio.MemoryReceiveChannel[Heard]) -> Iterator[Heard]:
    while True:
        try:
            yield heard.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return
