"""Models of the hub: their names, what its cache holds of them, and how they come."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from polyasr.checkpoint.roles import Role
from polyasr.errors import ModelUnavailable, first_line
from polyasr.settings import Settings

DOUBLES = ("*.fp32*",)
"""The same weights once more, as Whisper's repositories have them."""
ID = re.compile(r"\w[\w.-]*/(\w|\w[\w.-]*\w)", re.ASCII)
ID_LENGTH = 96
TIMEOUT_SEC = 5.0
"""How long the hub may take to say what a model consists of."""


def is_id(model: str) -> bool:
    """Whether the hub could have such a name; huggingface_hub raises for others."""
    possible = ID.fullmatch(model) and len(model) <= ID_LENGTH
    return bool(possible) and ".." not in model and "--" not in model


def cached(settings: Settings, role: Role) -> Path | None:
    """The snapshot of a model in the hub's cache, None when there is none."""
    from huggingface_hub import constants, try_to_load_from_cache

    config = try_to_load_from_cache(
        role.name(settings), role.config, cache_dir=constants.HF_HUB_CACHE
    )
    return Path(config).parent if isinstance(config, str) else None


def download(settings: Settings, role: Role) -> Path:
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
                allow_patterns=list(role.hub_files),
                ignore_patterns=list(DOUBLES),
                endpoint=settings.hf_endpoint or None,
                token=settings.hf_token or None,
                etag_timeout=TIMEOUT_SEC,
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
            f"downloading {model} failed: {first_line(error)}; "
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
