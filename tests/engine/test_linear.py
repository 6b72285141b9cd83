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
@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("n", [1, 2, 37])
@torch.inference_mode()
def test_several_layers_in_one_product_give_what_each_gives(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[PlainLinear | BlockedLinear | Int8Linear],
    bias: bool,
    n: int,
    small: int,
    steps: bool,
) -> None:
    monkeypatch.setattr(linear, "SMALL", small)
    sources, inputs = layers(32, 96, bias=bias), rows(n)
    expected = [source(inputs) for source in sources]
    product = kind(sources, steps=steps)
    off = 0.02 if kind is Int8Linear else 1e-5
    for found, wanted in zip(product.parts(inputs), expected, strict=True):
        assert (found - wanted).norm() <= off * wanted.norm()
    assert torch.equal(product(inputs), torch.cat(product.parts(inputs), dim=-1))
    other = torch.full((n, 128), 3.0)
    assert torch.allclose(product.onto(other, inputs), 3.0 + product(inputs), atol=1e-5)


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


@pytest.mark.parametrize("loud", [1.0, 1e-20, 1e20])
@torch.inference_mode()
def test_a_row_alone_is_rounded_like_a_row_among_others(loud: float) -> None:
    """Also where a CPU has a faster way for a single row."""
    product, inputs = Int8Linear(layers(96, bias=False), steps=True), rows(9) * loud
    together = product(inputs)
    for number in range(9):
        alone = product(inputs[number : number + 1])[0]
        assert torch.allclose(alone, together[number], rtol=1e-5, atol=1e-6 * loud)


@pytest.mark.parametrize("n", [1, 2])
@torch.inference_mode()
def test_a_row_of_zeros_is_no_division_by_zero(n: int) -> None:
    product = Int8Linear(layers(8, bias=False), steps=True)
    assert torch.equal(product(torch.zeros(n, 64)), torch.zeros(n, 8))


@torch.inference_mode()
def test_what_packs_weights_leaves_the_processs_choice_of_engine() -> None:
    before = torch.backends.quantized.engine
    Int8Linear(layers(8), steps=True)
    assert torch.backends.quantized.engine == before


@torch.inference_mode()
def test_without_fbgemm_a_row_alone_is_onednns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_has_fbgemm", lambda: False)
    product, inputs = Int8Linear(layers(96), steps=True), rows(2)
    assert torch.equal(product(inputs[:1])[0], product(inputs)[0])


def test_half_precision_keeps_the_layers_as_they_are() -> None:
    assert layout(CPU, "float16") is PlainLinear
    assert layout(CPU, "int8") is Int8Linear
    assert layout(torch.device("cuda"), "bfloat16") is PlainLinear
