"""How many threads one operation is spread over: torch's by the size of the model, NumPy's by none.

NumPy's OpenBLAS has threads of its own, which spin between its products. The one of a partial's
features takes a fraction of a millisecond; spinning for it took as much CPU as all else together.

Only one thread of the process may run torch's operations on several cores. libgomp, torch's OpenMP,
gives each thread that does a team of its own, and once all teams together are larger than the
machine their members no longer spin between two operations but sleep, and the model takes half as
long again (its ``gomp_throttled_spin_count_var``).
"""

from __future__ import annotations

from typing import Any

import torch
from threadpoolctl import ThreadpoolController

ALL = torch.get_num_threads()
"""What torch or OMP_NUM_THREADS chose for this machine."""
LARGE = 30_000_000
"""Weights from which on a matrix is worth more than one thread. A small model's operations take
microseconds, less than threads take to meet after each, and much less where a core is busy with
something else: then all wait for the thread that has none."""


def fit_threads(model: Any) -> None:
    """On the thread that runs the model, a torch module: use as many as it is worth.

    Of several models the one that was loaded last decides. NumPy has one from then on.
    """
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)
    weights = sum(tensor.numel() for tensor in model.parameters())
    torch.set_num_threads(ALL if weights >= LARGE else 1)
