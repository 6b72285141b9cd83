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

LOGIT_ROWS = 1
"""Rows of logits, of some 150,000 numbers each, that stay in the cache of a CPU's core."""


class KeyValueCache:
    """Keys and values of one stream, each of shape (layers, heads, capacity, head_dim)."""

    def __init__(self, layers: int, heads: int, width: int, dtype: torch.dtype, device: Any):
        self.length = 0
        shape = (layers, heads, 0, width)
        self._keys = torch.empty(shape, dtype=dtype, device=device)
        self._values = torch.empty(shape, dtype=dtype, device=device)

    def reserve(self, more: int) -> None:
        """Make room for so many positions."""
        lacking = self.length + more - self._keys.shape[2]
        if lacking > 0:
            grown = -(-lacking // GROWTH) * GROWTH
            self._keys = functional.pad(self._keys, (0, 0, 0, grown))
            self._values = functional.pad(self._values, (0, 0, 0, grown))

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put (positions, heads, head_dim) behind ``length``; returns all up to their end.

        They count only once ``length`` does.
        """
        end = self.length + len(keys)
        self._keys[layer, :, self.length : end] = keys.transpose(0, 1)
        self._values[layer, :, self.length : end] = values.transpose(0, 1)
        return self._keys[layer, :, :end], self._values[layer, :, :end]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``start`` to ``end`` of the matrix belong to one stream.

    ``mask``, shape (heads per key · rows, positions), is added to the scores of each row: 0 where
    it may attend, and minus infinity; None: it may everywhere.
    """

    cache: KeyValueCache
    start: int
    end: int
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
        self._embed, self._rotary = model.embed_tokens, model.rotary_emb
        self._width: int = attention.head_dim
        self._queries = attention.q_proj.out_features // self._width
        self._heads = attention.k_proj.out_features // self._width
        self._epsilon: float = attention.q_norm.variance_epsilon
        self.device: torch.device = self._embed.weight.device
        self._cached: torch.dtype = self._embed.weight.dtype
        self._active = linear.activations or self._cached
        self._layers = [self._layer(layer, linear) for layer in model.layers]
        self._norm = model.norm.weight.detach().to(self._active)
        self._head = linear([head])

    def new_cache(self) -> KeyValueCache:
        """An empty cache."""
        return KeyValueCache(len(self._layers), self._heads, self._width, self._cached, self.device)

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Token ids to (tokens, hidden)."""
        tokens = torch.tensor(ids, dtype=torch.long, device=self.device)
        embedded: Tensor = self._embed(tokens)
        return embedded.to(self._active)

    def extend(self, inputs: Sequence[tuple[KeyValueCache, Tensor]]) -> list[Tensor]:
        """Run (positions, hidden) behind each cache; returns the hidden states of the last layer.

        The caches grow by them only when all of it has gone well.
        """
        spans, start = [], 0
        for cache, rows in inputs:
            cache.reserve(len(rows))
            spans.append(Span(cache, start, start + len(rows), self._mask(cache, len(rows))))
            start += len(rows)
        hidden = torch.cat([rows.to(self._active) for _, rows in inputs])
        cos, sin = self._rotation(spans, hidden)
        for number, layer in enumerate(self._layers):
            hidden = hidden + self._attend(number, layer, hidden, spans, cos, sin)
            gate, up = layer.gate_up.parts(self._normed(hidden, layer.mlp_norm))
            hidden = hidden + layer.down(functional.silu(gate).mul_(up))
        for span in spans:
            span.cache.length += span.end - span.start
        return [hidden[span.start : span.end] for span in spans]

    def likeliest(self, hidden: Tensor) -> tuple[list[int], list[float]]:
        """The likeliest token after each position and its log-probability."""
        logits = self._head(self._normed(hidden, self._norm))
        rows = LOGIT_ROWS if self.device.type == "cpu" else max(1, len(logits))
        tokens: list[int] = []
        logprobs: list[float] = []
        for part in map(Tensor.float, torch.split(logits, rows)):
            best, indices = part.max(dim=-1, keepdim=True)
            tokens += indices.flatten().tolist()
            logprobs += (part - best).exp_().sum(dim=-1).log_().neg_().tolist()
        return tokens, logprobs

    def _layer(self, source: Any, linear: type[Linear]) -> _Layer:
        attention, mlp = source.self_attn, source.mlp
        heads = [attention.q_norm.weight] * self._queries + [attention.k_norm.weight] * self._heads
        return _Layer(
            source.input_layernorm.weight.detach().to(self._active),
            linear([attention.q_proj, attention.k_proj, attention.v_proj]),
            torch.stack(heads).detach().to(self._active),
            linear([attention.o_proj]),
            source.post_attention_layernorm.weight.detach().to(self._active),
            linear([mlp.gate_proj, mlp.up_proj]),
            linear([mlp.down_proj]),
        )

    def _attend(
        self,
        number: int,
        layer: _Layer,
        hidden: Tensor,
        spans: Sequence[Span],
        cos: Tensor,
        sin: Tensor,
    ) -> Tensor:
        qkv = layer.qkv(self._normed(hidden, layer.input_norm))
        qkv = qkv.view(len(hidden), -1, self._width)
        heads = self._normed(qkv[:, : -self._heads], layer.head_norm)
        heads = (heads * cos + _half_rotated(heads) * sin).to(self._cached)
        queries, keys = torch.split(heads, [self._queries, self._heads], dim=1)
        values = qkv[:, -self._heads :]
        attended = []
        for span in spans:
            own = slice(span.start, span.end)
            all_keys, all_values = span.cache.write(number, keys[own], values[own])
            attended.append(self._attended(queries[own], all_keys, all_values, span.mask))
        return layer.out(_joined(attended).to(self._active))

    def _normed(self, rows: Tensor, weight: Tensor) -> Tensor:
        """The root-mean-square norm of Qwen3, computed in float32 and rounded before its weight."""
        exact = rows.float()
        scale = exact.square().mean(dim=-1, keepdim=True).add_(self._epsilon).rsqrt_()
        return (exact * scale).to(weight.dtype).mul_(weight)

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Any:
        """Attention of (rows, query heads, width) to (heads, positions, width); (rows, hidden)."""
        rows = len(queries)
        if rows == 1:
            found = functional.scaled_dot_product_attention(
                queries.transpose(0, 1)[None], keys[None], values[None], enable_gqa=True
            )
            return found.view(1, -1)
        # Heads that share a key are rows beside each other, which is faster but for a single row.
        grouped = queries.view(rows, self._heads, -1, self._width).permute(1, 2, 0, 3).flatten(1, 2)
        found = functional.scaled_dot_product_attention(
            grouped[None], keys[None], values[None], attn_mask=mask
        )[0]
        return found.view(self._heads, -1, rows, self._width).permute(2, 0, 1, 3).flatten(1)

    def _mask(self, cache: KeyValueCache, rows: int) -> Tensor | None:
        if rows == 1:
            return None
        shape = (rows, cache.length + rows)
        forbidden = torch.full(shape, -torch.inf, dtype=self._cached, device=self.device)
        return forbidden.triu(cache.length + 1).repeat(self._queries // self._heads, 1)

    def _rotation(self, spans: Sequence[Span], like: Tensor) -> tuple[Tensor, Tensor]:
        positions = torch.cat(
            [
                torch.arange(s.cache.length, s.cache.length + s.end - s.start, device=self.device)
                for s in spans
            ]
        )
        cos, sin = self._rotary(like, positions[None])  # in the format of the activations
        return cos[0].unsqueeze(1), sin[0].unsqueeze(1)


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _half_rotated(heads: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)
