"""Whisper's log-mel features, as the processor of Qwen3-ASR computes them for one clip.

The clip is neither padded nor cut: `samples // 160` frames, and the floor is 8 below the maximum
of the whole clip (log10 of power).
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray

MEL_BINS = 128
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160


@functools.cache
def _filters() -> torch.Tensor:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=MEL_BINS)  # type: ignore[no-untyped-call]
    return torch.from_numpy(extractor.mel_filters.T).to(torch.float32).contiguous()


@functools.cache
def _window() -> torch.Tensor:
    return torch.hann_window(WINDOW_SAMPLES)


def log_mel(samples: NDArray[np.float32]) -> torch.Tensor:
    """Features [128, samples // 160], float32, of mono samples at 16 kHz (at least 201)."""
    audio = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    spectrum = torch.stft(audio, WINDOW_SAMPLES, HOP_SAMPLES, window=_window(), return_complex=True)
    power = spectrum[:, : len(samples) // HOP_SAMPLES].abs().square()
    logarithm = (_filters() @ power).clamp_(min=1e-10).log10_()
    floored = torch.maximum(logarithm, logarithm.max() - 8.0)
    return floored.add_(4.0).div_(4.0)
