"""What tokenizers with byte-level vocabularies have in common: text to ids, tokens to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from transformers.models.qwen2.tokenization_qwen2 import bytes_to_unicode


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text in which no special or added token can occur, whatever it says."""
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    pieces = backend.pre_tokenizer.pre_tokenize_str(text)
    return [token.id for piece, _ in pieces for token in backend.model.tokenize(piece)]


def pieces(tokenizer: Any, ids: Sequence[int]) -> tuple[bytes, ...]:
    """What each token stands for: a letter is a byte, save in the names of added tokens."""
    return tuple(map(_bytes, tokenizer.convert_ids_to_tokens(list(ids))))


def _bytes(token: str) -> bytes:
    letters = _letters()
    if all(letter in letters for letter in token):
        return bytes(letters[letter] for letter in token)
    return token.encode()


@cache
def _letters() -> dict[str, int]:
    return {letter: byte for byte, letter in bytes_to_unicode().items()}
