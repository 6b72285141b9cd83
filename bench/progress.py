"""What a measurement is at, for who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Yields what tells it: on one line of a terminal, with the time it has taken; else nowhere."""
    from tqdm import tqdm

    with tqdm(bar_format="{desc} ({elapsed})", leave=False, disable=None) as line:
        yield line.set_description_str
