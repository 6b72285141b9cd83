"""A Whisper of a few thousand random numbers, in the files that a true one has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh", "de", "uk", "tl", "yue")
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
MERGES = ("t h", "Ġ th", "Ġth e", "i n", "a n")


def write_whisper(directory: Path, *, special: tuple[str, ...] = SPECIAL) -> Path:
    """Write the checkpoint, the same each time; returns its directory."""
    import torch
    import transformers
    from transformers.models.gpt2.tokenization_gpt2 import bytes_to_unicode

    hf: Any = transformers  # which has types for some of its parts
    directory.mkdir(parents=True, exist_ok=True)
    words = [*bytes_to_unicode().values(), *(merge.replace(" ", "") for merge in MERGES)]
    (directory / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (directory / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES))
    ids = {token: len(words) + i for i, token in enumerate(special)}
    tokenizer = hf.WhisperTokenizer(
        str(directory / "vocab.json"),
        str(directory / "merges.txt"),
        additional_special_tokens=list(special[1:]),
    )
    tokenizer.save_pretrained(directory)
    assert tokenizer.convert_tokens_to_ids(list(ids)) == list(ids.values())
    hf.WhisperFeatureExtractor().save_pretrained(directory)
    sizes = dict.fromkeys(("encoder_layers", "decoder_layers"), 2)
    sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    sizes |= dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 64)
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = hf.WhisperConfig(
        vocab_size=len(words) + len(special),
        d_model=32,
        max_target_positions=64,
        init_std=0.4,
        tie_word_embeddings=False,  # or a token would be followed by itself
        decoder_start_token_id=start,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
        **sizes,
    )
    torch.manual_seed(6)
    model = hf.WhisperForConditionalGeneration(config)
    with torch.no_grad():
        for layer in model.model.decoder.layers:
            layer.encoder_attn.out_proj.weight *= 8  # so that the audio makes a difference
        model.proj_out.weight[end] *= 1.5  # and a text ends now and then
    model.generation_config = hf.GenerationConfig(
        decoder_start_token_id=start,
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end),
        max_length=64,
        is_multilingual="<|translate|>" in ids,
        lang_to_id={
            f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES if f"<|{code}|>" in ids
        },
        task_to_id={task: ids.get(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=ids["<|notimestamps|>"],
        suppress_tokens=[0, 1, 2, *list(ids.values())[1:]],
        begin_suppress_tokens=[220, end],
        return_timestamps=False,
    )
    model.save_pretrained(directory)
    return directory
