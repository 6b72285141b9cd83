"""A step costs the same after ten minutes as after ten seconds."""

from __future__ import annotations

import numpy as np

from polyasr.engine.backend import complete
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.pipeline.recognizer import RecognizerOptions, Utterance
from polyasr.pipeline.types import Endpoint, Hypothesis, Recognition, Speech, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from tests.engine.test_incremental import CountingBackend
from tests.fakes import ScriptedEngine, hello

Spoken = list[tuple[str, Samples]]

STEP = 2 * SAMPLE_RATE
PROMPT = 40
"""More positions than the prompt and the closing tokens have."""


class CountedEngine(ScriptedEngine):
    """Segments on the counting backend, decoded where they are asked for."""

    def __init__(self, backend: CountingBackend) -> None:
        super().__init__(hello)
        self.backend = backend

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        return SegmentRecognition(self._decode, language, context)

    async def _decode(
        self, state: SegmentState, samples: Samples, unchanged: int, committed: str, _: Urgency
    ) -> Hypothesis:
        return complete(self.backend, state.decoding(self.backend, samples, unchanged, committed))


async def test_a_step_after_ten_minutes_costs_what_one_costs_after_ten_seconds(
    tiny: QwenTorch, spoken: Spoken
) -> None:
    speech = np.concatenate([samples for _, samples in spoken])
    backend = CountingBackend(tiny)
    utterance = Utterance(CountedEngine(backend), RecognizerOptions())
    costs: list[tuple[int, int]] = []
    for at in range(0, 600 * SAMPLE_RATE, STEP):
        piece = np.resize(np.roll(speech, -at), STEP)
        for start in range(0, STEP, SAMPLE_RATE):
            await utterance.hear(Speech(piece[start : start + SAMPLE_RATE], at + start))
        if at // STEP % 7 == 6:
            await utterance.hear(Endpoint(at + STEP))
        backend.encoded_frames = backend.positions = 0
        partial = await utterance.partial(0)
        costs.append((backend.encoded_frames, backend.positions))
    assert partial.text
    early, late = np.array(costs[:60]), np.array(costs[-60:])
    assert (late.mean(axis=0) <= 1.25 * early.mean(axis=0)).all()
    longest_answer = 8 * 20  # tokens a second of fast speech, seconds of a segment
    frames, positions = late.max(axis=0)
    assert frames <= 800 + 100 * STEP // SAMPLE_RATE + 800
    assert positions <= PROMPT + 2 * 13 * (8 + STEP // SAMPLE_RATE) + 2 * longest_answer
