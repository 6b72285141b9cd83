"""Streams that speak on and on, each with a partial a second and a final every 30 s.

Each begins a new segment at its final, as a dictation does that has no pause; they begin one after
the other, so that at any time there are segments of all lengths.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import trio

from bench.paced.results import Paced
from bench.scripted import noise
from polyasr.pipeline.types import Recognition, Urgency
from polyasr.samples import SAMPLE_RATE

SEGMENT = 30.0
"""Seconds after which a segment has its final: the longest there are."""
EVERY = 1.0
"""Seconds between partials; the next after one that is late comes late."""

Open = Callable[[], Recognition]


@dataclass(frozen=True, slots=True)
class _Answer:
    asked: float
    seconds: float
    urgency: Urgency


async def paced(open_recognition: Open, streams: int, seconds: float) -> Paced:
    """The answers to what is asked within so many seconds, once all the streams speak."""
    began = trio.current_time()
    all_speak, until = began + SEGMENT, began + SEGMENT + seconds
    answers: list[_Answer] = []
    async with trio.open_nursery() as nursery:
        for number in range(streams):
            start = began + number * SEGMENT / streams
            nursery.start_soon(_speak, open_recognition, number, start, until, answers)
        await trio.sleep_until(all_speak)
        computed = time.process_time()
    computed = time.process_time() - computed
    found = [answer for answer in answers if answer.asked > all_speak]

    def of(urgency: Urgency) -> tuple[float, ...]:
        return tuple(answer.seconds for answer in found if answer.urgency == urgency)

    cores = computed / (trio.current_time() - all_speak)
    return Paced(streams, seconds, of(Urgency.PARTIAL), of(Urgency.FINAL), cores)


async def _speak(
    open_recognition: Open, number: int, start: float, until: float, answers: list[_Answer]
) -> None:
    """One stream, from ``start``. What is due after ``until`` is not asked for.

    Each has noise of its own: the same audio twice would cost less.
    """
    voice = np.random.default_rng(number)
    while start < until:
        recognition = open_recognition()
        said = 0
        for at in _moments(start):
            asked = start + at
            if asked > until:
                break
            await trio.sleep_until(asked)
            length = int(at * SAMPLE_RATE)
            recognition.append(noise(voice, length - said))
            said = length
            urgency = Urgency.FINAL if at == SEGMENT else Urgency.PARTIAL
            await recognition.hypothesis(urgency)
            answers.append(_Answer(asked, trio.current_time() - asked, urgency))
        recognition.close()
        start += SEGMENT


def _moments(start: float) -> Iterator[float]:
    """Seconds into a segment when it is asked about: each; at once, about all there is by then,
    when it has had to wait for the last answer; and its end."""
    at = 0.0
    while at < SEGMENT:
        at = min(max(at + EVERY, trio.current_time() - start), SEGMENT)
        yield at
