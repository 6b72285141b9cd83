"""The engine with the bundled model: loading, failing, and knowing how it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trio
from trio.testing import MockClock

from polyasr import settings
from polyasr.engine import SpeechEngine, open_engine
from polyasr.engine.incremental import IncrementalSegment
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


async def test_the_first_use_loads_and_all_who_wait_share_that_load(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken
) -> None:
    loads = []
    load = SpeechEngine._load_here

    def counted(engine: SpeechEngine, directory: Path) -> object:
        loads.append(directory)
        return load(engine, directory)

    monkeypatch.setattr(SpeechEngine, "_load_here", counted)
    async with open_engine(configured(speaker_filter="0")) as engine:
        assert engine.status().state == "idle"
        async with trio.open_nursery() as nursery:
            for _, samples in spoken[:3]:
                nursery.start_soon(decode, engine, samples)
        assert engine.status().state == "ready"
    assert len(loads) == 1


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


async def test_a_load_that_takes_too_long_is_given_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    begun = trio.Event()

    async def never(*_: object) -> None:
        begun.set()
        await trio.sleep_forever()

    async with open_engine(configured(load_timeout_sec="7")) as engine:
        monkeypatch.setattr(engine._thread, "run", never)
        with pytest.raises(ModelUnavailable, match=r"7 s.*POLYASR_LOAD_TIMEOUT_SEC"):
            await engine.ready()
    assert begun.is_set()


async def test_a_decode_that_fails_is_an_error_and_health_knows(
    monkeypatch: pytest.MonkeyPatch, spoken: Spoken
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of memory")

    async with open_engine(configured(speaker_filter="0")) as engine:
        text = await decode(engine, spoken[0][1])
        with monkeypatch.context() as patched:
            patched.setattr(IncrementalSegment, "decode", broken)
            with pytest.raises(InferenceFailed, match="out of memory"):
                await decode(engine, spoken[0][1])
        assert report(engine.status(), version="0").status == "degraded"
        assert await decode(engine, spoken[0][1]) == text
        assert report(engine.status(), version="0").status == "ok"


async def test_preloading_ends_in_a_probe_that_proves_the_model_works() -> None:
    async with open_engine(configured(preload="1", speaker_filter="0")) as engine:
        assert engine.status().last_ok_age_sec is None
        await engine.ready()
        await decode(engine, np.zeros(SAMPLE_RATE, np.float32))  # queued behind the probe or it
        assert report(engine.status(), version="0").status == "ok"


async def test_the_detector_hears_speech_and_not_silence(spoken: Spoken) -> None:
    speech = spoken[0][1]
    windows = speech[: len(speech) // 2560 * 2560].reshape(-1, 2560)
    async with open_engine(configured(speaker_filter="0")) as engine:
        heard = await engine.open_detector().probabilities(windows)
        silent = await engine.open_detector().probabilities(np.zeros((20, 2560), np.float32))
    assert sum(probability >= 0.5 for probability in heard) > len(windows) / 2
    assert max(silent) < 0.5


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


async def test_a_voice_is_a_unit_vector(spoken: Spoken) -> None:
    async with open_engine(configured()) as engine:
        embedding = await engine.speaker_encoder.embed(spoken[2][1])
    assert embedding.shape == (256,)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
