"""What models are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from polyasr.checkpoint import files, pyannote
from polyasr.settings import Settings

BUNDLED = Path(__file__).parents[1] / "models" / "tiny"
BUNDLED_ALIGNER = Path(__file__).parents[1] / "models" / "tiny-aligner"
HUB_FILES = ("*.json", "*.txt", "*.jinja", "*.safetensors")
"""What is needed of a repository; others may hold the same weights in further formats."""
HUB_PIPELINE_FILES = ("*.yaml", "*.bin", "*.npz")


@dataclass(frozen=True, slots=True)
class Role:
    """What a model is for.

    ``name`` is its setting's value, and ``check`` raises `files.Broken` for a directory that lacks
    something. ``setting`` and ``remedy`` are the words of messages: what names another model, and
    how to do with the bundled one or none. ``config`` is the file that every such directory has,
    and ``hub_files`` are what is needed of a repository on the hub.
    """

    name: Callable[[Settings], str]
    check: Callable[[Path], None]
    setting: str
    remedy: str
    bundled: Path | None = None
    config: str = files.CONFIG
    hub_files: tuple[str, ...] = HUB_FILES


RECOGNIZER = Role(
    lambda settings: settings.model,
    partial(files.check, model_type=files.RECOGNIZER),
    "--model",
    "use --model tiny",
    BUNDLED,
)
ALIGNER = Role(
    lambda settings: settings.aligner_model,
    partial(files.check, model_type=files.ALIGNER),
    "POLYASR_ALIGNER_MODEL",
    "set POLYASR_ALIGNER_MODEL to tiny",
    BUNDLED_ALIGNER,
)
TRANSLATOR = Role(
    lambda settings: settings.translate_model,
    partial(files.check, model_type=files.WHISPER),
    "POLYASR_TRANSLATE_MODEL",
    "unset POLYASR_TRANSLATE_MODEL, which turns translation off",
)
DIARIZER = Role(
    lambda settings: settings.diarize_model,
    pyannote.check,
    "POLYASR_DIARIZE_MODEL",
    "unset POLYASR_DIARIZE_MODEL, and speakers are told apart without it",
    config=pyannote.CONFIG,
    hub_files=HUB_PIPELINE_FILES,
)
