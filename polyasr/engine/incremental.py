"""Incremental recognition: a step costs the unfinished window and a few tokens.

Qwen3-ASR's encoder attends within windows of 8 s, audio precedes text, and the decoder is causal.
So the embeddings of a finished window never change again, nor do its keys and values in the
decoder. A step runs anew only the unfinished window, the closing tokens, and the previous answer
as a draft: one pass tells how much of the draft greedy decoding would have written again
(speculative decoding, Leviathan et al. 2023, with the last answer as the draft, which is exact for
greedy), and decoding goes on from the first difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from polyasr.engine.backend import Backend, Cache, Embeddings, Generated
from polyasr.engine.mel import RANGE, LogMel, normalized
from polyasr.engine.repetition import loop_start
from polyasr.pipeline.types import Hypothesis
from polyasr.samples import SAMPLE_RATE, Samples

SHORTEST = SAMPLE_RATE // 2
"""Shorter audio is padded with silence to 0.5 s, as ``qwen-asr`` does (MIN_ASR_INPUT_SECONDS)."""
TOKENS_BASE = 32
TOKENS_PER_SECOND = 20
"""New tokens are capped by audio: fast speech is 5 to 8 tokens a second, a loop has no end."""


@dataclass(slots=True)
class FinishedWindow(Generic[Embeddings]):
    """A window whose audio is complete: its features, and what they were encoded to."""

    log_mel: LogMel
    loudest: float
    floor: float
    embeddings: Embeddings

    def changes_under(self, floor: float) -> bool:
        """Whether clamping to another floor gives other features than those encoded."""
        higher = max(floor, self.floor)
        return floor != self.floor and bool((self.log_mel < higher).any())


class IncrementalSegment(Generic[Cache, Embeddings]):
    """One segment's decode, done again and again as its audio grows.

    The answer is that of a fresh greedy decode of the same audio; what is kept between calls only
    saves work, and so does ``draft``, a guess at the first answer. Lives on the model thread.
    """

    def __init__(
        self,
        backend: Backend[Cache, Embeddings],
        language: str | None,
        context: str,
        draft: Sequence[int] = (),
    ) -> None:
        self._backend, self._language = backend, language
        self._prompt = backend.prompt(context, language)
        self._cache = backend.new_cache()
        self._cached: list[int] = []
        self._windows: list[FinishedWindow[Embeddings]] = []
        self._draft = tuple(draft)

    def decode(self, samples: Samples, unchanged: int) -> Hypothesis:
        """Decode the whole segment: float32 at 16 kHz, at most 30 s.

        The first ``unchanged`` samples are those of the last call.
        """
        if not len(samples):
            return Hypothesis(text="", language="")
        limit = TOKENS_BASE + TOKENS_PER_SECOND * len(samples) // SAMPLE_RATE
        if len(samples) < SHORTEST:
            samples = np.pad(samples, (0, SHORTEST - len(samples)))
        open_window = self._advance(samples, unchanged)
        generated = self._answer(open_window, limit)
        self._draft = generated.tokens
        return self._backend.parse(generated, self._language)

    def _advance(self, samples: Samples, unchanged: int) -> Embeddings | None:
        """Encode what is new; returns the unfinished window, None when there is none."""
        frontend, size = self._backend.frontend, self._backend.window_frames
        frames = frontend.frame_count(len(samples))
        self._forget(unchanged)
        fresh = [
            frontend.log_mel(samples, first, first + size)
            for first in range(len(self._windows) * size, frames - size + 1, size)
            if len(samples) >= frontend.samples_for(first + size)
        ]
        rest = (len(self._windows) + len(fresh)) * size
        tail = frontend.log_mel(samples, rest, frames) if rest < frames else None
        levels = [float(mel.max()) for mel in (*fresh, *([] if tail is None else [tail]))]
        floor = max([window.loudest for window in self._windows] + levels) - RANGE
        self._encode_again(floor)
        for mel, loudest in zip(fresh, levels, strict=False):  # the last level may be the tail's
            encoded = self._backend.encode(normalized(mel, floor), among_others=True)
            self._windows.append(FinishedWindow(mel, loudest, floor, encoded))
        if tail is None:
            return None
        return self._backend.encode(normalized(tail, floor), among_others=rest > 0)

    def _forget(self, unchanged: int) -> None:
        """Drop windows whose audio is not what it was."""
        frontend, size = self._backend.frontend, self._backend.window_frames
        while self._windows and unchanged < frontend.samples_for(len(self._windows) * size):
            self._windows.pop()
        self._keep_cached(len(self._windows))

    def _encode_again(self, floor: float) -> None:
        """Encode again the windows that the floor changes, and forget what came behind them."""
        for index, window in enumerate(self._windows):
            if window.changes_under(floor):
                self._keep_cached(index)
                mel = normalized(window.log_mel, floor)
                window.embeddings = self._backend.encode(mel, among_others=True)
                window.floor = floor

    def _keep_cached(self, windows: int) -> None:
        """Keep the prompt and so many windows in the cache."""
        self._cached = self._cached[: windows + 1]
        self._backend.crop(self._cache, sum(self._cached))

    def _answer(self, open_window: Embeddings | None, limit: int) -> Generated:
        """Verify the draft and decode on; leaves the prompt and the finished windows cached."""
        backend, pieces = self._backend, self._uncached()
        draft = self._draft[:limit]
        tail = [] if open_window is None else [open_window]
        greedy = backend.extend(
            self._cache, [*pieces, *tail, self._prompt.after, draft], last=len(draft) + 1
        )
        accepted = 0
        while accepted < len(draft) and greedy.tokens[accepted] == draft[accepted]:
            accepted += 1
        tokens, logprobs = list(draft[:accepted]), greedy.logprobs[:accepted]
        length = sum(self._cached) + sum(map(backend.token_count, tail))
        backend.crop(self._cache, length + len(self._prompt.after) + accepted)
        token, logprob = greedy.tokens[accepted], greedy.logprobs[accepted]
        reason = "stop"
        while token not in backend.end_ids:
            if len(tokens) == limit:
                reason = "length"
                break
            tokens.append(token)
            logprobs.append(logprob)
            loop = loop_start(tokens)
            if loop is not None:
                del tokens[loop:], logprobs[loop:]
                reason = "repetition"
                break
            greedy = backend.extend(self._cache, [[token]], last=1)
            token, logprob = greedy.tokens[0], greedy.logprobs[0]
        self._keep_cached(len(self._windows))
        return Generated(tuple(tokens), tuple(logprobs), reason)

    def _uncached(self) -> list[Embeddings | tuple[int, ...]]:
        """What of the prompt and the finished windows the cache lacks; counts it as cached."""
        pieces: list[Embeddings | tuple[int, ...]] = []
        if not self._cached:
            pieces.append(self._prompt.before)
            self._cached.append(len(self._prompt.before))
        for window in self._windows[len(self._cached) - 1 :]:
            pieces.append(window.embeddings)
            self._cached.append(self._backend.token_count(window.embeddings))
        return pieces
