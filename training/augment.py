"""What happens to speech on its way to a server: rooms, telephones, levels and noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from training.synthesis import SAMPLE_RATE, Samples

BANK_SECONDS = 45
NOISES = ("white", "pink", "brown", "hum", "wind", "hiss")


def _unit(samples: NDArray[np.floating]) -> Samples:
    return np.asarray(samples / np.sqrt(np.mean(samples**2) + 1e-12), np.float32)


@dataclass(frozen=True)
class NoiseBank:
    """Kinds of noise at unit power, made from a seed once and read at random offsets."""

    seed: int

    @cached_property
    def noises(self) -> dict[str, Samples]:
        """Each kind of noise, `BANK_SECONDS` of it."""
        rng = np.random.default_rng(self.seed)
        count = BANK_SECONDS * SAMPLE_RATE
        time = np.arange(count) / SAMPLE_RATE

        def coloured(exponent: float, low: float = 20.0, high: float = 8000.0) -> Samples:
            spectrum = np.fft.rfft(rng.standard_normal(count))
            frequency = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 1.0)
            spectrum *= frequency**exponent * (frequency >= low) * (frequency <= high)
            return _unit(np.fft.irfft(spectrum, count))

        hum = sum(
            np.sin(2 * np.pi * 50.0 * (k + 1) * time + k) / (k + 1) for k in range(8)
        ) + 0.1 * rng.standard_normal(count)
        slow = 0.55 + 0.45 * np.sin(2 * np.pi * 0.4 * time + np.sin(2 * np.pi * 0.13 * time))
        return {
            "white": coloured(0.0),
            "pink": coloured(-0.5),
            "brown": coloured(-1.0),
            "hum": _unit(np.asarray(hum)),
            "wind": _unit(coloured(-1.0, high=900.0) * slow),
            "hiss": coloured(0.3, low=1500.0),
        }

    def draw(self, rng: np.random.Generator, kind: str, bounds: list[int]) -> Samples:
        """Noise over `bounds[-1]` samples that starts anew at each bound, as spliced audio does."""
        noise = self.noises[kind]
        pieces = []
        for length in np.diff([0, *bounds]):
            start = int(rng.integers(0, max(1, len(noise) - length)))
            whole = start + length <= len(noise)
            pieces.append(noise[start : start + length] if whole else np.resize(noise, length))
        return np.concatenate(pieces)


def colour(rng: np.random.Generator, samples: Samples) -> Samples:
    """Now and then a telephone, a dull or thin microphone, or a small room."""
    choice = rng.random()
    if choice < 0.07:
        low, high = rng.uniform(200, 400), rng.uniform(2800, 3600)
        return _filtered(samples, [low, high], "bandpass", 3)
    if choice < 0.15:
        return _filtered(samples, rng.uniform(2500, 7000), "lowpass", 2)
    if choice < 0.22:
        return _filtered(samples, rng.uniform(80, 350), "highpass", 1)
    if choice < 0.34:
        tilt = rng.uniform(-0.6, 0.6)
        return np.asarray(signal.lfilter([1.0, tilt], [1.0], samples), np.float32)
    if choice < 0.48:
        return _room(rng, samples)
    return samples


def _filtered(samples: Samples, edge: float | list[float], kind: str, order: int) -> Samples:
    sections = signal.butter(order, edge, kind, fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sections, samples), np.float32)


def _room(rng: np.random.Generator, samples: Samples) -> Samples:
    decay = rng.uniform(0.08, 0.35)  # seconds to fall by 60 dB
    length = int(decay * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail *= rng.uniform(0.15, 0.7) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(signal.oaconvolve(samples, tail)[: len(samples)], np.float32)


def level(rng: np.random.Generator, samples: Samples) -> Samples:
    """Bring the peak to somewhere between -32 and -0.5 dB of full scale."""
    peak = 10 ** (rng.uniform(-32, -0.5) / 20) if rng.random() < 0.5 else rng.uniform(0.2, 0.95)
    return np.asarray(samples * np.float32(peak / (np.abs(samples).max() + 1e-9)), np.float32)


def noisy(
    rng: np.random.Generator, bank: NoiseBank, samples: Samples, bounds: list[int], speech: float
) -> Samples:
    """Add noise, 6 to 45 dB below the speech (whose root mean square is `speech`), or none."""
    choice = rng.random()
    if choice < 0.2:
        return samples
    if choice < 0.4:
        ratio = rng.uniform(45, 70)
    else:
        ratio = rng.uniform(6, 45) if rng.random() < 0.6 else rng.uniform(18, 45)
    kind = NOISES[int(rng.integers(len(NOISES)))]
    noise = bank.draw(rng, kind, bounds)
    return np.asarray(samples + noise * np.float32(speech * 10 ** (-ratio / 20)), np.float32)


def nothing(rng: np.random.Generator, bank: NoiseBank, count: int) -> Samples:
    """`count` samples without speech: silence, direct current, clicks, or noise of any level."""
    choice = rng.random()
    if choice < 0.08:
        return np.zeros(count, np.float32)
    if choice < 0.12:
        return np.full(count, rng.uniform(-0.1, 0.1), np.float32)
    kind = NOISES[int(rng.integers(len(NOISES)))]
    samples = bank.draw(rng, kind, [count]) * np.float32(10 ** (rng.uniform(-85, -14) / 20))
    if choice < 0.3:
        for at in rng.integers(0, count, int(rng.integers(1, 6))):
            click = rng.standard_normal(int(rng.integers(8, 400))) * rng.uniform(0.02, 0.5)
            click *= np.exp(-np.arange(len(click)) / (len(click) / 4))
            end = min(count, at + len(click))
            samples[at:end] += click[: end - at].astype(np.float32)
    return np.asarray(np.clip(samples, -1, 1), np.float32)


def quantised(samples: Samples) -> Samples:
    """Rounded to 16 bits, as it comes over the wire."""
    return np.asarray(np.round(np.clip(samples, -1, 1) * 32767) / 32768, np.float32)


def masked_bands(rng: np.random.Generator, features: NDArray[np.float32]) -> None:
    """Blank, in place, one or two bands of mel bins and a few short moments."""
    floor = features.min()
    for _ in range(int(rng.integers(1, 3))):
        width, low = int(rng.integers(2, 18)), int(rng.integers(0, 110))
        features[low : low + width] = floor
    for _ in range(int(features.shape[1] // 300)):
        width, start = int(rng.integers(1, 8)), int(rng.integers(0, features.shape[1]))
        features[:, start : start + width] = floor
