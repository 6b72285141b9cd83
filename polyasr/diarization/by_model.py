"""Speakers told apart by a model of its own; their voices are embedded as the built-in way has it,
so that what is known of people's voices is the same with either.

The model has the recording as a whole, which therefore lies in a file without a name and not in
memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.diarization.clustering import SpeakerCount
from polyasr.diarization.found import Diarization, OnHeard, nobody
from polyasr.diarization.regions import Region, embedded
from polyasr.diarization.turns import in_order, tidied
from polyasr.pipeline.speaker import SHORTEST
from polyasr.pipeline.types import Diarizer, Turn, VoiceEngine
from polyasr.samples import SAMPLE_RATE, Samples

ENOUGH = 30 * SAMPLE_RATE
"""Samples of a speaker's that a voice is made of; more of it tells no more."""


async def diarize_by_model(
    engine: VoiceEngine,
    diarizer: Diarizer,
    blocks: Iterator[Samples],
    count: SpeakerCount,
    on_heard: OnHeard | None,
) -> Diarization:
    """As ``diarize``, by this model."""
    await diarizer.ready()
    with tempfile.TemporaryFile(prefix="polyasr-") as file:
        n_samples = await trio.to_thread.run_sync(_write, blocks, file)
        if not n_samples:
            return nobody(0, diarizer.name)
        recording = np.memmap(file, np.float32, "r+", shape=(n_samples,))

        async def tell(share: float) -> None:
            if on_heard is not None:
                await on_heard(round(share * n_samples))

        told = await diarizer.turns(recording, count.least, count.most, tell)
        turns, _ = in_order(tidied(told, n_samples))
        voices = [
            await _voice(engine, recording, [turn for turn in turns if turn.speaker == speaker])
            for speaker in range(1 + max((turn.speaker for turn in turns), default=-1))
        ]
    if not voices:
        return nobody(n_samples, diarizer.name)
    return Diarization(turns, np.stack(voices), n_samples, diarizer.name)


def _write(blocks: Iterator[Samples], file: IO[bytes]) -> int:
    """Write the recording; how many samples it has."""
    n_samples = 0
    for block in blocks:
        file.write(np.ascontiguousarray(block, np.float32).data)
        n_samples += len(block)
    file.flush()
    return n_samples


async def _voice(
    engine: VoiceEngine, recording: Samples, turns: Sequence[Turn]
) -> NDArray[np.float32]:
    """One speaker's, from the longest turns."""
    by_length = sorted(turns, key=lambda turn: turn.start - turn.end)
    telling = [turn for turn in by_length if turn.end - turn.start >= SHORTEST]
    embeddings, heard = [], 0
    for turn in telling or by_length:
        samples = np.array(recording[turn.start : min(turn.end, turn.start + ENOUGH - heard)])
        embeddings.append((await embedded(engine, Region(turn.start, samples)))[0])
        heard += len(samples)
        if heard >= ENOUGH:
            break
    mean = np.concatenate(embeddings).mean(axis=0)
    voice: NDArray[np.float32] = mean / np.linalg.norm(mean)
    return voice
