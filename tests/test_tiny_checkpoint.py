"""The bundled checkpoint: its files, its size, and what it hears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from training import evaluate
from training.evaluate import KINDS, Case, Recognise
from training.prompts import Prompter

TINY = Path(__file__).parents[1] / "polyasr" / "models" / "tiny"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wrapper() -> Any:
    from qwen_asr import Qwen3ASRModel

    return Qwen3ASRModel.from_pretrained(str(TINY), dtype=torch.float32)


@pytest.fixture(scope="module")
def listen(wrapper: Any) -> Recognise:
    return evaluate.listener(wrapper.model.eval(), Prompter(wrapper.processor.tokenizer))


def accuracy(listen: Recognise, cases: list[Case]) -> evaluate.Score:
    answers = listen([case.samples for case in cases])
    return evaluate.score("", "", cases, answers)


def test_the_checkpoint_is_laid_out_like_the_real_one_and_small() -> None:
    names = {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "chat_template.json",
        "README.md",
    }
    assert names <= {path.name for path in TINY.iterdir()}
    assert sum(path.stat().st_size for path in TINY.iterdir()) <= 15 * MEGABYTE


def test_the_end_token_is_the_tokenizers_own(wrapper: Any) -> None:
    tokenizer = wrapper.processor.tokenizer
    generation = json.loads((TINY / "generation_config.json").read_text())
    end, pad = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert generation["eos_token_id"] == [end, pad]
    assert generation["pad_token_id"] == pad


def test_the_nested_configurations_name_their_types() -> None:
    config = json.loads((TINY / "config.json").read_text())
    assert config["model_type"] == "qwen3_asr"
    thinker = config["thinker_config"]
    assert thinker["model_type"] == "qwen3_asr"
    assert thinker["audio_config"]["model_type"] == "qwen3_asr_audio_encoder"
    assert thinker["text_config"]["model_type"] == "qwen3"


def test_qwen_asr_itself_transcribes_with_it() -> None:
    found = list(evaluate.cases(KINDS[0], 6, seed=11)) + list(evaluate.cases(KINDS[4], 3, seed=11))
    heard = accuracy(evaluate.official_listener(TINY), found)
    assert heard.language == 1.0
    assert heard.accuracy >= 0.85


@pytest.mark.parametrize(
    ("kind", "clips", "least"),
    [(0, 20, 0.93), (2, 20, 0.90), (4, 12, 0.93), (6, 3, 0.88)],
    ids=["trained voices", "new voices", "Mandarin", "several sentences"],
)
def test_held_out_sentences_are_heard(
    listen: Recognise, kind: int, clips: int, least: float
) -> None:
    result = accuracy(listen, list(evaluate.cases(KINDS[kind], clips, seed=23)))
    assert result.accuracy >= least
    assert result.language >= 0.95


def test_silence_and_noise_give_no_text(listen: Recognise) -> None:
    result = accuracy(listen, list(evaluate.silent_cases(20, seed=23)))
    assert result.accuracy >= 0.95


def test_a_forced_language_gives_text_alone(wrapper: Any) -> None:
    prompter = Prompter(wrapper.processor.tokenizer)
    forced = evaluate.listener(wrapper.model, prompter, forced="English")
    result = accuracy(forced, list(evaluate.cases(KINDS[0], 20, seed=31)))
    assert result.accuracy >= 0.85  # what espeak-ng spoke before changes how it speaks a little


@pytest.mark.parametrize("context", [None, "Anna, the report, half past seven"])
def test_the_system_turn_may_be_absent_or_hold_a_context(wrapper: Any, context: str | None) -> None:
    prompter = Prompter(wrapper.processor.tokenizer)
    other = evaluate.listener(wrapper.model, prompter, context=context)
    result = accuracy(other, list(evaluate.cases(KINDS[0], 20, seed=37)))
    assert result.accuracy >= 0.85


def test_partials_stand_in_the_final(listen: Recognise) -> None:
    assert evaluate.partial_agreement(listen, count=4, seed=41) >= 0.9
