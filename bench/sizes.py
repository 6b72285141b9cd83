"""Qwen3-ASR at its true sizes with random weights: what the real model costs, without its files."""

from __future__ import annotations

import json
from typing import Any

import torch

from polyasr.checkpoint import BUNDLED

SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tiny": ({}, {}),
    "0.6b": (
        {
            "d_model": 896,
            "encoder_layers": 18,
            "encoder_attention_heads": 14,
            "encoder_ffn_dim": 3584,
            "output_dim": 1024,
            "downsample_hidden_size": 480,
        },
        {
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151_936,
        },
    ),
    "1.7b": (
        {
            "d_model": 1024,
            "encoder_layers": 24,
            "encoder_attention_heads": 16,
            "encoder_ffn_dim": 4096,
            "output_dim": 2048,
            "downsample_hidden_size": 480,
        },
        {
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 151_936,
        },
    ),
}
"""Encoder and decoder of the published checkpoints, as their config.json gives them, as changes to
that of the bundled tiny one."""

MROPE_SECTION = [24, 20, 20]
"""How the published checkpoints share the 64 rotary pairs of a head among three axes."""


def random_model(size: str, dtype: torch.dtype, device: str) -> Any:
    """A ``qwen_asr.Qwen3ASRModel`` of one of `SIZES`, with random weights, tiny's tokenizer.

    The same weights every time, for the same arguments.
    """
    from qwen_asr import Qwen3ASRModel
    from qwen_asr.core.transformers_backend import (
        Qwen3ASRConfig,
        Qwen3ASRForConditionalGeneration,
    )

    encoder, decoder = SIZES[size]
    described = json.loads((BUNDLED / "config.json").read_text())
    thinker = described["thinker_config"]
    thinker["audio_config"] |= encoder
    thinker["text_config"] |= decoder
    if decoder:
        thinker["text_config"]["rope_scaling"]["mrope_section"] = MROPE_SECTION
    config = Qwen3ASRConfig(**described)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        torch.manual_seed(0)
        model = Qwen3ASRForConditionalGeneration(config).to(device, dtype).eval()
    finally:
        torch.set_default_dtype(default)
    return Qwen3ASRModel(backend="transformers", model=model, processor=processor())


def processor() -> Any:
    """The tiny model's ``Qwen3ASRProcessor``; its features are those of the published ones."""
    from qwen_asr.core.transformers_backend import Qwen3ASRProcessor

    return Qwen3ASRProcessor.from_pretrained(str(BUNDLED), fix_mistral_regex=True)
