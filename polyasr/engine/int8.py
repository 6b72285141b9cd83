"""Linear layers with int8 weights, for the CPU.

A decode step reads every weight once, so it is as fast as the weights are small. Weights are
rounded to 8 bits with a scale for each output, inputs with a scale for each row as they come
(dynamic quantization; Dettmers et al., "LLM.int8()", 2022, call it vector-wise). Products are
summed in integers, so a row's result does not depend on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 127


class Int8Linear(nn.Module):
    """One or several linear layers of the same input, in one product.

    The weights of ``sources`` are let go, one after another, so that never much more than they
    took is held. Inputs are float32 or bfloat16, shape (rows, features), outputs likewise.
    """

    def __init__(self, sources: Sequence[nn.Module]) -> None:
        super().__init__()
        weights = [_taken(source, "weight") for source in sources]
        biases = [_taken(source, "bias") for source in sources]
        weight = torch.cat(weights).float() if len(weights) > 1 else weights[0].float()
        scale = weight.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / LARGEST
        rounded = (weight / scale[:, None]).round_().to(torch.int8)
        self._sizes = [len(each) for each in weights]
        self._packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self._scale = scale
        self._zero = torch.zeros(len(scale), dtype=torch.int64)
        self._bias = torch.cat(biases) if all(bias is not None for bias in biases) else None

    def forward(self, inputs: Tensor) -> Tensor:
        """All outputs side by side."""
        largest = inputs.abs().amax(dim=-1, keepdim=True).float()
        scale = largest.clamp_min_(torch.finfo(torch.float32).tiny).div_(LARGEST)
        rounded = (inputs / scale).round_().to(torch.int8)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(rounded, 1.0, 0, self._packed, self._scale, self._zero),
            *(None, 1.0, 0, torch.float32, "none", [], "none"),
        )
        product = product.mul_(scale)
        if self._bias is not None:
            product = product.add_(self._bias)
        return product.to(inputs.dtype)

    def parts(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of each of the layers."""
        return torch.split(self(inputs), self._sizes, dim=-1)


def _taken(source: Any, name: str) -> Any:
    """A parameter, which the module has no longer."""
    held = getattr(source, name, None)
    if held is None:
        return None
    setattr(source, name, None)
    return held.detach()


def supported() -> bool:
    """Whether this build of torch has the kernels."""
    return hasattr(torch.ops.onednn, "qlinear_prepack")
