"""Linear layers as the machine runs them fastest; several of the same input become one product.

On a CPU a decoded token costs about as long as it takes to read the weights, and a longer pass as
long as it takes to bring them into the order of the matrix units. So weights are kept in that order
(`BlockedLinear`), or in 8 bits (`Int8Linear`).
"""

from __future__ import annotations

import platform
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

INT8 = "int8"
"""A number format of the weights; all else is bfloat16 then."""
LARGEST = 127
SMALLEST = torch.finfo(torch.float32).tiny * LARGEST
"""What the largest number of a row is taken for at least, so that zeros are not divided by zero."""
SMALL = 2**20
"""Weights of a float32 matrix up to which what oneDNN does around a product, 20 µs, is more than
its blocks gain: such a one lies in the core's cache in any order."""
ROWS = 64
"""Rows for which oneDNN lays blocked weights out; what it chooses is good for one row too."""


class Linear(ABC):
    """One or several linear layers of the same input, shape (rows, features)."""

    activations: ClassVar[torch.dtype | None] = None
    """The number format they take inputs in and give outputs in, None: that of their weights."""

    def __init__(self, sources: Sequence[nn.Module], *, steps: bool = False) -> None:
        """With ``steps`` single rows are common, and worth more memory where it makes them
        faster."""
        layers: Sequence[Any] = sources
        self._sizes = [layer.out_features for layer in layers]

    @abstractmethod
    def __call__(self, inputs: Tensor) -> Tensor:
        """All outputs side by side."""

    def parts(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs of each of the layers."""
        return tuple(self(inputs).split_with_sizes(self._sizes, dim=-1))

    def onto(self, rows: Tensor, inputs: Tensor) -> Tensor:
        """``rows`` with the outputs added, in one go where that can be."""
        return rows + self(inputs)


class PlainLinear(Linear):
    """The layers as they are."""

    def __init__(self, sources: Sequence[nn.Module], *, steps: bool = False) -> None:
        super().__init__(sources)
        self._sources = sources

    def __call__(self, inputs: Tensor) -> Tensor:
        if len(self._sources) == 1:
            only: Tensor = self._sources[0](inputs)
            return only
        return torch.cat(self.parts(inputs), dim=-1)

    def parts(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(source(inputs) for source in self._sources)


class BlockedLinear(Linear):
    """Weights in the blocks of oneDNN, for float32 and bfloat16 on the CPU; the same results.

    Those of ``sources`` are let go. Small matrices are only transposed.
    """

    def __init__(self, sources: Sequence[nn.Module], *, steps: bool = False) -> None:
        super().__init__(sources)
        weight, self._bias = _taken(sources)
        self._is_small = weight.dtype == torch.float32 and weight.numel() <= SMALL
        if self._is_small:
            self._weight = weight.t().contiguous()
        else:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._is_small:
            if self._bias is None:
                return inputs @ self._weight
            return torch.addmm(self._bias, inputs, self._weight)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            inputs, self._weight, self._bias, "none", [], ""
        )
        return product

    def onto(self, rows: Tensor, inputs: Tensor) -> Tensor:
        if self._is_small:
            return super().onto(rows, inputs)
        total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(
            inputs, rows, self._weight, self._bias, "add"
        )
        return total


class Int8Linear(Linear):
    """Weights of 8 bits with a scale for each output, for the CPU; those of ``sources`` are let go.

    Inputs are rounded to 8 bits as they come, with a scale for each row (dynamic quantization;
    "vector-wise" in Dettmers et al., "LLM.int8()", 2022). Products are summed in integers, so a
    row's result does not depend on the rows beside it, but for the last bit: a row alone can be
    given to FBGEMM, which reads its own copy of the weights a quarter faster than oneDNN does with
    all that has to be done around it. Inputs and outputs are float32.
    """

    activations = torch.float32

    def __init__(self, sources: Sequence[nn.Module], *, steps: bool = False) -> None:
        super().__init__(sources)
        weight, self._bias = _taken(sources)
        weight = weight.float()
        self._scale = _scale(weight)
        rounded = (weight / self._scale).round_().to(torch.int8)
        self._scale = self._scale.flatten()
        self._zero = torch.zeros(len(self._scale), dtype=torch.int64)
        self._row = None
        if steps and _has_fbgemm():
            self._row = _for_fbgemm(rounded, self._scale, self._bias)
        self._weight = torch.ops.onednn.qlinear_prepack(rounded, None)

    def __call__(self, inputs: Tensor) -> Tensor:
        if self._row is not None and len(inputs) == 1:
            return self._of_one(inputs)
        product, scale = self._product(inputs)
        if self._bias is not None:
            return torch.addcmul(self._bias, product, scale)
        return product.mul_(scale)

    def onto(self, rows: Tensor, inputs: Tensor) -> Tensor:
        if self._row is not None and len(inputs) == 1:
            return self._of_one(inputs).add_(rows)
        product, scale = self._product(inputs)
        total = torch.addcmul(rows, product, scale)
        return total if self._bias is None else total.add_(self._bias)

    def _of_one(self, inputs: Tensor) -> Tensor:
        low, high = torch.aminmax(inputs)
        scale = max(-low.item(), high.item(), SMALLEST) / LARGEST
        # What `_op` leaves out is torch's search for traced arguments, 5 µs of each call.
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32._op(
            inputs, scale, LARGEST + 1, self._row
        )
        return product

    def _product(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Without the bias, and what each row of it has to be multiplied with."""
        scale = _scale(inputs)
        rounded = inputs.div(scale).round_().to(torch.int8)
        if len(rounded) == 1:  # at some sizes oneDNN is 50 times slower with it than with two
            rounded = rounded.expand(2, -1)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(rounded, 1.0, 0, self._weight, self._scale, self._zero),
            *(None, 1.0, 0, torch.float32, "none", [], "none"),
        )
        return product[: len(inputs)], scale


def layout(device: torch.device, dtype: str) -> type[Linear]:
    """What is fastest for a device and a number format, ``int8`` or the name of torch's."""
    if dtype == INT8:
        return Int8Linear
    return BlockedLinear if onednn_supported(device, getattr(torch, dtype)) else PlainLinear


def onednn_supported(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in that format there, at the speed of the machine."""
    if device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and _has_bfloat16())


def int8_supported(device: torch.device) -> bool:
    """Whether `Int8Linear` can be used."""
    return device.type == "cpu" and hasattr(torch.ops.onednn, "qlinear_prepack")


def _has_fbgemm() -> bool:
    """Whether FBGEMM is there, with sums of 32 bits: without VNNI its own are of 16, too few."""
    return (
        "fbgemm" in torch.backends.quantized.supported_engines
        and torch.cpu._is_vnni_supported()
        and hasattr(torch, "_make_per_channel_quantized_tensor")
        and hasattr(torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32")
    )


def _for_fbgemm(rounded: Tensor, scale: Tensor, bias: Tensor | None) -> Any:
    """Weights of 8 bits as FBGEMM wants them; it takes a symmetric input as one around 128."""
    zero = torch.zeros(len(scale), dtype=torch.int64)
    with _fbgemm(), warnings.catch_warnings(action="ignore", category=UserWarning):
        # torch is going to drop its quantized tensors; `_has_fbgemm` finds that out
        quantized = torch._make_per_channel_quantized_tensor(rounded, scale.double(), zero, 0)
        return torch.ops.quantized.linear_prepack(quantized, None if bias is None else bias.float())


@contextmanager
def _fbgemm() -> Iterator[None]:
    """What is packed meanwhile is packed for FBGEMM."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "fbgemm"
    try:
        yield
    finally:
        torch.backends.quantized.engine = before


def _has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _scale(rows: Tensor) -> Tensor:
    """What a row of float32 is divided by so that it fits in 8 bits, shape (rows, 1)."""
    largest = rows.abs().amax(dim=-1, keepdim=True)
    return largest.clamp_min_(SMALLEST).div_(LARGEST)


def _taken(sources: Sequence[Any]) -> tuple[Tensor, Tensor | None]:
    """The weights and biases of all, which these have no longer; a missing bias is 0."""
    weights = [source.weight.detach() for source in sources]
    biases = [
        torch.zeros(len(weight), dtype=weight.dtype)
        if source.bias is None
        else source.bias.detach()
        for source, weight in zip(sources, weights, strict=True)
    ]
    biased = any(source.bias is not None for source in sources)
    for source in sources:
        source.weight = source.bias = None
    return torch.cat(weights), torch.cat(biases) if biased else None
