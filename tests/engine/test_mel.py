from typing import Any

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from polyasr.engine.mel import RANGE, MelFrontend, normalized
from polyasr.samples import Samples


@pytest.fixture(scope="module")
def whisper() -> Any:
    extractor: Any = WhisperFeatureExtractor
    return extractor(feature_size=128)


@pytest.fixture(scope="module")
def frontend(whisper: Any) -> MelFrontend:
    return MelFrontend(whisper.mel_filters, whisper.n_fft, whisper.hop_length)


def noise(n_samples: int) -> Samples:
    rng = np.random.default_rng(1)
    return (rng.standard_normal(n_samples) * np.linspace(0, 0.3, n_samples)).astype(np.float32)


@pytest.mark.parametrize("n_samples", [8000, 8001, 16159, 40_000])
def test_features_are_those_of_whisper(n_samples: int, frontend: MelFrontend, whisper: Any) -> None:
    samples = noise(n_samples)
    theirs = (
        whisper(samples, sampling_rate=16000, padding=True, truncation=False, return_tensors="np")
        .input_features[0]
        .T
    )
    log_mel = frontend.log_mel(samples, 0, frontend.frame_count(n_samples))
    ours = normalized(log_mel, float(log_mel.max()) - RANGE)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-4


def test_frames_made_apart_are_those_made_together(frontend: MelFrontend) -> None:
    samples = noise(40_000)
    whole = frontend.log_mel(samples, 0, 250)
    parts = [frontend.log_mel(samples, first, first + 50) for first in range(0, 250, 50)]
    assert np.allclose(np.concatenate(parts), whole, atol=1e-5)


def test_frames_are_final_once_the_audio_they_reach_into_is_there(frontend: MelFrontend) -> None:
    samples = noise(40_000)
    needed = frontend.samples_for(100)
    assert needed == 99 * 160 + 200
    final = frontend.log_mel(samples, 0, 100)
    assert np.allclose(frontend.log_mel(samples[:needed], 0, 100), final, atol=1e-6)
    assert not np.allclose(frontend.log_mel(samples[: needed - 100], 0, 100), final, atol=1e-6)
