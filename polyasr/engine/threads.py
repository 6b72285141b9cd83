"""How many threads torch spreads one operation over, chosen by the size of the model."""

from __future__ import annotations

from typing import Any

import torch

ALL = torch.get_num_threads()
"""What torch or OMP_NUM_THREADS chose for this machine."""
LARGE = 30_000_000
"""Weights from which on a matrix is worth more than one thread. A small model's operations take
microseconds, less than threads take to meet after each, and much less where a core is busy with
something else: then all wait for the thread that has none."""


def fit_threads(model: Any) -> None:
    """On the thread that runs the model, a torch module: use as many as it is worth.

    Of several models the one that was loaded last decides.
    """
    weights = sum(tensor.numel() for tensor in model.parameters())
    torch.set_num_threads(ALL if weights >= LARGE else 1)
