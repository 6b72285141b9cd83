"""Whisper on torch, for translation: the modules of ``transformers``, called directly, in slices.

A whole 30 s window takes a large Whisper seconds on a CPU. So a translation is a generator, which
lets go of the model thread after each layer of the encoder and each token of the decoder.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from polyasr import languages
from polyasr.engine.repetition import loop_start
from polyasr.engine.threads import fit_threads
from polyasr.engine.vocabulary import pieces, plain_ids
from polyasr.errors import InvalidRequest, ModelUnavailable, first_line
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE, Samples

Translating = Generator[None, None, Hypothesis]
"""A translation under way: each step is a slice of the model thread's time."""

OTHER_CODES = {"fil": "tl", "jv": "jw"}
"""Languages for which Whisper has a code of its own."""
SPECIAL = ("<|startoftranscript|>", "<|translate|>", "<|notimestamps|>", "<|startofprev|>")
WEIGHTS_LEFT_OUT = frozenset({"proj_out.weight"})
"""What checkpoints need not hold, because it is tied to the embeddings."""


class WhisperTorch:
    """A loaded checkpoint. It lives on the model thread."""

    def __init__(self, model: Any, tokenizer: Any, features: Any) -> None:
        """Raises ModelUnavailable for a model that knows one language, and so cannot translate."""
        vocabulary = tokenizer.get_vocab()
        if not all(name in vocabulary for name in SPECIAL):
            raise ModelUnavailable("it is a Whisper for English alone, which does not translate")
        self._model, self._tokenizer, self._features = model, tokenizer, features
        self._start, self._translate, self._no_times, self._previous = (
            vocabulary[name] for name in SPECIAL
        )
        self._languages = {
            name: vocabulary[token]
            for name in languages.TRANSLATED
            if (token := _language_token(name)) in vocabulary
        }
        self._end: int = tokenizer.eos_token_id
        self._never = _suppressed(model.generation_config.suppress_tokens)
        self._never_first = _suppressed(model.generation_config.begin_suppress_tokens)
        self._positions: int = model.config.max_target_positions

    @classmethod
    def load(cls, directory: Path, device: str, dtype: str) -> WhisperTorch:
        """Load a verified checkpoint directory; ``dtype`` is a torch dtype's name.

        Raises ModelUnavailable when it is not whole, or no Whisper that translates.
        """
        from transformers import (
            WhisperFeatureExtractor,
            WhisperForConditionalGeneration,
            WhisperTokenizerFast,
        )

        try:
            model, loaded = WhisperForConditionalGeneration.from_pretrained(
                str(directory),
                dtype=getattr(torch, dtype),
                attn_implementation="sdpa",
                local_files_only=True,
                output_loading_info=True,
            )
            missing = [
                *(set(loaded["missing_keys"]) - WEIGHTS_LEFT_OUT),
                *loaded["mismatched_keys"],
            ]
            if missing:
                raise ModelUnavailable(f"it has no weights that fit for {missing[0]}")
            fit_threads(model)
            return cls(
                model.eval().to(device),
                WhisperTokenizerFast.from_pretrained(str(directory), local_files_only=True),
                WhisperFeatureExtractor.from_pretrained(str(directory), local_files_only=True),
            )
        except (OSError, ValueError, RuntimeError, ModelUnavailable) as error:
            raise ModelUnavailable(
                f"the translation model in {directory} cannot be used: {first_line(error)}; "
                "correct POLYASR_TRANSLATE_MODEL, or download it again"
            ) from error

    @torch.inference_mode()
    def translating(self, samples: Samples, language: str | None, context: str) -> Translating:
        """Translate at most 30 s of speech to English, greedily, without times.

        ``language`` is what is spoken (a name), None to let the model tell; ``context`` is given to
        it as the text before. Raises InvalidRequest for a language that this model lacks.
        """
        encoded = yield from self._encoding(samples)
        logprob: float | None = None
        if language is None:
            language, logprob = self._spoken(encoded)
            yield
        prompt = self._prompt(self._language_id(language), context)
        tokens, logprobs, reason = yield from self._decoding(encoded, prompt)
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return Hypothesis(
            text=text.replace("\ufffd", "").strip(),
            language=language,
            tokens=tuple(tokens),
            logprobs=tuple(logprobs),
            pieces=pieces(self._tokenizer, tokens),
            language_logprob=logprob,
            finish_reason=reason,
        )

    def _encoding(self, samples: Samples) -> Generator[None, None, Tensor]:
        """As `WhisperEncoder.forward`, layer by layer. Audio is padded to 30 s."""
        encoder = self._model.model.encoder
        mel = self._features(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        weight = encoder.conv1.weight
        frames = mel.input_features.to(weight.device, weight.dtype)
        yield
        hidden = functional.gelu(encoder.conv1(frames))
        hidden = functional.gelu(encoder.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + encoder.embed_positions.weight
        for layer in encoder.layers:
            yield
            hidden = layer(hidden, None, layer_head_mask=None)[0]
        encoded: Tensor = encoder.layer_norm(hidden)
        return encoded

    def _spoken(self, encoded: Tensor) -> tuple[str, float]:
        """The likeliest language and the log of its probability among all that it knows."""
        logits = self._logits(encoded, [self._start], None)[list(self._languages.values())]
        best = int(logits.argmax())
        return list(self._languages)[best], float(logits.log_softmax(-1)[best])

    def _prompt(self, language: int, context: str) -> list[int]:
        """The end of the context, as much as the model was trained with, then the task."""
        task = [self._start, language, self._translate, self._no_times]
        if not context.strip():
            return task
        most = self._positions // 2 - 1
        return [self._previous, *plain_ids(self._tokenizer, " " + context.strip())[-most:], *task]

    def _decoding(
        self, encoded: Tensor, prompt: Sequence[int]
    ) -> Generator[None, None, tuple[list[int], list[float], str]]:
        """Tokens, their log-probabilities, and why there are no more."""
        from transformers import DynamicCache, EncoderDecoderCache

        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        tokens: list[int] = []
        logprobs: list[float] = []
        asked = list(prompt)
        while len(prompt) + len(tokens) < self._positions:
            yield
            logits = self._logits(encoded, asked, cache)
            logits[self._never if tokens else self._never + self._never_first] = -torch.inf
            token = int(logits.argmax())
            if token == self._end:
                return tokens, logprobs, "stop"
            tokens.append(token)
            logprobs.append(float(logits.log_softmax(-1)[token]))
            loop = loop_start(tokens)
            if loop is not None:
                return tokens[:loop], logprobs[:loop], "repetition"
            asked = [token]
        return tokens, logprobs, "length"

    def _logits(self, encoded: Tensor, ids: Sequence[int], cache: Any) -> Tensor:
        """What follows the ids, which follow what is cached: shape (vocabulary,)."""
        rows = torch.tensor([ids], device=encoded.device)
        decoded = self._model.model.decoder(
            rows,
            encoder_hidden_states=encoded,
            past_key_values=cache,
            use_cache=cache is not None,
        )
        logits: Tensor = self._model.proj_out(decoded.last_hidden_state[0, -1])
        return logits.float()

    def _language_id(self, language: str) -> int:
        if language not in self._languages:
            raise InvalidRequest(
                f"the translation model here does not know {language}", param="language"
            )
        token: int = self._languages[language]
        return token


def _language_token(name: str) -> str:
    code = languages.code(name)
    return f"<|{OTHER_CODES.get(code, code)}|>"


def _suppressed(ids: Sequence[int] | None) -> list[int]:
    return list(ids or ())
