"""The audio encoder of Qwen3-ASR, window by window.

``qwen-asr`` 0.0.6 keeps the encoder's attention inside its windows under FlashAttention only; here
each window attends to itself alone whatever the attention backend. Windows of several streams go
through the layers together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from polyasr.engine.backend import Window
from polyasr.engine.linear import Linear
from polyasr.engine.torch_chunks import ChunkEmbedder


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: nn.Module
    qkv: Linear
    out: Linear
    mlp_norm: nn.Module
    up: Linear
    activation: nn.Module
    down: Linear


class TorchEncoder:
    """Runs the layers of a ``Qwen3ASRAudioEncoder``."""

    def __init__(self, tower: Any, linear: type[Linear]) -> None:
        """``linear`` runs the linear layers, and may take their weights."""
        self._tower = tower
        self.window_frames: int = self._tower.n_window_infer
        self._chunks = ChunkEmbedder(tower)
        self._active = linear.activations or tower.ln_post.weight.dtype
        self._layers = [_layer(layer, linear, self._active) for layer in self._tower.layers]
        self._n_heads: int = self._tower.layers[0].self_attn.num_heads

    def encode(self, windows: Sequence[Window]) -> list[Tensor]:
        """The embeddings of each window, shape (tokens, hidden of the decoder)."""
        pieces = self._chunks.embed(windows)
        lengths = [len(piece) for piece in pieces]
        hidden = torch.cat(pieces).to(self._active)
        for layer in self._layers:
            q, k, v = layer.qkv.parts(layer.attention_norm(hidden))
            parts = [torch.split(part, lengths) for part in (q, k, v)]
            attended = torch.cat([self._attended(*own) for own in zip(*parts, strict=True)])
            hidden = layer.out.onto(hidden, attended)
            raised = layer.activation(layer.up(layer.mlp_norm(hidden)))
            hidden = layer.down.onto(hidden, raised)
            if hidden.dtype == torch.float16:  # as the encoder's own layers do
                hidden = hidden.clamp(-_HALF_LIMIT, _HALF_LIMIT)
        tower = self._tower
        hidden = hidden.to(tower.ln_post.weight.dtype)
        projected: Tensor = tower.proj2(tower.act(tower.proj1(tower.ln_post(hidden))))
        return list(torch.split(projected, lengths))

    def _attended(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        rows = len(queries)
        q, k, v = (
            part.view(rows, self._n_heads, -1).transpose(0, 1)[None]
            for part in (queries, keys, values)
        )
        found = functional.scaled_dot_product_attention(q, k, v)
        return found[0].transpose(0, 1).flatten(1)


_HALF_LIMIT = torch.finfo(torch.float16).max - 1000


def _layer(source: Any, linear: type[Linear], active: torch.dtype) -> _Layer:
    attention = source.self_attn
    return _Layer(
        source.self_attn_layer_norm.to(active),
        linear([attention.q_proj, attention.k_proj, attention.v_proj]),
        linear([attention.out_proj]),
        source.final_layer_norm.to(active),
        linear([source.fc1]),
        source.activation_fn,
        linear([source.fc2]),
    )
