"""Chunks are convolved once, whoever asks for them."""

from typing import Any

import numpy as np
import pytest
import torch

from polyasr.engine.backend import Window
from polyasr.engine.mel import LogMel
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.engine.torch_chunks import KEPT, ChunkEmbedder


def mel(seconds: float, seed: int = 0) -> LogMel:
    shape = (round(seconds * 100), 128)
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Counted(ChunkEmbedder):
    """Counts the chunks it convolves."""

    def __init__(self, tower: Any, kept: int = KEPT) -> None:
        super().__init__(tower, kept)
        self.tower, self.n_convolved = tower, 0

    def _convolved(self, chunks: LogMel) -> torch.Tensor:
        self.n_convolved += len(chunks)
        return super()._convolved(chunks)


@pytest.fixture
def counted(tiny: QwenTorch) -> Counted:
    return Counted(tiny._encoder._tower)


@torch.inference_mode()
def test_a_window_that_grows_pays_for_its_newest_second_alone(counted: Counted) -> None:
    whole = mel(8)
    for seconds in range(1, 9):
        before = counted.n_convolved
        (grown,) = counted.embed([Window(whole[: 100 * seconds], True)])
        assert counted.n_convolved - before == 1
    (fresh,) = Counted(counted.tower).embed([Window(whole, True)])
    assert torch.allclose(grown, fresh, atol=1e-5)


CASES = [(0.4, False), (8, True), (2.35, True), (0.4, True), (0.4, False)]
"""Seconds of a window, and whether it has others beside it."""


@torch.inference_mode()
def test_windows_of_several_streams_keep_their_order_and_lengths(counted: Counted) -> None:
    windows = [Window(mel(s, seed), among) for seed, (s, among) in enumerate(CASES)]
    alone = [Counted(counted.tower).embed([window])[0] for window in windows]
    for found, expected in zip(counted.embed(windows), alone, strict=True):
        assert found.shape == expected.shape
        assert torch.allclose(found, expected, atol=1e-5)


@torch.inference_mode()
def test_what_is_kept_is_bounded_and_the_oldest_goes_first(counted: Counted) -> None:
    counted = Counted(counted.tower, kept=4)
    for seed in range(5):
        counted.embed([Window(mel(1, seed), True)])
    assert len(counted._kept) == 4
    counted.embed([Window(mel(1, seed=4), True)])
    assert counted.n_convolved == 5
    counted.embed([Window(mel(1, seed=0), True)])
    assert counted.n_convolved == 6
