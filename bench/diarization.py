"""Who spoke when: error, speed and memory on conversations that are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trio

from bench.conversations import Conversation, converse, read_speakers
from bench.report import table
from bench.spending import Spending, peak_mb, repeated
from polyasr import diarization, settings
from polyasr.diarization import Diarization, SpeakerCount
from polyasr.engine import SpeechEngine, open_engine
from polyasr.samples import SAMPLE_RATE

if TYPE_CHECKING:
    from polyasr.pipeline.types import VoiceEngine

COLLAR_SEC = 0.25
"""On either side of each change; what lies in it is not scored."""


@dataclass(frozen=True, slots=True)
class Score:
    """Shares of the speech that is scored, in [0, 1], but ``false_alarm``, which may be more."""

    missed: float
    false_alarm: float
    confused: float

    @property
    def error_rate(self) -> float:
        """The diarization error rate."""
        return self.missed + self.false_alarm + self.confused


@dataclass(frozen=True, slots=True)
class Trial:
    """One conversation, with the number of speakers given and found out."""

    speakers: int
    pauses: bool
    given: Score
    estimated: Score
    found: int
    """The estimated number of speakers."""
    spent: Spending
    """On one diarization of it."""


def measure(
    speech: Path, seeds: int, seconds: float, model: str, told: Callable[[str], None]
) -> tuple[Trial, ...]:
    """Diarize conversations of two to four speakers, with and without pauses, ``seeds`` of each.

    ``model``: a pipeline of pyannote, "" for the built-in way. ``told`` hears what is being
    measured. Raises ValueError where there is not enough speech, ModelUnavailable.
    """
    recordings = read_speakers(speech)

    async def measured() -> tuple[Trial, ...]:
        trials = []
        async with _engine(model) as engine:
            for speakers in range(2, min(4, len(recordings)) + 1):
                for pauses in (False, True):
                    for seed in range(seeds):
                        told(f"{speakers} speakers, {'' if pauses else 'no '}pauses, {seed}")
                        number = 100 * seed + 10 * speakers + pauses
                        one = converse(recordings, speakers, seconds, pauses=pauses, seed=number)
                        trials.append(await _trial(engine, one, pauses))
        return tuple(trials)

    return trio.run(measured)


def report(trials: Iterable[Trial]) -> str:
    """The errors as a table in Markdown, in percent, and the speed."""
    trials = list(trials)
    rows = []
    for speakers in sorted({trial.speakers for trial in trials}):
        for pauses in (False, True):
            some = [each for each in trials if (each.speakers, each.pauses) == (speakers, pauses)]
            rows.append([f"{speakers}", "yes" if pauses else "no", *_cells(some)])
    rows.append(["all", "", *_cells(trials)])
    head = ("speakers", "pauses", "conversations", "missed", "false alarm", "confused")
    more = ("DER, number given", "worst", "DER, estimated", "worst", "number right")
    return table([*head, *more], rows) + "\n\n" + Spending.of(each.spent for each in trials).told()


def memory(speech: Path, minutes: int, model: str, told: Callable[[str], None]) -> str:
    """The peak of the process's memory while a conversation of so many minutes is diarized.

    It is made as it goes along, so that none of the memory is the conversation's. ``model`` and
    errors are as in ``measure``.
    """
    recordings = read_speakers(speech)
    piece = converse(recordings, min(4, len(recordings)), 600, pauses=True, seed=0).samples
    rows = []

    async def heard(n_samples: int) -> None:
        told(f"{n_samples / SAMPLE_RATE / 60:.0f} of {minutes} minutes")
        if n_samples % (600 * SAMPLE_RATE) == 0:
            rows.append([f"{n_samples // SAMPLE_RATE // 60} min heard", f"{peak_mb():.0f}"])

    async def measured() -> Diarization:
        async with _engine(model) as engine:
            blocks = repeated(piece, minutes * 60 * SAMPLE_RATE)
            return await diarization.diarize(engine, blocks, on_heard=heard)

    spent = Spending()
    with spent.on(minutes * 60 * SAMPLE_RATE):
        found = trio.run(measured)
    rows.append([f"speakers told apart ({len(found.voices)} found)", f"{peak_mb():.0f}"])
    return table(["", "peak memory, MB"], rows) + "\n\n" + spent.told()


def score(conversation: Conversation, found: Diarization) -> Score:
    """By pyannote.metrics; its collar is the sum of both sides."""
    from pyannote.core import Annotation, Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    def annotated(parts: Iterable[tuple[int, int, str]]) -> Annotation:
        annotation = Annotation()
        for number, (start, end, who) in enumerate(parts):
            annotation[Segment(start / SAMPLE_RATE, end / SAMPLE_RATE), number] = who
        return annotation

    told = annotated((turn.start, turn.end, str(turn.speaker)) for turn in found.turns)
    whole = Timeline([Segment(0, len(conversation.samples) / SAMPLE_RATE)])
    metric = DiarizationErrorRate(collar=2 * COLLAR_SEC)
    parts = metric(annotated(conversation.reference), told, uem=whole, detailed=True)
    total = parts["total"]
    return Score(
        missed=parts["missed detection"] / total,
        false_alarm=parts["false alarm"] / total,
        confused=parts["confusion"] / total,
    )


async def _trial(engine: VoiceEngine, conversation: Conversation, pauses: bool) -> Trial:
    speakers = conversation.speakers
    given = await _diarized(engine, conversation, SpeakerCount(speakers, speakers))
    spent = Spending()
    with spent.on(len(conversation.samples)):
        estimated = await _diarized(engine, conversation, SpeakerCount())
    return Trial(
        speakers=speakers,
        pauses=pauses,
        given=score(conversation, given),
        estimated=score(conversation, estimated),
        found=len(estimated.voices),
        spent=spent,
    )


async def _diarized(
    engine: VoiceEngine, conversation: Conversation, count: SpeakerCount
) -> Diarization:
    samples = conversation.samples
    return await diarization.diarize(engine, repeated(samples, len(samples)), count)


def _cells(trials: list[Trial]) -> list[str]:
    def mean(values: Iterable[float]) -> str:
        return f"{100 * np.mean(list(values)):.1f}"

    def worst(values: Iterable[float]) -> str:
        return f"{100 * max(values):.1f}"

    return [
        str(len(trials)),
        mean(each.given.missed for each in trials),
        mean(each.given.false_alarm for each in trials),
        mean(each.given.confused for each in trials),
        mean(each.given.error_rate for each in trials),
        worst(each.given.error_rate for each in trials),
        mean(each.estimated.error_rate for each in trials),
        worst(each.estimated.error_rate for each in trials),
        f"{sum(each.found == each.speakers for each in trials)} of {len(trials)}",
    ]


def _engine(model: str) -> AbstractAsyncContextManager[SpeechEngine]:
    """An engine that will load no recognizer."""
    return open_engine(settings.load({}, {"model": "tiny", "preload": "0", "diarize_model": model}))
