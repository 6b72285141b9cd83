"""A forced aligner with random weights, in the true architecture and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from polyasr.checkpoint import BUNDLED

KEPT = ("preprocessor_config.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def write_random_aligner(directory: Path) -> None:
    """Write a checkpoint with the sizes and the tokenizer of the bundled recognizer."""
    from qwen_asr.core.transformers_backend import Qwen3ASRConfig, Qwen3ASRForConditionalGeneration
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    directory.mkdir()
    for name in KEPT:
        shutil.copy(BUNDLED / name, directory)
    tokenizer = AutoTokenizer.from_pretrained(str(directory))  # type: ignore[no-untyped-call]
    config = json.loads((BUNDLED / "config.json").read_text("utf-8"))
    config["timestamp_token_id"] = tokenizer.convert_tokens_to_ids("<timestamp>")
    config["timestamp_segment_time"] = 80
    config["thinker_config"] |= {"model_type": "qwen3_forced_aligner", "classify_num": 4000}
    config["thinker_config"]["text_config"]["tie_word_embeddings"] = False
    (directory / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = Qwen3ASRForConditionalGeneration(Qwen3ASRConfig.from_pretrained(str(directory)))
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
