"""Linear layers in other layouts give what the layers themselves give."""

import pytest
import torch
from torch import nn

from polyasr.engine import linear
from polyasr.engine.linear import BlockedLinear, Int8Linear, PlainLinear, layout

CPU = torch.device("cpu")


def layers(*outputs: int, bias: bool = True) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(64, n, bias=bias) for n in outputs]


def rows(n: int) -> torch.Tensor:
    return torch.randn(n, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("small", [0, linear.SMALL])
@pytest.mark.parametrize("kind", [PlainLinear, BlockedLinear, Int8Linear])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n", [1, 2, 37])
@torch.inference_mode()
def test_several_layers_in_one_product_give_what_each_gives(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[PlainLinear | BlockedLinear | Int8Linear],
    bias: bool,
    n: int,
    small: int,
) -> None:
    monkeypatch.setattr(linear, "SMALL", small)
    sources, inputs = layers(32, 96, bias=bias), rows(n)
    expected = [source(inputs) for source in sources]
    product = kind(sources)
    off = 0.02 if kind is Int8Linear else 1e-5
    for found, wanted in zip(product.parts(inputs), expected, strict=True):
        assert (found - wanted).norm() <= off * wanted.norm()
    assert torch.equal(product(inputs), torch.cat(product.parts(inputs), dim=-1))


@torch.inference_mode()
def test_a_bias_that_only_one_layer_has_is_added_there_alone() -> None:
    sources = [*layers(32, bias=True), *layers(32, bias=False)]
    expected = [source(rows(3)) for source in sources]
    for found, wanted in zip(BlockedLinear(sources).parts(rows(3)), expected, strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


@torch.inference_mode()
def test_rounded_to_int8_a_row_does_not_depend_on_its_neighbours() -> None:
    product, inputs = Int8Linear(layers(96)), rows(9)
    inputs[3] *= 1000
    together = product(inputs)
    for number in range(9):
        assert torch.equal(product(inputs[number : number + 1])[0], together[number])


@torch.inference_mode()
def test_a_row_of_zeros_is_no_division_by_zero() -> None:
    assert torch.equal(Int8Linear(layers(8, bias=False))(torch.zeros(2, 64)), torch.zeros(2, 8))


def test_half_precision_keeps_the_layers_as_they_are() -> None:
    assert layout(CPU, "float16") is PlainLinear
    assert layout(CPU, "int8") is Int8Linear
    assert layout(torch.device("cuda"), "bfloat16") is PlainLinear
