"""The bundled checkpoint, loaded once, and sentences of its domain spoken by espeak-ng."""

from pathlib import Path

import pytest

from polyasr.engine.qwen_torch import QwenTorch
from polyasr.samples import Samples
from tests.engine.aligners import write_random_aligner
from training.domain import sentences
from training.synthesis import Voice, synthesize

TINY = Path(__file__).parents[2] / "polyasr" / "models" / "tiny"


@pytest.fixture(scope="session")
def tiny() -> QwenTorch:
    return QwenTorch.load(TINY, "cpu", "float32")


@pytest.fixture(scope="session")
def spoken() -> list[tuple[str, Samples]]:
    """Sentences never trained on, and their audio."""
    voice = Voice("espeak", "en-us")
    drawn = sentences(seed=7, n=8, language="English", test=True)
    return [(sentence.text, synthesize(voice, sentence).samples) for sentence in drawn]


@pytest.fixture(scope="session")
def random_aligner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A forced aligner that says nonsense."""
    directory = tmp_path_factory.mktemp("aligner") / "model"
    write_random_aligner(directory)
    return directory
