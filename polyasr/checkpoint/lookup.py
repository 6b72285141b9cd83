"""Where a model is, with all that it consists of."""

from __future__ import annotations

from pathlib import Path

from polyasr.checkpoint import hub
from polyasr.checkpoint.files import Broken, weights
from polyasr.checkpoint.roles import RECOGNIZER, Role
from polyasr.errors import ModelUnavailable
from polyasr.settings import TINY, Settings


def resolve(settings: Settings, role: Role = RECOGNIZER) -> Path:
    """The directory of the model, verified; from the hub if it is on no disk here.

    A model that the hub's cache holds whole is not asked for again. Raises ModelUnavailable, whose
    message says what is missing where, and what to do.
    """
    directory = _named(settings, role)
    if directory is None:
        directory = hub.cached(settings, role)
        if directory is None or not _is_whole(directory, role):
            directory = hub.download(settings, role)
    verify(directory, role)
    return directory


def weights_present(settings: Settings, role: Role = RECOGNIZER) -> bool:
    """Whether the model is on this machine, its weights complete; looks at a few files only."""
    try:
        directory = _named(settings, role) or hub.cached(settings, role)
        if directory is None:
            return False
        return all(
            file.stat().st_size > 0 for file in [directory / role.config, *weights(directory)]
        )
    except (ModelUnavailable, Broken, OSError):
        return False


def verify(directory: Path, role: Role = RECOGNIZER) -> None:
    """Check that a directory holds a whole checkpoint. Raises ModelUnavailable for what it lacks.

    Whether the weights fit the configuration is for the adapter to check, which knows the model.
    """
    try:
        _check(directory, role)
    except Broken as fault:
        remedy = f"download the model again, or {role.remedy}"
        if directory == role.bundled:
            remedy = "install polyasr again"
        raise ModelUnavailable(f"the model cannot be used: {fault}; {remedy}") from fault


def _check(directory: Path, role: Role) -> None:
    if not directory.is_dir():
        raise Broken(directory, "is not a directory")
    role.check(directory)


def _named(settings: Settings, role: Role) -> Path | None:
    """The directory that the name stands for, None when it is the name of a model on the hub."""
    model = role.name(settings)
    if model == TINY and role.bundled is not None:
        return role.bundled
    directory = Path(model).expanduser()
    if directory.is_dir():
        return directory
    if not hub.is_id(model):
        raise ModelUnavailable(
            f"there is no model {model!r}: it is no directory here, and names on the hub look like "
            f"Qwen/Qwen3-ASR-0.6B; correct {role.setting}, or {role.remedy}"
        )
    return None


def _is_whole(directory: Path, role: Role) -> bool:
    try:
        _check(directory, role)
    except Broken:
        return False
    return True
