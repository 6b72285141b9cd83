"""Qwen3-ASR on torch: the modules of ``qwen-asr``, called directly.

The encoder's attention stays inside windows of ``n_window_infer`` mel frames (8 s). ``qwen-asr``
0.0.6 keeps to them under FlashAttention only; here every window is encoded by a call of its own,
so the semantics are the model's on every attention backend. Nothing here is particular to one
checkpoint: sizes, token ids and languages come from its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polyasr.engine.repetition import loop_start
from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import SAMPLE_RATE, Hypothesis, Samples

SHORTEST = SAMPLE_RATE // 2
"""Shorter audio is padded with silence to 0.5 s, as ``qwen-asr`` does (MIN_ASR_INPUT_SECONDS)."""
TOKENS_BASE = 32
TOKENS_PER_SECOND = 20
"""New tokens are capped by audio: fast speech is 5 to 8 tokens a second, a loop has no end."""
LANGUAGE_HEADER = "language "
TEXT_TAG = "<asr_text>"


@dataclass(frozen=True, slots=True)
class Generated:
    """Token ids and their log-probabilities, without the end token."""

    tokens: list[int]
    logprobs: list[float]
    finish_reason: str


class QwenTorch:
    """A loaded checkpoint. Not thread-safe: it lives on the model thread."""

    def __init__(self, wrapper: Any) -> None:
        self._thinker = wrapper.model.thinker
        self._encoder = self._thinker.audio_tower
        self._decoder = self._thinker.model
        self._features = wrapper.processor.feature_extractor
        self._processor = wrapper.processor
        self._tokenizer = wrapper.processor.tokenizer
        self._end_ids = _end_ids(wrapper.model, self._tokenizer)
        self._text_id: int = self._tokenizer.convert_tokens_to_ids(TEXT_TAG)
        self.languages: tuple[str, ...] = tuple(wrapper.model.get_support_languages() or ())
        self.device: torch.device = self._decoder.embed_tokens.weight.device
        self.dtype: torch.dtype = self._decoder.embed_tokens.weight.dtype

    @classmethod
    def load(cls, directory: Path, device: str, dtype: str) -> QwenTorch:
        """Load a verified checkpoint directory; ``dtype`` is a torch dtype's name.

        Raises ModelUnavailable when the weights do not fit the configuration.
        """
        from qwen_asr import Qwen3ASRModel

        from polyasr.engine.weights import check_weights

        check_weights(directory)
        try:
            wrapper = Qwen3ASRModel.from_pretrained(
                str(directory),
                dtype=getattr(torch, dtype),
                device_map=device,
                attn_implementation="sdpa",
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelUnavailable(
                f"the model in {directory} cannot be loaded: {_first_line(error)}; "
                "check the files, or use --model tiny"
            ) from error
        wrapper.model.eval()
        return cls(wrapper)

    @torch.inference_mode()
    def transcribe(self, samples: Samples, language: str | None, context: str) -> Hypothesis:
        """The greedy decode of one segment: float32 at 16 kHz, up to 30 s."""
        before, after = self._prompt(context, language)
        embed = self._decoder.embed_tokens
        inputs = torch.cat([embed(before), self._encode(samples), embed(after)])
        limit = TOKENS_BASE + TOKENS_PER_SECOND * len(samples) // SAMPLE_RATE
        return self._parse(self._generate(inputs, limit), language)

    def _encode(self, samples: Samples) -> torch.Tensor:
        """Audio embeddings, (tokens, hidden): each window of the encoder by a call of its own."""
        if len(samples) < SHORTEST:
            samples = np.pad(samples, (0, SHORTEST - len(samples)))
        mel = self._features(
            samples,
            sampling_rate=SAMPLE_RATE,
            padding=True,
            truncation=False,
            return_tensors="pt",
        ).input_features[0]
        mel = mel.to(self.device, self.dtype)
        windows = mel.split(self._encoder.n_window_infer, dim=1)
        return torch.cat([self._encode_window(window, len(windows) > 1) for window in windows])

    def _encode_window(self, mel: torch.Tensor, among_others: bool) -> torch.Tensor:
        """One window, (mel bins, frames ≤ n_window_infer).

        The encoder pads a chunk shorter than ``2 * n_window`` frames when it follows others in
        the same call. Alone in its call but among other windows it must be padded here, or the
        convolutions see another edge than in a call over the whole.
        """
        chunk = 2 * self._encoder.n_window
        frames = mel.shape[1]
        if among_others and frames < chunk:
            mel = torch.nn.functional.pad(mel, (0, chunk - frames))
        lengths = torch.tensor([mel.shape[1]], device=self.device)
        encoded: torch.Tensor = self._encoder(mel, feature_lens=lengths).last_hidden_state
        return encoded[: token_count(frames, chunk)]

    def _generate(self, inputs: torch.Tensor, limit: int) -> Generated:
        from transformers import DynamicCache

        cache = DynamicCache()
        tokens: list[int] = []
        logprobs: list[float] = []
        while len(tokens) < limit:
            hidden = self._decoder(
                inputs_embeds=inputs[None], past_key_values=cache, use_cache=True
            ).last_hidden_state[0, -1]
            scores = torch.log_softmax(self._thinker.lm_head(hidden).float(), dim=-1)
            token = int(scores.argmax())
            if token in self._end_ids:
                return Generated(tokens, logprobs, "stop")
            tokens.append(token)
            logprobs.append(float(scores[token]))
            loop = loop_start(tokens)
            if loop is not None:
                return Generated(tokens[:loop], logprobs[:loop], "repetition")
            inputs = self._decoder.embed_tokens(torch.tensor([token], device=self.device))
        return Generated(tokens, logprobs, "length")

    def _parse(self, generated: Generated, language: str | None) -> Hypothesis:
        first, language = (0, language) if language else self._header(generated.tokens)
        tokens = tuple(generated.tokens[first:])
        text = self._tokenizer.decode(
            [token for token in tokens if token != self._text_id],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return Hypothesis(
            text=text.replace("\ufffd", "").strip(),
            language=language,
            tokens=tokens,
            logprobs=tuple(generated.logprobs[first:]),
            finish_reason=generated.finish_reason,
        )

    def _header(self, tokens: list[int]) -> tuple[int, str]:
        """Where the text begins behind ``language X<asr_text>``, and X ("" for None).

        A header that was cut short is no text; an answer without one is text alone.
        """
        end = tokens.index(self._text_id) if self._text_id in tokens else len(tokens)
        written: str = self._tokenizer.decode(tokens[:end], skip_special_tokens=True).strip()
        if not written.startswith(LANGUAGE_HEADER.strip()):
            return (0 if end == len(tokens) else end + 1), ""
        name = written.removeprefix(LANGUAGE_HEADER).strip()
        return end + 1, "" if name == "None" or end == len(tokens) else name

    def _prompt(self, context: str, language: str | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids before and after the audio, as the checkpoint's chat template lays them.

        The context comes from clients: it is tokenized as plain text, so that ``<|im_end|>`` or
        ``<asr_text>`` inside it are letters and nothing more.
        """
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
        if language is not None:
            closing += f"{LANGUAGE_HEADER}{language}{TEXT_TAG}"
        before = [*self._ids(system), *self._plain_ids(context.strip()), *self._ids(opening)]
        return self._tensor(before), self._tensor(self._ids(closing))

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _plain_ids(self, text: str) -> list[int]:
        """Byte-pair ids in which no special or added token can occur."""
        backend = self._tokenizer.backend_tokenizer
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        pieces = backend.pre_tokenizer.pre_tokenize_str(text)
        return [token.id for piece, _ in pieces for token in backend.model.tokenize(piece)]

    def _tensor(self, ids: Sequence[int]) -> torch.Tensor:
        return torch.tensor(ids, dtype=torch.long, device=self.device)


def token_count(frames: int, chunk: int) -> int:
    """Audio tokens for so many mel frames: three convolutions of stride 2 over each chunk."""
    full, rest = divmod(frames, chunk)
    return full * _halved_thrice(chunk) + _halved_thrice(rest)


def _halved_thrice(frames: int) -> int:
    for _ in range(3):
        frames = -(-frames // 2)
    return frames


def _end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer, by the checkpoint's generation_config and its tokenizer."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    ids = [*ids, *tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])]
    return frozenset(i for i in ids if i is not None)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
