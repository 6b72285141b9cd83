"""The engine with the bundled model: loading, failing, and knowing how it is."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
import trio
from trio.testing import MockClock

from polyasr import checkpoint, settings
from polyasr.checkpoint.files import WEIGHTS
from polyasr.engine import SpeechEngine, memory, open_engine, silero
from polyasr.engine.engine import PROBE_EVERY
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.voices import ResemblyzerEncoder
from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.health import report
from polyasr.pipeline.types import Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings

Spoken = list[tuple[str, Samples]]


def configured(**overrides: str) -> Settings:
    return settings.load({}, {"model": "tiny", "preload": "0", **overrides})


async def decode(engine: SpeechEngine, samples: Samples) -> str:
    recognition = engine.open_recognition(language=None, context="")
    recognition.append(samples)
    return (await recognition.hypothesis(Urgency.FINAL)).text


@pytest.fixture
def quick_collections() -> Iterator[None]:
    """Collections that look at what the test makes and not at all that is imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[None]:
    """Every decode fails."""

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(IncrementalSegment, "decoding", fail)
        yield


async def test_the_first_use_loads(spoken: Spoken) -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        assert engine.status().state == "idle"
        assert engine.residency().body()["resident"] == []
        async with trio.open_nursery() as nursery:
            for _, samples in spoken[:3]:
                nursery.start_soon(decode, engine, samples)
        assert engine.status().state == "ready"
        assert engine.residency().body()["resident"] == ["asr"]


async def test_an_unload_in_the_middle_of_a_segment_changes_none_of_its_text(
    spoken: Spoken,
) -> None:
    (_, first), (_, second) = spoken[:2]
    async with open_engine(configured(speaker_filter="0")) as engine:
        whole = await decode(engine, np.concatenate([first, second]))
        with engine.pinned():
            recognition = engine.open_recognition(language=None, context="")
            recognition.append(first)
            await recognition.hypothesis(Urgency.PARTIAL)
            assert await engine.unload() == ("asr",)
            assert engine.status().state == "idle"
            recognition.append(second)
            assert (await recognition.hypothesis(Urgency.FINAL)).text == whole
        assert engine.status().state == "ready"


async def test_an_open_segment_does_not_keep_a_model_that_was_unloaded(spoken: Spoken) -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        recognition = engine.open_recognition(language=None, context="")
        recognition.append(spoken[0][1])
        await recognition.hypothesis(Urgency.PARTIAL)
        qwen = weakref.ref(engine._asr.model)
        assert qwen() is not None
        await engine.unload()
        assert qwen() is None
        recognition.close()


async def test_200_loads_and_unloads_leave_memory_where_it_was(quick_collections: None) -> None:
    if memory.resident_mb() is None:
        pytest.skip("this system does not tell how much memory a process has")
    grown = 0.0
    async with open_engine(configured(speaker_filter="0")) as engine:
        for cycle in range(200):
            await engine.ready()
            await engine.unload()
            held = memory.resident_mb() or 0.0
            if cycle == 9:
                grown = -held
    grown += held
    assert grown < 15, f"{grown:.0f} MB more than after ten cycles; one model is some 30 MB"


async def test_a_recognition_can_be_split_and_cropped_between_decodes(spoken: Spoken) -> None:
    (_, first), (_, second) = spoken[:2]
    async with open_engine(configured(speaker_filter="0")) as engine:
        alone = [await decode(engine, samples) for samples in (first, second)]
        recognition = engine.open_recognition(language=None, context="")
        recognition.append(first)
        recognition.append(second)
        await recognition.hypothesis(Urgency.PARTIAL)
        rest = recognition.split(len(first))
        texts = [(await part.hypothesis(Urgency.FINAL)).text for part in (recognition, rest)]
        recognition.append(second)
        recognition.crop(len(first))
        texts.append((await recognition.hypothesis(Urgency.FINAL)).text)
    assert texts == [*alone, alone[0]]


async def test_a_model_that_is_not_there_is_an_error_that_is_remembered_for_a_while(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_engine(configured(model=str(tmp_path))) as engine:
        with pytest.raises(ModelUnavailable, match=r"config\.json is missing.*--model tiny"):
            await engine.ready()
        status = engine.status()
        assert (status.state, status.weights_present) == ("failed", False)
        assert report(status, version="0").http_status == 503
        with pytest.raises(ModelUnavailable):
            await engine.ready()


def edit_config(directory: Path, **audio: int) -> None:
    """Change the configuration of the audio encoder."""
    file = directory / "config.json"
    config = json.loads(file.read_text())
    config["thinker_config"]["audio_config"] |= audio
    file.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_model": 96}, "do not match its config.json"),
        ({"encoder_layers": 9}, "is missing"),
        ({"n_window": 0}, "n_window"),
        ({"n_window_infer": 750}, "n_window_infer"),
        ({"n_window_infer": 0}, "n_window_infer"),
    ],
)
async def test_a_checkpoint_that_cannot_be_run_is_refused_with_its_fault(
    tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint.BUNDLED, directory)
    edit_config(directory, **changes)
    async with open_engine(configured(model=str(directory), speaker_filter="0")) as engine:
        with pytest.raises(ModelUnavailable, match=message):
            await engine.ready()
        assert engine.status().state == "failed"


async def test_a_decode_that_fails_is_an_error_and_health_knows(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken
) -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        text = await decode(engine, spoken[0][1])
        with (
            failing(monkeypatch, RuntimeError("NaN")),
            pytest.raises(InferenceFailed, match="NaN"),
        ):
            await decode(engine, spoken[0][1])
        assert report(engine.status(), version="0").status == "degraded"
        assert await decode(engine, spoken[0][1]) == text
        assert report(engine.status(), version="0").status == "ok"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
async def test_out_of_memory_fails_one_stream_frees_what_is_cached_and_the_rest_go_on(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken, error: Exception
) -> None:
    releases: list[None] = []
    (_, first), (_, second) = spoken[:2]
    async with open_engine(configured(speaker_filter="0")) as engine:
        texts = [await decode(engine, samples) for samples in (first, second)]
        streams = [engine.open_recognition(language=None, context="") for _ in texts]
        for stream, samples in zip(streams, (first, second), strict=True):
            stream.append(samples[: len(samples) // 2])
            await stream.hypothesis(Urgency.PARTIAL)
            stream.append(samples[len(samples) // 2 :])
        monkeypatch.setattr(memory, "release", lambda: releases.append(None))
        with failing(monkeypatch, error), pytest.raises(InferenceFailed, match="model failed"):
            await streams[0].hypothesis(Urgency.PARTIAL)
        assert len(releases) == 1
        for stream, text in zip(reversed(streams), reversed(texts), strict=True):
            assert (await stream.hypothesis(Urgency.FINAL)).text == text


async def test_a_failure_is_not_taken_for_a_lack_of_memory(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken
) -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        await engine.ready()
        monkeypatch.setattr(memory, "release", lambda: pytest.fail("released"))
        with failing(monkeypatch, RuntimeError("shapes differ")), pytest.raises(InferenceFailed):
            await decode(engine, spoken[0][1])
        monkeypatch.undo()


async def test_preloading_ends_in_a_probe_that_proves_the_model_works() -> None:
    async with open_engine(configured(preload="1", speaker_filter="0")) as engine:
        assert engine.status().last_ok_age_sec is None
        await engine.ready()
        await decode(engine, np.zeros(SAMPLE_RATE, np.float32))  # queued behind the probe or it
        assert report(engine.status(), version="0").status == "ok"


async def test_a_probe_neither_brings_a_model_back_nor_counts_as_a_use() -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        await engine._probe(load=False)
        assert engine.status().state == "idle"
        await engine.ready()
        idle_for = engine._asr.idle_for()
        await engine._probe(load=False)
        assert engine.status().last_ok_age_sec is not None
        assert engine._asr.idle_for() > idle_for


async def test_a_probe_is_made_only_where_no_success_is_fresh(
    monkeypatch: pytest.MonkeyPatch, mock_clock: MockClock
) -> None:
    async with open_engine(configured(speaker_filter="0")) as engine:
        await decode(engine, np.zeros(SAMPLE_RATE, np.float32))
        with failing(monkeypatch, RuntimeError("broken")):
            mock_clock.jump(PROBE_EVERY - 1)
            await engine._probe(load=False)
            mock_clock.jump(1)
            with pytest.raises(InferenceFailed):
                await engine._probe(load=False)
        assert report(engine.status(), version="0").status == "degraded"


async def test_an_idle_server_is_well_until_its_weights_are_gone(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    directory = tmp_path / "model"
    shutil.copytree(checkpoint.BUNDLED, directory)
    async with open_engine(configured(model=str(directory), speaker_filter="0")) as engine:
        await decode(engine, np.zeros(SAMPLE_RATE, np.float32))
        await engine.unload()
        mock_clock.jump(24 * 3600)
        assert report(engine.status(), version="0").status == "ok"
        (directory / WEIGHTS).unlink()
        assert report(engine.status(), version="0").http_status == 503
        assert engine.status().state == "idle"


async def test_a_load_that_failed_is_tried_again_by_the_probe(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    directory = tmp_path / "model"
    directory.mkdir()
    async with open_engine(configured(model=str(directory), speaker_filter="0")) as engine:
        with pytest.raises(ModelUnavailable):
            await engine.ready()
        shutil.copytree(checkpoint.BUNDLED, directory, dirs_exist_ok=True)
        mock_clock.jump(PROBE_EVERY)
        await engine._probe(load=False)
        assert report(engine.status(), version="0").status == "ok"


async def test_the_detector_hears_speech_and_not_silence(spoken: Spoken) -> None:
    speech = spoken[0][1]
    windows = speech[: len(speech) // 2560 * 2560].reshape(-1, 2560)
    async with open_engine(configured(speaker_filter="0")) as engine:
        heard = await engine.open_detector().probabilities(windows)
        silent = await engine.open_detector().probabilities(np.zeros((20, 2560), np.float32))
    assert sum(probability >= 0.5 for probability in heard) > len(windows) / 2
    assert max(silent) < 0.5


async def test_a_detector_does_not_wait_for_the_model() -> None:
    done = threading.Event()
    async with open_engine(configured(speaker_filter="0")) as engine:
        await engine.ready()
        engine._thread.submit(Urgency.FINAL, done.wait)
        try:
            assert await engine.open_detector().probabilities(np.zeros((1, 2560), np.float32))
            assert not done.is_set()
        finally:
            done.set()


async def test_detectors_of_two_streams_do_not_share_their_state(spoken: Spoken) -> None:
    speech = spoken[1][1]
    windows = speech[: len(speech) // 2560 * 2560].reshape(-1, 2560)
    async with open_engine(configured(speaker_filter="0")) as engine:
        alone = await engine.open_detector().probabilities(windows)
        one, other = engine.open_detector(), engine.open_detector()
        beside: list[float] = []
        for window in windows:
            beside += await one.probabilities(window[None])
            await other.probabilities(np.zeros((1, 2560), np.float32))
    assert beside == pytest.approx(alone)


async def test_a_detector_or_an_encoder_that_fails_is_an_error_of_its_stream(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    async with open_engine(configured(speaker_filter="0")) as engine:
        await engine.ready()
        with monkeypatch.context() as patched:
            patched.setattr(ResemblyzerEncoder, "load", fail)
            patched.setattr(silero, "Silero", fail)
            engine._silero = None
            with pytest.raises(InferenceFailed, match="the voice encoder failed"):
                await engine.speaker_encoder.embed(spoken[0][1])
            with pytest.raises(InferenceFailed, match="the speech detector failed"):
                await engine.open_detector().probabilities(np.zeros((1, 2560), np.float32))
        await engine.open_detector().probabilities(np.zeros((1, 2560), np.float32))


async def test_a_voice_is_a_unit_vector(spoken: Spoken) -> None:
    async with open_engine(configured()) as engine:
        embedding = await engine.speaker_encoder.embed(spoken[2][1])
    assert embedding.shape == (256,)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
