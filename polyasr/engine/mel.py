"""The log-mel features of Whisper, frame by frame, so that finished ones need not be made again.

Equal to transformers' WhisperFeatureExtractor but for its clamp: there, values more than 8 below
the loudest of the whole input are raised to that floor. The floor rises when louder audio comes,
so it is left to the caller, who knows the whole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from polyasr.samples import Samples

LogMel = NDArray[np.float32]
"""log10 of mel power, shape (frames, bins), not yet clamped to a floor."""

RANGE = 8.0
"""What is kept below the loudest value, in units of log10 power: 80 dB."""
_SMALLEST = 1e-10


class MelFrontend:
    """A short-time Fourier transform and the mel filters of a checkpoint.

    ``filters``: (n_fft // 2 + 1, bins). Frame i is centred on sample ``i * hop``; audio is
    reflected at both ends; n samples have n // hop frames.
    """

    def __init__(self, filters: NDArray[np.floating], n_fft: int, hop: int) -> None:
        self.n_fft, self.hop = n_fft, hop
        self._filters = filters.astype(np.float32)
        self._window = np.hanning(n_fft + 1)[:-1].astype(np.float32)

    def frame_count(self, n_samples: int) -> int:
        """How many frames so many samples have."""
        return n_samples // self.hop

    def samples_for(self, frames: int) -> int:
        """How many samples must be there for the first ``frames`` to be final.

        The last frames reach half a transform beyond their centre; before that audio is there
        they see its reflection.
        """
        return (frames - 1) * self.hop + self.n_fft // 2

    def log_mel(self, samples: Samples, first: int, last: int) -> LogMel:
        """Frames [first, last) of the audio; there must be more samples than n_fft // 2."""
        begin, end = first * self.hop - self.n_fft // 2, (last - 1) * self.hop + self.n_fft // 2
        before, behind = max(-begin, 0), max(end - len(samples), 0)
        heard = np.concatenate(
            [samples[before:0:-1], samples[max(begin, 0) : end], samples[-2 : -2 - behind : -1]]
        )
        frames = np.lib.stride_tricks.sliding_window_view(heard, self.n_fft)
        spectrum = rfft(frames[:: self.hop] * self._window)  # numpy's takes six times as long
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        mel: LogMel = np.log10(np.maximum(power.astype(np.float32) @ self._filters, _SMALLEST))
        return mel


def normalized(log_mel: LogMel, floor: float) -> LogMel:
    """Clamp to the floor and scale as the model expects it."""
    scaled: LogMel = (np.maximum(log_mel, np.float32(floor)) + np.float32(4)) / np.float32(4)
    return scaled
