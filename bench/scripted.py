"""A script in place of words: random weights write nonsense.

The model does all of its work; then the script answers. At three tokens a second, as speech has
them, the last token of an answer is another as soon as more is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from bench.tally import Tally
from polyasr.engine.backend import Extend, Greedy, Window
from polyasr.samples import Samples

TOKENS_PER_SECOND = 3
LOUDNESS = 0.05
"""Of noise, root mean square; full scale is 1."""
END = -1
"""The scripted end token; no model has it."""


class Script:
    """What is said. Each word is one token, alone and in its sentence."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        found = sorted(
            number
            for piece, number in tokenizer.get_vocab().items()
            if piece.startswith("Ġ") and piece[1:].isascii() and piece[1:].islower()
        )
        self._unsure, *self._words = (
            number for number in found if tokenizer.encode(tokenizer.decode([number])) == [number]
        )

    def answer(self, first: float, now: float) -> list[int]:
        """What would be written, ``now`` seconds into the recording, of the audio since ``first``.

        At least one token, without an end token. Words do not repeat within 30 s.
        """
        spoken = range(int(first * TOKENS_PER_SECOND), int(now * TOKENS_PER_SECOND) - 1)
        return [self._words[word % len(self._words)] for word in spoken] + [self._unsure]

    def text(self, tokens: Sequence[int]) -> str:
        """Tokens as text, which is tokenized to them again."""
        text: str = self._tokenizer.decode(tokens)
        return text


def noise(generator: np.random.Generator, length: int) -> Samples:
    """Audio for random weights, which make as much work of it as of speech."""
    return (generator.standard_normal(length) * LOUDNESS).astype(np.float32)


class ScriptedBackend:
    """A `Backend` that lets another do the work, counts it, and answers by the script.

    All streams say the same; each cache is one stream, as far as its own answer goes.
    """

    def __init__(self, backend: Any, tally: Tally) -> None:
        self._backend, self._tally = backend, tally
        self.end_ids = frozenset({END})
        self._answer: list[int] = []
        self._written: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def hear(self, answer: Sequence[int]) -> None:
        """The next decode of every stream answers this."""
        self._answer = [*answer, END]

    def encode(self, windows: Sequence[Window]) -> list[Any]:
        """The work of the backend, counted."""
        encoded: list[Any] = self._backend.encode(windows)
        self._tally.encoder += sum(map(len, encoded))
        return encoded

    def extend(self, extensions: Sequence[Extend[Any, Any]]) -> list[Greedy]:
        """The work of the backend, counted; the answers of the script."""
        done: list[Greedy] = self._backend.extend(extensions)
        self._tally.decoder += sum(extension.positions for extension in extensions)
        self._tally.written += [token for greedy in done for token in greedy.tokens]
        return [
            Greedy(self._scripted(extension), greedy.logprobs)
            for extension, greedy in zip(extensions, done, strict=True)
        ]

    def _scripted(self, extension: Extend[Any, Any]) -> list[int]:
        """The next token of a step; of a pass over a draft, all from the answer's beginning."""
        if extension.last == 0:
            return []
        if extension.is_step:
            self._written[extension.cache] += 1
            return [self._answer[self._written[extension.cache]]]
        draft: Sequence[int] = extension.pieces[-1]
        padded = self._answer + [END] * extension.last
        same = 0
        while same < len(draft) and draft[same] == padded[same]:
            same += 1
        self._written[extension.cache] = same
        return padded[: extension.last]
