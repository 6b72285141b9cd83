"""The bundled forced aligner: its files, its size, and how near its times are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polyasr.checkpoint import verify
from polyasr.errors import ModelUnavailable
from training.evaluate_aligner import KINDS, Align, aligner, cases, load, official_aligner, score

ALIGNER = Path(__file__).parents[1] / "polyasr" / "models" / "tiny-aligner"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def align() -> Align:
    return aligner(*load(ALIGNER))


def test_the_checkpoint_is_laid_out_like_the_real_one_and_small() -> None:
    names = {
        "config.json",
        "model.safetensors",
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "preprocessor_config.json",
        "README.md",
    }
    assert names <= {path.name for path in ALIGNER.iterdir()}
    assert sum(path.stat().st_size for path in ALIGNER.iterdir()) <= 15 * MEGABYTE


def test_the_configuration_is_a_forced_aligners() -> None:
    from safetensors import safe_open

    config = json.loads((ALIGNER / "config.json").read_text())
    thinker = config["thinker_config"]
    assert config["model_type"] == "qwen3_asr"
    assert config["timestamp_segment_time"] == 80
    assert thinker["model_type"] == "qwen3_forced_aligner"
    assert thinker["classify_num"] * 0.08 >= 180
    with safe_open(ALIGNER / "model.safetensors", "pt") as weights:
        head = weights.get_slice("thinker.lm_head.weight").get_shape()
        assert head == [thinker["classify_num"], thinker["text_config"]["hidden_size"]]
    added = json.loads((ALIGNER / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert added[str(config["timestamp_token_id"])]["content"] == "<timestamp>"


def test_it_is_refused_where_a_recognizer_is_wanted() -> None:
    with pytest.raises(ModelUnavailable, match="qwen3_forced_aligner"):
        verify(ALIGNER)


def test_qwen_asr_itself_aligns_with_it() -> None:
    found = [case for row in (0, 4) for case in cases(KINDS[row], 6, seed=11)]
    heard = score("", found, official_aligner(ALIGNER)(found))
    assert heard.mean < 0.06
    assert heard.within(0.2) > 0.95


@pytest.mark.parametrize("rows", [(0, 1, 2, 3), (4, 5)], ids=["English", "Mandarin"])
def test_words_are_found_where_they_are_said(align: Align, rows: tuple[int, ...]) -> None:
    found = [case for row in rows for case in cases(KINDS[row], 60, seed=12)]
    heard = score("", found, align(found))
    assert heard.mean < 0.06
    assert heard.within(0.2) > 0.95
