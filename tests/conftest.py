"""What tests of several parts share."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.whisper import write_whisper

# The clock judges the machine and not the code, and a run must be repeatable.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="all seeds of the tests that have many")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test marked ``seeds(sample, soak)`` runs with so many seeds, from 0 on."""
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker is not None:
        count = marker.kwargs["soak" if metafunc.config.getoption("--soak") else "sample"]
        metafunc.parametrize("seed", range(count))


@pytest.fixture(autouse=True)
def _denormal_numbers() -> None:
    """A library that ``qwen_asr`` loads makes the loading thread flush them to zero; hypothesis,
    rightly, then draws no floats."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def checkpoint_directory(tmp_path: Path) -> Path:
    """A directory laid out as a whole checkpoint, with one tensor of two numbers as weights."""
    directory = tmp_path / "model"
    directory.mkdir()
    files = {
        "config.json": {"model_type": "qwen3_asr"},
        "preprocessor_config.json": {},
        "tokenizer_config.json": {},
        "vocab.json": {"a": 0},
        "chat_template.json": {"chat_template": ""},
    }
    for name, content in files.items():
        (directory / name).write_text(json.dumps(content))
    (directory / "merges.txt").write_text("")
    (directory / "model.safetensors").write_bytes(safetensors({"x": [0, 4]}, bytes(4)))
    return directory


@pytest.fixture(scope="session")
def whisper_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of random numbers that translates."""
    return write_whisper(tmp_path_factory.mktemp("whisper"))


def safetensors(offsets: dict[str, list[int]], data: bytes) -> bytes:
    """A safetensors file with float16 tensors at these offsets of the data."""
    tensors = {
        name: {"dtype": "F16", "shape": [(end - begin) // 2], "data_offsets": [begin, end]}
        for name, (begin, end) in offsets.items()
    }
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + data
