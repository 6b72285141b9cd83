"""Voice activity: where speech begins and pauses.

Silero's probabilities are taken over 160 ms windows. A passage begins one window before the first
speech (pre-roll, so that no onset is clipped), and earlier where that may be speech already; it
ends after four silent windows. All of that is recognized, silence beyond it is not. Windows are
laid from the first sample of the utterance on, so that passages depend on the audio alone and never
on how it arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr.pipeline.types import (
    Audio,
    AudioChunk,
    EndOfAudio,
    Endpoint,
    Flush,
    Mark,
    Silence,
    Speech,
    SpeechChange,
    SpeechDetector,
)
from polyasr.samples import SAMPLE_RATE, Samples

WINDOW = SAMPLE_RATE * 160 // 1000
"""Samples in a window: 160 ms, five of Silero's frames."""
THRESHOLD = 0.5
"""Silero's own default for speech."""
FAINT = 0.1
"""What is as likely speech as this is heard if speech follows: one clip in a hundred begins so, and
lost two words without it."""
LONGEST_PRE_ROLL = 8
"""Windows."""
SILENT_WINDOWS = 4
"""640 ms without speech end a passage."""
WINDOWS_A_CALL = 64
"""About 10 s; bounds the time the model thread spends on one stream."""


Detected = Speech | Silence | Endpoint | Flush | Mark | EndOfAudio
"""What the detector makes of audio."""


class AudioSource(AbstractContextManager[object], AsyncIterable[Audio], Protocol):
    """Where the detector takes audio from; it closes it behind itself."""


@dataclass(frozen=True, slots=True)
class Window:
    """160 ms of an utterance, less only at its very end."""

    samples: Samples
    start_sample: int

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class Windower:
    """Lays windows over audio that comes in pieces of any length."""

    def __init__(self) -> None:
        self._held: Samples = np.empty(0, np.float32)
        self._start = 0

    def push(self, chunk: AudioChunk) -> list[Window]:
        """Add audio; return the windows it completes."""
        self._held = np.concatenate([self._held, chunk.samples])
        return [self._cut(WINDOW) for _ in range(len(self._held) // WINDOW)]

    def finish(self) -> list[Window]:
        """The last window, shorter than the others; none when there is nothing left."""
        return [self._cut(len(self._held))] if len(self._held) else []

    @property
    def rest(self) -> list[Window]:
        """What ``finish`` would return, left where it is."""
        return [Window(self._held, self._start)] if len(self._held) else []

    def _cut(self, length: int) -> Window:
        samples, self._held = self._held[:length], self._held[length:]
        start, self._start = self._start, self._start + length
        return Window(samples, start)


class Endpointer:
    """Turns windows and their speech probabilities into passages."""

    def __init__(self) -> None:
        self.in_passage = False
        self.speech_end = 0
        """Where the last window with speech ended."""
        self._pre_roll: deque[Window] = deque(maxlen=LONGEST_PRE_ROLL)
        self._was_faint = False
        self._silent = 0

    def push(self, window: Window, probability: float) -> Iterator[Speech | Silence | Endpoint]:
        """Yield what this window means; silence is told one window late, it may be pre-roll."""
        voiced = probability >= THRESHOLD
        if not self.in_passage and not voiced:
            if not self._was_faint:
                yield from self._drop_pre_roll()
            elif len(self._pre_roll) == LONGEST_PRE_ROLL:
                yield Silence(self._pre_roll[0].end_sample)
            self._pre_roll.append(window)
            self._was_faint = probability >= FAINT
            return
        if not self.in_passage:
            yield from self._begin()
        yield _speech(window, is_voiced=voiced)
        self._silent = 0 if voiced else self._silent + 1
        if voiced:
            self.speech_end = window.end_sample
        if self._silent == SILENT_WINDOWS:
            yield self._end(window)

    def finish(self, last: Window | None) -> Iterator[Silence | Endpoint]:
        """The utterance ends; ``last`` is its last window, if it had any."""
        if self.in_passage and last is not None:
            yield self._end(last)
        yield from self._drop_pre_roll()

    def tail(self, window: Window, probability: float) -> tuple[Speech, ...]:
        """The speech that ``push`` would yield; nothing is changed."""
        voiced = probability >= THRESHOLD
        if not (self.in_passage or voiced):
            return ()
        return (*map(_before_speech, self._pre_roll), _speech(window, is_voiced=voiced))

    def _begin(self) -> Iterator[Speech]:
        self.in_passage, self._silent = True, 0
        yield from map(_before_speech, self._pre_roll)
        self._pre_roll.clear()

    def _end(self, window: Window) -> Endpoint:
        self.in_passage = False
        return Endpoint(window.end_sample)

    def _drop_pre_roll(self) -> Iterator[Silence]:
        for window in self._pre_roll:
            yield Silence(window.end_sample)
        self._pre_roll.clear()


def _before_speech(window: Window) -> Speech:
    return _speech(window, is_voiced=False)


def _speech(window: Window, is_voiced: bool) -> Speech:
    return Speech(window.samples, window.start_sample, is_voiced)


async def detect_speech(
    detector: SpeechDetector,
    audio: AudioSource,
    passages: trio.MemorySendChannel[Detected],
    changes: trio.MemorySendChannel[SpeechChange] | None = None,
) -> None:
    """The stage: audio in, passages out, until the end of audio has gone through.

    A flush ends the window under way, and the next begins behind it; a mark does not. ``changes``
    hears at once when a voice starts and stops, while the passages may have to wait.
    """
    windower, endpointer = Windower(), Endpointer()
    last: Window | None = None
    with audio, passages, changes or nullcontext():
        async for item in audio:
            if isinstance(item, Mark):
                judged = await judge(detector.fork(), windower.rest)
                await passages.send(replace(item, tail=_tail(endpointer, judged)))
                continue
            windows = windower.push(item) if isinstance(item, AudioChunk) else windower.finish()
            for window, probability in await judge(detector, windows):
                was_speaking = endpointer.in_passage
                for event in endpointer.push(window, probability):
                    await passages.send(event)
                if changes is not None and endpointer.in_passage != was_speaking:
                    await changes.send(_change(endpointer, window))
                last = window
            if isinstance(item, EndOfAudio):
                if changes is not None and endpointer.in_passage and last is not None:
                    await changes.send(SpeechChange(False, endpointer.speech_end))
                for event in endpointer.finish(last):
                    await passages.send(event)
            if not isinstance(item, AudioChunk):
                await passages.send(item)
            if isinstance(item, EndOfAudio):
                return


def _tail(endpointer: Endpointer, judged: list[tuple[Window, float]]) -> tuple[Speech, ...]:
    return tuple(speech for each in judged for speech in endpointer.tail(*each))


def _change(endpointer: Endpointer, window: Window) -> SpeechChange:
    if endpointer.in_passage:
        return SpeechChange(True, window.start_sample)
    return SpeechChange(False, endpointer.speech_end)


async def judge(detector: SpeechDetector, windows: list[Window]) -> list[tuple[Window, float]]:
    """The next windows of a stream, each with how likely it is speech."""
    judged: list[tuple[Window, float]] = []
    for first in range(0, len(windows), WINDOWS_A_CALL):
        batch = windows[first : first + WINDOWS_A_CALL]
        judged += zip(batch, await detector.probabilities(_stacked(batch)), strict=True)
    return judged


def _stacked(windows: list[Window]) -> NDArray[np.float32]:
    """(n, WINDOW), the last of an utterance with silence behind it."""
    if len(windows) == 1 and len(windows[0].samples) == WINDOW:
        return windows[0].samples.reshape(1, WINDOW)
    stacked = np.zeros((len(windows), WINDOW), np.float32)
    for row, window in zip(stacked, windows, strict=True):
        row[: len(window.samples)] = window.samples
    return stacked
