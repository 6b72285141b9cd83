"""The torch adapter of the forced aligner against ``qwen-asr``'s own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.upstream import windows_masked
from polyasr.engine.qwen_aligner import SLICE, QwenAligner
from polyasr.errors import InvalidRequest
from polyasr.pipeline.types import Word
from polyasr.samples import SAMPLE_RATE, Samples

Spoken = list[tuple[str, Samples]]


@pytest.fixture(scope="module")
def aligner(random_aligner: Path) -> QwenAligner:
    return QwenAligner.load(random_aligner, "cpu", "float32")


@pytest.fixture(scope="module")
def upstream(random_aligner: Path) -> Any:
    from qwen_asr import Qwen3ForcedAligner

    return Qwen3ForcedAligner.from_pretrained(str(random_aligner), dtype=torch.float32)


def align(
    aligner: QwenAligner, samples: Samples, text: str, language: str | None = "English"
) -> tuple[Word, ...]:
    job = aligner.begin(samples, text, language)
    while job.words is None:
        aligner.advance(job)
    return job.words


def theirs(upstream: Any, samples: Samples, text: str, language: str) -> list[tuple[int, int]]:
    (result,) = upstream.align((samples, SAMPLE_RATE), text, language)
    return [
        (round(item.start_time * SAMPLE_RATE), round(item.end_time * SAMPLE_RATE))
        for item in result
    ]


def clamped(times: list[tuple[int, int]], samples: Samples) -> list[tuple[int, int]]:
    return [(min(start, len(samples)), min(end, len(samples))) for start, end in times]


def test_one_window_is_aligned_as_qwen_asr_aligns_it(
    aligner: QwenAligner, upstream: Any, spoken: Spoken
) -> None:
    for text, samples in spoken:
        ours = [(word.start, word.end) for word in align(aligner, samples, text)]
        assert ours == clamped(theirs(upstream, samples, text, "English"), samples)
        assert ours


def test_longer_audio_is_aligned_as_qwen_asr_does_under_the_windows_mask(
    aligner: QwenAligner, upstream: Any, spoken: Spoken
) -> None:
    samples = np.concatenate([samples for _, samples in spoken])
    text = " ".join(text for text, _ in spoken)
    assert len(samples) > 15 * SAMPLE_RATE
    ours = [(word.start, word.end) for word in align(aligner, samples, text)]
    with windows_masked(upstream.model.thinker):
        assert ours == clamped(theirs(upstream, samples, text, "English"), samples)


def test_mixed_text_is_split_as_qwen_asr_splits_it(
    aligner: QwenAligner, upstream: Any, spoken: Spoken
) -> None:
    text, samples = "我用 Python 3.11 写e-mail，真的！", spoken[0][1]
    for language in ("Chinese", "Japanese", "Korean"):
        words = align(aligner, samples, text, language)
        ours = [(word.start, word.end) for word in words]
        assert ours == clamped(theirs(upstream, samples, text, language), samples)


def test_words_keep_what_stands_within_them_and_lose_the_marks_around_them(
    aligner: QwenAligner, spoken: Spoken
) -> None:
    text = "«It's 3.14», e-mail… 我用Python写。"
    words = [word.text for word in align(aligner, spoken[0][1], text, None)]
    assert words == ["It's", "3.14", "e-mail", "我", "用", "Python", "写"]


def test_times_never_run_backwards_and_lie_inside_the_audio(
    aligner: QwenAligner, spoken: Spoken
) -> None:
    text, samples = spoken[0]
    for n_samples in (1, 100, 1600, len(samples)):
        words = align(aligner, samples[:n_samples], text)
        times = [time for word in words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert times[0] >= 0 and times[-1] <= n_samples


def test_a_score_is_a_probability_and_missing_where_the_time_was_mended(
    aligner: QwenAligner, spoken: Spoken
) -> None:
    scores = [word.score for text, samples in spoken for word in align(aligner, samples, text)]
    known = [score for score in scores if score is not None]
    assert all(0 < score <= 1 for score in known)
    assert known and len(known) < len(scores)


def test_a_text_without_a_letter_has_no_words(aligner: QwenAligner) -> None:
    for text in ("", " \n", "… — !?"):
        assert align(aligner, np.zeros(16000, np.float32), text) == ()


def test_more_words_than_anybody_says_in_that_time_are_refused(aligner: QwenAligner) -> None:
    with pytest.raises(InvalidRequest, match=r"500 words.* 1\.0 s"):
        aligner.begin(np.zeros(SAMPLE_RATE, np.float32), "word " * 500, None)


def test_more_audio_than_the_model_takes_is_refused(aligner: QwenAligner) -> None:
    assert aligner.longest == 300 * SAMPLE_RATE
    with pytest.raises(InvalidRequest, match="300 s"):
        aligner.begin(np.zeros(301 * SAMPLE_RATE, np.float32), "word", None)


def test_no_slice_runs_more_than_its_share_of_the_decoder(
    aligner: QwenAligner, spoken: Spoken
) -> None:
    samples = np.tile(spoken[0][1], 8)
    job = aligner.begin(samples, spoken[0][0] * 8, "English")
    lengths = [0]
    while job.words is None:
        aligner.advance(job)
        lengths.append(job.cache.length)
    assert lengths[-1] > 2 * SLICE
    assert max(np.diff(lengths)) == SLICE
