"""The speaker filter: the first voice is enrolled, passages of other voices are taken back.

Speech goes on to recognition at once, so that partials do not wait; the verdict follows at the end
of the passage. Doubt keeps: a passage too short for an embedding is never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.pipeline.types import Endpoint, Rejected, SpeakerEncoder, Speech
from polyasr.pipeline.vad import Detected
from polyasr.samples import SAMPLE_RATE, Samples

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
        self._pieces: list[Samples] = []
        self._start = 0

    def hear(self, speech: Speech) -> bool:
        """Add a piece of the passage; True when it is so long that a verdict is due."""
        if not self._pieces:
            self._start = speech.start_sample
        self._pieces.append(speech.samples)
        return speech.end_sample - self._start >= LONGEST_PASSAGE

    async def judge(self, end_sample: int, voiced_samples: int) -> Rejected | None:
        """The verdict on the passage heard since the last one; None keeps it."""
        passage = np.concatenate(self._pieces) if self._pieces else np.empty(0, np.float32)
        self._pieces = []
        voiced_samples = min(voiced_samples, len(passage))
        if voiced_samples < SHORTEST:
            return None
        embedding = await self._encoder.embed(passage)
        if self._voice is None:
            self._voice = EnrolledVoice(embedding, voiced_samples)
            return None
        similarity = float(self._voice.embedding @ embedding)
        if similarity < threshold(self._voice.n_samples, voiced_samples):
            return Rejected(self._start, end_sample, similarity)
        self._voice = self._voice.grown(embedding, voiced_samples)
        return None


async def filter_speakers(
    speaker_filter: SpeakerFilter,
    passages: trio.MemoryReceiveChannel[Detected],
    kept: trio.MemorySendChannel[Detected | Rejected],
) -> None:
    """The stage: passages in; passages and, after them, the rejected ones out."""
    with passages, kept:
        async for event in passages:
            if isinstance(event, Endpoint):
                verdict = await speaker_filter.judge(event.end_sample, event.speech_samples)
                if verdict is not None:
                    await kept.send(verdict)
            await kept.send(event)
            if isinstance(event, Speech) and speaker_filter.hear(event):
                verdict = await speaker_filter.judge(event.end_sample, LONGEST_PASSAGE)
                if verdict is not None:
                    await kept.send(verdict)
