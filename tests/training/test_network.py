"""The batched forward pass against the official modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from training.checkpoint import CheckpointFiles
from training.features import log_mel
from training.network import Sizes, assemble, build, decode, encode, token_count
from training.prompts import Prompter
from training.tokenizer import load_tokenizer

TINY = Path(__file__).parents[2] / "polyasr" / "models" / "tiny"


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return Prompter(load_tokenizer(TINY))


@pytest.fixture(scope="module")
def model(prompter: Prompter) -> Any:
    torch.manual_seed(0)
    return build(CheckpointFiles(TINY).configuration(Sizes(), prompter)).eval()


def official(tower: Any, clip: torch.Tensor) -> torch.Tensor:
    """The official encoder, called for each window of 800 frames by itself."""
    embeddings = []
    for window in torch.split(clip, 800, dim=1):
        lengths = torch.tensor([window.shape[1]])
        embeddings.append(tower(window, feature_lens=lengths).last_hidden_state)
    return torch.cat(embeddings)


@torch.no_grad()
def test_batched_encoding_equals_the_official_encoder_window_by_window(model: Any) -> None:
    torch.manual_seed(1)
    clips = [torch.randn(128, frames) for frames in (250, 800, 1530, 1700, 100)]
    tower = model.thinker.audio_tower
    expected = torch.cat([official(tower, clip) for clip in clips])
    assert torch.allclose(encode(tower, clips), expected, atol=1e-5)


@torch.no_grad()
def test_a_window_of_one_short_chunk_is_padded_and_changes_no_other(model: Any) -> None:
    torch.manual_seed(2)
    clip = torch.randn(128, 840)
    tower = model.thinker.audio_tower
    whole = encode(tower, [clip])
    assert len(whole) == token_count(840) == 109
    assert torch.allclose(whole[:104], encode(tower, [clip[:, :800]]), atol=1e-5)
    beside = encode(tower, [torch.randn(128, 300), clip[:, 800:]])[token_count(300) :]
    assert torch.allclose(whole[104:], beside, atol=1e-5)


@torch.no_grad()
def test_decoding_in_training_equals_the_official_decoder(model: Any) -> None:
    embedded = torch.randn(3, 70, Sizes().decoder_width)
    expected = model.thinker.model(inputs_embeds=embedded).last_hidden_state
    assert torch.allclose(decode(model.thinker.model, embedded)[0], expected, atol=1e-5)


@pytest.mark.parametrize("count", [16_000, 16_159, 47_999, 300])
def test_features_equal_the_processors(count: int) -> None:
    samples = np.random.default_rng(0).standard_normal(count).astype(np.float32) * 0.1
    extractor = WhisperFeatureExtractor.from_pretrained(TINY)
    expected = extractor(
        samples,
        sampling_rate=16_000,
        padding=True,  # type: ignore[arg-type]
        truncation=False,
        return_tensors="pt",
        return_attention_mask=True,
    )
    assert int(expected.attention_mask.sum()) == count // 160
    assert torch.allclose(log_mel(samples), expected.input_features[0], atol=1e-4)


def test_only_the_answer_is_learned(prompter: Prompter) -> None:
    free = prompter.prompt(context=None, language="English", text="Yes.")
    forced = prompter.prompt(context="tea", forced="English", text="Yes.")
    batch = assemble(prompter, [free, forced], [100, 37])
    for row, text in ((0, "language English<asr_text>Yes.<|im_end|>"), (1, "Yes.<|im_end|>")):
        learned = batch.targets[row][batch.targets[row] >= 0]
        assert prompter.tokenizer.decode(learned) == text
    assert (batch.ids == prompter.audio).sum(1).tolist() == [13, 5]


def test_the_prompt_is_the_one_that_qwen_asr_builds(prompter: Prompter) -> None:
    from qwen_asr import Qwen3ASRModel

    wrapper = Qwen3ASRModel.from_pretrained(str(TINY))
    prompt = prompter.prompt(context="Open the report.", forced="English")
    built = wrapper._build_text_prompt("Open the report.", "English")
    ids = wrapper.processor.tokenizer.encode(built)
    assert ids == [*prompt.before, prompter.audio, *prompt.after]
