"""The convolutions in front of Qwen3-ASR's audio encoder, over chunks of one second.

No chunk sees another, so one that has been convolved need not be again: a stream whose unfinished
window grows pays for its newest second alone.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from polyasr.engine.backend import Window
from polyasr.engine.linear import onednn_supported
from polyasr.engine.mel import LogMel

KEPT = 1024
"""Chunks whose embeddings are kept, some 25 KB each: those of a hundred unfinished windows."""


class ChunkEmbedder:
    """Runs the convolutions of a ``Qwen3ASRAudioEncoder``, its projection and its positions."""

    def __init__(self, tower: Any, kept: int = KEPT) -> None:
        self._limit = kept
        self.frames: int = 2 * tower.n_window
        weight = tower.conv2d1.weight
        self._device, self._dtype = weight.device, weight.dtype
        layers = (tower.conv2d1, tower.conv2d2, tower.conv2d3)
        self._layers = [_with_gelu(layer) for layer in layers]
        self._out: nn.Module = tower.conv_out
        self._positions: Tensor = tower.positional_embedding.positional_embedding
        self._kept: OrderedDict[bytes, Tensor] = OrderedDict()

    def embed(self, windows: Sequence[Window]) -> list[Tensor]:
        """What the encoder's layers take of each window, shape (tokens, d_model).

        A chunk that is not full is padded when it has others beside it, also in other windows, and
        what comes of the padding is dropped.
        """
        chunks = [self._split(window) for window in windows]
        wanted = [chunk for own in chunks for chunk in own]
        embedded = iter(self._embedded(wanted))
        found = []
        for window, own in zip(windows, chunks, strict=True):
            together = torch.cat([next(embedded) for _ in own])
            found.append(together[: convolved_length(len(window.mel), self.frames)])
        return found

    def _split(self, window: Window) -> list[LogMel]:
        chunks = np.split(window.mel, range(self.frames, len(window.mel), self.frames))
        lacking = self.frames - len(chunks[-1])
        if lacking and (window.among_others or len(chunks) > 1):
            chunks[-1] = np.pad(chunks[-1], ((0, lacking), (0, 0)))
        return chunks

    def _embedded(self, chunks: Sequence[LogMel]) -> list[Tensor]:
        """Each chunk's embeddings: those that are kept, and the others in as few passes as can be.

        A chunk is known by its features alone, so it does not matter whose it is.
        """
        keys = [hashlib.blake2b(chunk.tobytes(), digest_size=16).digest() for chunk in chunks]
        lacking = {k: c for k, c in zip(keys, chunks, strict=True) if k not in self._kept}
        for length in {len(chunk) for chunk in lacking.values()}:
            some = {key: chunk for key, chunk in lacking.items() if len(chunk) == length}
            passed = self._convolved(np.stack(list(some.values())))
            self._kept.update(zip(some, passed.unbind(), strict=True))
        found = [self._kept[key] for key in keys]
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        return found

    def _convolved(self, chunks: LogMel) -> Tensor:
        """(chunks, frames, bins) to (chunks, tokens, d_model)."""
        features = torch.from_numpy(chunks).to(self._device, self._dtype)
        convolved = features.transpose(1, 2).unsqueeze(1)
        for layer in self._layers:
            convolved = layer(convolved)
        embedded: Tensor = self._out(convolved.permute(0, 3, 1, 2).flatten(2))
        return embedded + self._positions[: embedded.shape[1]].to(embedded.dtype)


def convolved_length(frames: int, chunk: int) -> int:
    """Audio tokens for so many mel frames: three convolutions of stride 2 over each chunk."""
    full, rest = divmod(frames, chunk)
    return full * _halved_thrice(chunk) + _halved_thrice(rest)


def _halved_thrice(frames: int) -> int:
    for _ in range(3):
        frames = -(-frames // 2)
    return frames


def _with_gelu(layer: Any) -> Callable[[Tensor], Tensor]:
    """A convolution and its activation; in one pass where oneDNN has one for it."""
    weight, bias = layer.weight, layer.bias
    if not onednn_supported(weight.device, weight.dtype):
        return lambda inputs: functional.gelu(layer(inputs))
    geometry = (layer.padding, layer.stride, layer.dilation, layer.groups)
    weight = weight.detach().to(memory_format=torch.channels_last)

    def fused(inputs: Tensor) -> Tensor:
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            inputs, weight, bias, *geometry, "gelu", [], "none"
        )
        return convolved

    return fused
