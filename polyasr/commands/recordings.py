"""Recordings that the command line names."""

from __future__ import annotations

from pathlib import Path

from polyasr.audio import decode
from polyasr.errors import ConfigurationError, InvalidRequest
from polyasr.samples import Samples


def read_recording(path: Path, max_seconds: float) -> Samples:
    """Decode a file. Raises ConfigurationError, whose one line begins with the file's name."""
    try:
        return decode(path, max_seconds=max_seconds)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except InvalidRequest as error:
        raise ConfigurationError(f"{path}: {error}") from error
