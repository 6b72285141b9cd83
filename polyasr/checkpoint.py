"""Where a model's files are, and whether they can be loaded; all without importing torch.

A checkpoint is a directory laid out as Qwen3-ASR's: ``config.json``, ``preprocessor_config.json``,
the tokenizer, a chat template, and the weights as safetensors, in one file or in shards. A forced
aligner's and a Whisper's are the same, but for the template, which they have no use for. A pipeline
of pyannote is ``config.yaml`` and a folder for each of its parts.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyasr.errors import ModelUnavailable
from polyasr.settings import TINY, Settings

BUNDLED = Path(__file__).parent / "models" / "tiny"
BUNDLED_ALIGNER = Path(__file__).parent / "models" / "tiny-aligner"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG, PIPELINE_CONFIG = "config.json", "config.yaml"
HUB_FILES = ("*.json", "*.txt", "*.jinja", "*.safetensors")
"""What is needed of a repository; others may hold the same weights in further formats."""
HUB_PIPELINE_FILES = ("*.yaml", "*.bin", "*.npz")
PIPELINE = "SpeakerDiarization"
PIPELINE_PARTS = {
    "segmentation": ("pytorch_model.bin",),
    "embedding": ("pytorch_model.bin",),
    "plda": ("xvec_transform.npz", "plda.npz"),
}
"""What a pipeline is made of, and the files of each; one that its configuration does not name, or
names as another repository's, pyannote.audio would fetch unasked."""
PIPELINE_PART = re.compile(r"\$model/([\w./-]+)")
HUB_DOUBLES = ("*.fp32*",)
"""The same weights once more, as Whisper's repositories have them."""
HUB_ID = re.compile(r"\w[\w.-]*/(\w|\w[\w.-]*\w)", re.ASCII)
HUB_ID_LENGTH = 96
HUB_TIMEOUT_SEC = 5.0
"""How long the hub may take to say what a model consists of."""
HEADER_BYTES = 100_000_000
"""The longest header that the safetensors format allows."""
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Role:
    """What a model is for.

    ``name`` is its setting's value, ``type`` what its configuration calls it, and ``has_template``
    whether prompts are made with one. ``setting`` and ``remedy`` are the words of messages: what
    names another model, and how to do with the bundled one or none. ``config`` is the file that
    every such directory has, and ``files`` are what is needed of a repository on the hub.
    """

    name: Callable[[Settings], str]
    type: str
    has_template: bool
    setting: str
    remedy: str
    bundled: Path | None = None
    config: str = CONFIG
    files: tuple[str, ...] = HUB_FILES


RECOGNIZER = Role(lambda s: s.model, "qwen3_asr", True, "--model", "use --model tiny", BUNDLED)
ALIGNER = Role(
    lambda settings: settings.aligner_model,
    "qwen3_forced_aligner",
    False,
    "POLYASR_ALIGNER_MODEL",
    "set POLYASR_ALIGNER_MODEL to tiny",
    BUNDLED_ALIGNER,
)
TRANSLATOR = Role(
    lambda settings: settings.translate_model,
    "whisper",
    False,
    "POLYASR_TRANSLATE_MODEL",
    "unset POLYASR_TRANSLATE_MODEL, which turns translation off",
)
DIARIZER = Role(
    lambda settings: settings.diarize_model,
    PIPELINE,
    False,
    "POLYASR_DIARIZE_MODEL",
    "unset POLYASR_DIARIZE_MODEL, and speakers are told apart without it",
    config=PIPELINE_CONFIG,
    files=HUB_PIPELINE_FILES,
)


class _Broken(Exception):
    """A file or directory is not what it should be; the message says how."""

    def __init__(self, place: Path, what: str) -> None:
        super().__init__(f"{place} {what}")


def resolve(settings: Settings, role: Role = RECOGNIZER) -> Path:
    """The directory of the model, verified; from the hub if it is on no disk here.

    A model that the hub's cache holds whole is not asked for again. Raises ModelUnavailable, whose
    message says what is missing where, and what to do.
    """
    directory = _named(settings, role)
    if directory is None:
        directory = _cached(settings, role)
        if directory is None or not _is_whole(directory, role):
            directory = _download(settings, role)
    verify(directory, role)
    return directory


def weights_present(settings: Settings, role: Role = RECOGNIZER) -> bool:
    """Whether the model is on this machine, its weights complete; looks at a few files only."""
    try:
        directory = _named(settings, role) or _cached(settings, role)
        if directory is None:
            return False
        return all(
            file.stat().st_size > 0 for file in [directory / role.config, *_weights(directory)]
        )
    except (ModelUnavailable, _Broken, OSError):
        return False


def verify(directory: Path, role: Role = RECOGNIZER) -> None:
    """Check that a directory holds a whole checkpoint. Raises ModelUnavailable for what it lacks.

    Whether the weights fit the configuration is for the adapter to check, which knows the model.
    """
    try:
        _verify(directory, role)
    except _Broken as fault:
        remedy = f"download the model again, or {role.remedy}"
        if directory == role.bundled:
            remedy = "install polyasr again"
        raise ModelUnavailable(f"the model cannot be used: {fault}; {remedy}") from fault


def _verify(directory: Path, role: Role) -> None:
    if not directory.is_dir():
        raise _Broken(directory, "is not a directory")
    if role is DIARIZER:
        _check_pipeline(directory)
        return
    _check_type(directory / role.config, role)
    _object(directory / "preprocessor_config.json")
    _check_tokenizer(directory)
    if role.has_template:
        _check_template(directory)
    for file in _weights(directory):
        _check_weights_file(file)


def _named(settings: Settings, role: Role) -> Path | None:
    """The directory that the name stands for, None when it is the name of a model on the hub."""
    model = role.name(settings)
    if model == TINY and role.bundled is not None:
        return role.bundled
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if not _is_hub_id(model):
        raise ModelUnavailable(
            f"there is no model {model!r}: it is no directory here, and names on the hub look like "
            f"Qwen/Qwen3-ASR-0.6B; correct {role.setting}, or {role.remedy}"
        )
    return None


def _is_hub_id(model: str) -> bool:
    """Whether the hub could have such a name; huggingface_hub raises for others."""
    possible = HUB_ID.fullmatch(model) and len(model) <= HUB_ID_LENGTH
    return bool(possible) and ".." not in model and "--" not in model


def _is_whole(directory: Path, role: Role) -> bool:
    try:
        _verify(directory, role)
    except _Broken:
        return False
    return True


def _cached(settings: Settings, role: Role) -> Path | None:
    """The snapshot of a model in the hub's cache, None when there is none."""
    from huggingface_hub import constants, try_to_load_from_cache

    config = try_to_load_from_cache(
        role.name(settings), role.config, cache_dir=constants.HF_HUB_CACHE
    )
    return Path(config).parent if isinstance(config, str) else None


def _download(settings: Settings, role: Role) -> Path:
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
    model = role.name(settings)
    try:
        return Path(
            snapshot_download(
                model,
                cache_dir=constants.HF_HUB_CACHE,
                allow_patterns=list(role.files),
                ignore_patterns=list(HUB_DOUBLES),
                endpoint=settings.hf_endpoint or None,
                token=settings.hf_token or None,
                etag_timeout=HUB_TIMEOUT_SEC,
                local_files_only=settings.hf_hub_offline,
            )
        )
    except LocalEntryNotFoundError as error:
        raise _unreachable(settings, role) from error
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ModelUnavailable(
            f"the hub does not give out {model!r}: correct {role.setting}, or, if the model is "
            f"private, set POLYASR_HF_TOKEN; or {role.remedy}, which needs no hub"
        ) from error
    except (OSError, RuntimeError) as error:  # network, disk, the hub's answers; hf-xet's own
        raise ModelUnavailable(
            f"downloading {model} failed: {_first_line(error)}; "
            f"what has come is kept, so try again, or {role.remedy}"
        ) from error


def _unreachable(settings: Settings, role: Role) -> ModelUnavailable:
    missing = f"{role.name(settings)} is not on this machine"
    otherwise = f"give a directory to {role.setting}, or {role.remedy}"
    if settings.hf_hub_offline:
        return ModelUnavailable(
            f"{missing}, and HF_HUB_OFFLINE forbids to download it: unset that once, {otherwise}"
        )
    hub = settings.hf_endpoint or "the hub"
    return ModelUnavailable(
        f"{missing}, and {hub} cannot be reached: check the network, "
        f"name a mirror in POLYASR_HF_ENDPOINT, {otherwise}"
    )


def _object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises _Broken."""
    try:
        content = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise _Broken(file, "is missing") from None
    except OSError as error:
        raise _Broken(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise _Broken(file, f"is not JSON ({_first_line(error)})") from error
    if not isinstance(content, dict):
        raise _Broken(file, "does not hold a JSON object")
    return content


def _check_type(file: Path, role: Role) -> None:
    """A forced aligner has the recognizer's type; the thinker's configuration tells them apart."""
    config = _object(file)
    thinker = config.get("thinker_config")
    inner = thinker.get("model_type") if isinstance(thinker, dict) else None
    given = inner if inner == ALIGNER.type else config.get("model_type")
    if given != role.type:
        raise _Broken(file, f"is for {given!r}, not for {role.type!r}")


def _check_pipeline(directory: Path) -> None:
    """A pipeline that tells speakers apart, all of whose parts lie beside its configuration."""
    import yaml

    file = directory / PIPELINE_CONFIG
    try:
        pipeline = yaml.safe_load(file.read_bytes())["pipeline"]
        name, given = str(pipeline["name"]), dict(pipeline.get("params") or {})
    except FileNotFoundError:
        raise _Broken(file, "is missing") from None
    except OSError as error:
        raise _Broken(file, f"cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _Broken(file, "does not describe a pipeline of pyannote.audio") from error
    if name.rpartition(".")[2] != PIPELINE:
        raise _Broken(file, f"is for {name!r}, not for {PIPELINE!r}")
    for part, names in PIPELINE_PARTS.items():
        place = PIPELINE_PART.fullmatch(str(given.get(part)))
        if place is None:
            raise _Broken(
                file,
                f"names {given.get(part)!r} for its {part}, which does not lie beside it "
                f"($model/{part}) as that of pyannote/speaker-diarization-community-1 does",
            )
        for each in names:
            if not (directory / place[1] / each).is_file():
                raise _Broken(directory / place[1] / each, "is missing")


def _check_tokenizer(directory: Path) -> None:
    """The tokenizer, in one file or in two."""
    if not (directory / "tokenizer.json").is_file():
        _object(directory / "vocab.json")
        if not (directory / "merges.txt").is_file():
            raise _Broken(directory / "merges.txt", "is missing")
    _object(directory / "tokenizer_config.json")


def _check_template(directory: Path) -> None:
    """What prompts are made with."""
    has_template = "chat_template" in _object(directory / "tokenizer_config.json") or any(
        (directory / name).is_file() for name in ("chat_template.json", "chat_template.jinja")
    )
    if not has_template:
        raise _Broken(directory / "chat_template.json", "is missing")


def _weights(directory: Path) -> list[Path]:
    """The files that hold the weights, whether or not they are there.

    Raises _Broken for an index that cannot be read.
    """
    if (directory / WEIGHTS).exists() or not (directory / INDEX).exists():
        return [directory / WEIGHTS]
    names = _object(directory / INDEX).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise _Broken(directory / INDEX, "names no files")
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
                raise _Broken(file, "is a Git LFS pointer and not the weights: run git lfs pull")
            length = int.from_bytes(start[:8], "little")
            if len(start) < 8 or length > min(HEADER_BYTES, size - 8):
                raise _Broken(file, "is cut off or is not a safetensors file")
            stream.seek(8)
            header = json.loads(stream.read(length))
        data = max(tensor["data_offsets"][1] for key, tensor in header.items() if key[:2] != "__")
    except FileNotFoundError:
        raise _Broken(file, "is missing") from None
    except OSError as error:
        raise _Broken(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise _Broken(file, "has no valid safetensors header") from error
    if 8 + length + data != size:
        raise _Broken(file, f"is cut off: {size} of {8 + length + data} bytes are there")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
