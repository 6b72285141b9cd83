"""Clips, spoken to a server at the speed of speech, by as many voices as asked for at once."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from bench.adapters.port import Adapter, Stream
from bench.dictation.corpus import Clip
from bench.dictation.observed import Event, Observed
from polyasr.client.capture import BYTES_PER_SECOND
from polyasr.client.dictation import speak
from polyasr.errors import PolyasrError, ungrouped

STAGGER_SEC = 1.0
"""Streams begin within this, at times drawn by the seed, so that they do not march in step."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How clips are spoken. ``timeout``: seconds for the final after the end of the audio."""

    timeout: float = 10.0
    paced: bool = True
    """Each frame when it would have been captured; otherwise as fast as the server takes it."""


class _Recorder:
    """The sending side of a stream, timed."""

    def __init__(self, stream: Stream, began: float, pace: Pace) -> None:
        self._stream, self._began, self._paced = stream, began, pace.paced
        self.sent = self.late = self._last = 0.0
        self.last_byte: float | None = None

    async def send(self, pcm16: bytes) -> None:
        """Pass a frame on, and remember when it was its turn."""
        self.sent += len(pcm16) / BYTES_PER_SECOND
        now = trio.current_time() - self._began
        if self._paced:
            self.late = max(self.late, now - self.sent)
        await self._stream.send(pcm16)
        self._last = now

    async def stop(self) -> None:
        """The audio is over."""
        self.last_byte = self._last
        await self._stream.stop()


async def observe(adapter: Adapter, clip: Clip, pace: Pace) -> Observed:
    """Speak one clip. What goes wrong is in the answer, and is no exception."""
    events: list[Event] = []
    recorder: _Recorder | None = None
    opened = began = trio.current_time()
    failure = None
    with trio.move_on_after(pace.timeout) as patience:
        try:
            with ungrouped():
                async with adapter.open(clip.language) as stream, trio.open_nursery() as nursery:
                    began = trio.current_time()
                    patience.deadline = began + clip.seconds + pace.timeout
                    recorder = _Recorder(stream, began, pace)
                    nursery.start_soon(speak, recorder, clip.pcm16, pace.paced)
                    async for heard in stream:
                        events.append(Event(trio.current_time() - began, heard))
                    nursery.cancel_scope.cancel()
        except PolyasrError as error:
            failure = f"{error.code}: {error}"
    if failure is None and not any(event.heard.is_final for event in events):
        failure = "no final: the server was done without one"
        if patience.cancelled_caught:
            failure = f"timeout: no final within {pace.timeout:g} s after the audio"
    return Observed(
        tuple(events),
        sent=recorder.sent if recorder else 0.0,
        last_byte=recorder.last_byte if recorder else None,
        late=recorder.late if recorder else 0.0,
        connect=began - opened,
        failure=failure,
    )


async def observe_all(
    adapter: Adapter,
    clips: Sequence[Clip],
    n_streams: int,
    pace: Pace,
    *,
    seed: int = 0,
    told: Callable[[str], object] = lambda text: None,
) -> tuple[Observed, ...]:
    """Speak all clips, so many at a time; what came of each, in their order."""
    rng = random.Random(seed)
    waiting = deque(enumerate(clips))
    done: dict[int, Observed] = {}

    async def voice(delay: float) -> None:
        await trio.sleep(delay)
        while waiting:
            number, clip = waiting.popleft()
            done[number] = await observe(adapter, clip, pace)
            told(f"{len(done)} of {len(clips)} clips")

    async with trio.open_nursery() as nursery:
        for _ in range(min(n_streams, len(clips))):
            nursery.start_soon(voice, rng.uniform(0, STAGGER_SEC) if n_streams > 1 else 0.0)
    return tuple(done[number] for number in range(len(clips)))
