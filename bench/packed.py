"""Many streams: their steps packed into shared passes against one stream after another.

A step is a partial that all streams ask for at the same moment, after so many seconds of speech of
their own; and, apart from it, one more token for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import trio

from bench.results import Measurement
from bench.scripted import Script, ScriptedBackend
from bench.tally import Tally
from polyasr.engine.backend import Extend
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.packing import Packing
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency
from polyasr.samples import SAMPLE_RATE

STREAMS = (1, 2, 4, 8, 16)
HEARD = 10
"""Seconds that each stream has spoken when it asks for the partial."""
WAYS = ("one after another", "packed")

Progress = Callable[[str], object]


def measure(backend: Any, script: Script, repeats: int, progress: Progress) -> list[Measurement]:
    """Partials and tokens of 1 to 16 streams, both ways in turn, ``repeats`` times."""
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
                    times[way].append(run(model, script, n, way == "packed"))
            found += [
                Measurement(what, way, n, tuple(times[way]), t.encoder, t.decoder)
                for way, t in tallies.items()
            ]
    return found


def _partials(model: ScriptedBackend, script: Script, n: int, packed: bool) -> float:
    """Seconds until the last of ``n`` streams has its partial."""
    rows = np.random.default_rng(0).standard_normal((n, HEARD * SAMPLE_RATE)) * 0.05
    clips = rows.astype(np.float32)
    known = script.answer(0, HEARD - 1)
    segments = [IncrementalSegment(model, "English", "", known) for _ in range(n)]
    before = (HEARD - 1) * SAMPLE_RATE
    model.hear(known)
    for segment, clip in zip(segments, clips, strict=True):
        segment.decode(clip[:before], 0)
    model.hear(script.answer(0, HEARD))
    if packed:
        return trio.run(_packed_partials, model, segments, clips, before)
    began = time.perf_counter()
    for segment, clip in zip(segments, clips, strict=True):
        segment.decode(clip, before)
    return time.perf_counter() - began


async def _packed_partials(
    model: ScriptedBackend, segments: list[IncrementalSegment[Any, Any]], clips: Any, before: int
) -> float:
    thread = ModelThread()
    packing = Packing(thread)

    def begin(number: int) -> Any:
        return model, segments[number].decoding(clips[number], before)

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(len(segments)):
            nursery.start_soon(packing.decode, Urgency.PARTIAL, partial(begin, number))
    seconds = time.perf_counter() - began
    await trio.to_thread.run_sync(thread.close)
    return seconds


def _tokens(model: ScriptedBackend, script: Script, n: int, packed: bool) -> float:
    """Seconds for one more token of each of ``n`` streams that hold 200 positions."""
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
