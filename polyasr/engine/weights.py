"""Whether a checkpoint's weights fit its configuration, before anything large is read.

``from_pretrained`` fills missing tensors with random numbers and a warning; a server that did the
same would invent text.
"""

from __future__ import annotations

from pathlib import Path

import torch

from polyasr.errors import ModelUnavailable

Shape = tuple[int, ...]


def check_weights(directory: Path) -> None:
    """Compare names and shapes of all tensors. Raises ModelUnavailable, naming the first fault."""
    expected, tied = _expected(directory)
    found = _found(directory)
    for name, shape in expected.items():
        if name not in found and name not in tied:
            raise _mismatch(directory, f"the tensor {name} is missing")
        if name in found and found[name] != shape:
            raise _mismatch(
                directory, f"{name} has shape {found[name]}, but config.json asks for {shape}"
            )


def _expected(directory: Path) -> tuple[dict[str, Shape], frozenset[str]]:
    """The parameters that the configuration asks for, and which may be left out, being tied."""
    from qwen_asr.core.transformers_backend import (
        Qwen3ASRConfig,
        Qwen3ASRForConditionalGeneration,
    )

    config = Qwen3ASRConfig.from_pretrained(str(directory), local_files_only=True)
    with torch.device("meta"):
        model = Qwen3ASRForConditionalGeneration(config)
    tied: frozenset[str] = frozenset()
    if config.thinker_config.text_config.tie_word_embeddings:
        tied = frozenset({"thinker.lm_head.weight"})
    return {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}, tied


def _found(directory: Path) -> dict[str, Shape]:
    from safetensors import SafetensorError, safe_open

    found: dict[str, Shape] = {}
    for file in sorted(directory.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - no mapping, it only has keys()
                    found[name] = tuple(tensors.get_slice(name).get_shape())
        except SafetensorError as error:
            raise _mismatch(directory, f"{file.name} cannot be read ({error})") from error
    return found


def _mismatch(directory: Path, what: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"the weights in {directory} do not match its config.json: {what}; "
        "download the checkpoint again, or use --model tiny"
    )
