"""Where the model's files are, and whether they can be loaded; all without importing torch.

A checkpoint is a directory laid out as Qwen3-ASR's: ``config.json``, ``preprocessor_config.json``,
the tokenizer, a chat template, and the weights as safetensors, in one file or in shards.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from polyasr.errors import ModelUnavailable
from polyasr.settings import TINY, Settings

BUNDLED = Path(__file__).parent / "models" / "tiny"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
MODEL_TYPE = "qwen3_asr"
ALIGNER = "forced_aligner"
HUB_FILES = ("*.json", "*.txt", "*.jinja", "*.safetensors")
"""What is needed of a repository; others may hold the same weights in further formats."""
HUB_ID = re.compile(r"\w[\w.-]*/(\w|\w[\w.-]*\w)", re.ASCII)
HUB_ID_LENGTH = 96
HUB_TIMEOUT_SEC = 5.0
"""How long the hub may take to say what a model consists of."""
HEADER_BYTES = 100_000_000
"""The longest header that the safetensors format allows."""
LFS_POINTER = b"version https://git-lfs"


def resolve(settings: Settings) -> Path:
    """The directory of the model, verified; from the hub if it is on no disk here.

    A model that the hub's cache holds whole is not asked for again. Raises ModelUnavailable, whose
    message says what is missing where, and what to do.
    """
    directory = _named(settings.model)
    if directory is None:
        directory = _cached(settings.model)
        if directory is None or not _is_whole(directory):
            directory = _download(settings)
    verify(directory)
    return directory


def weights_present(settings: Settings) -> bool:
    """Whether the model is on this machine, its weights complete; looks at a few files only."""
    try:
        directory = _named(settings.model) or _cached(settings.model)
        if directory is None:
            return False
        return all(
            file.stat().st_size > 0 for file in [directory / "config.json", *_weights(directory)]
        )
    except (ModelUnavailable, OSError):
        return False


def verify(directory: Path) -> None:
    """Check that a directory holds a whole checkpoint. Raises ModelUnavailable for what it lacks.

    Whether the weights fit the configuration is for the adapter to check, which knows the model.
    """
    if not directory.is_dir():
        raise _broken(directory, "is not a directory")
    _check_type(directory / "config.json")
    _object(directory / "preprocessor_config.json")
    _check_tokenizer(directory)
    for file in _weights(directory):
        _check_weights_file(file)


def _named(model: str) -> Path | None:
    """The directory that the name stands for, None when it is the name of a model on the hub."""
    if model == TINY:
        return BUNDLED
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if not _is_hub_id(model):
        raise ModelUnavailable(
            f"there is no model {model!r}: it is no directory here, and names on the hub look like "
            "Qwen/Qwen3-ASR-0.6B; correct --model, or use --model tiny"
        )
    return None


def _is_hub_id(model: str) -> bool:
    """Whether the hub could have such a name; huggingface_hub raises for others."""
    possible = HUB_ID.fullmatch(model) and len(model) <= HUB_ID_LENGTH
    return bool(possible) and ".." not in model and "--" not in model


def _is_whole(directory: Path) -> bool:
    try:
        verify(directory)
    except ModelUnavailable:
        return False
    return True


def _cached(model: str) -> Path | None:
    """The snapshot of a model in the hub's cache, None when there is none."""
    from huggingface_hub import constants, try_to_load_from_cache

    config = try_to_load_from_cache(model, "config.json", cache_dir=constants.HF_HUB_CACHE)
    return Path(config).parent if isinstance(config, str) else None


def _download(settings: Settings) -> Path:
    """Get the model from the hub. Raises ModelUnavailable."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        return Path(
            snapshot_download(
                settings.model,
                cache_dir=constants.HF_HUB_CACHE,
                allow_patterns=list(HUB_FILES),
                endpoint=settings.hf_endpoint or None,
                token=settings.hf_token or None,
                etag_timeout=HUB_TIMEOUT_SEC,
                local_files_only=settings.hf_hub_offline,
            )
        )
    except LocalEntryNotFoundError as error:
        raise _unreachable(settings) from error
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ModelUnavailable(
            f"the hub does not give out {settings.model!r}: correct --model, or, if the model is "
            "private, set POLYASR_HF_TOKEN; --model tiny needs no hub"
        ) from error
    except (OSError, RuntimeError) as error:  # network, disk, the hub's answers; hf-xet's own
        raise ModelUnavailable(
            f"downloading {settings.model} failed: {_first_line(error)}; "
            "what has come is kept, so try again, or use --model tiny"
        ) from error


def _unreachable(settings: Settings) -> ModelUnavailable:
    if settings.hf_hub_offline:
        return ModelUnavailable(
            f"{settings.model} is not on this machine, and HF_HUB_OFFLINE forbids to download it: "
            "unset that once, give a directory to --model, or use --model tiny"
        )
    hub = settings.hf_endpoint or "the hub"
    return ModelUnavailable(
        f"{settings.model} is not on this machine, and {hub} cannot be reached: check the network, "
        "name a mirror in POLYASR_HF_ENDPOINT, give a directory to --model, or use --model tiny"
    )


def _object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises ModelUnavailable."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise _broken(file, "is missing") from None
    except OSError as error:
        raise _broken(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _broken(file, f"is not JSON ({_first_line(error)})") from error
    if not isinstance(content, dict):
        raise _broken(file, "does not hold a JSON object")
    return content


def _check_type(file: Path) -> None:
    """A forced aligner has the recognizer's type; the thinker's configuration tells them apart."""
    config = _object(file)
    thinker = config.get("thinker_config")
    inner = str(thinker.get("model_type")) if isinstance(thinker, dict) else ""
    given = inner if ALIGNER in inner else config.get("model_type")
    if given != MODEL_TYPE:
        raise _broken(file, f"is for {given!r}, not for {MODEL_TYPE!r}")


def _check_tokenizer(directory: Path) -> None:
    """The tokenizer, in one file or in two, and the template that prompts are made with."""
    if not (directory / "tokenizer.json").is_file():
        _object(directory / "vocab.json")
        if not (directory / "merges.txt").is_file():
            raise _broken(directory / "merges.txt", "is missing")
    has_template = "chat_template" in _object(directory / "tokenizer_config.json") or any(
        (directory / name).is_file() for name in ("chat_template.json", "chat_template.jinja")
    )
    if not has_template:
        raise _broken(directory / "chat_template.json", "is missing")


def _weights(directory: Path) -> list[Path]:
    """The files that hold the weights, whether or not they are there.

    Raises ModelUnavailable for an index that cannot be read.
    """
    if (directory / WEIGHTS).exists() or not (directory / INDEX).exists():
        return [directory / WEIGHTS]
    names = _object(directory / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise _broken(directory / INDEX, "names no files")
    return [directory / str(name) for name in sorted(set(map(str, names.values())))]


def _check_weights_file(file: Path) -> None:
    """Whether a safetensors file is as long as its header says; the tensors are not read.

    The format: 8 bytes with the header's length, the header as JSON with the offsets of each
    tensor in what follows.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(len(LFS_POINTER))
            size = file.stat().st_size
            if start == LFS_POINTER:
                raise _broken(file, "is a Git LFS pointer and not the weights: run git lfs pull")
            length = int.from_bytes(start[:8], "little")
            if len(start) < 8 or length > min(HEADER_BYTES, size - 8):
                raise _broken(file, "is cut off or is not a safetensors file")
            stream.seek(8)
            header = json.loads(stream.read(length))
        data = max(tensor["data_offsets"][1] for key, tensor in header.items() if key[:2] != "__")
    except FileNotFoundError:
        raise _broken(file, "is missing") from None
    except OSError as error:
        raise _broken(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise _broken(file, "has no valid safetensors header") from error
    if 8 + length + data != size:
        raise _broken(file, f"is cut off: {size} of {8 + length + data} bytes are there")


def _broken(place: Path, what: str) -> ModelUnavailable:
    bundled = place.is_relative_to(BUNDLED)
    remedy = "install polyasr again" if bundled else "download the model again, or use --model tiny"
    return ModelUnavailable(f"the model cannot be used: {place} {what}; {remedy}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
