"""The incremental engine gives the tokens of a fresh decode, for less work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
        self.passes = 0
        self.opening = backend.opening

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def encode(self, windows: Sequence[Window]) -> list[torch.Tensor]:
        self.encoded_frames += sum(len(window.mel) for window in windows)
        return self._backend.encode(windows)

    def extend(self, extensions: Sequence[Extension]) -> list[Greedy]:
        self.passes += 1
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


def test_a_first_answer_is_drafted_to_begin_as_the_last_one_did(
    tiny: QwenTorch, speech: Samples
) -> None:
    backend, samples = CountingBackend(tiny), speech[: 3 * SAMPLE_RATE]

    def decoded(language: str | None = None) -> tuple[Hypothesis, int]:
        backend.passes = 0
        return IncrementalSegment(backend, language, "").decode(samples, 0), backend.passes

    backend.opening = ()
    (one, passes), header = decoded(), backend.opening
    assert len(header) == len(["language", "English", "<asr_text>"])
    drafted, fewer = decoded()
    assert_same(drafted, one)
    assert fewer == passes - len(header)
    backend.opening = (*header[:1], *header)
    assert_same(decoded()[0], one)
    assert backend.opening == header
    assert decoded("English")[0].text == one.text


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


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens to a segment: audio comes, silence or much louder, or some is taken back."""
    seconds = st.integers(1, 5)
    kinds = st.sampled_from(["speech", "speech", "speech", "silence", "loud", "take back"])
    return draw(st.lists(st.tuples(kinds, seconds), min_size=2, max_size=6))


@settings(max_examples=12, deadline=None, derandomize=True)
@given(history=histories(), seed=st.integers(0, 9))
def test_whatever_happened_before_the_answer_is_a_fresh_decode(
    tiny: QwenTorch, speech: Samples, history: list[tuple[str, int]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    segment, audio, unchanged, at = IncrementalSegment(tiny, None, ""), speech[:0], 0, 0
    for kind, seconds in history:
        count = seconds * SAMPLE_RATE // 2 + int(rng.integers(0, 160))
        if kind == "take back":
            audio = audio[: max(0, len(audio) - count)]
            unchanged = min(unchanged, len(audio))
            continue
        piece = np.roll(speech, -at)[:count]
        level = {"speech": 0.1, "silence": 0.0, "loud": 1.0}[kind]
        audio, at = np.concatenate([audio, piece * np.float32(level)]), at + count
        segment.decode(audio, unchanged)
        unchanged = len(audio)
    assert_same(segment.decode(audio, unchanged), fresh(tiny, audio))


def test_committed_text_stays_whatever_is_heard_later(tiny: QwenTorch, speech: Samples) -> None:
    """Speech cut inside a word is heard as another; what was committed of it is kept."""
    segment, heard, committed = IncrementalSegment(tiny, None, ""), 0, ""
    regretted = 0
    for end in range(SAMPLE_RATE, 12 * SAMPLE_RATE, SAMPLE_RATE // 4):
        hypothesis = segment.decode(speech[:end], heard, committed)
        assert hypothesis.text.startswith(committed)
        regretted += hypothesis.commit_regret
        committed, heard = hypothesis.text.rpartition(" ")[0], end
    final = fresh(tiny, speech[:heard])
    assert regretted > 0 or hypothesis.text == final.text


def test_committed_text_costs_nothing_where_it_is_what_greedy_decoding_says(
    tiny: QwenTorch, spoken: Spoken
) -> None:
    samples = spoken[0][1]
    segment = IncrementalSegment(tiny, None, "")
    once = segment.decode(samples, 0)
    again = segment.decode(samples, len(samples), committed=once.text)
    assert_same(again, once)
    assert not again.commit_regret


def test_text_that_was_never_said_cannot_be_committed(tiny: QwenTorch, spoken: Spoken) -> None:
    segment = IncrementalSegment(tiny, None, "")
    segment.decode(spoken[0][1], 0)
    with pytest.raises(ValueError, match="beginning"):
        segment.decode(spoken[0][1], len(spoken[0][1]), committed="Quite another text.")
