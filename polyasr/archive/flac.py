"""PCM16 to FLAC, a block at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from polyasr.samples import SAMPLE_RATE

BLOCK_SEC = 10


class Interrupted(Exception):
    """It was not finished, because that was wished."""


def encode(pcm16: Path, flac: Path, interrupted: Callable[[], bool]) -> None:
    """Write a FLAC of a file of PCM16, little-endian, 16 kHz, mono; half a sample at its end is
    left out. Raises OSError, and Interrupted as soon as that is so."""
    with pcm16.open("rb") as source, av.open(str(flac), "w", format="flac") as target:
        stream = target.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        while block := source.read(2 * BLOCK_SEC * SAMPLE_RATE):
            if interrupted():
                raise Interrupted
            samples = np.frombuffer(block[: len(block) // 2 * 2], "<i2")[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
