"""pyannote's pipelines, with a real one of random weights where pyannote.audio is installed."""

from __future__ import annotations

import os
import sys
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from polyasr import settings
from polyasr.engine import SpeechEngine, open_engine
from polyasr.engine.diarization import ModelDiarizer
from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import Turn, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings
from tests.pyannote_pipeline import write_pipeline


def trouble() -> str:
    """Why pyannote.audio is not to be had here, "" where it is."""
    from polyasr.engine.pyannote import import_pyannote

    try:
        import_pyannote()
    except ModelUnavailable as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := trouble():
        pytest.skip(reason)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_pipeline(tmp_path_factory.mktemp("pipeline"))


pytestmark = pytest.mark.filterwarnings("default")  # what pyannote says of itself is its own


def configured(model: object) -> Settings:
    given = {"model": "tiny", "preload": "0", "speaker_filter": "0", "device": "cpu"}
    return settings.load({}, {**given, "diarize_model": str(model)})


def diarizer_of(engine: SpeechEngine) -> ModelDiarizer:
    assert engine.diarizer is not None
    return engine.diarizer


def talk() -> Samples:
    """Noise of changing colour, 12 s; to random weights, that is."""
    random = np.random.default_rng(4)
    parts = [random.standard_normal(4 * SAMPLE_RATE) * 0.1 for _ in range(3)]
    parts[1] = np.convolve(parts[1], np.ones(16) / 4, mode="same")
    return np.concatenate(parts).astype(np.float32)


async def ignore(_: float) -> None:
    """Whom it is told where nobody asks how far it is."""


def of_the_pipeline(directory: Path, samples: Samples, **bounds: int) -> list[Turn]:
    """What pyannote makes of it by itself."""
    import torch
    from pyannote.audio import Pipeline

    given = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE}
    pipeline: Any = Pipeline.from_pretrained(directory)
    found = pipeline(given, **bounds).exclusive_speaker_diarization
    return [
        Turn(round(part.start * SAMPLE_RATE), round(part.end * SAMPLE_RATE), int(who[-2:]))
        for part, _, who in found.itertracks(yield_label=True)
    ]


async def test_without_a_model_there_is_no_diarizer_and_no_unit() -> None:
    async with open_engine(configured("")) as engine:
        assert engine.diarizer is None
        assert "diarize" not in [unit.name for unit in engine.residency().units]


async def test_where_pyannote_is_not_installed_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    async with open_engine(configured(tmp_path)) as engine:
        with pytest.raises(ModelUnavailable, match=r"pip install 'polyasr\[pyannote\]'.*unset it"):
            await diarizer_of(engine).ready()


@pytest.mark.parametrize(("least", "most"), [(1, 8), (2, 2)])
async def test_the_turns_are_those_that_pyannote_tells(
    least: int, most: int, directory: Path
) -> None:
    shares = []

    async def tell(share: float) -> None:
        shares.append(share)

    samples = talk()
    async with open_engine(configured(directory)) as engine:
        found = await diarizer_of(engine).turns(samples, least, most, tell)
        assert engine.residency().body()["resident"] == ["diarize"]
    expected = of_the_pipeline(directory, samples, min_speakers=least, max_speakers=most)
    assert len(expected) > 3
    assert list(found) == expected
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1


async def test_nothing_is_reported_to_anybody(directory: Path) -> None:
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    async with open_engine(configured(directory)) as engine:
        await diarizer_of(engine).ready()
    assert not is_metrics_enabled()
    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "false"


async def test_other_work_goes_between_two_passes(directory: Path) -> None:
    async with open_engine(configured(directory)) as engine:
        diarizer, done, between = diarizer_of(engine), trio.Event(), 0
        await diarizer.ready()

        async def tell_apart() -> None:
            await diarizer.turns(talk(), 1, 8, ignore)
            done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_apart)
            while not done.is_set():
                await engine._thread.run(Urgency.DETECT, lambda: None)
                between += 1
    assert between > 9  # as many as there are passes, or more


async def test_an_unload_in_the_middle_frees_the_networks_and_changes_nothing(
    directory: Path,
) -> None:
    samples, found = talk(), list[Sequence[Turn]]()
    async with open_engine(configured(directory)) as engine:
        diarizer = diarizer_of(engine)
        whole = await diarizer.turns(samples, 1, 8, ignore)
        model = diarizer._unit.model
        assert model is not None
        freed = [weakref.ref(model._segmentation.model), weakref.ref(model._embedding.model_)]
        del model
        unloaded = False

        async def unload(share: float) -> None:
            nonlocal unloaded
            if share > 0.6 and not unloaded:
                unloaded = True
                assert await engine.unload() == ("diarize",)
                assert [network() for network in freed] == [None, None]

        found.append(await diarizer.turns(samples, 1, 8, unload))
    assert unloaded
    assert found == [whole]


async def test_a_client_that_goes_ends_the_work(directory: Path) -> None:
    async with open_engine(configured(directory)) as engine:
        with trio.CancelScope() as scope:

            async def leave(share: float) -> None:
                if share > 0.1:
                    scope.cancel()

            await diarizer_of(engine).turns(talk(), 1, 8, leave)
        assert scope.cancelled_caught
        assert await diarizer_of(engine).turns(talk(), 1, 8, ignore)


async def test_weights_that_cannot_be_read_are_told(directory: Path, tmp_path: Path) -> None:
    import shutil

    broken = shutil.copytree(directory, tmp_path / "broken")
    (broken / "embedding" / "pytorch_model.bin").write_bytes(b"nothing")
    async with open_engine(configured(broken)) as engine:
        with pytest.raises(ModelUnavailable, match="broken cannot be loaded"):
            await diarizer_of(engine).ready()
