"""What the incremental algorithm needs of a model, whoever runs it.

The algorithm asks (`Encode`, `Extend`) and is answered; whoever drives it puts what several
streams ask for into one call of the backend.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from polyasr.engine.mel import LogMel, MelFrontend
from polyasr.pipeline.types import Hypothesis

Cache = TypeVar("Cache")
"""Keys and values of a decoder's positions, growing and cropped at the end."""
Embeddings = TypeVar("Embeddings", bound=Sized)
"""Audio tokens as the decoder takes them, shape (tokens, hidden)."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids before and after the audio."""

    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window to encode: normalized features, shape (frames ≤ window_frames, bins).

    ``among_others``: other windows stand beside it, so that a short chunk is padded.
    """

    mel: LogMel
    among_others: bool


@dataclass(frozen=True, slots=True)
class Encode:
    """Asks for the embeddings of windows, answered by a list of them."""

    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True)
class Extend(Generic[Cache, Embeddings]):
    """Asks to run embeddings and token ids behind what is cached, answered by `Greedy`.

    ``last``: at so many of the last positions, which may be none.
    """

    cache: Cache
    pieces: Sequence[Embeddings | Sequence[int]]
    last: int

    @property
    def positions(self) -> int:
        """How many positions it adds."""
        return sum(map(len, self.pieces))

    @property
    def is_step(self) -> bool:
        """Whether it is one token behind another, which is cheap beside anything else."""
        return self.last == 1 and len(self.pieces) == 1


@dataclass(frozen=True, slots=True)
class Greedy:
    """The likeliest next token at each asked position, and its natural-log probability."""

    tokens: list[int]
    logprobs: list[float]


Decoding = Generator[Encode | Extend[Any, Any], Any, Hypothesis]
"""A decode under way: yields what it needs of the backend, is sent the answer, returns the text."""


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
    opening: tuple[int, ...]
    """What the last answer in a language of its own choice began with, before its text: the draft
    of a first answer, since people go on in a language. Empty before there was one."""

    def prompt(self, context: str, language: str | None) -> Prompt:
        """The prompt; ``context`` is plain text, ``language`` a name to force or None."""
        ...

    def encode(self, windows: Sequence[Window]) -> list[Embeddings]:
        """The embeddings of each window; no window sees another."""
        ...

    def new_cache(self) -> Cache:
        """An empty cache."""
        ...

    def extend(self, extensions: Sequence[Extend[Cache, Embeddings]]) -> list[Greedy]:
        """Run each extension behind its own cache, all in one pass.

        When it fails, the caches hold what they held.
        """
        ...

    def crop(self, cache: Cache, length: int) -> None:
        """Keep the first ``length`` positions."""
        ...

    def parse(self, generated: Generated, language: str | None) -> Hypothesis:
        """Language and text of an answer; ``language``: the one that was forced."""
        ...


def complete(backend: Backend[Any, Any], decoding: Decoding) -> Hypothesis:
    """Drive one decode to its end, alone."""
    answer: Any = None
    while True:
        try:
            asked = decoding.send(answer)
        except StopIteration as done:
            hypothesis: Hypothesis = done.value
            return hypothesis
        if isinstance(asked, Encode):
            answer = backend.encode(asked.windows)
        else:
            (answer,) = backend.extend([asked])
