"""A dictation that outlives its connections: its state, its stages, and whoever listens now.

    Backlog → detect_speech → filter_speakers → recognize → deliver → the line that is attached

Each stage owns its ends of the channels between them and closes them with a plain ``with``. The
end of audio travels in-band.
"""

from __future__ import annotations

import trio

from polyasr.pipeline.config import DictationConfig, DictationOptions
from polyasr.pipeline.decoder import Backlog, share
from polyasr.pipeline.line import POLICY_VIOLATION, Line
from polyasr.pipeline.observer import UNOBSERVED, Observer
from polyasr.pipeline.recognizer import Heard, recognize
from polyasr.pipeline.record import UNRECORDED, Record
from polyasr.pipeline.results import event_message, partial_message, segment_message
from polyasr.pipeline.speaker import SpeakerFilter, filter_speakers
from polyasr.pipeline.types import Engine, Final, Partial, Result, Segment
from polyasr.pipeline.vad import Detected, detect_speech
from polyasr.protocol import messages
from polyasr.protocol.frames import SAMPLE_BYTES, Frame
from polyasr.protocol.session import Session
from polyasr.samples import SAMPLE_RATE

DETACHED = '{"type": "detached"}'
"""Noted in the record when a connection is heard no more; what it is still told comes after it."""
PASSAGE_EVENTS = 64
"""Windows of 160 ms that wait for a stage: about 10 s, more than a decode takes."""


class HeldSession:
    """One session. What a connection asks of it is done at once, so that losing the connection
    leaves nothing half done."""

    def __init__(
        self,
        session_id: str,
        options: DictationOptions,
        config: DictationConfig,
        record: Record = UNRECORDED,
        observer: Observer = UNOBSERVED,
    ) -> None:
        self.state = Session(session_id, config.limits)
        self.record = record
        self.line: Line | None = None
        self.lifetime = trio.CancelScope()
        """Around the session's task; its deadline is when the session is given up."""
        self.options = options
        self._config, self._observer = config, observer
        self._heard = 0
        self._ended_at = 0.0
        self._backlog = Backlog(share(config.max_sessions))
        self._shown: messages.Partial | None = None
        self._segments: list[messages.Segment] = []

    def attach(self, line: Line) -> None:
        """Serve this line from now on; one that was attached before is closed, the newer wins."""
        if self.line is not None:
            self.line.hang_up(POLICY_VIOLATION)
            self.state.withdraw()
        self.line = line
        if not self.state.has_ended:
            self.lifetime.deadline = float("inf")

    def detach(self) -> None:
        """The connection is gone; wait for the next."""
        self.line = None
        self.record.message(DETACHED)
        self.state.withdraw()
        if not self.state.has_ended:
            self.lifetime.deadline = trio.current_time() + self._config.resume_ttl

    def show_again(self) -> None:
        """Show a client that comes back where the text is.

        Which segments it got before nobody knows; their ids tell it.
        """
        for segment in self._segments:
            self._tell(segment)
        if self.line is not None and self._shown is not None and not self.state.has_ended:
            self.line.show(self._shown)

    def accept(self, frame: Frame) -> None:
        """Journal a frame. Raises ``session_too_long``."""
        received = self.state.accept(frame)
        if received is not None:
            self._backlog.add(received)
            n_samples = len(received.pcm) // SAMPLE_BYTES
            self._heard += n_samples
            self._observer.heard(n_samples)
            self.record.audio(received.pcm, received.through_seq)
        self._end_if_complete()

    def note(self, message: messages.Flush | messages.Mark) -> None:
        """The client wants to be told about the audio so far; whoever is attached then is."""
        note = self.state.note(message)
        if note is not None:
            self._backlog.note(note)

    def ask(self, stop: messages.Stop) -> None:
        """The line that is attached asks for the final, which it gets when there is one."""
        self.state.ask(stop)
        self._end_if_complete()
        self._answer()

    def end(self) -> bool:
        """End the utterance as the stop says, with what is held; False if that is nothing."""
        end = self.state.end()
        if end is not None:
            self._ended_at = trio.current_time()
            self._backlog.end(end)
        return end is not None

    async def has_room(self) -> None:
        """Wait until there is room for more audio."""
        await self._backlog.has_room()

    async def recognize(self, engine: Engine) -> None:
        """Run the stages until the final is there. Raises what a stage raises, in groups."""
        to_recognizer, heard = trio.open_memory_channel[Heard](PASSAGE_EVENTS)
        to_client, results = trio.open_memory_channel[Result](1)
        detector, changes = engine.open_detector(), to_client.clone()
        async with trio.open_nursery() as nursery:
            if self.options.recognizer.word_times:  # what is not there is told at once
                nursery.start_soon(engine.word_aligner.ready_beside_recognizer)
            if self.options.speaker_filter:
                to_filter, passages = trio.open_memory_channel[Detected](PASSAGE_EVENTS)
                judge = SpeakerFilter(engine.speaker_encoder)
                nursery.start_soon(detect_speech, detector, self._backlog, to_filter, changes)
                nursery.start_soon(filter_speakers, judge, passages, to_recognizer)
            else:
                nursery.start_soon(detect_speech, detector, self._backlog, to_recognizer, changes)
            nursery.start_soon(recognize, engine, self.options.recognizer, heard, to_client)
            nursery.start_soon(self._deliver, results)

    async def _deliver(self, results: trio.MemoryReceiveChannel[Result]) -> None:
        """Turn results into messages."""
        with results:
            async for result in results:
                match result:
                    case Partial():
                        self._observer.showed((self._heard - result.end_sample) / SAMPLE_RATE)
                        self._show(partial_message(self.state.session_id, result))
                    case Final():
                        self._observer.answered(trio.current_time() - self._ended_at)
                        self.state.conclude(result.text, result.recognized_through_seq)
                        self._answer()
                    case Segment():
                        self._observer.sealed(result)
                        self._tell(self._next_segment(result))
                    case _:
                        self._tell(event_message(self.state.session_id, result))

    def _show(self, partial: messages.Partial) -> None:
        """Show a text, once; before the first there is nothing to show."""
        before = self._shown
        if before is None and not partial.partial:
            return
        self._shown = partial
        if self.line is not None and (before is None or self.line.is_news(partial, before)):
            self.line.show(partial)

    def _next_segment(self, segment: Segment) -> messages.Segment:
        told = segment_message(self.state.session_id, len(self._segments), segment)
        if self.options.recognizer.append_only:
            self._segments.append(told)
        return told

    def _tell(self, event: messages.Event) -> None:
        """Tell what only control 3 knows."""
        if self.line is not None:
            self.line.tell(event)

    def _end_if_complete(self) -> None:
        if self.state.waits and self.state.is_complete:
            self.end()

    def _answer(self) -> None:
        final = self.state.answer()
        if final is not None and self.line is not None:
            self.line.answer(final)
