"""The incremental engine gives the tokens of a fresh decode, for less work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from polyasr.engine.backend import Greedy, Window
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.qwen_torch import Extension, QwenTorch
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE, Samples

Spoken = list[tuple[str, Samples]]


class CountingBackend:
    """The backend underneath, and how much was asked of it."""

    def __init__(self, backend: QwenTorch) -> None:
        self._backend = backend
        self.encoded_frames = 0
        self.positions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, windows: Sequence[Window]) -> list[torch.Tensor]:
        self.encoded_frames += sum(len(window.mel) for window in windows)
        return self._backend.encode(windows)

    def extend(self, extensions: Sequence[Extension]) -> list[Greedy]:
        self.positions += sum(len(piece) for each in extensions for piece in each.pieces)
        return self._backend.extend(extensions)


@pytest.fixture(scope="module")
def speech(spoken: Spoken) -> Samples:
    """19 s: two finished windows and an open one."""
    return np.concatenate([samples for _, samples in spoken] * 2)[: 19 * SAMPLE_RATE]


def fresh(tiny: QwenTorch, samples: Samples) -> Hypothesis:
    return IncrementalSegment(tiny, None, "").decode(samples, 0)


def assert_same(ours: Hypothesis, theirs: Hypothesis) -> None:
    assert (ours.tokens, ours.text, ours.language) == (theirs.tokens, theirs.text, theirs.language)
    assert ours.finish_reason == theirs.finish_reason
    assert np.allclose(ours.logprobs, theirs.logprobs, atol=1e-3)


def test_every_step_gives_what_a_fresh_decode_gives(tiny: QwenTorch, speech: Samples) -> None:
    segment, heard = IncrementalSegment(tiny, None, ""), 0
    for end in range(SAMPLE_RATE // 2, len(speech), SAMPLE_RATE * 7 // 4):
        hypothesis = segment.decode(speech[:end], heard)
        assert_same(hypothesis, fresh(tiny, speech[:end]))
        heard = end


def test_a_louder_passage_raises_the_floor_under_finished_windows(
    tiny: QwenTorch, speech: Samples
) -> None:
    rising = (speech * np.geomspace(1e-3, 1, len(speech))).astype(np.float32)
    counting = CountingBackend(tiny)
    segment, heard = IncrementalSegment(counting, None, ""), 0
    for end in (9 * SAMPLE_RATE, 13 * SAMPLE_RATE, 17 * SAMPLE_RATE, len(rising)):
        assert_same(segment.decode(rising[:end], heard), fresh(tiny, rising[:end]))
        heard = end
    assert counting.encoded_frames > (900 + 500 + 900 + 300)


def test_audio_taken_back_leaves_no_trace(tiny: QwenTorch, speech: Samples) -> None:
    segment = IncrementalSegment(tiny, None, "")
    segment.decode(speech[: 17 * SAMPLE_RATE], 0)
    kept = 6 * SAMPLE_RATE
    assert_same(segment.decode(speech[:kept], kept), fresh(tiny, speech[:kept]))
    other = np.concatenate([speech[:kept], speech[12 * SAMPLE_RATE : 16 * SAMPLE_RATE]])
    assert_same(segment.decode(other, kept), fresh(tiny, other))


def test_a_step_costs_the_unfinished_window_and_not_the_utterance(
    tiny: QwenTorch, speech: Samples
) -> None:
    counting = CountingBackend(tiny)
    segment = IncrementalSegment(counting, None, "")
    before = len(speech) - SAMPLE_RATE // 2
    segment.decode(speech[:before], 0)
    counting.encoded_frames = counting.positions = 0
    draft = len(segment.decode(speech, before).tokens)
    assert counting.encoded_frames == len(speech) // 160 - 1600
    assert counting.positions < 13 * 3 + 2 * draft + 20


def test_context_and_a_forced_language_are_kept_through_the_steps(
    tiny: QwenTorch, speech: Samples
) -> None:
    segment = IncrementalSegment(tiny, "English", "birds and trains")
    one_shot = IncrementalSegment(tiny, "English", "birds and trains")
    segment.decode(speech[: 5 * SAMPLE_RATE], 0)
    end = 9 * SAMPLE_RATE
    assert_same(segment.decode(speech[:end], 5 * SAMPLE_RATE), one_shot.decode(speech[:end], 0))


def test_no_audio_is_no_text(tiny: QwenTorch) -> None:
    assert IncrementalSegment(tiny, None, "").decode(np.empty(0, np.float32), 0).text == ""
