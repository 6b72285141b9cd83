"""Decodes share passes through the model, and none of them notices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import trio
import trio.testing

from polyasr.engine.backend import Decoding, Greedy, Window
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.packing import Packing
from polyasr.engine.qwen_torch import Extension, QwenTorch
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Hypothesis, Urgency
from polyasr.samples import SAMPLE_RATE, Samples

Spoken = list[tuple[str, Samples]]


class WatchedBackend:
    """The backend underneath, how many streams had a share in each pass, and what to refuse."""

    def __init__(self, backend: QwenTorch) -> None:
        self._backend = backend
        self.shares: list[int] = []
        self.refuse: Callable[[Extension], bool] = lambda _: False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, windows: Sequence[Window]) -> list[Any]:
        return list(self._backend.encode(windows))

    def extend(self, extensions: Sequence[Extension]) -> list[Greedy]:
        if any(map(self.refuse, extensions)):
            raise MemoryError("no room")
        self.shares.append(len(extensions))
        return self._backend.extend(extensions)


@pytest.fixture
def watched(tiny: QwenTorch) -> WatchedBackend:
    return WatchedBackend(tiny)


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    thread = ModelThread()
    yield thread
    thread.close()


class Streams:
    """Streams over one packing, all of which come while the model thread is busy."""

    def __init__(self, backend: WatchedBackend, thread: ModelThread) -> None:
        self.backend, self.thread = backend, thread
        self.packing = Packing(thread)
        self.results: dict[int, Hypothesis | Exception] = {}
        self.order: list[int] = []
        self.segments: dict[int, IncrementalSegment[Any, Any]] = {}

    def begin(self, name: int, samples: Samples) -> tuple[WatchedBackend, Decoding]:
        segment = IncrementalSegment(self.backend, None, "")
        self.segments[name] = segment
        return self.backend, segment.decoding(samples, 0)

    async def decode(self, name: int, samples: Samples, urgency: Urgency) -> None:
        try:
            self.results[name] = await self.packing.decode(
                urgency, lambda: self.begin(name, samples)
            )
        except Exception as error:
            self.results[name] = error
        self.order.append(name)

    async def decode_all(
        self,
        clips: Sequence[Samples],
        urgencies: Sequence[Urgency] | None = None,
    ) -> None:
        busy = threading.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.thread.run, Urgency.DETECT, lambda: busy.wait(10))
            for name, clip in enumerate(clips):
                urgency = urgencies[name] if urgencies else Urgency.PARTIAL
                nursery.start_soon(self.decode, name, clip, urgency)
            await trio.testing.wait_all_tasks_blocked()
            busy.set()


def alone(tiny: QwenTorch, samples: Samples) -> Hypothesis:
    return IncrementalSegment(tiny, None, "").decode(samples, 0)


async def test_a_stream_says_the_same_packed_with_seven_others(
    tiny: QwenTorch, watched: WatchedBackend, thread: ModelThread, spoken: Spoken
) -> None:
    clips = [samples for _, samples in spoken]
    assert len(clips) == 8
    streams = Streams(watched, thread)
    await streams.decode_all(clips)
    for name, clip in enumerate(clips):
        packed, expected = streams.results[name], alone(tiny, clip)
        assert isinstance(packed, Hypothesis)
        assert packed.tokens == expected.tokens
        assert np.allclose(packed.logprobs, expected.logprobs, atol=1e-3)
    assert max(watched.shares) > 4
    longest = max(len(alone(tiny, clip).tokens) for clip in clips)
    assert len(watched.shares) < 3 * longest


async def test_what_one_stream_cannot_have_costs_the_others_nothing(
    tiny: QwenTorch, watched: WatchedBackend, thread: ModelThread, spoken: Spoken
) -> None:
    clips = [samples for _, samples in spoken[:3]]
    streams = Streams(watched, thread)
    watched.refuse = lambda extension: extension.cache is streams.segments[1]._cache
    await streams.decode_all(clips)
    assert isinstance(streams.results[1], MemoryError)
    for name in (0, 2):
        packed = streams.results[name]
        assert isinstance(packed, Hypothesis)
        assert packed.tokens == alone(tiny, clips[name]).tokens


async def test_a_final_is_done_before_the_partials_that_came_first(
    watched: WatchedBackend, thread: ModelThread, spoken: Spoken
) -> None:
    clip = spoken[0][1]
    streams = Streams(watched, thread)
    urgencies = [Urgency.BATCH, Urgency.PARTIAL, Urgency.FINAL]
    await streams.decode_all([clip, clip, clip], urgencies)
    assert streams.order == [2, 1, 0]


@pytest.mark.parametrize(
    ("urgency", "goes_along"), [(Urgency.FINAL, False), (Urgency.PARTIAL, True)]
)
async def test_a_recording_takes_no_part_in_the_passes_of_a_final(
    watched: WatchedBackend,
    thread: ModelThread,
    spoken: Spoken,
    urgency: Urgency,
    goes_along: bool,
) -> None:
    streams, reached, asked = Streams(watched, thread), trio.Event(), threading.Event()
    token, beside = trio.lowlevel.current_trio_token(), []

    def watch(extension: Extension) -> bool:
        if 1 in streams.segments:
            beside.append(extension.cache is streams.segments[1]._cache)
        elif extension.is_step:
            token.run_sync_soon(reached.set)
            asked.wait(10)
        return False

    watched.refuse = watch
    async with trio.open_nursery() as nursery:
        nursery.start_soon(streams.decode, 0, spoken[0][1], Urgency.BATCH)
        await reached.wait()
        nursery.start_soon(streams.decode, 1, spoken[1][1], urgency)
        await trio.testing.wait_all_tasks_blocked()
        asked.set()
    until_done = beside[: len(beside) - beside[::-1].index(True)]
    assert all(until_done) != goes_along


async def test_a_decode_that_nobody_waits_for_is_dropped_and_can_be_done_again(
    tiny: QwenTorch, watched: WatchedBackend, thread: ModelThread, spoken: Spoken
) -> None:
    clip = np.concatenate([samples for _, samples in spoken])[: 18 * SAMPLE_RATE]
    streams, reached = Streams(watched, thread), trio.Event()
    token = trio.lowlevel.current_trio_token()

    def tell(extension: Extension) -> bool:
        if extension.is_step:
            token.run_sync_soon(reached.set)
        return False

    watched.refuse = tell
    async with trio.open_nursery() as nursery:
        nursery.start_soon(streams.decode, 0, clip, Urgency.PARTIAL)
        await reached.wait()
        nursery.cancel_scope.cancel()
    segment = streams.segments[0]
    again = await streams.packing.decode(
        Urgency.FINAL, lambda: (watched, segment.decoding(clip[: 17 * SAMPLE_RATE], 0))
    )
    assert again.tokens == alone(tiny, clip[: 17 * SAMPLE_RATE]).tokens


async def test_an_interruption_ends_all_decodes_with_its_error(
    watched: WatchedBackend, thread: ModelThread, spoken: Spoken
) -> None:
    streams = Streams(watched, thread)

    def interrupt(extension: Extension) -> bool:
        thread.submit(
            Urgency.DETECT, lambda: streams.packing.interrupt(LookupError("the model is gone"))
        )
        return False

    watched.refuse = interrupt
    await streams.decode_all([samples for _, samples in spoken[:2]])
    assert [str(streams.results[name]) for name in (0, 1)] == ["the model is gone"] * 2
    assert len(watched.shares) == 1


async def test_no_audio_is_no_text(watched: WatchedBackend, thread: ModelThread) -> None:
    streams = Streams(watched, thread)
    await streams.decode_all([np.empty(0, np.float32)])
    result = streams.results[0]
    assert isinstance(result, Hypothesis)
    assert result.text == ""
    assert watched.shares == []
