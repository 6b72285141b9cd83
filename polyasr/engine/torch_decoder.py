"""The text decoder of Qwen3-ASR over many streams at once, each with its own keys and values.

Positions of all streams stand in one matrix, so that every weight is read once for all of them;
only attention is done stream by stream. The layers are those of ``qwen-asr``
(``Qwen3ASRThinkerTextModel``); what is not used of it is the general machinery around them. Text
and audio have the same position on all three axes of its rotary embedding, which makes it the
ordinary one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from polyasr.engine.linear import Linear

GROWTH = 256
"""Positions by which a cache grows."""

LOGITS = 150_000
"""So many logits stay in the cache of a CPU's core: a row of the published checkpoints."""


class KeyValueCache:
    """Keys and values of one stream: for each layer (1, heads, capacity, 2 * head_dim), the values
    behind the keys."""

    def __init__(self, layers: int, heads: int, width: int, dtype: torch.dtype, device: Any):
        self.length = 0
        self._capacity, self._width = 0, width
        shape = (1, heads, 0, 2 * width)
        self._layers = [torch.empty(shape, dtype=dtype, device=device) for _ in range(layers)]

    def reserve(self, more: int) -> None:
        """Make room for so many positions."""
        lacking = self.length + more - self._capacity
        if lacking > 0:
            grown = -(-lacking // GROWTH) * GROWTH
            self._capacity += grown
            self._layers = [functional.pad(layer, (0, 0, 0, grown)) for layer in self._layers]

    def write(self, layer: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Put keys and values (positions, heads, 2 * head_dim) behind ``length``; returns all keys
        and all values up to their end, shape (1, heads, positions, head_dim).

        They count only once ``length`` does.
        """
        held, more = self._layers[layer], rows.shape[0]
        held.narrow(2, self.length, more).copy_(rows.transpose(0, 1))
        filled = held.narrow(2, 0, self.length + more)
        keys, values = filled.split_with_sizes([self._width, self._width], dim=3)
        return keys, values


@dataclass(frozen=True, slots=True)
class Span:
    """The next ``rows`` of the matrix belong to one stream, and its last ``asked`` go on.

    ``mask``, shape (heads per key · asked, positions), is added to their scores: 0 where they may
    attend, and minus infinity; None: they may everywhere.
    """

    cache: KeyValueCache
    rows: int
    asked: int
    mask: Tensor | None


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer's linear parts, and the weights of its norms."""

    input_norm: Tensor
    qkv: Linear
    head_norm: Tensor
    """Of each query and key head, shape (heads, head_dim)."""
    out: Linear
    mlp_norm: Tensor
    gate_up: Linear
    down: Linear


class TorchDecoder:
    """Runs the layers of a ``Qwen3ASRThinkerTextModel`` and its head."""

    def __init__(self, model: Any, head: nn.Module, linear: type[Linear]) -> None:
        """``linear`` runs the linear layers and the head, and may take their weights."""
        attention = model.layers[0].self_attn
        self._embed = model.embed_tokens
        self._width: int = attention.head_dim
        self._queries = attention.q_proj.out_features // self._width
        self._heads = attention.k_proj.out_features // self._width
        self.device: torch.device = self._embed.weight.device
        self._epsilon: float = attention.q_norm.variance_epsilon
        self._root_epsilon = torch.tensor(self._epsilon**0.5, device=self.device)
        self._zero = torch.zeros(1, device=self.device)
        self._cached: torch.dtype = self._embed.weight.dtype
        self._active = linear.activations or self._cached
        self._norms_by_number = self._active == torch.float32 and self.device.type == "cpu"
        self._rotary = _Rotary(model.rotary_emb, self._active, self.device)
        self._layers = [self._layer(layer, linear) for layer in model.layers]
        self._norm = model.norm.weight.detach().to(self._active)
        self._head = linear([head], steps=True)

    def new_cache(self) -> KeyValueCache:
        """An empty cache."""
        return KeyValueCache(len(self._layers), self._heads, self._width, self._cached, self.device)

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Token ids to (tokens, hidden)."""
        tokens = torch.tensor(ids, dtype=torch.long, device=self.device)
        embedded: Tensor = self._embed(tokens)
        return embedded.to(self._active)

    def extend(self, inputs: Sequence[tuple[KeyValueCache, Tensor, int]]) -> list[Tensor]:
        """Run (positions, hidden) behind each cache; returns the hidden states of the last layer at
        the last positions, of which each input says how many.

        The caches grow by all positions, and only when all of it has gone well.
        """
        for cache, rows, _ in inputs:
            cache.reserve(len(rows))
        spans = [self._span(cache, len(rows), len(rows)) for cache, rows, _ in inputs]
        ends = [self._span(cache, len(rows), asked) for cache, rows, asked in inputs]
        hidden = torch.cat([rows for _, rows, _ in inputs]).to(self._active)
        rotation = self._rotary.at([(span.cache.length, span.rows) for span in spans])
        for number, layer in enumerate(self._layers):
            going_on = ends if layer is self._layers[-1] else spans
            attended = self._attend(number, layer, hidden, going_on, rotation)
            if going_on is ends:
                hidden = _asked(hidden, ends)
            if len(hidden):
                hidden = self._transformed(layer, hidden, attended)
        for span in spans:
            span.cache.length += span.rows
        return list(hidden.split_with_sizes([span.asked for span in ends]))

    def likeliest(self, hidden: Tensor) -> tuple[list[int], list[float]]:
        """The likeliest token after each position and its log-probability."""
        logits = self._head(self._normed(hidden, self._norm))
        rows = max(1, LOGITS // logits.shape[1] if self.device.type == "cpu" else len(logits))
        tokens: list[int] = []
        logprobs: list[float] = []
        for part in map(Tensor.float, torch.split(logits, rows)):
            indices = _largest(part)
            tokens += indices.tolist()
            above = part.gather(1, indices[:, None])
            logprobs += (part - above).exp_().sum(dim=-1).log_().neg_().tolist()
        return tokens, logprobs

    def _layer(self, source: Any, linear: type[Linear]) -> _Layer:
        attention, mlp = source.self_attn, source.mlp
        heads = [attention.q_norm.weight] * self._queries + [attention.k_norm.weight] * self._heads
        return _Layer(
            source.input_layernorm.weight.detach().to(self._active),
            linear([attention.q_proj, attention.k_proj, attention.v_proj], steps=True),
            torch.stack(heads).detach().to(self._active),
            linear([attention.o_proj], steps=True),
            source.post_attention_layernorm.weight.detach().to(self._active),
            linear([mlp.gate_proj, mlp.up_proj], steps=True),
            linear([mlp.down_proj], steps=True),
        )

    def _transformed(self, layer: _Layer, hidden: Tensor, attended: Tensor) -> Tensor:
        """What a layer makes of its input and of what attention found."""
        hidden = layer.out.onto(hidden, attended.to(self._active))
        gate, up = layer.gate_up.parts(self._normed(hidden, layer.mlp_norm))
        return layer.down.onto(hidden, functional.silu(gate).mul_(up))

    def _attend(
        self,
        number: int,
        layer: _Layer,
        hidden: Tensor,
        spans: Sequence[Span],
        rotation: tuple[Tensor, Tensor],
    ) -> Tensor:
        """What the positions that go on find at those up to their own, shape (positions, heads ·
        head_dim)."""
        qkv = layer.qkv(self._normed(hidden, layer.input_norm))
        heads, values = qkv.view(len(hidden), -1, self._width).split_with_sizes(
            [self._queries + self._heads, self._heads], dim=1
        )
        rotated = _rotated(self._normed(heads, layer.head_norm), *rotation).to(self._cached)
        queries, keys = rotated.split_with_sizes([self._queries, self._heads], dim=1)
        written = torch.cat([keys, values.to(self._cached)], dim=2)
        if len(spans) == 1:
            return _attended(number, spans[0], queries, written)
        sizes = [span.rows for span in spans]
        parts = (part.split_with_sizes(sizes) for part in (queries, written))
        return _joined([_attended(number, *own) for own in zip(spans, *parts, strict=True)])

    def _normed(self, rows: Tensor, weight: Tensor) -> Tensor:
        """The root-mean-square norm of Qwen3, computed in float32 and rounded before its weight."""
        if rows.shape[0] == 1 and rows.dim() == 2 and self._norms_by_number:
            # Two operations in place of five: after each product the code of all is out of the
            # core's cache again, so that one costs 10 µs however little it computes.
            square = torch.linalg.vector_norm(rows).item() ** 2 / rows.shape[-1]
            factor = (square + self._epsilon) ** -0.5
            return torch.addcmul(self._zero, rows, weight, value=factor)
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float32)
        mean = torch.hypot(length.mul_(rows.shape[-1] ** -0.5), self._root_epsilon)
        return (rows / mean).to(weight.dtype).mul_(weight)

    def _span(self, cache: KeyValueCache, rows: int, asked: int) -> Span:
        if asked < 2:
            return Span(cache, rows, asked, None)
        end = cache.length + rows
        forbidden = torch.full((asked, end), -torch.inf, dtype=self._cached, device=self.device)
        mask = forbidden.triu(end - asked + 1).repeat(self._queries // self._heads, 1)
        return Span(cache, rows, asked, mask)


class _Rotary:
    """The rotary embedding, computed once for each position and then looked up."""

    def __init__(self, embedding: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
        self._embedding, self._dtype, self._device = embedding, dtype, device
        self._cos = self._sin = torch.empty(0, dtype=dtype, device=device)

    def at(self, ranges: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (positions, 1, width) each, of ranges: first position and count.

        The sines of the first half are negative, as `_rotated` wants them.
        """
        self._reach(max(first + count for first, count in ranges))
        places = [place for first, count in ranges for place in range(first, first + count)]
        index = torch.tensor(places, device=self._device)
        return self._cos[index], self._sin[index]

    def _reach(self, positions: int) -> None:
        if positions <= len(self._cos):
            return
        every = torch.arange(-(-positions // GROWTH) * GROWTH, device=self._device)
        like = torch.empty(0, dtype=self._dtype, device=self._device)
        cos, sin = (part[0].unsqueeze(1) for part in self._embedding(like, every[None]))
        self._cos, self._sin = cos, sin
        sin[..., : sin.shape[-1] // 2].neg_()


def _attended(layer: int, span: Span, queries: Tensor, written: Tensor) -> Tensor:
    """Attention of one stream, from (rows, heads, head_dim), of which the last ``asked`` go on, to
    all keys and values up to them; gives (asked, heads · head_dim)."""
    keys, values = span.cache.write(layer, written)
    if not span.asked:
        return queries[:0].flatten(1)
    if span.asked == 1:
        alone = queries[-1:].transpose(0, 1)[None]
        found = functional.scaled_dot_product_attention(alone, keys, values, enable_gqa=True)
        return found.view(1, -1)
    # Heads that share a key are rows beside each other, which is faster.
    asking = queries[span.rows - span.asked :]
    heads, width = keys.shape[1], keys.shape[3]
    grouped = asking.reshape(span.asked, heads, -1, width).permute(1, 2, 0, 3).flatten(1, 2)[None]
    found = functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=span.mask)
    return found.view(heads, -1, span.asked, width).permute(2, 0, 1, 3).flatten(1)


def _largest(rows: Tensor) -> Tensor:
    """Where the largest number of each row is, which NumPy finds in a third of torch's time."""
    if rows.device.type == "cpu":
        return torch.from_numpy(rows.numpy().argmax(axis=-1))
    return rows.argmax(dim=-1)


def _asked(hidden: Tensor, spans: Sequence[Span]) -> Tensor:
    """The rows of each stream that go on."""
    parts = zip(hidden.split_with_sizes([span.rows for span in spans]), spans, strict=True)
    return _joined([rows[span.rows - span.asked :] for rows, span in parts])


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each half of a head is mixed with the other."""
    return (heads * cos).add_(heads.roll(heads.shape[-1] // 2, dims=-1).mul_(sin))
