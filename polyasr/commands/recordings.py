"""Recordings that the command line names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import numpy as np
from tqdm import tqdm

from polyasr import audio
from polyasr.diarization import OnHeard
from polyasr.errors import ConfigurationError, InvalidRequest
from polyasr.samples import SAMPLE_RATE, Samples

PROGRESS_AFTER_SEC = 2.0
"""What is done sooner needs no bar."""


def read_recording(path: Path, max_seconds: float) -> Samples:
    """A whole file, shape (n,); otherwise as ``recording_blocks``."""
    return np.concatenate(list(recording_blocks(path, max_seconds)))


def recording_blocks(path: Path, max_seconds: float) -> Iterator[Samples]:
    """A file as ``audio.blocks``. Raises ConfigurationError, whose line begins with its name."""
    try:
        yield from audio.blocks(path, max_seconds=max_seconds)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except InvalidRequest as error:
        raise ConfigurationError(f"{path}: {error}") from error


@contextmanager
def watched(blocks: Iterator[Samples], name: str) -> Iterator[Iterator[Samples]]:
    """The blocks, with a bar on the terminal that tells how many seconds have been drawn.

    What is drawn is at most some minutes ahead of what is recognized.
    """
    with _bar(name) as bar:

        def watch() -> Iterator[Samples]:
            for block in blocks:
                bar.update(len(block) / SAMPLE_RATE)
                yield block

        yield watch()


@contextmanager
def shown(name: str) -> Iterator[OnHeard]:
    """What shows such a bar of how many samples it is told."""
    with _bar(name) as bar:

        async def tell(n_samples: int) -> None:
            bar.update(n_samples / SAMPLE_RATE - bar.n)

        yield tell


def _bar(name: str) -> tqdm[NoReturn]:
    return tqdm(
        desc=name,
        unit="s",
        unit_scale=True,
        delay=PROGRESS_AFTER_SEC,
        leave=False,
        disable=None,  # where stderr is no terminal
    )
