"""Qwen3-ASR on torch: the modules of ``qwen-asr``, called directly.

Nothing here is particular to one checkpoint: sizes, token ids and languages come from its files.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from polyasr.engine.backend import Extend, Generated, Greedy, Prompt, Window
from polyasr.engine.linear import layout
from polyasr.engine.mel import MelFrontend
from polyasr.engine.torch_decoder import KeyValueCache, TorchDecoder
from polyasr.engine.torch_encoder import TorchEncoder
from polyasr.engine.vocabulary import pieces, plain_ids
from polyasr.engine.weights import load_pretrained
from polyasr.pipeline.types import Hypothesis

LANGUAGE_HEADER = "language "
TEXT_TAG = "<asr_text>"

Extension = Extend[KeyValueCache, torch.Tensor]


class QwenTorch:
    """A loaded checkpoint, the torch `Backend`. It lives on the model thread."""

    def __init__(self, wrapper: Any, dtype: str) -> None:
        """``wrapper`` is a ``Qwen3ASRModel``, of which nothing else may be asked afterwards.

        ``dtype`` is the number format of its weights, or ``int8`` with weights in bfloat16.
        """
        thinker, processor = wrapper.model.thinker, wrapper.processor
        features = processor.feature_extractor
        self.device: torch.device = thinker.model.embed_tokens.weight.device
        self.dtype = dtype
        linear = layout(self.device, dtype)
        self._encoder = TorchEncoder(thinker.audio_tower, linear)
        self._decoder = TorchDecoder(thinker.model, thinker.lm_head, linear)
        self._processor, self._tokenizer = processor, processor.tokenizer
        self._text_id: int = self._tokenizer.convert_tokens_to_ids(TEXT_TAG)
        self.frontend = MelFrontend(features.mel_filters, features.n_fft, features.hop_length)
        self.window_frames = self._encoder.window_frames
        self.end_ids = _end_ids(wrapper.model, self._tokenizer)
        self.opening: tuple[int, ...] = ()
        self.languages: tuple[str, ...] = tuple(wrapper.model.get_support_languages() or ())

    @classmethod
    def load(cls, directory: Path, device: str, dtype: str) -> QwenTorch:
        """Load a verified checkpoint directory; ``dtype`` is a torch dtype's name, or ``int8``.

        Raises ModelUnavailable when the weights do not fit the configuration, or int8 is not to be
        had.
        """
        from qwen_asr import Qwen3ASRModel

        return cls(load_pretrained(Qwen3ASRModel, directory, device, dtype), dtype)

    def prompt(self, context: str, language: str | None) -> Prompt:
        """The prompt as the checkpoint's chat template lays it.

        The context comes from clients: it is tokenized as plain text, so that ``<|im_end|>`` or
        ``<asr_text>`` inside it are letters and nothing more.
        """
        system, opening, closing = self._template
        if language is not None:
            closing += f"{LANGUAGE_HEADER}{language}{TEXT_TAG}"
        before = [
            *self._ids(system),
            *plain_ids(self._tokenizer, context.strip()),
            *self._ids(opening),
        ]
        return Prompt(tuple(before), tuple(self._ids(closing)))

    @torch.inference_mode()
    def encode(self, windows: Sequence[Window]) -> list[torch.Tensor]:
        """The embeddings of each window, shape (tokens, hidden)."""
        return self._encoder.encode(windows)

    def new_cache(self) -> KeyValueCache:
        """An empty cache."""
        return self._decoder.new_cache()

    @torch.inference_mode()
    def extend(self, extensions: Sequence[Extension]) -> list[Greedy]:
        """Run each extension behind its own cache, all in one pass."""
        rows = self._embedded([each.pieces for each in extensions])
        hidden = self._decoder.extend(
            [(each.cache, own, each.last) for each, own in zip(extensions, rows, strict=True)]
        )
        tokens, logprobs = self._decoder.likeliest(torch.cat(hidden))
        ends = list(itertools.accumulate((each.last for each in extensions), initial=0))
        return [Greedy(tokens[a:b], logprobs[a:b]) for a, b in itertools.pairwise(ends)]

    def crop(self, cache: KeyValueCache, length: int) -> None:
        """Keep the first ``length`` positions."""
        cache.length = min(cache.length, length)

    def parse(self, generated: Generated, language: str | None) -> Hypothesis:
        """Language and text of an answer; ``language``: the one that was forced."""
        if language:
            first, probability = 0, None
        else:
            first, language = self._header(generated.tokens)
            probability = sum(generated.logprobs[: first - 1]) if language else None
        tokens = generated.tokens[first:]
        text = self._tokenizer.decode(
            [token for token in tokens if token != self._text_id],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return Hypothesis(
            text=text.replace("\ufffd", "").strip(),
            language=language,
            tokens=tokens,
            logprobs=generated.logprobs[first:],
            pieces=pieces(self._tokenizer, tokens),
            language_logprob=probability,
            finish_reason=generated.finish_reason,
        )

    def _header(self, tokens: Sequence[int]) -> tuple[int, str]:
        """Where the text begins behind ``language X<asr_text>``, and X ("" for None).

        A header that was cut short is no text; an answer without one is text alone.
        """
        end = tokens.index(self._text_id) if self._text_id in tokens else len(tokens)
        written: str = self._tokenizer.decode(tokens[:end], skip_special_tokens=True).strip()
        if not written.startswith(LANGUAGE_HEADER.strip()):
            return (0 if end == len(tokens) else end + 1), ""
        name = written.removeprefix(LANGUAGE_HEADER).strip()
        return end + 1, "" if name == "None" or end == len(tokens) else name

    @cached_property
    def _template(self) -> tuple[str, str, str]:
        """The prompt without what goes between: before the context, the audio, the answer."""
        mark = "\u241f"
        template: str = self._processor.apply_chat_template(
            [
                {"role": "system", "content": mark},
                {"role": "user", "content": [{"type": "audio", "audio": ""}]},
            ],
            add_generation_prompt=True,
            tokenize=False,
        )
        system, rest = template.split(mark)
        opening, closing = rest.split(self._processor.audio_token)
        return system, opening, closing

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _embedded(
        self, inputs: Sequence[Sequence[torch.Tensor | Sequence[int]]]
    ) -> list[torch.Tensor]:
        """The pieces of each input behind each other; all token ids are looked up at once."""
        ids = [
            piece for pieces in inputs for piece in pieces if not isinstance(piece, torch.Tensor)
        ]
        embedded = self._decoder.embed(list(itertools.chain(*ids)))
        looked_up = iter(embedded.split_with_sizes(list(map(len, ids))))
        rows = []
        for own in inputs:
            found = [p if isinstance(p, torch.Tensor) else next(looked_up) for p in own]
            rows.append(found[0] if len(found) == 1 else torch.cat(found))
        return rows


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer, by the checkpoint's generation_config and its tokenizer."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    ids = [*ids, *tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])]
    return frozenset(i for i in ids if i is not None)
