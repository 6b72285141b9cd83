"""Voice activity: where speech begins and pauses.

Silero's probabilities are taken over 160 ms windows. A passage begins one window before the first
speech (pre-roll, so that no onset is clipped) and ends after four silent windows; all of that is
recognized, silence beyond it is not. Windows are laid from the first sample of the utterance on,
so that passages depend on the audio alone and never on how it arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import trio

from polyasr.pipeline.types import AudioChunk, EndOfAudio, Endpoint, Silence, Speech, SpeechDetector
from polyasr.samples import SAMPLE_RATE, Samples

WINDOW = SAMPLE_RATE * 160 // 1000
"""Samples in a window: 160 ms, five of Silero's frames."""
THRESHOLD = 0.5
"""Silero's own default for speech."""
SILENT_WINDOWS = 4
"""640 ms without speech end a passage."""
WINDOWS_A_CALL = 64
"""About 10 s; bounds the time the model thread spends on one stream."""


Detected = Speech | Silence | Endpoint | EndOfAudio
"""What the detector makes of audio."""


@dataclass(frozen=True, slots=True)
class Window:
    """160 ms of an utterance, less only at its very end."""

    samples: Samples
    start_sample: int
    through_seq: int

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class Windower:
    """Lays windows over audio that comes in pieces of any length."""

    def __init__(self) -> None:
        self._held: Samples = np.empty(0, np.float32)
        self._start = 0
        self._through_seq = 0
        self._frame_ends: deque[tuple[int, int]] = deque()

    def push(self, chunk: AudioChunk) -> list[Window]:
        """Add audio; return the windows it completes."""
        self._held = np.concatenate([self._held, chunk.samples])
        self._frame_ends.append((chunk.start_sample + len(chunk.samples), chunk.through_seq))
        return [self._cut(WINDOW) for _ in range(len(self._held) // WINDOW)]

    def finish(self) -> list[Window]:
        """The last window, shorter than the others; none when there is nothing left."""
        return [self._cut(len(self._held))] if len(self._held) else []

    def _cut(self, length: int) -> Window:
        samples, self._held = self._held[:length], self._held[length:]
        start, self._start = self._start, self._start + length
        while self._frame_ends and self._frame_ends[0][0] <= self._start:
            self._through_seq = self._frame_ends.popleft()[1]
        return Window(samples, start, self._through_seq)


class Endpointer:
    """Turns windows and their speech probabilities into passages."""

    def __init__(self) -> None:
        self._pre_roll: Window | None = None
        self._in_passage = False
        self._silent = 0
        self._speech_samples = 0

    def push(self, window: Window, probability: float) -> Iterator[Speech | Silence | Endpoint]:
        """Yield what this window means; silence is told one window late, it may be pre-roll."""
        voiced = probability >= THRESHOLD
        if not self._in_passage and not voiced:
            yield from self._drop_pre_roll()
            self._pre_roll = window
            return
        if not self._in_passage:
            yield from self._begin()
        yield _speech(window)
        self._silent = 0 if voiced else self._silent + 1
        self._speech_samples += len(window.samples) if voiced else 0
        if self._silent == SILENT_WINDOWS:
            yield self._end(window)

    def finish(self, last: Window | None) -> Iterator[Silence | Endpoint]:
        """The utterance ends; ``last`` is its last window, if it had any."""
        if self._in_passage and last is not None:
            yield self._end(last)
        yield from self._drop_pre_roll()

    def _begin(self) -> Iterator[Speech]:
        self._in_passage, self._silent, self._speech_samples = True, 0, 0
        if self._pre_roll is not None:
            yield _speech(self._pre_roll)
            self._pre_roll = None

    def _end(self, window: Window) -> Endpoint:
        self._in_passage = False
        return Endpoint(window.end_sample, window.through_seq, self._speech_samples)

    def _drop_pre_roll(self) -> Iterator[Silence]:
        if self._pre_roll is not None:
            yield Silence(self._pre_roll.end_sample, self._pre_roll.through_seq)
            self._pre_roll = None


def _speech(window: Window) -> Speech:
    return Speech(window.samples, window.start_sample, window.through_seq)


async def detect_speech(
    detector: SpeechDetector,
    audio: trio.MemoryReceiveChannel[AudioChunk | EndOfAudio],
    passages: trio.MemorySendChannel[Detected],
) -> None:
    """The stage: audio in, passages out, until the end of audio has gone through."""
    windower, endpointer = Windower(), Endpointer()
    last: Window | None = None
    with audio, passages:
        async for item in audio:
            windows = windower.finish() if isinstance(item, EndOfAudio) else windower.push(item)
            for window, probability in await judge(detector, windows):
                for event in endpointer.push(window, probability):
                    await passages.send(event)
                last = window
            if isinstance(item, EndOfAudio):
                for event in endpointer.finish(last):
                    await passages.send(event)
                await passages.send(item)
                return


async def judge(detector: SpeechDetector, windows: list[Window]) -> list[tuple[Window, float]]:
    """The next windows of a stream, each with how likely it is speech."""
    judged: list[tuple[Window, float]] = []
    for first in range(0, len(windows), WINDOWS_A_CALL):
        batch = windows[first : first + WINDOWS_A_CALL]
        stacked = np.zeros((len(batch), WINDOW), np.float32)
        for row, window in zip(stacked, batch, strict=True):
            row[: len(window.samples)] = window.samples
        judged += zip(batch, await detector.probabilities(stacked), strict=True)
    return judged
