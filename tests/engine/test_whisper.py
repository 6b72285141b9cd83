"""The Whisper adapter, against what transformers itself makes of the same checkpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from polyasr.engine.whisper import WhisperTorch
from polyasr.errors import InvalidRequest, ModelUnavailable
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE, Samples
from tests.whisper import SPECIAL, write_whisper


@pytest.fixture(scope="module")
def whisper(whisper_directory: Path) -> WhisperTorch:
    return WhisperTorch.load(whisper_directory, "cpu", "float32")


@pytest.fixture(scope="module")
def upstream(whisper_directory: Path) -> Any:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    model = WhisperForConditionalGeneration.from_pretrained(str(whisper_directory)).eval()
    return model, WhisperProcessor.from_pretrained(str(whisper_directory))


def noise(seed: int, seconds: float = 10.0) -> Samples:
    """Noise of random loudness and colour, half a second each."""
    random = np.random.default_rng(seed)
    pieces = []
    for _ in range(round(2 * seconds)):
        piece = random.standard_normal(SAMPLE_RATE // 2) * random.uniform(0.001, 0.3)
        pieces.append(np.convolve(piece, random.standard_normal(8), mode="same"))
    return np.concatenate(pieces).clip(-1, 1).astype(np.float32)


def translate(
    whisper: WhisperTorch, samples: Samples, language: str | None = None, context: str = ""
) -> Hypothesis:
    translating = whisper.translating(samples, language, context)
    while True:
        try:
            next(translating)
        except StopIteration as done:
            hypothesis: Hypothesis = done.value
            return hypothesis


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("language", "context"),
    [("German", ""), ("Ukrainian", "About birds."), ("Filipino", ""), (None, "About birds.")],
)
def test_it_translates_as_transformers_does(
    whisper: WhisperTorch, upstream: Any, language: str | None, context: str
) -> None:
    model, processor = upstream
    codes = {"German": "de", "Ukrainian": "uk", "Filipino": "tl", None: None}
    texts = set()
    for seed in range(1, 3):
        ours = translate(whisper, noise(seed), language, context)
        features = processor(noise(seed), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        given: dict[str, Any] = {}
        if context:
            given["prompt_ids"] = processor.get_prompt_ids(context, return_tensors="pt")
        theirs = model.generate(
            features.input_features,
            task="translate",
            language=codes[language],
            num_beams=1,
            do_sample=False,
            **given,
        )[0].tolist()
        assert given == {} or theirs[: len(given["prompt_ids"])] != given["prompt_ids"].tolist()
        new = [token for token in theirs if token < 261]
        assert list(ours.tokens) == new[: len(ours.tokens)]
        assert len(new) == len(ours.tokens) or ours.finish_reason == "repetition"
        texts.add(ours.text)
    assert len(texts) > 1, "the audio makes a difference"


def test_the_language_heard_is_told_with_its_probability_unless_it_was_given(
    whisper: WhisperTorch,
) -> None:
    free = translate(whisper, noise(0))
    assert free.language in ("English", "Chinese", "German", "Ukrainian", "Filipino", "Cantonese")
    assert free.language_logprob is not None and 1 / 6 <= math.exp(free.language_logprob) <= 1
    assert translate(whisper, noise(0), free.language).tokens == free.tokens
    assert translate(whisper, noise(0), "German").language_logprob is None


def test_a_context_cannot_hold_commands(whisper: WhisperTorch) -> None:
    prompt = whisper._prompt(whisper._language_id("German"), "<|translate|><|endoftext|>")
    first_special = 261
    assert [token for token in prompt[1:-4] if token >= first_special] == []
    assert len(whisper._prompt(whisper._language_id("German"), "bird " * 500)) == 1 + 31 + 4


def test_a_language_that_the_model_lacks_is_told(whisper: WhisperTorch) -> None:
    with pytest.raises(InvalidRequest, match="does not know French"):
        translate(whisper, noise(0), "French")


def test_work_comes_in_slices_of_a_layer_or_a_token(whisper: WhisperTorch) -> None:
    slices = list(whisper.translating(noise(0), "German", ""))
    tokens = translate(whisper, noise(0), "German").tokens
    assert len(slices) >= 1 + 2 + len(tokens)


def test_probabilities_are_those_of_the_tokens(whisper: WhisperTorch) -> None:
    heard = translate(whisper, noise(1), "German")
    assert len(heard.logprobs) == len(heard.tokens) == len(heard.pieces) > 0
    assert all(logprob <= 0 for logprob in heard.logprobs)
    assert b"".join(heard.pieces).decode("utf-8", "ignore").strip()[:1] == heard.text[:1]


def test_a_whisper_for_english_alone_is_told(tmp_path: Path) -> None:
    english = tuple(name for name in SPECIAL if name not in ("<|translate|>", "<|en|>"))
    write_whisper(tmp_path / "en", special=english)
    with pytest.raises(ModelUnavailable, match=r"English alone.*POLYASR_TRANSLATE_MODEL"):
        WhisperTorch.load(tmp_path / "en", "cpu", "float32")


def test_weights_that_are_missing_are_told_and_never_made_up(
    whisper_directory: Path, tmp_path: Path
) -> None:
    for file in whisper_directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(whisper_directory / "model.safetensors")
    del tensors["model.encoder.layers.1.fc1.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"layers\.1\.fc1\.weight"):
        WhisperTorch.load(tmp_path, "cpu", "float32")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "d_model": 64}))
    with pytest.raises(ModelUnavailable, match="cannot be used"):
        WhisperTorch.load(tmp_path, "cpu", "float32")


def test_torch_is_left_as_it_was(whisper: WhisperTorch) -> None:
    translating = whisper.translating(noise(0), None, "")
    next(translating)
    assert not torch.is_inference_mode_enabled()
    translating.close()
