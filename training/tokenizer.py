"""The tokenizer of the tiny checkpoint: byte-level BPE in the files of Qwen2's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from training.domain import LANGUAGES, sentences

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VOCABULARY = 2048
TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer_config.json")
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|audio_start|>",
    "<|audio_end|>",
    "<|audio_pad|>",
    "<asr_text>",
    "<timestamp>",
)
NOT_SPECIAL = ("<asr_text>", "<timestamp>")
"""Added tokens that decoding keeps, as in the real tokenizer."""

_SPLIT = r" ?[A-Za-z]+|\p{Han}|\p{N}| ?[^\s\p{L}\p{N}]+|\s+"


def _texts(seed: int) -> Iterator[str]:
    for language in LANGUAGES:
        for sentence in sentences(seed, 40_000, language, test=False):
            yield sentence.text
            if language == "English":
                yield " " + sentence.text  # as it stands behind another sentence
    for _ in range(2000):
        yield "system\nuser\nassistant\nlanguage English language Chinese language None"


def write_tokenizer(folder: Path, seed: int) -> None:
    """Train the merges on sentences of the domain and write the tokenizer's files."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL),
        min_frequency=3,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))
    size = tokenizer.get_vocab_size()
    (folder / "tokenizer_config.json").write_text(json.dumps(_config(size), indent=1) + "\n")


def _config(first_special: int) -> dict[str, object]:
    added = {
        str(first_special + index): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": token not in NOT_SPECIAL,
        }
        for index, token in enumerate(SPECIAL)
    }
    audio = {
        "audio_bos_token": "<|audio_start|>",
        "audio_eos_token": "<|audio_end|>",
        "audio_token": "<|audio_pad|>",
    }
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "extra_special_tokens": audio,
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "processor_class": "Qwen3ASRProcessor",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
        **audio,
    }


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer as transformers reads it from the files."""
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(  # type: ignore[no-untyped-call]
        str(folder)
    )
    return tokenizer
