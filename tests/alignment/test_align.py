"""From a recording to sentences of timed words, over engines that do what the test says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from polyasr.alignment import Alignment, Stage, align, textgrid
from polyasr.errors import InferenceFailed, InvalidRequest, ModelUnavailable
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Word
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16
from tests.alignment.tones import by_pitch
from tests.fakes import EvenAligner, ScriptedEngine, silence, tone


def recording(*pitches: int, lasting: float = 8.0, pause: float = 2.0) -> Samples:
    pcm = b"".join(tone(lasting, hertz=pitch) + silence(pause) for pitch in pitches)
    return from_pcm16(pcm)


async def aligned(
    samples: Samples,
    text: str | None = None,
    *,
    engine: ScriptedEngine | None = None,
    longest: int = 270 * SAMPLE_RATE,
    told: list[tuple[Stage, int]] | None = None,
) -> Alignment:
    opened = 0

    def blocks() -> Iterator[Samples]:
        return iter(np.split(samples, range(SAMPLE_RATE * 10, len(samples), SAMPLE_RATE * 10)))

    @contextmanager
    def again() -> Iterator[Iterator[Samples]]:
        nonlocal opened
        opened += 1
        yield blocks()

    async def tell(stage: Stage, n_samples: int) -> None:
        if told is not None:
            told.append((stage, n_samples))

    engine = engine or ScriptedEngine(script=by_pitch)
    options = RecognizerOptions()
    found = await align(engine, blocks(), again, options, text=text, longest=longest, tell=tell)
    assert opened <= 1
    return found


def words(found: Alignment) -> list[str]:
    return [word.text for one in found.sentences for word in one.words]


async def test_what_is_recognized_comes_back_in_sentences_at_their_place() -> None:
    found = await aligned(recording(440, 880))
    assert (found.text, found.language) == ("One two. Three four!", "English")
    first, second = found.sentences
    assert (first.text, second.text) == ("One two.", "Three four!")
    assert first.start < 1 * SAMPLE_RATE and 10 * SAMPLE_RATE > first.end > 7 * SAMPLE_RATE
    assert 9 * SAMPLE_RATE < second.start < 11 * SAMPLE_RATE
    assert second.end <= found.n_samples == 20 * SAMPLE_RATE
    assert words(found) == ["One", "two", "Three", "four"]


async def test_a_given_text_is_aligned_with_the_whole_recording_at_once() -> None:
    engine = ScriptedEngine(script=by_pitch)
    found = await aligned(recording(440, 880), " One, two. Three four? ", engine=engine)
    assert found.text == "One, two. Three four?"
    assert engine.aligner.asked == [(20 * SAMPLE_RATE, "One, two. Three four?", "English")]


async def test_a_given_text_over_a_long_recording_is_aligned_part_by_part() -> None:
    engine = ScriptedEngine(script=by_pitch)
    text = "One two, three. Four!"
    found = await aligned(recording(440, 880), text, engine=engine, longest=10 * SAMPLE_RATE)
    assert found.text == text
    assert [asked for _, asked, _ in engine.aligner.asked] == ["One two,", " three. Four!"]
    assert [one.text for one in found.sentences] == ["One two, three.", "Four!"]
    assert found.sentences[0].words[2].start > 9 * SAMPLE_RATE


async def test_silence_has_no_sentences_and_asks_no_aligner() -> None:
    found = await aligned(
        np.zeros(3 * SAMPLE_RATE, np.float32),
        engine=ScriptedEngine(aligner=EvenAligner(missing="nobody may load it")),
    )
    assert (found.text, found.language, found.sentences) == ("", "", ())


async def test_speech_without_a_pause_is_cut_and_loses_nothing() -> None:
    engine = ScriptedEngine(script=by_pitch)
    found = await aligned(recording(440, lasting=300, pause=0), engine=engine)
    lengths = [length for length, _, _ in engine.aligner.asked]
    assert max(lengths) <= 30 * SAMPLE_RATE
    assert sum(lengths) == 300 * SAMPLE_RATE
    assert words(found) == ["One", "two"] * len(lengths)
    times = [time for one in found.sentences for time in (one.start, one.end)]
    assert times == sorted(times)


async def test_no_chunk_is_longer_than_was_asked_for() -> None:
    engine = ScriptedEngine(script=by_pitch)
    await aligned(recording(440, lasting=20, pause=0), engine=engine, longest=2 * SAMPLE_RATE)
    assert max(length for length, _, _ in engine.aligner.asked) <= 2 * SAMPLE_RATE


async def test_an_aligner_that_is_good_at_little_gets_little() -> None:
    aligner = EvenAligner(longest=3 * SAMPLE_RATE)
    for text in (None, "One two. " * 4):
        engine = ScriptedEngine(script=by_pitch, aligner=aligner)
        await aligned(recording(440, lasting=10, pause=0), text, engine=engine)
        lengths = [length for length, _, _ in aligner.asked]
        assert max(lengths) <= 3 * SAMPLE_RATE
        assert sum(lengths) == pytest.approx(10 * SAMPLE_RATE, rel=0.05)
        aligner.asked.clear()


async def test_progress_is_told_of_both_stages() -> None:
    told: list[tuple[Stage, int]] = []
    await aligned(recording(440, 880, 440), told=told)
    stages = [stage for stage, _ in told]
    assert stages == ["transcribe"] * 3 + ["align"] * 3
    assert [at for stage, at in told if stage == "align"] == sorted(
        at for stage, at in told if stage == "align"
    )


async def test_a_text_that_is_not_what_is_said_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="does not belong"):
        await aligned(recording(440), "A letter from far away.")


class Failing(EvenAligner):
    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        raise InferenceFailed("the aligner failed")


async def test_a_model_that_fails_or_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelUnavailable, match="no weights"):
        missing = EvenAligner(missing="no weights")
        await aligned(recording(440), engine=ScriptedEngine(script=by_pitch, aligner=missing))
    with pytest.raises(InferenceFailed):
        await aligned(recording(440), engine=ScriptedEngine(script=by_pitch, aligner=Failing()))


async def test_a_textgrid_has_intervals_without_gaps() -> None:
    grid = textgrid(await aligned(recording(440, 880, 1760)))
    assert grid.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    for tier, texts in zip(grid.split("    item [")[1:], (3, 5), strict=True):
        intervals = re.findall(r'xmin = (\S+)\n +xmax = (\S+)\n +text = "(.*)"', tier)
        bounds = [(float(start), float(end)) for start, end, _ in intervals]
        assert f"intervals: size = {len(intervals)}" in tier
        assert bounds[0][0] == 0 and bounds[-1][1] == 30
        assert all(start < end for start, end in bounds)
        assert all(before[1] == after[0] for before, after in pairwise(bounds))
        assert sum(bool(text) for _, _, text in intervals) == texts


async def test_a_word_without_time_of_its_own_shares_the_next_ones_in_a_textgrid() -> None:
    found = await aligned(recording(440))
    (one,) = found.sentences
    first, second = one.words
    hasty = replace(one, words=(replace(first, end=first.start), second))
    grid = textgrid(replace(found, sentences=(hasty,)))
    assert 'text = "One two"' in grid
