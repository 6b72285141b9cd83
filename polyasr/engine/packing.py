"""Packed steps: the decodes that are due share each pass through the model.

Reading the weights is most of what a decoded token costs, so eight streams cost little more than
one. Nothing ever waits for more company: a pass takes what is there. It takes the most urgent
decodes, and of the others those that ask for one more token, which are as good as free beside
them, though no recording's beside a final; what does not fit its budget goes into the next pass,
so that a final that comes meanwhile soon has its turn.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import outcome

from polyasr.engine import memory
from polyasr.engine.backend import Backend, Decoding, Encode, Extend, Window
from polyasr.engine.thread import ModelThread, Reply
from polyasr.pipeline.types import Hypothesis, Urgency

Begin = Callable[[], tuple[Backend[Any, Any], Decoding]]
"""Starts a decode, on the model thread."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one pass does at most beside the first decode's share.

    ``frames`` of mel to encode and ``positions`` of the decoder. Arithmetic bounds both on a CPU,
    where a pass of this size takes a few tenths of a second with the 0.6B model.
    """

    frames: int = 800
    positions: int = 256


@dataclass(eq=False, slots=True)
class _Stream:
    """A decode under way: what it asks for, and the windows of that encoded so far."""

    urgency: Urgency
    number: int
    begin: Begin
    reply: Reply[Hypothesis]
    backend: Backend[Any, Any] | None = None
    decoding: Decoding | None = None
    asked: Encode | Extend[Any, Any] | None = None
    encoded: list[Any] = field(default_factory=list)

    @property
    def rank(self) -> tuple[int, int]:
        """The smaller the sooner."""
        return self.urgency, self.number

    @property
    def window(self) -> Window | None:
        """The next window to encode."""
        asked = self.asked
        return asked.windows[len(self.encoded)] if isinstance(asked, Encode) else None

    @property
    def extension(self) -> Extend[Any, Any] | None:
        """The extension it asks for."""
        return self.asked if isinstance(self.asked, Extend) else None

    def start(self) -> None:
        """Begin, up to the first thing it asks for."""
        self.backend, self.decoding = self.begin()
        self.proceed(outcome.Value(None))

    def proceed(self, answer: outcome.Outcome[Any]) -> None:
        """Go on with an answer, or its error.

        Raises StopIteration with the hypothesis at the end, and what the decode raises.
        """
        assert self.decoding is not None
        self.asked, self.encoded = answer.send(self.decoding), []

    def add_encoded(self, answer: outcome.Outcome[Any]) -> None:
        """Take the embeddings of the next window; goes on when they are complete."""
        assert isinstance(self.asked, Encode)
        self.encoded.append(answer.unwrap())
        if len(self.encoded) == len(self.asked.windows):
            self.proceed(outcome.Value(self.encoded))

    def end(self, result: outcome.Outcome[Hypothesis]) -> None:
        """Answer who waits."""
        if self.decoding is not None:
            self.decoding.close()
        self.decoding = self.asked = self.backend = None
        self.reply.deliver(result)


class Packing:
    """All decodes of one process. Owned by the model thread, save what comes in."""

    def __init__(self, thread: ModelThread, budget: Budget | None = None) -> None:
        self._thread, self._budget = thread, budget or Budget()
        self._numbers = itertools.count()
        self._incoming: deque[_Stream] = deque()
        self._streams: list[_Stream] = []
        self._lock = threading.Lock()
        self._next_pass: Urgency | None = None

    async def decode(self, urgency: Urgency, begin: Begin) -> Hypothesis:
        """Run a decode to its end, sharing passes with the others.

        Raises what ``begin``, the decode or the model does, for this decode alone: when a pass of
        several fails, each is tried by itself. When cancelled, what is left of it is not done.
        """
        reply: Reply[Hypothesis] = Reply()
        self._incoming.append(_Stream(urgency, next(self._numbers), begin, reply))
        if not self._schedule(urgency):
            raise RuntimeError("the model thread is closed")
        return await reply.wait()

    def interrupt(self, error: Exception) -> None:
        """On the model thread: end all decodes under way with ``error``."""
        for stream in self._streams:
            stream.end(outcome.Error(error))
        self._streams.clear()

    def _schedule(self, urgency: Urgency) -> bool:
        """See to it that a pass of that urgency is queued; False when the thread is closed."""
        with self._lock:
            if self._next_pass is not None and self._next_pass <= urgency:
                return True
            self._next_pass = urgency
        return self._thread.submit(urgency, self._run_pass)

    def _run_pass(self) -> None:
        with self._lock:
            self._next_pass = None
        while self._incoming:
            stream = self._incoming.popleft()
            if self._step(stream, stream.start):
                self._streams.append(stream)
        self._drop_abandoned()
        if self._streams:
            chosen = self._chosen()
            self._encode([stream for stream in chosen if stream.window is not None])
            self._extend([stream for stream in chosen if stream.extension is not None])
        if self._streams:
            self._schedule(min(stream.urgency for stream in self._streams))

    def _chosen(self) -> list[_Stream]:
        """Who has a share in this pass."""
        self._streams.sort(key=lambda stream: stream.rank)
        first = self._streams[0]
        chosen, frames, positions = [], self._budget.frames, self._budget.positions
        for stream in self._streams:
            window, extension = stream.window, stream.extension
            if window is not None:
                frames -= len(window.mel)
                fits = frames >= 0
            else:
                assert extension is not None
                positions -= extension.positions
                fits = positions >= 0
            equal = stream.urgency == first.urgency
            along = extension is not None and extension.is_step and not _holds_up(stream, first)
            if stream is first or (equal and fits) or along:
                chosen.append(stream)
        return chosen

    def _encode(self, streams: Sequence[_Stream]) -> None:
        """Encode one window of each."""

        def together(some: Sequence[_Stream]) -> list[Any]:
            return _backend(some[0]).encode([w for s in some if (w := s.window) is not None])

        for stream, answer in self._answers(streams, together):
            self._step(stream, partial(stream.add_encoded, answer))

    def _extend(self, streams: Sequence[_Stream]) -> None:
        """Do what each asks for."""

        def together(some: Sequence[_Stream]) -> list[Any]:
            return _backend(some[0]).extend([e for s in some if (e := s.extension) is not None])

        for stream, answer in self._answers(streams, together):
            self._step(stream, partial(stream.proceed, answer))

    def _answers(
        self, streams: Sequence[_Stream], ask: Callable[[Sequence[_Stream]], list[Any]]
    ) -> list[tuple[_Stream, outcome.Outcome[Any]]]:
        """Ask for all at once; where that fails, for each alone."""
        if not streams:
            return []
        result = outcome.capture(ask, streams)
        if isinstance(result, outcome.Value):
            answers = [outcome.Value(each) for each in result.value]
            return list(zip(streams, answers, strict=True))
        if len(streams) == 1:
            return [(streams[0], result)]
        memory.forget_frames(result.error)
        if memory.is_exhausted(result.error):
            memory.release()
        return [pair for stream in streams for pair in self._answers([stream], ask)]

    def _step(self, stream: _Stream, advance: Callable[[], None]) -> bool:
        """Let a decode go on; whether it is still under way then."""
        try:
            advance()
            return True
        except StopIteration as done:
            result: outcome.Outcome[Hypothesis] = outcome.Value(done.value)
        except Exception as error:
            result = outcome.Error(error)
        if stream in self._streams:
            self._streams.remove(stream)
        stream.end(result)
        return False

    def _drop_abandoned(self) -> None:
        for stream in [s for s in self._streams if s.reply.abandoned]:
            self._streams.remove(stream)
            assert stream.decoding is not None
            stream.decoding.close()


def _holds_up(stream: _Stream, first: _Stream) -> bool:
    """Whether even a token of the one is too much beside the other: a recording's beside a final,
    which somebody waits for, and which is soon done."""
    return stream.urgency == Urgency.BATCH and first.urgency == Urgency.FINAL


def _backend(stream: _Stream) -> Backend[Any, Any]:
    assert stream.backend is not None
    return stream.backend
