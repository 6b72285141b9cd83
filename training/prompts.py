"""The prompt of Qwen3-ASR as token ids: context, audio, language and text."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompt:
    """Token ids before the audio, after it, and (in training) the answer that is learned."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    answer: tuple[int, ...] = ()


@dataclass(frozen=True)
class Prompter:
    """Builds prompts with a tokenizer."""

    tokenizer: PreTrainedTokenizerBase

    def ids(self, text: str) -> tuple[int, ...]:
        """The token ids of a text with special tokens in it."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    @functools.cached_property
    def end(self) -> int:
        """The id of `<|im_end|>`."""
        return self.ids("<|im_end|>")[0]

    @functools.cached_property
    def audio(self) -> int:
        """The id that stands for one audio embedding."""
        return self.ids("<|audio_pad|>")[0]

    @functools.cached_property
    def timestamp(self) -> int:
        """The id of `<timestamp>`, at which a forced aligner says a time."""
        return self.ids("<timestamp>")[0]

    @functools.cached_property
    def pad(self) -> int:
        """The id that fills a batch."""
        return self.ids("<|endoftext|>")[0]

    def prompt(
        self,
        *,
        context: str | None = "",
        forced: str | None = None,
        language: str | None = None,
        text: str | None = None,
    ) -> Prompt:
        """A prompt, without the system turn if `context` is None.

        `forced` is a language written for the model; `language` (None for no speech) and `text`
        make the answer to learn, without which the prompt is for recognition.
        """
        system = "" if context is None else f"<|im_start|>system\n{context}<|im_end|>\n"
        before = self.ids(f"{system}<|im_start|>user\n<|audio_start|>")
        after = "<|audio_end|><|im_end|>\n<|im_start|>assistant\n"
        tag = f"language {forced or language}<asr_text>"
        if text is None:
            return Prompt(before, self.ids(after + (tag if forced else "")))
        spoken = self.ids(text) + (self.end,)
        if forced:
            return Prompt(before, self.ids(after + tag), spoken)
        return Prompt(before, self.ids(after), self.ids(tag) + spoken)
