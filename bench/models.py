"""The models that are measured against each other: the same weights, this project's way and not."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch

from bench.scripted import Script
from bench.sizes import processor, random_model
from bench.upstream import QwenAsr
from polyasr.engine.linear import INT8, int8_supported
from polyasr.engine.qwen_torch import QwenTorch
from polyasr.engine.threads import fit_threads


class Models:
    """Each is loaded when it is first asked for.

    Each has its own copy of the weights, since ours takes them apart. With ``int8`` ``qwen-asr``
    has bfloat16.
    """

    def __init__(self, size: str, dtype: str, device: str) -> None:
        """Raises ValueError for a device that is not there, or where int8 is not to be had."""
        _require(device, dtype)
        self._size, self._dtype, self._device = size, dtype, device

    @cached_property
    def upstream(self) -> QwenAsr:
        """``qwen-asr``'s own inference."""
        return QwenAsr(self._random())

    @cached_property
    def backend(self) -> QwenTorch:
        """This project's."""
        return QwenTorch(self._random(), self._dtype)

    @cached_property
    def script(self) -> Script:
        """What is said to them."""
        return Script(processor().tokenizer)

    def gpu(self) -> str | None:
        """What the device is, unless it is the CPU."""
        device = torch.device(self._device)
        if device.type == "cuda":
            properties = torch.cuda.get_device_properties(device)
            return f"{properties.name}, {round(properties.total_memory / 2**30)} GiB"
        return None if device.type == "cpu" else device.type

    def _random(self) -> Any:
        dtype = torch.bfloat16 if self._dtype == INT8 else getattr(torch, self._dtype)
        model = random_model(self._size, dtype, self._device)
        fit_threads(model.model)
        return model


def _require(device: str, dtype: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch has both for a device it lacks
        raise ValueError(f"device {device}: {error}") from error
    if dtype == INT8 and not int8_supported(torch.device(device)):
        raise ValueError("int8 is for the CPU, and for builds of torch that have oneDNN")
