"""What waits for the detector, and when it is woken."""

from __future__ import annotations

import numpy as np
import trio
from trio.testing import wait_all_tasks_blocked

from polyasr.pipeline.decoder import Backlog
from polyasr.pipeline.types import Audio, AudioChunk, EndOfAudio, Flush, Mark
from polyasr.protocol import messages
from polyasr.protocol.session import AudioReceived, End, Note
from polyasr.samples import from_pcm16

FRAME = 1600
"""Samples of 100 ms."""


def frames(n_frames: int) -> bytes:
    """Audio in which every sample is another, as far as 16 bits go."""
    return np.arange(n_frames * FRAME, dtype="<i2").tobytes()


def add(backlog: Backlog, pcm: bytes, first: int, end: int) -> None:
    """Add the frames [first, end) of the audio."""
    for number in range(first, end):
        piece = pcm[2 * FRAME * number : 2 * FRAME * (number + 1)]
        backlog.add(AudioReceived(piece, number + 1))


class Taker:
    """A detector that takes what there is whenever it is woken."""

    def __init__(self, backlog: Backlog) -> None:
        self.backlog = backlog
        self.taken: list[Audio] = []

    async def run(self) -> None:
        async for item in self.backlog:
            self.taken.append(item)
            if isinstance(item, EndOfAudio):
                return

    def heard(self) -> list[int]:
        """Samples of what was taken since."""
        taken, self.taken = self.taken, []
        return [len(item.samples) for item in taken if isinstance(item, AudioChunk)]


async def test_the_detector_is_woken_for_each_window_that_is_whole() -> None:
    pcm, heard = frames(9), []
    taker = Taker(Backlog())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taker.run)
        for number in range(8):
            add(taker.backlog, pcm, number, number + 1)
            await wait_all_tasks_blocked()
            heard.append(sum(taker.heard()) // FRAME)
        # Windows of 160 ms are whole at 200, 400, 500, 700 and 800 ms.
        assert heard == [0, 2, 0, 2, 1, 0, 2, 1]
        nursery.cancel_scope.cancel()


async def test_a_flush_a_mark_and_the_end_wake_it_and_a_flush_begins_a_window() -> None:
    taker, pcm = Taker(Backlog()), frames(9)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taker.run)
        add(taker.backlog, pcm, 0, 1)
        taker.backlog.note(Note(messages.Mark("m"), 1))
        await wait_all_tasks_blocked()
        assert [type(item) for item in taker.taken] == [AudioChunk, Mark]
        taker.backlog.note(Note(messages.Flush("f"), 1))
        await wait_all_tasks_blocked()
        assert isinstance(taker.taken[-1], Flush)
        taker.taken.clear()
        add(taker.backlog, pcm, 1, 2)
        await wait_all_tasks_blocked()
        assert taker.taken == []  # the window before it does not count
        taker.backlog.end(End("s", 2, True))
    assert [type(item) for item in taker.taken] == [AudioChunk, EndOfAudio]


async def test_what_has_piled_up_is_taken_in_pieces_of_up_to_a_second() -> None:
    backlog, pcm = Backlog(), frames(25)
    add(backlog, pcm, 0, 25)
    taker = Taker(backlog)
    backlog.end(End("s", 25, True))
    await taker.run()
    chunks = [item for item in taker.taken if isinstance(item, AudioChunk)]
    assert [c.start_sample for c in chunks] == [0, 16_000, 32_000]
    assert np.array_equal(np.concatenate([c.samples for c in chunks]), from_pcm16(pcm))
