"""What is asked of the framework's memory at any time."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from polyasr.engine import memory


@pytest.mark.parametrize("torch", [None, ModuleType("torch")], ids=["absent", "being imported"])
def test_the_accelerator_can_be_asked_about_before_torch_is_there(
    torch: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert memory.accelerator_bytes() == 0
