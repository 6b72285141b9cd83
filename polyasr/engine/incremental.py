"""Incremental recognition: a step costs the unfinished window and a few tokens.

Qwen3-ASR's encoder attends within windows of 8 s, audio precedes text, and the decoder is causal.
So the embeddings of a finished window never change again, nor do its keys and values in the
decoder. A step runs anew only the unfinished window, the closing tokens, and the previous answer
as a draft: one pass tells how much of the draft greedy decoding would have written again
(speculative decoding, Leviathan et al. 2023, with the last answer as the draft, which is exact for
greedy), and decoding goes on from the first difference.
"""

from __future__ import annotations

import bisect
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np

from polyasr.engine.backend import (
    Backend,
    Cache,
    Decoding,
    Embeddings,
    Encode,
    Extend,
    Generated,
    Greedy,
    Window,
    complete,
)
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

    What is kept between calls only saves work, and so does ``draft``, a guess at the first answer.
    Lives on the model thread.
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

    @property
    def answer(self) -> tuple[int, ...]:
        """The tokens of the last answer, which are the draft of the next."""
        return self._draft

    def decode(self, samples: Samples, unchanged: int, committed: str = "") -> Hypothesis:
        """Decode the whole segment, alone; see `decoding`."""
        return complete(self._backend, self.decoding(samples, unchanged, committed))

    def decoding(self, samples: Samples, unchanged: int, committed: str = "") -> Decoding:
        """Decode the whole segment: float32 at 16 kHz, at most 30 s.

        The first ``unchanged`` samples are those of the last call. ``committed`` is a beginning of
        the last answer's text that this answer keeps, and its language with it; without one the
        answer is that of a fresh greedy decode. A decode that is given up halfway leaves nothing
        wrong behind.
        """
        if not len(samples):
            return Hypothesis(text="", language="")
        limit = TOKENS_BASE + TOKENS_PER_SECOND * len(samples) // SAMPLE_RATE
        if len(samples) < SHORTEST:
            samples = np.pad(samples, (0, SHORTEST - len(samples)))
        open_window = yield from self._advance(samples, unchanged)
        forced = self._covering(committed)
        generated, regretted = yield from self._answer(open_window, limit, forced)
        self._draft = generated.tokens
        hypothesis = self._backend.parse(generated, self._language)
        if hypothesis.language and self._language is None:
            header = len(generated.tokens) - len(hypothesis.tokens)
            self._backend.opening = generated.tokens[:header]
        return replace(hypothesis, commit_regret=regretted)

    def _advance(
        self, samples: Samples, unchanged: int
    ) -> Generator[Encode, Any, Embeddings | None]:
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
        changed = self._changed_by(floor)
        asked = [Window(normalized(window.log_mel, floor), True) for window in changed]
        asked += [Window(normalized(mel, floor), True) for mel in fresh]
        if tail is not None:
            asked.append(Window(normalized(tail, floor), rest > 0))
        if not asked:
            return None
        encoded: list[Embeddings] = yield Encode(tuple(asked))
        for window, again in zip(changed, encoded, strict=False):
            window.embeddings, window.floor = again, floor
        new = encoded[len(changed) :]
        for mel, loudest, embeddings in zip(fresh, levels, new, strict=False):
            self._windows.append(FinishedWindow(mel, loudest, floor, embeddings))
        return None if tail is None else encoded[-1]

    def _forget(self, unchanged: int) -> None:
        """Drop windows whose audio is not what it was."""
        frontend, size = self._backend.frontend, self._backend.window_frames
        while self._windows and unchanged < frontend.samples_for(len(self._windows) * size):
            self._windows.pop()
        self._keep_cached(len(self._windows))

    def _changed_by(self, floor: float) -> list[FinishedWindow[Embeddings]]:
        """The windows that the floor changes; what comes after the first of them is not cached."""
        changed = [
            index for index, window in enumerate(self._windows) if window.changes_under(floor)
        ]
        if changed:
            self._keep_cached(changed[0])
        return [self._windows[index] for index in changed]

    def _keep_cached(self, windows: int) -> None:
        """Keep the prompt and so many windows in the cache."""
        self._cached = self._cached[: windows + 1]
        self._backend.crop(self._cache, sum(self._cached))

    def _covering(self, committed: str) -> int:
        """How many tokens of the last answer it takes to write the committed text."""
        if not committed:
            return 0

        def written(count: int) -> str:
            return self._backend.parse(
                Generated(self._draft[:count], (0.0,) * count, "stop"), self._language
            ).text

        counts = range(len(self._draft) + 1)
        count = bisect.bisect_left(
            counts, True, key=lambda count: len(written(count)) >= len(committed)
        )
        if not written(count).startswith(committed):
            raise ValueError("the committed text is no beginning of the last answer")
        return count

    def _answer(
        self, open_window: Embeddings | None, limit: int, forced: int
    ) -> Generator[Extend[Cache, Embeddings], Greedy, tuple[Generated, bool]]:
        """Verify the draft, of which ``forced`` tokens stand anyhow, and decode on.

        Leaves the prompt and the finished windows cached. Also says whether greedy decoding would
        have written one of the forced tokens otherwise.
        """
        backend, limit = self._backend, max(limit, forced)
        draft = self._draft or (backend.opening if self._language is None else ())
        draft = draft[:limit]
        *earlier, last = self._uncached() or [[]]
        for pieces in earlier:  # a pass each, so that others have their turn between them
            yield Extend(self._cache, pieces, 0)
            self._cached += map(len, pieces)
        tail = [] if open_window is None else [open_window]
        greedy = yield Extend(
            self._cache, [*last, *tail, self._prompt.after, draft], len(draft) + 1
        )
        self._cached += map(len, last)
        same = 0
        while same < len(draft) and greedy.tokens[same] == draft[same]:
            same += 1
        accepted = max(same, forced)
        tokens, logprobs = list(draft[:accepted]), greedy.logprobs[:accepted]
        length = sum(self._cached) + sum(map(len, tail)) + len(self._prompt.after)
        backend.crop(self._cache, length + accepted)
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
                del tokens[max(loop, forced) :], logprobs[max(loop, forced) :]
                reason = "repetition"
                break
            greedy = yield Extend(self._cache, [[token]], 1)
            token, logprob = greedy.tokens[0], greedy.logprobs[0]
        self._keep_cached(len(self._windows))
        return Generated(tuple(tokens), tuple(logprobs), reason), same < forced

    def _uncached(self) -> list[list[Embeddings | tuple[int, ...]]]:
        """What of the prompt and the finished windows the cache lacks, by window."""
        windows = [window.embeddings for window in self._windows]
        groups: list[list[Embeddings | tuple[int, ...]]] = []
        done = len(self._cached) - 1
        if not self._cached:  # the prompt is short and goes with the first
            groups.append([self._prompt.before, *windows[:1]])
            done = 1
        for window in windows[done:]:
            groups.append([window])
        return groups
