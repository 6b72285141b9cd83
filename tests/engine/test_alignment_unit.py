"""The forced aligner as a unit of the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trio

from polyasr.engine import SpeechEngine, open_engine
from polyasr.engine.qwen_aligner import QwenAligner
from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings
from tests.fakes import configured

Spoken = list[tuple[str, Samples]]


@pytest.fixture
def settings(random_aligner: Path) -> Settings:
    return replace(configured(), preload=False, aligner_model=str(random_aligner))


def resident(engine: SpeechEngine) -> list[str]:
    return [unit.name for unit in engine.residency().units if unit.state == "ready"]


async def test_the_first_alignment_loads_it_and_not_the_recognizer(
    settings: Settings, spoken: Spoken
) -> None:
    text, samples = spoken[0]
    async with open_engine(settings) as engine:
        assert engine.word_aligner.present
        assert resident(engine) == []
        words = await engine.word_aligner.align(samples, text, "English")
        assert len(words) == len(text.split())
        assert resident(engine) == ["align"]
        assert await engine.unload() == ("align",)


async def test_an_unload_halfway_begins_the_alignment_anew(
    settings: Settings, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, samples = spoken[0]
    async with open_engine(settings) as engine:
        expected = await engine.word_aligner.align(samples, text, "English")
        begun = 0
        begin = QwenAligner.begin

        def counted(self: QwenAligner, *arguments: object) -> object:
            nonlocal begun
            begun += 1
            return begin(self, *arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(QwenAligner, "begin", counted)

        async def unload() -> None:
            while not begun:
                await trio.lowlevel.checkpoint()
            assert await engine.unload() == ("align",)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(unload)
            assert await engine.word_aligner.align(samples, text, "English") == expected
        assert begun == 2


async def test_more_urgent_work_runs_between_two_slices(
    settings: Settings, spoken: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, samples = spoken[0]
    order: list[str] = []
    advance = QwenAligner.advance

    async with open_engine(settings) as engine:
        await engine.word_aligner.ready()

        def watched(self: QwenAligner, job: object) -> None:
            if not order:
                engine._thread.submit(Urgency.PARTIAL, lambda: order.append("partial"))
            order.append("slice")
            advance(self, job)  # type: ignore[arg-type]

        monkeypatch.setattr(QwenAligner, "advance", watched)
        await engine.word_aligner.align(np.tile(samples, 4), text * 4, "English")
    assert order[:2] == ["slice", "partial"]
    assert order.count("slice") > 4


async def test_one_that_is_nowhere_is_told_with_what_to_do() -> None:
    nowhere = replace(
        configured(),
        preload=False,
        hf_hub_offline=True,
        aligner_model="Qwen/Qwen3-ForcedAligner-nowhere",
    )
    async with open_engine(nowhere) as engine:
        assert not engine.word_aligner.present
        with pytest.raises(ModelUnavailable, match=r"ForcedAligner.*POLYASR_ALIGNER_MODEL"):
            await engine.word_aligner.align(np.zeros(SAMPLE_RATE, np.float32), "a", None)


async def test_where_one_model_at_a_time_is_kept_a_dictation_is_told_at_once(
    settings: Settings,
) -> None:
    async with open_engine(replace(settings, coload=False)) as engine:
        with engine.pinned():
            await engine.ready()
            with pytest.raises(ModelUnavailable, match="POLYASR_COLOAD is 0"):
                await engine.word_aligner.ready_beside_recognizer()
            assert resident(engine) == ["asr"]
    async with open_engine(settings) as engine:
        with engine.pinned():
            await engine.ready()
            await engine.word_aligner.ready_beside_recognizer()
            assert resident(engine) == ["asr", "align"]


async def test_a_recognizer_in_its_place_is_told_so() -> None:
    from polyasr.checkpoint import BUNDLED

    async with open_engine(
        replace(configured(), preload=False, aligner_model=str(BUNDLED))
    ) as engine:
        with pytest.raises(ModelUnavailable, match=r"'qwen3_asr', not for 'qwen3_forced_aligner'"):
            await engine.word_aligner.ready()
