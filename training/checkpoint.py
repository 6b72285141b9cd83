"""The files of the checkpoint, laid out as the real model's."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.features import HOP_SAMPLES, MEL_BINS, WINDOW_SAMPLES
from training.network import Sizes, aligner_configuration, configuration
from training.prompts import Prompter
from training.synthesis import SAMPLE_RATE
from training.tokenizer import TOKENIZER_FILES, write_tokenizer

_ROW_MULTIPLE = 64

CHAT_TEMPLATE = (
    "{%- set found = namespace(system='', audio='') -%}"
    "{%- for message in messages -%}"
    "{%- if message.content is string -%}"
    "{%- if message.role == 'system' -%}"
    "{%- set found.system = found.system + message.content -%}"
    "{%- endif -%}"
    "{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'audio' or 'audio' in part or 'audio_url' in part -%}"
    "{%- set found.audio = found.audio + '<|audio_start|><|audio_pad|><|audio_end|>' -%}"
    "{%- elif message.role == 'system' and part.type == 'text' -%}"
    "{%- set found.system = found.system + part.text -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{{- '<|im_start|>system\\n' + found.system + '<|im_end|>\\n' -}}"
    "{{- '<|im_start|>user\\n' + found.audio + '<|im_end|>\\n' -}}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@dataclass(frozen=True)
class CheckpointFiles:
    """All files of a checkpoint but the weights, in a folder."""

    folder: Path

    def write(self, seed: int, sizes: Sizes) -> None:
        """Train the tokenizer and write the configuration files."""
        from training.tokenizer import load_tokenizer

        write_tokenizer(self.folder, seed)
        prompter = Prompter(load_tokenizer(self.folder))
        _write_json(self.folder / "config.json", self.configuration(sizes, prompter))
        _write_json(
            self.folder / "generation_config.json",
            {
                "do_sample": False,
                "eos_token_id": [prompter.end, prompter.pad],
                "pad_token_id": prompter.pad,
            },
        )
        _write_json(self.folder / "chat_template.json", {"chat_template": CHAT_TEMPLATE})
        _write_json(
            self.folder / "preprocessor_config.json",
            {
                "chunk_length": 30,
                "dither": 0.0,
                "feature_extractor_type": "WhisperFeatureExtractor",
                "feature_size": MEL_BINS,
                "hop_length": HOP_SAMPLES,
                "n_fft": WINDOW_SAMPLES,
                "n_samples": 30 * SAMPLE_RATE,
                "nb_max_frames": 3000,
                "padding_side": "right",
                "padding_value": 0.0,
                "processor_class": "Qwen3ASRProcessor",
                "return_attention_mask": True,
                "sampling_rate": SAMPLE_RATE,
            },
        )

    def write_aligner(self, recognizer: Path, sizes: Sizes, classes: int) -> None:
        """Write the files of a forced aligner that goes on from a recognizer's checkpoint."""
        from training.tokenizer import load_tokenizer

        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (*TOKENIZER_FILES, "preprocessor_config.json", "chat_template.json"):
            shutil.copy(recognizer / name, self.folder / name)
        prompter = Prompter(load_tokenizer(self.folder))
        config = self.aligner_configuration(sizes, prompter, classes)
        _write_json(self.folder / "config.json", config)

    def configuration(self, sizes: Sizes, prompter: Prompter) -> dict[str, Any]:
        """config.json, its vocabulary rounded up to whole rows of 64."""
        return configuration(sizes, prompter, _rows(prompter))

    def aligner_configuration(
        self, sizes: Sizes, prompter: Prompter, classes: int
    ) -> dict[str, Any]:
        """config.json of a forced aligner of so many times."""
        return aligner_configuration(sizes, prompter, _rows(prompter), classes)


def _rows(prompter: Prompter) -> int:
    return -(-len(prompter.tokenizer) // _ROW_MULTIPLE) * _ROW_MULTIPLE


def export(weights: dict[str, Tensor], files: CheckpointFiles, output: Path) -> None:
    """Write the checkpoint: the files and the weights in half precision."""
    from safetensors.torch import save_file

    output.mkdir(parents=True, exist_ok=True)
    for path in files.folder.iterdir():
        shutil.copy(path, output / path.name)
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in weights.items()}
    part = output / "model.safetensors.part"
    save_file(halves, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(output / "model.safetensors")
