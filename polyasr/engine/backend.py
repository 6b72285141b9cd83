"""What the incremental algorithm needs of a model, whoever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from polyasr.engine.mel import LogMel, MelFrontend
from polyasr.pipeline.types import Hypothesis

Cache = TypeVar("Cache")
"""Keys and values of a decoder's positions, growing and cropped at the end."""
Embeddings = TypeVar("Embeddings")
"""Audio tokens as the decoder takes them, shape (tokens, hidden)."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids before and after the audio."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Greedy:
    """The likeliest next token at each asked position, and its natural-log probability."""

    tokens: list[int]
    logprobs: list[float]


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer: token ids and log-probabilities, without the end token.

    ``finish_reason`` as in `Hypothesis`.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: str


class Backend(Protocol[Cache, Embeddings]):
    """A loaded checkpoint. All of it happens on the model thread."""

    frontend: MelFrontend
    window_frames: int
    """Mel frames in a window of the encoder, whose attention never leaves it."""
    end_ids: frozenset[int]

    def prompt(self, context: str, language: str | None) -> Prompt:
        """The prompt; ``context`` is plain text, ``language`` a name to force or None."""
        ...

    def encode(self, mel: LogMel, *, among_others: bool) -> Embeddings:
        """One window, (frames ≤ window_frames, bins), normalized.

        ``among_others``: other windows stand beside it, so that a short chunk is padded.
        """
        ...

    def token_count(self, embeddings: Embeddings) -> int:
        """How many positions the embeddings take."""
        ...

    def new_cache(self) -> Cache:
        """An empty cache."""
        ...

    def extend(
        self, cache: Cache, pieces: Sequence[Embeddings | Sequence[int]], last: int
    ) -> Greedy:
        """Run embeddings and token ids behind what is cached; answers at the ``last`` positions."""
        ...

    def crop(self, cache: Cache, length: int) -> None:
        """Keep the first ``length`` positions."""
        ...

    def parse(self, generated: Generated, language: str | None) -> Hypothesis:
        """Language and text of an answer; ``language``: the one that was forced."""
        ...
