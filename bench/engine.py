"""What a partial costs: the incremental engine against decoding again what was heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench.results import Measurement
from bench.scripted import noise
from bench.strategies import Strategies, Strategy
from polyasr.samples import SAMPLE_RATE, Samples

MARKS = (5, 10, 20, 30)
"""Seconds of audio at which every strategy is measured."""
LAST_PARTIAL = 0.5
"""Seconds before the end, for the final: partials come all the time, and then someone stops."""

Key = tuple[str, int]
"""``what`` and ``at`` of a `Measurement`."""
Progress = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step took."""

    seconds: float
    encoder_tokens: int
    decoder_tokens: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.seconds + other.seconds,
            self.encoder_tokens + other.encoder_tokens,
            self.decoder_tokens + other.decoder_tokens,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One strategy, once through the recording."""

    costs: dict[Key, Cost]
    digest: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of it, as it stands in a `Result`."""

    measurements: tuple[Measurement, ...]
    outputs: dict[str, tuple[str, ...]]


def recording(n_seconds: int) -> Samples:
    """Of noise; what is in it makes no difference to its cost."""
    return noise(np.random.default_rng(0), n_seconds * SAMPLE_RATE)


def marks(n_seconds: int) -> list[int]:
    """Where all are measured: the marks within the recording, and its end."""
    return sorted({mark for mark in MARKS if mark <= n_seconds} | {n_seconds})


def measure(
    strategies: Strategies,
    n_seconds: int,
    repeats: int,
    progress: Progress,
) -> Outcome:
    """Every strategy on a recording of ``n_seconds`` (1 to 30), in turn, ``repeats`` times."""
    samples = recording(n_seconds)
    for name, begin in strategies.items():
        progress(f"warming up: {name}")
        begin(samples).partial(1, 0)
    runs: dict[str, list[Run]] = {name: [] for name in strategies}
    for repeat in range(1, repeats + 1):
        for name, begin in strategies.items():
            strategy = begin(samples)
            done = {}
            for key, cost in costs(strategy, n_seconds):
                progress(f"run {repeat} of {repeats}: {name}, {key[0]} at {key[1]} s")
                done[key] = cost
            runs[name].append(Run(done, strategy.tally.digest()))
    return _outcome(runs)


def costs(strategy: Strategy, n_seconds: int) -> Iterator[tuple[Key, Cost]]:
    """What each partial and the final cost; the sum of partials where all are made."""
    total = Cost(0, 0, 0)
    for second in range(1, n_seconds + 1) if strategy.stateful else marks(n_seconds):
        cost = _cost(strategy, strategy.partial, second, second - 1)
        total += cost
        yield ("partial", second), cost
    before = n_seconds - LAST_PARTIAL
    if strategy.stateful:
        yield ("recording", n_seconds), total
        strategy.partial(before, before)
    yield ("final", n_seconds), _cost(strategy, strategy.final, n_seconds, before)


def _cost(
    strategy: Strategy, step: Callable[[float, float], None], now: float, before: float
) -> Cost:
    """Steps end with their tokens on the host, so no device is still at work when they return."""
    tally = strategy.tally
    encoder, decoder = tally.encoder, tally.decoder
    began = time.perf_counter()
    step(now, before)
    seconds = time.perf_counter() - began
    return Cost(seconds, tally.encoder - encoder, tally.decoder - decoder)


def _outcome(runs: Mapping[str, list[Run]]) -> Outcome:
    measurements = [
        Measurement(
            what,
            name,
            at,
            tuple(run.costs[what, at].seconds for run in done),
            cost.encoder_tokens,
            cost.decoder_tokens,
        )
        for name, done in runs.items()
        for (what, at), cost in done[0].costs.items()
    ]
    return Outcome(
        tuple(measurements),
        {name: tuple(sorted({run.digest for run in done})) for name, done in runs.items()},
    )
