"""Speed, by the clock and by the processor, and memory, of work that takes long enough for both."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from polyasr.samples import SAMPLE_RATE, Samples

BLOCK = 10 * SAMPLE_RATE


@dataclass(slots=True)
class Spending:
    """What work on ``audio``, in seconds, has cost so far: ``took`` seconds by the clock and
    ``computed`` on all processors together, which says more where other work is under way."""

    audio: float = 0.0
    took: float = 0.0
    computed: float = 0.0

    @classmethod
    def of(cls, many: Iterable[Spending]) -> Spending:
        """The sum."""
        each = [(one.audio, one.took, one.computed) for one in many]
        return cls(*map(sum, zip(*each, strict=True)))

    @contextmanager
    def on(self, n_samples: int) -> Iterator[None]:
        """Count the block as work on so many samples; one that fails does not count."""
        took, computed = time.perf_counter(), time.process_time()
        yield
        self.took += time.perf_counter() - took
        self.computed += time.process_time() - computed
        self.audio += n_samples / SAMPLE_RATE

    def cells(self) -> list[str]:
        """RTFx, and RTFx by the time of processors; empty where nothing was done."""
        if not self.audio:
            return ["", ""]
        return [f"{self.audio / self.took:.0f}", f"{self.audio / self.computed:.0f}"]

    def told(self) -> str:
        """The same as a sentence."""
        wall, processors = self.cells()
        return f"Speed: {wall} times real time; {processors} by the time of processors."


def repeated(samples: Samples, length: int) -> Iterator[Samples]:
    """Blocks of the samples, again and again, up to the length."""
    for start in range(0, length, BLOCK):
        at = np.arange(start, min(start + BLOCK, length))
        yield samples[at % len(samples)]


def peak_mb() -> float:
    """The most memory of this process since it began; the system counts kB on Linux, bytes on a
    Mac."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
