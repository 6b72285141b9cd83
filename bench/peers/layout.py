"""A tiny checkpoint with Qwen's own token ids, for programs that have them built in.

``qwen-asr``'s ``generate``, MLX's tokenizer and others know the end of an answer by the numbers
151645 and 151643 and never ask the checkpoint. So the special tokens get their real numbers, and
the vocabulary as many rows as Qwen's: those that are nobody's are the row of a token that the model
has learnt never to write. The model says the same as before.

    python -m bench.peers.layout polyasr/models/tiny DIR
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

FIRST_SPECIAL = 151_643
ROWS = 151_936
REAL_IDS = {
    "<|endoftext|>": 151_643,
    "<|im_start|>": 151_644,
    "<|im_end|>": 151_645,
    "<|audio_start|>": 151_669,
    "<|audio_end|>": 151_670,
    "<|audio_pad|>": 151_676,
    "<asr_text>": 151_704,
    "<timestamp>": 151_705,
}
"""Of Qwen3-ASR's ``tokenizer_config.json``."""
NEVER_WRITTEN = "<|audio_start|>"
EMBEDDINGS = "thinker.model.embed_tokens.weight"
COPIED = ("chat_template.json", "merges.txt", "preprocessor_config.json")


def main() -> None:
    """Write the checkpoint of the first argument to the directory of the second."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.layout", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    convert(arguments.checkpoint, arguments.output)


def convert(checkpoint: Path, output: Path) -> None:
    """Write ``checkpoint`` with the real ids to ``output``. Raises OSError."""
    output.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copy(checkpoint / name, output / name)
    tokenizer = _read(checkpoint / "tokenizer_config.json")
    added = tokenizer["added_tokens_decoder"]
    moved = {int(old): REAL_IDS[entry["content"]] for old, entry in added.items()}
    _write(output / "tokenizer_config.json", _tokenizer(tokenizer))
    _write(output / "vocab.json", _filled(_read(checkpoint / "vocab.json")))
    config = _renumbered(_read(checkpoint / "config.json"), moved)
    config["thinker_config"]["text_config"]["vocab_size"] = ROWS
    _write(output / "config.json", config)
    generation = _read(checkpoint / "generation_config.json")
    _write(output / "generation_config.json", _renumbered(generation, moved))
    _write_weights(checkpoint, output, moved)


def _tokenizer(config: dict[str, Any]) -> dict[str, Any]:
    """Fast tokenizers number added tokens one after another, so that there must be no gap."""
    by_content = {entry["content"]: entry for entry in config["added_tokens_decoder"].values()}
    names = {number: name for name, number in REAL_IDS.items()}
    filler = by_content["<|endoftext|>"]
    added = {}
    for number in range(FIRST_SPECIAL, max(names) + 1):
        name = names.get(number, f"<|unused_{number}|>")
        added[str(number)] = by_content.get(name, filler) | {"content": name}
    return config | {"added_tokens_decoder": added}


def _filled(vocabulary: dict[str, int]) -> dict[str, int]:
    """No merge leads to what is added, so that no text is tokenized to it."""
    missing = set(range(FIRST_SPECIAL)) - set(vocabulary.values())
    return vocabulary | {f"<unused_{number}>": number for number in sorted(missing)}


def _renumbered(value: Any, moved: dict[int, int]) -> Any:
    """A configuration in which what ends in ``token_id`` has the new numbers."""
    return {
        name: _number(entry, moved) if name.endswith("token_id") else _inside(entry, moved)
        for name, entry in value.items()
    }


def _inside(entry: Any, moved: dict[int, int]) -> Any:
    return _renumbered(entry, moved) if isinstance(entry, dict) else entry


def _number(entry: Any, moved: dict[int, int]) -> Any:
    if isinstance(entry, list):
        return [moved.get(each, each) for each in entry]
    return moved.get(entry, entry)


def _write_weights(checkpoint: Path, output: Path, moved: dict[int, int]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(checkpoint / "model.safetensors")
    rows = weights[EMBEDDINGS]
    never = next(old for old, new in moved.items() if new == REAL_IDS[NEVER_WRITTEN])
    moved_rows = rows[never].repeat(ROWS, 1)
    plain = min(moved)
    moved_rows[:plain] = rows[:plain]
    for old, new in moved.items():
        moved_rows[new] = rows[old]
    save_file(weights | {EMBEDDINGS: moved_rows}, output / "model.safetensors", {"format": "pt"})


def _read(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
