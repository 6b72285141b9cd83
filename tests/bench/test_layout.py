"""The tiny checkpoint with Qwen's own token ids."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from bench.peers.layout import EMBEDDINGS, REAL_IDS, ROWS, convert
from polyasr.checkpoint import BUNDLED
from training.tokenizer import load_tokenizer


def test_tokens_have_the_real_numbers_and_keep_their_embeddings(tmp_path: Path) -> None:
    convert(BUNDLED, tmp_path)
    ours, real = load_tokenizer(BUNDLED), load_tokenizer(tmp_path)
    text = "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|><|im_end|>\nlanguage English"
    text += "<asr_text>Turn on the lights. 打开电灯。<|endoftext|>"
    before, after = ours.encode(text), real.encode(text)
    assert [number for number in after if number >= 151_643] == [
        REAL_IDS[name]
        for name in (
            "<|im_start|>",
            "<|audio_start|>",
            "<|audio_pad|>",
            "<|audio_end|>",
            "<|im_end|>",
            "<asr_text>",
            "<|endoftext|>",
        )
    ]
    assert real.decode(after, skip_special_tokens=True) == ours.decode(
        before, skip_special_tokens=True
    )
    old = load_file(BUNDLED / "model.safetensors")
    new = load_file(tmp_path / "model.safetensors")
    assert new.keys() == old.keys()
    assert new[EMBEDDINGS].shape == (ROWS, old[EMBEDDINGS].shape[1])
    assert torch.equal(new[EMBEDDINGS][after], old[EMBEDDINGS][before])
    config = json.loads((tmp_path / "config.json").read_text())["thinker_config"]
    assert config["audio_token_id"] == REAL_IDS["<|audio_pad|>"]
    assert config["text_config"]["vocab_size"] == ROWS
    generation = json.loads((tmp_path / "generation_config.json").read_text())
    assert generation["eos_token_id"] == [REAL_IDS["<|im_end|>"], REAL_IDS["<|endoftext|>"]]
