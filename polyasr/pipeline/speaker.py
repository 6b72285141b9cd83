"""The speaker filter: the first voice is enrolled, what another voice says is taken back.

Speech goes on to recognition at once, so that partials do not wait; the verdict follows, while the
passage grows and at its end. Doubt keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.pipeline.types import Accepted, Endpoint, Flush, Rejected, SpeakerEncoder, Speech
from polyasr.pipeline.vad import Detected
from polyasr.pipeline.voices import VOICE_WINDOW, Voice, Windows, split, theirs, threshold
from polyasr.samples import SAMPLE_RATE, Samples

SHORTEST = 1 * SAMPLE_RATE
"""Voiced samples that an embedding needs; what is shorter follows what was said just before it."""
STEP = SAMPLE_RATE * 48 // 100
"""Samples from one window to the next."""
LOOKAHEAD = VOICE_WINDOW // 2
"""What must follow a piece before its verdict: then there is a window about it. With a whole window
of it no more was kept and dropped (`bench speakers`), and text was committed 0.8 s later."""
LONGEST_DOUBT = 4 * VOICE_WINDOW
"""So long a verdict waits until it is clear whose a piece is."""
CONFIDENT = 0.10
"""By how much more than it must a window resemble the speaker's voice to be added to it."""
JUST_BEFORE = SAMPLE_RATE * 13 // 10
"""Another voice that stopped less than this ago may be the one that goes on."""
LIKE = 0.55
"""A short passage that resembles the speaker so much stays, whatever was said just before it."""

Verdict = Accepted | Rejected


class SpeakerFilter:
    """Judges speech; holds the enrolled voice and the passage that is being heard."""

    def __init__(self, encoder: SpeakerEncoder) -> None:
        self._encoder = encoder
        self._mine: Voice | None = None
        self._other: Voice | None = None
        self._other_end: int | None = None
        """Where another voice was heard, until the speaker's is again."""
        self._passage = _Passage()

    async def hear(self, piece: Speech) -> Sequence[Verdict]:
        """Add a piece of the passage; returns the verdicts that are due."""
        passage = self._passage
        passage.append(piece)
        if not passage.is_window_due:
            return []
        await self._embed(passage)
        mine = self._mine
        if mine is None:
            return self._enroll(passage)
        pieces, is_sure = self._split(passage, mine)
        n_due = passage.n_pieces_before(passage.end - LOOKAHEAD)
        if pieces[:n_due][-1:].any():  # what another says is told late, and as one
            n_due = passage.n_pieces_before(passage.end - VOICE_WINDOW)
        if passage.end - passage.doubtful[0].start_sample <= LONGEST_DOUBT:
            n_due = min(n_due, is_sure)
        return self._settle(passage, mine, _whole_runs(passage.doubtful, pieces[:n_due]))

    async def conclude(self) -> Sequence[Verdict]:
        """The passage ends here; returns the verdicts on what is left of it."""
        passage, self._passage = self._passage, _Passage()
        if not passage.doubtful:
            return []
        is_short = passage.voiced_samples < SHORTEST
        if (not is_short or self._follows_other(passage)) and passage.has_news:
            await self._embed(passage)
        if is_short:
            return self._follow(passage)
        if self._mine is None:
            self._enroll(passage)
            return [Accepted(passage.end)]
        pieces, _ = self._split(passage, self._mine)
        return self._settle(passage, self._mine, pieces)

    async def _embed(self, passage: _Passage) -> None:
        (embedding,) = await self._encoder.embed_windows(passage.window[None])
        passage.add(embedding)

    def _enroll(self, passage: _Passage) -> Sequence[Verdict]:
        """The first voice of which there is enough is the speaker's."""
        windows = passage.windows
        self._mine = Voice(windows.embeddings[-1], windows.n_samples)
        middle = windows.middles[-1]
        heard = [piece for piece in passage.doubtful if piece.end_sample <= middle]
        passage.settle(len(heard))
        return [Accepted(heard[-1].end_sample)]

    def _follow(self, passage: _Passage) -> Sequence[Verdict]:
        """A passage too short to tell stays, unless another's goes on in it."""
        if self._mine is not None and self._follows_other(passage):
            (similarity,) = self._mine.similarity(passage.windows.embeddings[-1:])
            if similarity < LIKE:
                self._other_end = passage.end
                return [Rejected(passage.start, passage.end, float(similarity))]
        self._other_end = None
        return [Accepted(passage.end)]

    def _follows_other(self, passage: _Passage) -> bool:
        begins = passage.doubtful[0].start_sample
        return self._other_end is not None and begins - self._other_end < JUST_BEFORE

    def _split(self, passage: _Passage, mine: Voice) -> tuple[NDArray[np.bool_], int]:
        places = [(each.start_sample + each.end_sample) // 2 for each in passage.doubtful]
        return split(places, passage.windows, mine, self._other, self._follows_other(passage))

    def _settle(
        self, passage: _Passage, mine: Voice, is_other: NDArray[np.bool_]
    ) -> Sequence[Verdict]:
        """The verdicts on the first doubtful pieces, and what they teach of the voices."""
        if not len(is_other):
            return []
        settled, windows = passage.doubtful[: len(is_other)], passage.windows
        similarity = mine.similarity(windows.embeddings)
        verdicts: list[Verdict] = []
        for start, end, other in _runs(settled, is_other):
            within = (windows.middles >= start) & (windows.middles < end)
            if other:
                nearest = within if within.any() else windows.nearest((start + end) // 2)
                verdicts.append(Rejected(start, end, float(similarity[nearest].mean())))
                self._other = theirs(windows, within, mine, self._other)
            else:
                verdicts.append(Accepted(end))
                sure = similarity >= threshold(mine.n_samples, windows.n_samples) + CONFIDENT
                for embedding in windows.embeddings[within & sure]:
                    mine = mine.grown(embedding, STEP)
        self._mine = mine
        self._other_end = settled[-1].end_sample if is_other[-1] else None
        passage.settle(len(settled))
        return verdicts


class _Passage:
    """Speech without a longer pause: the pieces in doubt, and the windows over it."""

    def __init__(self) -> None:
        self.doubtful: list[Speech] = []
        self.voiced_samples = self.start = self.end = 0
        self._recent: Samples = np.empty(0, np.float32)
        self._middles: list[int] = []
        self._embeddings: list[NDArray[np.float32]] = []
        self._embedded = 0

    @property
    def has_news(self) -> bool:
        """Whether something was heard since the last window."""
        return self.end > self._embedded

    @property
    def is_window_due(self) -> bool:
        """Whether there is speech for a window, and enough of it is new."""
        if self.voiced_samples < SHORTEST or len(self._recent) < VOICE_WINDOW:
            return False
        return not self._embedded or self.end - self._embedded >= STEP

    @property
    def window(self) -> Samples:
        """The last 1.6 s; what is shorter is repeated until it fills them."""
        return np.resize(self._recent, VOICE_WINDOW)

    @property
    def windows(self) -> Windows:
        """All windows that the pieces in doubt are judged by; there is one at least."""
        n_samples = min(self.voiced_samples, VOICE_WINDOW)
        return Windows(np.array(self._middles), np.stack(self._embeddings), n_samples)

    def append(self, piece: Speech) -> None:
        """Add a piece."""
        if not len(self._recent):
            self.start = piece.start_sample
        self.doubtful.append(piece)
        self.end = piece.end_sample
        self.voiced_samples += len(piece.samples) if piece.is_voiced else 0
        self._recent = np.concatenate([self._recent, piece.samples])[-VOICE_WINDOW:]

    def add(self, embedding: NDArray[np.float32]) -> None:
        """The embedding of the last window."""
        self._middles.append(self.end - len(self._recent) // 2)
        self._embeddings.append(embedding)
        self._embedded = self.end

    def n_pieces_before(self, sample: int) -> int:
        """How many pieces in doubt end there or earlier."""
        return sum(piece.end_sample <= sample for piece in self.doubtful)

    def settle(self, n_pieces: int) -> None:
        """The first pieces are in doubt no more; windows far before the others go."""
        del self.doubtful[:n_pieces]
        old = [m for m in self._middles[:-1] if m < self.end - len(self._recent) - LONGEST_DOUBT]
        del self._middles[: len(old)], self._embeddings[: len(old)]


def _runs(pieces: Sequence[Speech], is_other: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """[start, end) of pieces that follow each other and are one voice's, and whether another's."""
    for other, run in groupby(zip(pieces, is_other.tolist(), strict=True), lambda each: each[1]):
        first, *rest = [piece for piece, _ in run]
        yield first.start_sample, [first, *rest][-1].end_sample, other


def _whole_runs(pieces: Sequence[Speech], is_other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without the last run while it is another's and short: it goes on, and is told as one."""
    runs = list(_runs(pieces[: len(is_other)], is_other))
    if not runs or not runs[-1][2] or runs[-1][1] - runs[-1][0] >= VOICE_WINDOW:
        return is_other
    mine = np.flatnonzero(~is_other)
    return is_other[: mine[-1] + 1 if len(mine) else 0]


async def filter_speakers(
    speaker_filter: SpeakerFilter,
    passages: trio.MemoryReceiveChannel[Detected],
    kept: trio.MemorySendChannel[Detected | Accepted | Rejected],
) -> None:
    """The stage: passages in; passages and, behind what they are about, the verdicts out.

    Where a pause, a flush or the end is told, nothing before it is doubtful any more.
    """
    with passages, kept:
        async for event in passages:
            match event:
                case Speech():
                    await kept.send(replace(event, is_doubtful=True))
                    verdicts = await speaker_filter.hear(event)
                case Endpoint() | Flush():
                    verdicts = await speaker_filter.conclude()
                case _:
                    verdicts = []
            for verdict in verdicts:
                await kept.send(verdict)
            if not isinstance(event, Speech):
                await kept.send(event)
