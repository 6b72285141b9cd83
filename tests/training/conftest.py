"""A small corpus for all tests of the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import corpus as corpora
from training.augment import NoiseBank
from training.corpus import Corpus


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder with half a minute of speech in it."""
    folder = tmp_path_factory.mktemp("cache")
    corpora.build(folder / "corpus", seed=3, hours=0.01, processes=1)
    return folder


@pytest.fixture(scope="session")
def corpus(cache: Path) -> Corpus:
    """The corpus of the cache."""
    return corpora.load(cache / "corpus")


@pytest.fixture(scope="session")
def bank() -> NoiseBank:
    """Noises."""
    return NoiseBank(0)
