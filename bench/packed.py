"""Many streams: their steps packed into shared passes against one stream after another.

A step is a partial that all streams ask for at the same moment, after so many seconds of speech of
their own; and, apart from it, one more token for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import trio

from bench.models import Models
from bench.results import Measurement
from bench.scripted import Script, ScriptedBackend, noise
from bench.tally import Tally
from polyasr.engine.backend import Decoding, Extend
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.packing import Packing
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency
from polyasr.samples import SAMPLE_RATE, Samples

STREAMS = (1, 2, 4, 8, 16)
HEARD = 10
"""Seconds that each stream has spoken when it asks for the partial."""
KNOWN = (HEARD - 1) * SAMPLE_RATE
"""Samples that it has had an answer to."""
WAYS = ("one after another", "packed")

Progress = Callable[[str], object]


async def measure(
    thread: ModelThread, models: Models, repeats: int, progress: Progress
) -> list[Measurement]:
    """Partials and tokens of 1 to 16 streams, both ways in turn, ``repeats`` times.

    All of it on the one thread: OpenMP gives each thread that computes a team of its own, and with
    more teams than cores all of them go to sleep after each operation, twice as slow.
    """
    backend, script = await thread.run(Urgency.BATCH, lambda: (models.backend, models.script))
    found = []
    for n in STREAMS:
        for what, run in (("streams", _partials), ("stream tokens", _tokens)):
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            tallies = {way: Tally() for way in WAYS}
            for repeat in range(repeats):
                for way in WAYS:
                    progress(f"{what} of {n} streams, {way}, run {repeat + 1} of {repeats}")
                    tallies[way] = Tally()
                    model = ScriptedBackend(backend, tallies[way])
                    times[way].append(await run(thread, model, script, n, way == "packed"))
            found += [
                Measurement(what, way, n, tuple(times[way]), t.encoder, t.decoder)
                for way, t in tallies.items()
            ]
    return found


@dataclass(frozen=True, slots=True)
class _Stream:
    """One that has had an answer to all but the last second of what it has heard."""

    segment: IncrementalSegment[Any, Any]
    clip: Samples

    def decode(self) -> object:
        return self.segment.decode(self.clip, KNOWN)

    def begin(self, model: ScriptedBackend) -> tuple[ScriptedBackend, Decoding]:
        return model, self.segment.decoding(self.clip, KNOWN)


async def _partials(
    thread: ModelThread, model: ScriptedBackend, script: Script, n: int, packed: bool
) -> float:
    """Seconds until the last of ``n`` streams has its partial."""
    streams = await thread.run(Urgency.BATCH, partial(_streams, model, script, n))
    began = time.perf_counter()
    if packed:
        packing = Packing(thread)
        async with trio.open_nursery() as nursery:
            for stream in streams:
                begin = partial(stream.begin, model)
                nursery.start_soon(packing.decode, Urgency.PARTIAL, begin)
    else:
        for stream in streams:
            await thread.run(Urgency.PARTIAL, stream.decode)
    return time.perf_counter() - began


def _streams(model: ScriptedBackend, script: Script, n: int) -> list[_Stream]:
    generator = np.random.default_rng(0)
    known = script.answer(0, HEARD - 1)
    streams = [
        _Stream(IncrementalSegment(model, "English", "", known), clip)
        for clip in (noise(generator, HEARD * SAMPLE_RATE) for _ in range(n))
    ]
    model.hear(known)
    for stream in streams:
        stream.segment.decode(stream.clip[:KNOWN], 0)
    model.hear(script.answer(0, HEARD))
    return streams


async def _tokens(
    thread: ModelThread, model: ScriptedBackend, script: Script, n: int, packed: bool
) -> float:
    """Seconds for one more token of each of ``n`` streams that hold 200 positions."""
    return await thread.run(Urgency.BATCH, partial(_seconds_of_tokens, model, script, n, packed))


def _seconds_of_tokens(model: ScriptedBackend, script: Script, n: int, packed: bool) -> float:
    caches = [model.new_cache() for _ in range(n)]
    model.hear(script.answer(0, HEARD))
    for cache in caches:
        model.extend([Extend(cache, [list(range(200))], 0)])
        model.extend([Extend(cache, [[], [0]], 1)])
    steps = list(_steps(caches, packed))
    began = time.perf_counter()
    for step in steps:
        model.extend(step)
    return time.perf_counter() - began


def _steps(caches: list[Any], packed: bool) -> Iterator[list[Extend[Any, Any]]]:
    """The passes: one for all, or one for each."""
    asked: list[Extend[Any, Any]] = [Extend(cache, [[1]], 1) for cache in caches]
    yield from [asked] if packed else [[each] for each in asked]
