"""One thread for a small model, all for a large one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from threadpoolctl import ThreadpoolController

from polyasr.engine import threads
from polyasr.engine.qwen_torch import QwenTorch
from tests.engine.conftest import TINY


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_size_of_the_model_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "ALL", 2)
    with torch.device("meta"):
        small, large = torch.nn.Linear(1000, 1000), torch.nn.Linear(6000, 6000)
    for model, wanted in ((small, 1), (large, 2), (small, 1)):
        threads.fit_threads(model)
        assert torch.get_num_threads() == wanted


def test_the_tiny_model_is_run_by_one_thread_and_so_is_numpy() -> None:
    torch.set_num_threads(2)
    blas = ThreadpoolController().select(internal_api="openblas")
    blas.limit(limits=2)
    QwenTorch.load(TINY, "cpu", "float32")
    assert torch.get_num_threads() == 1
    assert {library["num_threads"] for library in blas.info()} <= {1}
