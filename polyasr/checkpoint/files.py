"""A checkpoint's files: whether all of them are there and whole.

A checkpoint is a directory laid out as Qwen3-ASR's: ``config.json``, ``preprocessor_config.json``,
the tokenizer, a chat template, and the weights as safetensors, in one file or in shards. A forced
aligner's and a Whisper's are the same, but for the template, which they have no use for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polyasr.errors import first_line

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
RECOGNIZER, ALIGNER, WHISPER = "qwen3_asr", "qwen3_forced_aligner", "whisper"
"""What a configuration calls its model."""
HEADER_BYTES = 100_000_000
"""The longest header that the safetensors format allows."""
LFS_POINTER = b"version https://git-lfs"


class Broken(Exception):
    """A file or directory is not what it should be; the message says how."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(f"{place} {what}")


def check(directory: Path, model_type: str) -> None:
    """Whether it is a whole checkpoint of that type; a recognizer's has a template for its prompts.
    Raises Broken.
    """
    _check_type(directory / CONFIG, model_type)
    _object(directory / "preprocessor_config.json")
    _check_tokenizer(directory)
    if model_type == RECOGNIZER:
        _check_template(directory)
    for file in weights(directory):
        _check_weights_file(file)


def weights(directory: Path) -> list[Path]:
    """The files that hold the weights, whether or not they are there.

    Raises Broken for an index that cannot be read.
    """
    if (directory / WEIGHTS).exists() or not (directory / INDEX).exists():
        return [directory / WEIGHTS]
    names = _object(directory / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise Broken(directory / INDEX, "names no files")
    return [directory / str(name) for name in sorted(set(map(str, names.values())))]


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Around what reads a file. Raises Broken where it is not there or cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise Broken(file, "is missing") from None
    except OSError as error:
        raise Broken(file, f"cannot be read ({error.strerror})") from error


def _object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises Broken."""
    try:
        with reading(file):
            content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Broken(file, f"is not JSON ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise Broken(file, "does not hold a JSON object")
    return content


def _check_type(file: Path, model_type: str) -> None:
    """A forced aligner has the recognizer's type; the thinker's configuration tells them apart."""
    config = _object(file)
    thinker = config.get("thinker_config")
    inner = thinker.get("model_type") if isinstance(thinker, dict) else None
    given = inner if inner == ALIGNER else config.get("model_type")
    if given != model_type:
        raise Broken(file, f"is for {given!r}, not for {model_type!r}")


def _check_tokenizer(directory: Path) -> None:
    """The tokenizer, in one file or in two."""
    if not (directory / "tokenizer.json").is_file():
        _object(directory / "vocab.json")
        if not (directory / "merges.txt").is_file():
            raise Broken(directory / "merges.txt", "is missing")
    _object(directory / "tokenizer_config.json")


def _check_template(directory: Path) -> None:
    """What prompts are made with."""
    has_template = "chat_template" in _object(directory / "tokenizer_config.json") or any(
        (directory / name).is_file() for name in ("chat_template.json", "chat_template.jinja")
    )
    if not has_template:
        raise Broken(directory / "chat_template.json", "is missing")


def _check_weights_file(file: Path) -> None:
    """Whether a safetensors file is as long as its header says; the tensors are not read.

    The format: 8 bytes with the header's length, the header as JSON with the offsets of each
    tensor in what follows.
    """
    try:
        with reading(file), file.open("rb") as stream:
            start = stream.read(len(LFS_POINTER))
            size = file.stat().st_size
            if start == LFS_POINTER:
                raise Broken(file, "is a Git LFS pointer and not the weights: run git lfs pull")
            length = int.from_bytes(start[:8], "little")
            if len(start) < 8 or length > min(HEADER_BYTES, size - 8):
                raise Broken(file, "is cut off or is not a safetensors file")
            stream.seek(8)
            header = json.loads(stream.read(length))
        data = max(tensor["data_offsets"][1] for key, tensor in header.items() if key[:2] != "__")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Broken(file, "has no valid safetensors header") from error
    if 8 + length + data != size:
        raise Broken(file, f"is cut off: {size} of {8 + length + data} bytes are there")
