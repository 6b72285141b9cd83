"""Qwen3-ASR on torch: the modules of ``qwen-asr``, called directly.

``qwen-asr`` 0.0.6 keeps the encoder's attention inside its windows under FlashAttention only; here
every window is encoded by a call of its own, so the semantics are the model's on every attention
backend. Nothing here is particular to one checkpoint: sizes, token ids and languages come from its
files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from polyasr.engine.backend import Generated, Greedy, Prompt
from polyasr.engine.mel import LogMel, MelFrontend
from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import Hypothesis

LANGUAGE_HEADER = "language "
TEXT_TAG = "<asr_text>"


class QwenTorch:
    """A loaded checkpoint, the torch `Backend`. It lives on the model thread."""

    def __init__(self, wrapper: Any) -> None:
        thinker, processor = wrapper.model.thinker, wrapper.processor
        features = processor.feature_extractor
        self._encoder, self._decoder = thinker.audio_tower, thinker.model
        self._head = thinker.lm_head
        self._processor, self._tokenizer = processor, processor.tokenizer
        self._text_id: int = self._tokenizer.convert_tokens_to_ids(TEXT_TAG)
        self.frontend = MelFrontend(features.mel_filters, features.n_fft, features.hop_length)
        self.window_frames: int = self._encoder.n_window_infer
        self.end_ids = _end_ids(wrapper.model, self._tokenizer)
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

    def prompt(self, context: str, language: str | None) -> Prompt:
        """The prompt as the checkpoint's chat template lays it.

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
        return Prompt(tuple(before), tuple(self._ids(closing)))

    @torch.inference_mode()
    def encode(self, mel: LogMel, *, among_others: bool) -> torch.Tensor:
        """One window, (frames ≤ window_frames, bins), to (tokens, hidden).

        The steps of the encoder's own forward pass, for one window. There a chunk shorter than
        ``2 * n_window`` frames is padded for the convolutions when it has others beside it, also
        in other windows, and what comes of the padding is dropped before attention.
        """
        encoder, chunk = self._encoder, 2 * self._encoder.n_window
        features = torch.from_numpy(mel).to(self.device, self.dtype)
        chunks = list(torch.split(features, chunk))
        if among_others or len(chunks) > 1:
            chunks[-1] = functional.pad(chunks[-1], (0, 0, 0, chunk - len(chunks[-1])))
        convolved = torch.stack(chunks).transpose(1, 2).unsqueeze(1)
        for layer in (encoder.conv2d1, encoder.conv2d2, encoder.conv2d3):
            convolved = functional.gelu(layer(convolved))
        embedded = encoder.conv_out(convolved.permute(0, 3, 1, 2).flatten(2))
        positions = encoder.positional_embedding.positional_embedding[: embedded.shape[1]]
        embedded = embedded + positions.to(embedded.dtype)
        hidden = embedded.flatten(0, 1)[: convolved_length(len(mel), chunk)]
        whole = torch.tensor([0, len(hidden)], dtype=torch.int32, device=self.device)
        for layer in encoder.layers:
            hidden = layer(hidden, whole)[0]
        projected: torch.Tensor = encoder.proj2(encoder.act(encoder.proj1(encoder.ln_post(hidden))))
        return projected

    def token_count(self, embeddings: torch.Tensor) -> int:
        """Positions the embeddings take."""
        return len(embeddings)

    def new_cache(self) -> Any:
        """An empty cache."""
        from transformers import DynamicCache

        return DynamicCache()

    @torch.inference_mode()
    def extend(
        self, cache: Any, pieces: Sequence[torch.Tensor | Sequence[int]], last: int
    ) -> Greedy:
        """Run pieces behind what is cached; the likeliest tokens at the ``last`` positions."""
        inputs = torch.cat([self._embedded(piece) for piece in pieces])
        hidden = self._decoder(
            inputs_embeds=inputs[None], past_key_values=cache, use_cache=True
        ).last_hidden_state[0, -last:]
        best = torch.log_softmax(self._head(hidden).float(), dim=-1).max(dim=-1)
        return Greedy(best.indices.tolist(), best.values.tolist())

    def crop(self, cache: Any, length: int) -> None:
        """Keep the first ``length`` positions."""
        cache.crop(length)

    def parse(self, generated: Generated, language: str | None) -> Hypothesis:
        """Language and text of an answer; ``language``: the one that was forced."""
        first, language = (0, language) if language else self._header(generated.tokens)
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

    def _embedded(self, piece: torch.Tensor | Sequence[int]) -> torch.Tensor:
        if isinstance(piece, torch.Tensor):
            return piece
        ids = torch.tensor(piece, dtype=torch.long, device=self.device)
        embedded: torch.Tensor = self._decoder.embed_tokens(ids)
        return embedded


def convolved_length(frames: int, chunk: int) -> int:
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
