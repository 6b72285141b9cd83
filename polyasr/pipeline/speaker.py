"""The speaker filter: the first voice is enrolled, passages of other voices are taken back.

Speech goes on to recognition at once, so that partials do not wait; the verdict follows at the end
of the passage. Doubt keeps: a passage too short for an embedding is never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.pipeline.types import (
    Accepted,
    Endpoint,
    Flush,
    Rejected,
    SpeakerEncoder,
    Speech,
)
from polyasr.pipeline.vad import Detected
from polyasr.samples import SAMPLE_RATE

SHORTEST = 1 * SAMPLE_RATE
"""Voiced samples that an embedding needs."""
LONGEST_PASSAGE = 10 * SAMPLE_RATE
"""Without a pause, a verdict is due after this much audio all the same."""
_SECONDS = (1.0, 1.5, 3.0, 6.0)
_SIMILARITY = (0.50, 0.59, 0.60, 0.70)


def threshold(enrolled_samples: int, passage_samples: int) -> float:
    """The least cosine similarity of one voice, given the speech behind both embeddings.

    Resemblyzer's similarity grows with the amount of speech: 0.70 is right from several seconds
    on, and would reject a third of the speaker's own 2 s passages; 0.60 is right for 1.5 to 3 s.
    Below that little can be told apart, and doubt keeps.
    """
    seconds = min(enrolled_samples, passage_samples) / SAMPLE_RATE
    return float(np.interp(seconds, _SECONDS, _SIMILARITY))


@dataclass(frozen=True, slots=True)
class EnrolledVoice:
    """The speaker's voice: a unit vector and the voiced samples behind it."""

    embedding: NDArray[np.float32]
    n_samples: int

    def grown(self, embedding: NDArray[np.float32], n_samples: int) -> EnrolledVoice:
        """This voice with another passage of it, weighted by duration."""
        total = self.embedding * self.n_samples + embedding * n_samples
        return EnrolledVoice(total / np.linalg.norm(total), self.n_samples + n_samples)


class SpeakerFilter:
    """Judges passages; holds the enrolled voice and the passage that is being heard."""

    def __init__(self, encoder: SpeakerEncoder) -> None:
        self._encoder = encoder
        self._voice: EnrolledVoice | None = None
        self._heard: list[Speech] = []

    def hear(self, speech: Speech) -> bool:
        """Add a piece of the passage; True when it is so long that a verdict is due."""
        self._heard.append(speech)
        return speech.end_sample - self._heard[0].start_sample >= LONGEST_PASSAGE

    @property
    def is_in_doubt(self) -> bool:
        """Whether something was heard since the last verdict."""
        return bool(self._heard)

    async def judge(self) -> Accepted | Rejected:
        """The verdict on what was heard since the last one."""
        heard, self._heard = self._heard, []
        start, end = heard[0].start_sample, heard[-1].end_sample
        voiced_samples = sum(len(piece.samples) for piece in heard if piece.is_voiced)
        if voiced_samples < SHORTEST:
            return Accepted(end)
        embedding = await self._encoder.embed(np.concatenate([piece.samples for piece in heard]))
        if self._voice is None:
            self._voice = EnrolledVoice(embedding, voiced_samples)
            return Accepted(end)
        similarity = float(self._voice.embedding @ embedding)
        if similarity < threshold(self._voice.n_samples, voiced_samples):
            return Rejected(start, end, similarity)
        self._voice = self._voice.grown(embedding, voiced_samples)
        return Accepted(end)


async def filter_speakers(
    speaker_filter: SpeakerFilter,
    passages: trio.MemoryReceiveChannel[Detected],
    kept: trio.MemorySendChannel[Detected | Accepted | Rejected],
) -> None:
    """The stage: passages in; passages, and after each the verdict on it, out.

    Where a pause, a flush or the end is told, nothing before it is doubtful any more.
    """
    with passages, kept:
        async for event in passages:
            match event:
                case Speech():
                    await kept.send(replace(event, is_doubtful=True))
                    if speaker_filter.hear(event):
                        await kept.send(await speaker_filter.judge())
                case Endpoint() | Flush():
                    if speaker_filter.is_in_doubt:
                        await kept.send(await speaker_filter.judge())
                    await kept.send(event)
                case _:
                    await kept.send(event)
