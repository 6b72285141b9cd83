"""Samples: the one form that audio has inside, and PCM16, the form it has on the wire."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio at 16 kHz in [-1, 1], shape (n,)."""

SAMPLE_RATE = 16_000
"""Hz; the only rate inside."""
FULL_SCALE = 32_768
"""PCM16 is a two's complement fraction of this; dividing by a power of two is exact in float32."""


def from_pcm16(pcm16: bytes) -> Samples:
    """PCM16, little-endian, to float32 in [-1, 1). Raises ValueError for an odd number of bytes."""
    return np.frombuffer(pcm16, "<i2") * np.float32(1 / FULL_SCALE)


def to_pcm16(samples: Samples) -> bytes:
    """Float32 in [-1, 1] to PCM16, little-endian, rounded and clipped; undoes ``from_pcm16``."""
    scaled: Samples = np.rint(samples * np.float32(FULL_SCALE))
    return scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()
