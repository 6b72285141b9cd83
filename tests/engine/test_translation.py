"""The translator: a unit of its own, whose work gives way to everything else."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from polyasr import settings
from polyasr.engine import SpeechEngine, open_engine
from polyasr.engine.translation import Translator
from polyasr.engine.whisper import WhisperTorch
from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Hypothesis, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings

from .test_whisper import noise

Spoken = list[tuple[str, Samples]]


def configured(model: object) -> Settings:
    given = {"model": "tiny", "preload": "0", "speaker_filter": "0", "dtype": "float32"}
    return settings.load({}, {**given, "translate_model": str(model)})


def translator_of(engine: SpeechEngine) -> Translator:
    assert engine.translator is not None
    return engine.translator


async def translate(translator: Translator, samples: Samples) -> Hypothesis:
    recognition = translator.open_recognition(language="German", context="")
    recognition.append(samples)
    return await recognition.hypothesis(Urgency.BATCH)


async def test_without_a_model_there_is_no_translator_and_no_unit() -> None:
    async with open_engine(configured("")) as engine:
        assert engine.translator is None
        assert "translate" not in [unit.name for unit in engine.residency().units]


async def test_the_first_use_loads_it_and_the_recognizer_is_not_needed(
    whisper_directory: Path,
) -> None:
    async with open_engine(configured(whisper_directory)) as engine:
        assert engine.residency().body()["resident"] == []
        heard = await translate(translator_of(engine), noise(1))
        assert heard.text and heard.language == "German"
        assert engine.residency().body()["resident"] == ["translate"]
        assert await engine.unload() == ("translate",)


async def test_an_unload_in_the_middle_frees_the_model_and_changes_nothing_of_the_text(
    whisper_directory: Path,
) -> None:
    async with open_engine(configured(whisper_directory)) as engine:
        translator = translator_of(engine)
        whole = await translate(translator, noise(1))
        model = weakref.ref(translator._unit.model)
        found: list[Hypothesis] = []

        async def ask() -> None:
            found.append(await translate(translator, noise(1)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not translator._under_way:
                await trio.lowlevel.checkpoint()
            assert await engine.unload() == ("translate",)
            assert model() is None
    assert found == [whole]


async def test_what_is_urgent_waits_for_a_slice_and_not_for_a_translation(
    whisper_directory: Path, spoken: Spoken
) -> None:
    async with open_engine(configured(whisper_directory)) as engine:
        translator = translator_of(engine)
        await translate(translator, noise(1))
        await engine.ready()
        ended: list[str] = []

        async def ask() -> None:
            await translate(translator, noise(1))
            ended.append("translation")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not translator._under_way:
                await trio.lowlevel.checkpoint()
            recognition = engine.open_recognition(language=None, context="")
            recognition.append(spoken[0][1][: 2 * SAMPLE_RATE])
            await recognition.hypothesis(Urgency.FINAL)
            ended.append("final")
    assert ended == ["final", "translation"]


async def test_who_goes_away_leaves_nothing_under_way(whisper_directory: Path) -> None:
    async with open_engine(configured(whisper_directory)) as engine:
        translator = translator_of(engine)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(translate, translator, noise(1))
            while not translator._under_way:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert list(translator._under_way) == []
        assert (await translate(translator, noise(1))).text


async def test_a_model_that_fails_is_an_error_and_no_empty_text(
    whisper_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("NaN everywhere")

    monkeypatch.setattr(WhisperTorch, "translating", fail)
    async with open_engine(configured(whisper_directory)) as engine:
        with pytest.raises(InferenceFailed, match="NaN everywhere"):
            await translate(translator_of(engine), noise(1))


async def test_a_model_that_is_not_there_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_asr"}')
    async with open_engine(configured(tmp_path)) as engine:
        with pytest.raises(ModelUnavailable, match=r"not for 'whisper'; .*TRANSLATE_MODEL"):
            await translator_of(engine).ready()


async def test_a_long_recording_is_cut_at_pauses_and_comes_in_order(
    whisper_directory: Path, spoken: Spoken
) -> None:
    pause = np.zeros(2 * SAMPLE_RATE, np.float32)
    talk = np.concatenate([part for _, samples in 6 * spoken[:2] for part in (samples, pause)])
    told: list[int] = []

    async def tell(segment: Any) -> None:
        told.append(segment.start)

    async with open_engine(configured(whisper_directory)) as engine:
        transcript = await batch.transcribe(
            translator_of(engine), iter([talk]), RecognizerOptions(language="German"), tell
        )
    assert told == sorted(told)
    assert len(transcript.segments) > 1
    assert all(each.end - each.start <= 30 * SAMPLE_RATE for each in transcript.segments)
