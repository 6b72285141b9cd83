"""The speaker filter: how much of the speaker it keeps, how much of who cuts in it drops."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trio

from bench.conversations import ROOM_NOISE, Part, read_speakers, spoken
from bench.report import table
from polyasr import settings
from polyasr.engine import SpeechEngine, open_engine
from polyasr.pipeline.recognizer import Heard
from polyasr.pipeline.speaker import SpeakerFilter, filter_speakers
from polyasr.pipeline.types import Audio, AudioChunk, EndOfAudio, Rejected, Speech
from polyasr.pipeline.vad import Detected, detect_speech
from polyasr.samples import SAMPLE_RATE, Samples

PAUSES_SEC = (0.0, 0.25, 0.5, 1.2)
"""Between two speakers, give or take 30 %."""
TURN_SEC = (2.0, 7.0)
FIRST_TURN_SEC = (3.0, 8.0)
"""The speaker begins; of a recording that is shorter, all of it."""
TURNS = 5


@dataclass(frozen=True, slots=True)
class Score:
    """Samples of speech that reached the filter, and what became of them."""

    kept: int
    mine: int
    dropped: int
    theirs: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One talk: ``speaker`` is cut in on by ``other``, with such pauses in seconds."""

    speaker: str
    other: str
    pause: float
    score: Score


def measure(speech: Path, seeds: int, told: Callable[[str], None]) -> tuple[Trial, ...]:
    """Filter talks of all pairs of speakers and all pauses, ``seeds`` of each.

    ``told`` hears what is being measured. Raises ValueError where there is not enough speech.
    """
    recordings = read_speakers(speech)

    async def measured() -> tuple[Trial, ...]:
        trials = []
        async with open_engine(settings.load({}, {"model": "tiny", "preload": "0"})) as engine:
            kinds = itertools.product(itertools.permutations(recordings, 2), PAUSES_SEC)
            for number, ((speaker, other), pause) in enumerate(kinds):
                told(f"{speaker}, {other} cuts in, pauses of {pause} s")
                for seed in range(seeds):
                    rng = np.random.default_rng((number, seed))
                    samples, parts = _talk(recordings, (speaker, other), pause, rng)
                    heard = await _filtered(engine, samples)
                    trials.append(Trial(speaker, other, pause, _score(heard, parts, speaker)))
        return tuple(trials)

    return trio.run(measured)


def report(trials: Sequence[Trial]) -> str:
    """Tables in Markdown, in percent: by pause, by pair."""
    pauses = [
        [f"{pause:g}", *_cells(each for each in trials if each.pause == pause)]
        for pause in sorted({each.pause for each in trials})
    ]
    pairs = [
        [speaker, other, *_cells(t for t in trials if (t.speaker, t.other) == (speaker, other))]
        for speaker, other in sorted({(each.speaker, each.other) for each in trials})
    ]
    head = ("talks", "speaker kept", "other dropped")
    by_pause = table(("pause, s", *head), [*pauses, ["all", *_cells(trials)]])
    return by_pause + "\n\n" + table(("speaker", "other", *head), pairs)


def _talk(
    recordings: Mapping[str, Sequence[Samples]],
    pair: tuple[str, str],
    pause: float,
    rng: np.random.Generator,
) -> tuple[Samples, Sequence[Part]]:
    """The first of the pair speaks, and the other in between; who speaks when is told."""
    pieces: list[Samples] = []
    parts: list[Part] = []
    length = 0
    for turn in range(TURNS):
        who = pair[turn % 2]
        seconds = rng.uniform(*(TURN_SEC if turn else FIRST_TURN_SEC))
        some = recordings[who][int(rng.integers(len(recordings[who])))]
        start = int(rng.integers(max(1, len(some) - int(seconds * SAMPLE_RATE))))
        said = some[start : start + int(seconds * SAMPLE_RATE)]
        parts += [(length + first, length + end, who) for first, end in spoken(said)]
        silent = int(pause * rng.uniform(0.7, 1.3) * SAMPLE_RATE)
        quiet = (ROOM_NOISE * rng.standard_normal(silent)).astype(np.float32)
        pieces += [said, quiet]
        length += len(said) + silent
    return np.concatenate(pieces), parts


async def _filtered(engine: SpeechEngine, samples: Samples) -> Sequence[Heard]:
    """What the stages before recognition make of it."""
    to_vad, audio = trio.open_memory_channel[Audio](1)
    to_filter, passages = trio.open_memory_channel[Detected](64)
    kept, heard = trio.open_memory_channel[Heard](64)

    async def speak() -> None:
        with to_vad:
            for start in range(0, len(samples), SAMPLE_RATE):
                await to_vad.send(AudioChunk(samples[start : start + SAMPLE_RATE], start))
            await to_vad.send(EndOfAudio("", 0, complete=True))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        nursery.start_soon(detect_speech, engine.open_listener(), audio, to_filter)
        nursery.start_soon(filter_speakers, SpeakerFilter(engine.speaker_encoder), passages, kept)
        return [event async for event in heard]


def _score(heard: Sequence[Heard], parts: Sequence[Part], speaker: str) -> Score:
    """Over the speech, by the recordings' energy, that the detector has found as well."""
    end = max(end for _, end, _ in parts)
    mine, detected, rejected = (np.zeros(end, bool) for _ in range(3))
    theirs = np.zeros(end, bool)
    for first, last, who in parts:
        (mine if who == speaker else theirs)[first:last] = True
    for event in heard:
        if isinstance(event, Speech):
            detected[event.start_sample : event.end_sample] = True
        elif isinstance(event, Rejected):
            rejected[event.start_sample : event.end_sample] = True
    mine, theirs = mine & detected, theirs & detected
    return Score(
        kept=int((mine & ~rejected).sum()),
        mine=int(mine.sum()),
        dropped=int((theirs & rejected).sum()),
        theirs=int(theirs.sum()),
    )


def _cells(trials: Iterable[Trial]) -> list[str]:
    scores = [each.score for each in trials]
    kept = sum(each.kept for each in scores) / sum(each.mine for each in scores)
    dropped = sum(each.dropped for each in scores) / sum(each.theirs for each in scores)
    return [str(len(scores)), f"{100 * kept:.1f}", f"{100 * dropped:.1f}"]
