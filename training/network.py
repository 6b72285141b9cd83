"""The network of the tiny checkpoint, and its batched forward pass through the official modules.

Attention of the encoder stays inside windows of 8 s and the last chunk of a window is padded to a
whole one, as the server does it; qwen-asr itself does not support batches of unequal clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.features import MEL_BINS
from training.prompts import Prompt, Prompter

CHUNK_FRAMES = 100
CHUNK_TOKENS = 13
WINDOW_CHUNKS = 8
TOKEN_FRAMES = 8
TIMESTAMP_MS = 80
"""Milliseconds from one class of a forced aligner to the next."""
SUPPORTED_LANGUAGES = (
    "Chinese",
    "English",
    "Cantonese",
    "Arabic",
    "German",
    "French",
    "Spanish",
    "Portuguese",
    "Indonesian",
    "Italian",
    "Korean",
    "Russian",
    "Thai",
    "Vietnamese",
    "Japanese",
    "Turkish",
    "Hindi",
    "Malay",
    "Dutch",
    "Swedish",
    "Danish",
    "Finnish",
    "Polish",
    "Czech",
    "Filipino",
    "Persian",
    "Greek",
    "Romanian",
    "Hungarian",
    "Macedonian",
)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network that are not Qwen3-ASR's own."""

    encoder_width: int = 256
    encoder_layers: int = 5
    encoder_heads: int = 4
    encoder_feed_forward: int = 768
    decoder_width: int = 256
    decoder_layers: int = 4
    decoder_feed_forward: int = 640


def configuration(sizes: Sizes, prompter: Prompter, vocabulary: int) -> dict[str, Any]:
    """The checkpoint's config.json, nested `model_type`s and all."""
    return {
        "architectures": ["Qwen3ASRForConditionalGeneration"],
        "model_type": "qwen3_asr",
        "support_languages": list(SUPPORTED_LANGUAGES),
        "thinker_config": {
            "model_type": "qwen3_asr",
            "architectures": ["Qwen3ASRForConditionalGeneration"],
            "dtype": "float16",
            "initializer_range": 0.02,
            "audio_token_id": prompter.audio,
            "audio_start_token_id": prompter.ids("<|audio_start|>")[0],
            "audio_end_token_id": prompter.ids("<|audio_end|>")[0],
            "user_token_id": prompter.ids("user")[0],
            "audio_config": {
                "model_type": "qwen3_asr_audio_encoder",
                "num_mel_bins": MEL_BINS,
                "encoder_layers": sizes.encoder_layers,
                "encoder_attention_heads": sizes.encoder_heads,
                "encoder_ffn_dim": sizes.encoder_feed_forward,
                "d_model": sizes.encoder_width,
                "output_dim": sizes.decoder_width,
                "max_source_positions": 1500,
                "n_window": CHUNK_FRAMES // 2,
                "n_window_infer": CHUNK_FRAMES * WINDOW_CHUNKS,
                "conv_chunksize": 500,
                "downsample_hidden_size": 32,
                "activation_function": "gelu",
                "scale_embedding": False,
                "initializer_range": 0.02,
            },
            "text_config": {
                "model_type": "qwen3",
                "vocab_size": vocabulary,
                "hidden_size": sizes.decoder_width,
                "intermediate_size": sizes.decoder_feed_forward,
                "num_hidden_layers": sizes.decoder_layers,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "head_dim": 64,
                "hidden_act": "silu",
                "max_position_embeddings": 65536,
                "rope_theta": 1_000_000.0,
                "rms_norm_eps": 1e-6,
                "attention_bias": False,
                "tie_word_embeddings": True,
                "rope_scaling": {
                    "rope_type": "default",
                    "mrope_section": [12, 10, 10],
                    "interleaved": True,
                    "mrope_interleaved": True,
                },
                "initializer_range": 0.02,
            },
        },
    }


def aligner_configuration(
    sizes: Sizes, prompter: Prompter, vocabulary: int, classes: int
) -> dict[str, Any]:
    """config.json of a forced aligner, whose head has a row for each of `classes` times."""
    config = configuration(sizes, prompter, vocabulary)
    thinker = config["thinker_config"]
    thinker["model_type"] = "qwen3_forced_aligner"
    thinker["classify_num"] = classes
    thinker["text_config"]["tie_word_embeddings"] = False
    config["timestamp_token_id"] = prompter.timestamp
    config["timestamp_segment_time"] = TIMESTAMP_MS
    return config


def build(config: dict[str, Any]) -> Any:
    """An untrained Qwen3ASRForConditionalGeneration of the configuration, in float32."""
    from qwen_asr.core.transformers_backend import (
        Qwen3ASRConfig,
        Qwen3ASRForConditionalGeneration,
    )

    model = Qwen3ASRForConditionalGeneration._from_config(
        Qwen3ASRConfig(**config), attn_implementation="sdpa", dtype=torch.float32
    )
    model.float().to(memory_format=torch.channels_last)
    if config["thinker_config"]["text_config"]["tie_word_embeddings"]:
        model.thinker.lm_head.weight = model.thinker.model.embed_tokens.weight
    return model


def token_count(frames: int) -> int:
    """Audio tokens of a clip of so many mel frames."""
    whole, rest = divmod(frames, CHUNK_FRAMES)
    return whole * CHUNK_TOKENS + (rest + 7) // 8


def token_centres(frames: int) -> Tensor:
    """The middle of what each audio token of a clip hears, in seconds."""
    index = torch.arange(token_count(frames))
    chunk, place = index // CHUNK_TOKENS, index % CHUNK_TOKENS
    return (chunk * CHUNK_FRAMES + place * TOKEN_FRAMES + TOKEN_FRAMES / 2) / 100


def encode(tower: Any, features: Sequence[Tensor], window_chunks: int = WINDOW_CHUNKS) -> Tensor:
    """Audio embeddings [sum of token counts, width] of clips [128, frames], one after another.

    Attention stays inside windows of `window_chunks` seconds.
    """
    chunks: list[Tensor] = []
    valid: list[int] = []
    places: list[tuple[int, int]] = []
    window = -1
    for clip in features:
        count = -(-clip.shape[1] // CHUNK_FRAMES)
        padded = functional.pad(clip, (0, count * CHUNK_FRAMES - clip.shape[1]))
        chunks.append(padded.view(MEL_BINS, count, CHUNK_FRAMES).transpose(0, 1))
        for index in range(count):
            window += index % window_chunks == 0
            places.append((window, index % window_chunks))
            frames = min(CHUNK_FRAMES, clip.shape[1] - index * CHUNK_FRAMES)
            valid.append(token_count(frames))
    hidden = _convolve(tower, torch.cat(chunks).unsqueeze(1))
    rows, slots = torch.tensor(places).T
    width = int(slots.max()) + 1
    windows = hidden.new_zeros(window + 1, width, CHUNK_TOKENS, hidden.shape[-1])
    windows = windows.index_put((rows, slots), hidden).flatten(1, 2)
    mask = torch.zeros(window + 1, width, CHUNK_TOKENS, dtype=torch.bool)
    mask[rows, slots] = torch.arange(CHUNK_TOKENS) < torch.tensor(valid).unsqueeze(1)
    mask = mask.flatten(1, 2)
    attends = None if bool(mask.all()) else mask[:, None, None, :]
    for layer in tower.layers:
        windows = _encoder_layer(layer, windows, attends)
    flat = tower.ln_post(windows[mask])
    projected: Tensor = tower.proj2(tower.act(tower.proj1(flat)))
    return projected


def _convolve(tower: Any, chunks: Tensor) -> Tensor:
    """Chunks [count, 1, 128, 100] to embeddings [count, 13, width] with their positions."""
    chunks = chunks.contiguous(memory_format=torch.channels_last)
    hidden = functional.gelu(tower.conv2d1(chunks))
    hidden = functional.gelu(tower.conv2d2(hidden))
    hidden = functional.gelu(tower.conv2d3(hidden))
    count, channels, bands, times = hidden.shape
    hidden = hidden.permute(0, 3, 1, 2).reshape(count, times, channels * bands)
    embedded: Tensor = tower.conv_out(hidden)
    positions: Tensor = tower.positional_embedding.positional_embedding[:times]
    return embedded + positions.to(embedded.dtype)


def _encoder_layer(layer: Any, hidden: Tensor, attends: Tensor | None) -> Tensor:
    attention = layer.self_attn
    normed = layer.self_attn_layer_norm(hidden)
    split = (*normed.shape[:2], attention.num_heads, attention.head_dim)
    query, key, value = (
        projection(normed).view(split).transpose(1, 2)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = _attend(query, key, value, attends)
    hidden = hidden + attention.out_proj(mixed.transpose(1, 2).flatten(2))
    inner = layer.fc1(layer.final_layer_norm(hidden))
    result: Tensor = hidden + layer.fc2(functional.gelu(inner))
    return result


def _attend(query: Tensor, key: Tensor, value: Tensor, attends: Tensor | None) -> Tensor:
    """Attention by plain products: on the CPU several times faster than the fused kernel here."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if attends is not None:
        scores = scores.masked_fill(~attends, torch.finfo(scores.dtype).min)
    mixed: Tensor = torch.softmax(scores, -1, dtype=scores.dtype) @ value
    return mixed


def decode(text_model: Any, embedded: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Hidden states of right-padded embeddings [batch, length, width], and those of each layer.

    The first are the same as `text_model(inputs_embeds=embedded)` gives, whose attention is slow
    in training.
    """
    rows, length, _ = embedded.shape
    positions = torch.arange(length).expand(3, rows, length)
    cosine, sine = text_model.rotary_emb(embedded, positions)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    hidden, layers = embedded, []
    for layer in text_model.layers:
        normed = _rms_norm(layer.input_layernorm, hidden)
        hidden = hidden + _decoder_attention(layer.self_attn, normed, cosine, sine, causal)
        hidden = hidden + layer.mlp(_rms_norm(layer.post_attention_layernorm, hidden))
        layers.append(hidden)
    return _rms_norm(text_model.norm, hidden), layers


def _rms_norm(norm: Any, hidden: Tensor) -> Tensor:
    """The official norm with fewer passes over memory in bf16."""
    length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=torch.float32)
    power = length.square() / hidden.shape[-1]
    scale = torch.rsqrt(power + norm.variance_epsilon).to(hidden.dtype)
    normed: Tensor = hidden * scale * norm.weight.to(hidden.dtype)
    return normed


def _decoder_attention(
    attention: Any, hidden: Tensor, cosine: Tensor, sine: Tensor, causal: Tensor
) -> Tensor:
    from qwen_asr.core.transformers_backend.modeling_qwen3_asr import (
        apply_rotary_pos_emb,
        repeat_kv,
    )

    split = (*hidden.shape[:2], -1, attention.head_dim)
    query = _rms_norm(attention.q_norm, attention.q_proj(hidden).view(split)).transpose(1, 2)
    key = _rms_norm(attention.k_norm, attention.k_proj(hidden).view(split)).transpose(1, 2)
    value = attention.v_proj(hidden).view(split).transpose(1, 2)
    query, key = apply_rotary_pos_emb(query, key, cosine, sine)
    groups = attention.num_key_value_groups
    query, key = query.to(value.dtype), repeat_kv(key.to(value.dtype), groups)
    mixed = _attend(query, key, repeat_kv(value, groups), causal)
    result: Tensor = attention.o_proj(mixed.transpose(1, 2).flatten(2))
    return result


@dataclass(frozen=True)
class Sequences:
    """A right-padded batch of decoder inputs: ids and target ids (-100 where none is learned)."""

    ids: Tensor
    targets: Tensor


def assemble(prompter: Prompter, prompts: Sequence[Prompt], frames: Sequence[int]) -> Sequences:
    """Put prompts and audio placeholders into rows [batch, longest]."""
    rows, targets = [], []
    for prompt, count in zip(prompts, frames, strict=True):
        head = [*prompt.before, *[prompter.audio] * token_count(count), *prompt.after]
        rows.append(torch.tensor([*head, *prompt.answer]))
        learned = [-100] * (len(head) - 1) + list(prompt.answer) + [-100]
        targets.append(torch.tensor(learned))
    pad = nn.utils.rnn.pad_sequence
    return Sequences(
        pad(rows, batch_first=True, padding_value=prompter.pad),
        pad(targets, batch_first=True, padding_value=-100),
    )


def embed(thinker: Any, ids: Tensor, audio: Tensor, audio_token: int) -> Tensor:
    """Token embeddings with the audio embeddings at their placeholders."""
    embedded = thinker.model.embed_tokens(ids)
    mask = (ids == audio_token).unsqueeze(-1)
    merged: Tensor = embedded.masked_scatter(mask, audio.to(embedded.dtype))
    return merged
