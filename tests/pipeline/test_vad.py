"""Endpointing on scripted probabilities: the detector itself is tried in tests/engine."""

from collections.abc import Sequence

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
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
)
from polyasr.pipeline.vad import FAINT, WINDOW, Detected, detect_speech

END = EndOfAudio(stop_id="", through_seq=0, complete=True)


class LoudIsSpeech:
    """Takes the loudest sample of a window for its speech probability."""

    def fork(self) -> "LoudIsSpeech":
        return self

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        await trio.lowlevel.checkpoint()
        return [float(p) for p in windows.max(axis=1)]


def audio(pattern: str, tail: int = 0) -> NDArray[np.float32]:
    """One window a letter, ``#`` speech, ``-`` faint and ``.`` silence, and ``tail`` samples of
    speech."""
    samples = np.repeat([{"#": 1.0, "-": FAINT, ".": 0.0}[letter] for letter in pattern], WINDOW)
    return np.concatenate([samples, np.ones(tail)]).astype(np.float32)


async def detect(samples: NDArray[np.float32], piece: int = 1600) -> list[Detected]:
    to_vad, chunks = trio.open_memory_channel[AudioChunk | EndOfAudio](0)
    to_test, events = trio.open_memory_channel[Detected](0)

    async def feed() -> None:
        with to_vad:
            for start in range(0, len(samples), piece):
                part = samples[start : start + piece]
                await to_vad.send(AudioChunk(part, start))
            await to_vad.send(END)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        nursery.start_soon(detect_speech, LoudIsSpeech(), chunks, to_test)
        return [event async for event in events]


def drawn(events: list[Detected]) -> str:
    """``s`` a window of speech, ``_`` silence, ``|`` an endpoint, ``$`` the end."""
    letters = {Speech: "s", Silence: "_", Endpoint: "|", EndOfAudio: "$"}
    return "".join(letters[type(event)] for event in events)


@pytest.mark.parametrize(
    ("pattern", "events"),
    [
        ("......", "______$"),
        ("", "$"),
        ("#", "s|$"),
        ("..##", "_sss|$"),
        ("..##......", "_sssssss|__$"),
        ("..##....#", "_sssssss|s|$"),
        ("..##.....#", "_sssssss|ss|$"),
        ("#...#....", "sssssssss|$"),
        ("..--#", "__sss|$"),
        (".-.-#", "___ss|$"),
        ("--.#", "ssss|$"),
        ("--..#", "___ss|$"),
        ("-" * 12 + "#", "____sssssssss|$"),
        ("-" * 12, "____________$"),
        ("#----.-#", "sssss|_ss|$"),
    ],
)
async def test_a_passage_begins_a_window_early_and_with_faint_speech_and_ends_with_four_silent_ones(
    pattern: str, events: str
) -> None:
    assert drawn(await detect(audio(pattern))) == events


async def test_pieces_of_a_passage_tell_whether_there_is_a_voice_in_them() -> None:
    events = await detect(audio("..##.#...."))
    voiced = "".join("#" if e.is_voiced else "." for e in events if isinstance(e, Speech))
    assert voiced == ".##.#...."
    assert [e.end_sample for e in events if isinstance(e, Endpoint)] == [10 * WINDOW]


async def through(items: list[Audio]) -> tuple[list[Detected], list[SpeechChange]]:
    """What becomes of audio, flushes and marks, and what is told of voices meanwhile."""
    to_vad, audio_in = trio.open_memory_channel[Audio](len(items))
    to_test, events = trio.open_memory_channel[Detected](1000)
    tell, changes = trio.open_memory_channel[SpeechChange](1000)
    for item in items:
        await to_vad.send(item)
    await detect_speech(LoudIsSpeech(), audio_in, to_test, tell)
    return [event async for event in events], [change async for change in changes]


async def test_a_voice_starts_and_stops_at_the_windows_it_is_in() -> None:
    chunk = AudioChunk(audio("..#.##.....#"), 0)
    _, changes = await through([chunk, END])
    assert changes == [
        SpeechChange(True, 2 * WINDOW),
        SpeechChange(False, 6 * WINDOW),
        SpeechChange(True, 11 * WINDOW),
        SpeechChange(False, 12 * WINDOW),
    ]


async def test_a_flush_ends_the_window_and_the_passage_goes_on_behind_it() -> None:
    half = WINDOW // 2
    first = AudioChunk(audio("..#", tail=half), 0)
    later = AudioChunk(np.ones(half + WINDOW, np.float32), 3 * WINDOW + half)
    events, _ = await through([first, Flush("f"), later, END])
    assert "".join("f" if isinstance(e, Flush) else drawn([e]) for e in events) == "_sssfss|$"
    bounds = [(e.start_sample, e.end_sample) for e in events if isinstance(e, Speech)]
    assert bounds[2:] == [
        (3 * WINDOW, 3 * WINDOW + half),
        (3 * WINDOW + half, 4 * WINDOW + half),
        (4 * WINDOW + half, 5 * WINDOW),
    ]


@pytest.mark.parametrize(
    ("before", "tail"), [("..#", 1), ("..", 2), ("#....", 1), ("#.....", 2), ("", 1)]
)
async def test_a_mark_tells_the_speech_that_has_come_and_changes_nothing(
    before: str, tail: int
) -> None:
    samples = audio(before, tail=WINDOW // 2)
    rest = AudioChunk(np.ones(WINDOW, np.float32), len(samples))
    first = AudioChunk(samples, 0)
    events, _ = await through([first, Mark("m", 5), rest, END])
    (mark,) = [e for e in events if isinstance(e, Mark)]
    assert len(mark.tail) == tail
    assert mark.tail[-1].end_sample == len(samples)
    unmarked, _ = await through([first, rest, END])
    assert drawn([e for e in events if not isinstance(e, Mark)]) == drawn(unmarked)


async def test_the_last_window_is_judged_though_it_is_short() -> None:
    events = await detect(audio("..", tail=100))
    assert drawn(events) == "_ss|$"
    assert sum(len(e.samples) for e in events if isinstance(e, Speech)) == WINDOW + 100


@given(
    pattern=st.text("#.-", max_size=30),
    tail=st.integers(0, WINDOW - 1),
    piece=st.integers(1, 3 * WINDOW),
)
def test_passages_do_not_depend_on_how_the_audio_arrived(
    pattern: str, tail: int, piece: int
) -> None:
    samples = audio(pattern, tail)

    async def shape(piece: int) -> list[tuple[object, ...]]:
        return [
            (type(e), getattr(e, "start_sample", None), getattr(e, "end_sample", None))
            for e in await detect(samples, max(piece, 200))
        ]

    assert trio.run(shape, piece) == trio.run(shape, len(samples) or 1)
