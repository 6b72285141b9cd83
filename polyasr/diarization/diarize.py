"""The whole way: a recording's blocks in, its speakers and their turns out.

What lies in memory is a block, a region of speech, and 1 kB for each 0.4 s of speech.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.diarization.by_model import diarize_by_model
from polyasr.diarization.clustering import SpeakerCount, find_voices
from polyasr.diarization.found import Diarization, OnHeard, nobody
from polyasr.diarization.regions import Region, RegionFinder, embedded
from polyasr.diarization.turns import Span, find_turns, in_order
from polyasr.pipeline.speaker import SHORTEST
from polyasr.pipeline.types import AudioChunk, VoiceEngine
from polyasr.pipeline.vad import Window, Windower, judge
from polyasr.samples import Samples


async def diarize(
    engine: VoiceEngine,
    blocks: Iterator[Samples],
    count: SpeakerCount | None = None,
    on_heard: OnHeard | None = None,
) -> Diarization:
    """Tell who speaks when in mono audio at 16 kHz, in blocks that are drawn on a worker thread.

    By the engine's diarizer if it has one. Of people who speak at the same time one is told. Raises
    InferenceFailed, ModelUnavailable, and what the blocks or ``on_heard`` raise.
    """
    count = count or SpeakerCount()
    if engine.diarizer is not None:
        return await diarize_by_model(engine, engine.diarizer, blocks, count, on_heard)
    listener = _Listener(engine)
    while (block := await trio.to_thread.run_sync(next, blocks, None)) is not None:
        await listener.hear(block)
        if on_heard is not None:
            await on_heard(listener.n_samples)
    await listener.finish()
    return await trio.to_thread.run_sync(listener.told_apart, count)


class _Listener:
    """Finds speech, and embeds what it finds."""

    def __init__(self, engine: VoiceEngine) -> None:
        self._engine, self._detector = engine, engine.open_listener()
        self._windower, self._finder = Windower(), RegionFinder()
        self._spans: list[Span] = []
        self._embeddings: list[NDArray[np.float32]] = []
        self.n_samples = 0

    async def hear(self, block: Samples) -> None:
        """Listen to the next samples."""
        await self._judge(self._windower.push(AudioChunk(block, self.n_samples)))
        self.n_samples += len(block)

    async def finish(self) -> None:
        """The recording ends."""
        await self._judge(self._windower.finish())
        await self._embed(self._finder.finish())

    async def _judge(self, windows: list[Window]) -> None:
        for window, probability in await judge(self._detector, windows):
            await self._embed(self._finder.push(window, probability))

    async def _embed(self, regions: Iterable[Region]) -> None:
        for region in regions:
            embeddings, middles = await embedded(self._engine, region)
            self._embeddings.append(embeddings)
            self._spans.append(Span(region.start, region.end, middles))

    def told_apart(self, count: SpeakerCount) -> Diarization:
        """The speakers of all that was heard. Takes seconds for a long recording."""
        if not self._spans:
            return nobody(self.n_samples)
        embeddings = np.concatenate(self._embeddings)
        voices = find_voices(embeddings[self._telling()], count)
        turns, order = in_order(find_turns(self._spans, embeddings @ voices.T))
        return Diarization(turns, voices[order], self.n_samples)

    def _telling(self) -> NDArray[np.bool_]:
        """Which windows hold enough speech to tell a voice; all of them where none does."""
        telling = np.concatenate(
            [np.full(len(span.middles), span.end - span.start >= SHORTEST) for span in self._spans]
        )
        return telling if telling.any() else np.ones_like(telling)
