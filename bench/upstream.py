"""``qwen-asr``'s own inference: its processor, its ``generate``, an answer of scripted length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from bench.tally import Tally
from polyasr.samples import Samples


class QwenAsr:
    """A ``Qwen3ASRModel``, called the way its ``transcribe`` and its streaming call the model."""

    def __init__(self, wrapper: Any) -> None:
        self._wrapper = wrapper
        self._prompt: str = wrapper._build_text_prompt(context="", force_language="English")

    def generate(self, samples: Samples, prefix: str, n_tokens: int, tally: Tally) -> None:
        """Hear all of ``samples``, take ``prefix`` for written, write ``n_tokens`` more.

        The end token is one of them, and is not allowed to come earlier.
        """
        self.generate_all([samples], prefix, n_tokens, tally)

    @torch.inference_mode()
    def generate_all(
        self, recordings: Sequence[Samples], prefix: str, n_tokens: int, tally: Tally
    ) -> None:
        """The same for several at once, as one batch; the same number of tokens for each."""
        model, processor = self._wrapper.model, self._wrapper.processor
        with _counted(model.thinker, tally):
            inputs = processor(
                text=[self._prompt + prefix] * len(recordings),
                audio=list(recordings),
                return_tensors="pt",
                padding=True,
            )
            inputs = inputs.to(model.device).to(model.dtype)
            generated = model.generate(
                **inputs,
                max_new_tokens=n_tokens,
                min_new_tokens=n_tokens,
                pad_token_id=processor.tokenizer.pad_token_id,
            )
            written = generated.sequences[:, inputs["input_ids"].shape[1] :]
            tally.written += written.flatten().tolist()


@contextmanager
def _counted(thinker: Any, tally: Tally) -> Iterator[None]:
    """Count what goes through the modules meanwhile."""

    def encoded(_module: Any, _arguments: Any, output: Any) -> None:
        tally.encoder += len(output.last_hidden_state)

    def decoded(_module: Any, _arguments: Any, output: Any) -> None:
        tally.decoder += output.last_hidden_state.shape[1]

    hooks = [
        thinker.audio_tower.register_forward_hook(encoded),
        thinker.model.register_forward_hook(decoded),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def windows_masked(thinker: Any) -> Iterator[None]:
    """Have the encoder attend within its windows, by the mask that it computes and, without
    FlashAttention, ignores."""
    tower = thinker.audio_tower

    def masked(_layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        hidden, cu_seqlens = args
        kwargs["attention_mask"] = tower._prepare_attention_mask(hidden, cu_seqlens)
        return args, kwargs

    hooks = [layer.register_forward_pre_hook(masked, with_kwargs=True) for layer in tower.layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
