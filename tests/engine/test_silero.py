"""The speech detector gives what Silero gives, however its audio is cut up."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import trio

from polyasr import audio
from polyasr.commands.demo import RECORDING
from polyasr.engine.silero import CONTEXT, FRAME, Silero, SileroDetector
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.vad import WINDOW
from polyasr.samples import Samples


@pytest.fixture
def thread() -> Iterator[ModelThread]:
    thread = ModelThread()
    yield thread
    thread.close()


@pytest.fixture(scope="module")
def network() -> Silero:
    return Silero()


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Some seconds of speech, whole windows of it."""
    samples = audio.decode(RECORDING, max_seconds=60)
    return samples[: len(samples) // WINDOW * WINDOW]


def reference(samples: Samples) -> list[float]:
    """The TorchScript form of the network, one frame after another."""
    (package,) = find_spec("silero_vad").submodule_search_locations  # type: ignore[union-attr, misc]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        loaded = torch.jit.load(str(Path(package) / "data" / "silero_vad.jit"))  # type: ignore[no-untyped-call]
    state, context, found = torch.zeros(2, 1, 128), torch.zeros(1, CONTEXT), []
    with torch.inference_mode():
        for frame in torch.from_numpy(samples).view(-1, 1, FRAME):
            heard = torch.cat([context, frame], dim=1)
            probability, state = loaded._model(heard, state)
            context = heard[:, -CONTEXT:]
            found.append(float(probability))
    return found


async def test_it_is_the_network_that_silero_publishes(
    thread: ModelThread, network: Silero, speech: Samples
) -> None:
    found = await SileroDetector(thread, network).probabilities(speech.reshape(-1, FRAME))
    assert np.abs(np.array(found) - reference(speech)).max() < 1e-5
    assert min(found) < 0.1 < 0.9 < max(found)


async def test_nothing_depends_on_how_many_windows_come_at_a_time(
    thread: ModelThread, network: Silero, speech: Samples
) -> None:
    windows = speech.reshape(-1, WINDOW)
    whole = await SileroDetector(thread, network).probabilities(windows)
    one_by_one, other = SileroDetector(thread, network), SileroDetector(thread, network)
    pieces: list[float] = []
    for window in windows:
        pieces += await one_by_one.probabilities(window[None])
        await other.probabilities(window[None, ::-1])  # another stream's state is its own
    assert pieces == whole
    assert await one_by_one.probabilities(windows[:0]) == []


async def test_a_stream_is_judged_beside_others_as_it_is_alone(
    thread: ModelThread, network: Silero, speech: Samples
) -> None:
    streams = [speech[shift * WINDOW :].reshape(-1, WINDOW)[:20] for shift in range(8)]
    alone = [await SileroDetector(thread, network).probabilities(each) for each in streams]
    together: list[list[float]] = [[] for _ in streams]

    async def judge(number: int) -> None:
        detector = SileroDetector(thread, network)
        for window in streams[number]:
            together[number] += await detector.probabilities(window[None])

    async with trio.open_nursery() as nursery:
        for number in range(len(streams)):
            nursery.start_soon(judge, number)
    assert together == alone
