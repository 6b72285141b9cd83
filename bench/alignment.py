"""When each word is said: errors against the synthesiser's times and against ``qwen-asr``'s, speed,
and the memory of a long recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from bench.report import table
from bench.spending import Spending, peak_mb, repeated
from bench.upstream import windows_masked
from polyasr import alignment, checkpoint, settings
from polyasr.alignment import Alignment, Reopened, Stage
from polyasr.engine import SpeechEngine, open_engine
from polyasr.errors import InvalidRequest
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Word
from polyasr.samples import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from training.evaluate_aligner import Case

LONGEST = 270 * SAMPLE_RATE
NEAR_SEC = 0.2
SPEED = ("RTFx", "RTFx by CPU time")
EVERY = 600 * SAMPLE_RATE
"""How often the memory of a long recording is looked at."""
Times = Sequence[tuple[float, float]]
"""Where words begin and end, in seconds."""


@dataclass(slots=True)
class Row:
    """What came out for clips of one kind; errors of boundaries in seconds."""

    kind: str
    clips: int = 0
    refused: int = 0
    """Clips whose own transcript was said not to belong to them."""
    served: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    same_masked: list[bool] = field(default_factory=list)
    serving: Spending = field(default_factory=Spending)
    aligning: Spending = field(default_factory=Spending)
    their_aligning: Spending = field(default_factory=Spending)


def measure(
    lengths: Sequence[int], clips: int, seed: int, told: Callable[[str], None]
) -> tuple[Row, ...]:
    """Align held-out sentences, spoken afresh, in clips of so many seconds (0: one sentence).

    ``served`` is the way of `/v1/align` with the transcript given, of any length; ``alone`` is the
    aligner on the whole clip, and ``theirs`` is ``qwen-asr``'s, both as far as the model can tell
    times. ``told`` hears what is being measured.
    """
    return trio.run(_measure, lengths, clips, seed, told)


def report(rows: Sequence[Row]) -> str:
    """The rows as tables in Markdown."""
    head = ("clips of", "clips", "boundaries", "/v1/align", "≤ 200 ms", "refused", *SPEED)
    errors = [
        [
            row.kind,
            f"{row.clips}",
            f"{len(row.served)}",
            *_cells(row.served),
            f"{row.refused}",
            *row.serving.cells(),
        ]
        for row in rows
    ]
    both = ("clips of", "the aligner alone", "≤ 200 ms", "`qwen-asr`", "≤ 200 ms")
    same = ("the same", "the same under the windows' mask")
    speed = [*SPEED, *(f"`qwen-asr`: {name}" for name in SPEED)]
    against = [
        [
            row.kind,
            *_cells(row.alone),
            *_cells(row.theirs),
            _percent(row.same),
            _percent(row.same_masked),
            *row.aligning.cells(),
            *row.their_aligning.cells(),
        ]
        for row in rows
        if row.alone
    ]
    return table(head, errors) + "\n\n" + table([*both, *same, *speed], against)


def memory(minutes: int, told: Callable[[str], None]) -> str:
    """The peak of the process's memory while a recording of so many minutes is transcribed and then
    aligned, and the speed of both.

    It is ten minutes of held-out sentences again and again, and made as it goes along, so that none
    of the memory is the recording's. ``told`` hears how far it is.
    """
    from training.evaluate_aligner import Kind, cases

    (piece,) = cases(Kind("", "English", "espeak", 1, seconds=EVERY // SAMPLE_RATE), 1)
    length = minutes * 60 * SAMPLE_RATE
    rows, reached = [], {"transcribe": 0, "align": 0}

    async def tell(stage: Stage, n_samples: int) -> None:
        at = f"{stage}: {n_samples / SAMPLE_RATE / 60:.0f} min"
        told(f"{at} of {minutes}")
        if n_samples // EVERY > reached[stage]:
            reached[stage] = n_samples // EVERY
            rows.append([at, f"{peak_mb():.0f}"])

    async def measured() -> Alignment:
        async with open_engine(_settings()) as engine:
            blocks, again = repeated(piece.samples, length), _again(piece.samples, length)
            options = RecognizerOptions(language="English")
            return await alignment.align(engine, blocks, again, options, longest=LONGEST, tell=tell)

    spent = Spending()
    with spent.on(length):
        found = trio.run(measured)
    rows.append([f"{len(_words(found))} words told", f"{peak_mb():.0f}"])
    return table(["", "peak memory, MB"], rows) + "\n\n" + spent.told()


async def _measure(
    lengths: Sequence[int], clips: int, seed: int, told: Callable[[str], None]
) -> tuple[Row, ...]:
    from training.evaluate_aligner import Kind, cases

    upstream = _upstream()
    rows = []
    async with open_engine(_settings()) as engine:
        await engine.word_aligner.ready()
        for language in ("English", "Chinese"):
            for seconds in lengths:
                name = f"{language}, {f'{seconds} s' if seconds else 'a sentence'}"
                row = Row(name)
                kind = Kind(name, language, "espeak", clips, seconds=seconds)
                for number, case in enumerate(cases(kind, clips, seed)):
                    told(f"{name}, {number + 1} of {clips}")
                    await _add(row, case, engine, upstream)
                rows.append(row)
    return tuple(rows)


async def _add(row: Row, case: Case, engine: SpeechEngine, upstream: Any) -> None:
    """Measure one clip."""
    row.clips += 1
    try:
        with row.serving.on(len(case.samples)):
            found = await _served(engine, case)
        row.served += _errors(case, _seconds(_words(found)))
    except InvalidRequest:
        row.refused += 1
    step = upstream.timestamp_segment_time / 1000
    if len(case.samples) > upstream.model.thinker.config.classify_num * step * SAMPLE_RATE:
        return
    with row.aligning.on(len(case.samples)):
        words = await engine.word_aligner.align(case.samples, case.text, case.language)
    with row.their_aligning.on(len(case.samples)):
        theirs = _theirs(upstream, case)
    with windows_masked(upstream.model.thinker):
        masked = _theirs(upstream, case)
    ours = _seconds(words)
    row.alone += _errors(case, ours)
    row.theirs += _errors(case, theirs)
    row.same += _equal(ours, theirs, case)
    row.same_masked += _equal(ours, masked, case)


async def _served(engine: SpeechEngine, case: Case) -> Alignment:
    return await alignment.align(
        engine,
        iter([case.samples]),
        _again(case.samples, len(case.samples)),
        RecognizerOptions(language=case.language),
        text=case.text,
        longest=LONGEST,
    )


def _again(samples: Samples, length: int) -> Reopened:
    @contextmanager
    def again() -> Iterator[Iterator[Samples]]:
        yield repeated(samples, length)

    return again


def _words(found: Alignment) -> list[Word]:
    return [word for one in found.sentences for word in one.words]


def _seconds(words: Sequence[Word]) -> Times:
    return [(word.start / SAMPLE_RATE, word.end / SAMPLE_RATE) for word in words]


def _theirs(upstream: Any, case: Case) -> Times:
    (result,) = upstream.align((case.samples, SAMPLE_RATE), case.text, case.language)
    return [(item.start_time, item.end_time) for item in result]


def _errors(case: Case, times: Times) -> list[float]:
    pairs = zip(case.times, times, strict=True)
    return [
        abs(said - heard)
        for true, found in pairs
        if true is not None
        for said, heard in zip(true, found, strict=True)
    ]


def _equal(ours: Times, theirs: Times, case: Case) -> list[bool]:
    """Of each boundary; theirs may lie behind the end of the clip."""
    end = len(case.samples) / SAMPLE_RATE
    return [
        abs(a - min(b, end)) < 1e-3
        for mine, other in zip(ours, theirs, strict=True)
        for a, b in zip(mine, other, strict=True)
    ]


def _cells(errors: Sequence[float]) -> list[str]:
    if not errors:
        return ["", ""]
    near = np.mean(np.asarray(errors) <= NEAR_SEC)
    return [f"{1000 * np.mean(errors):.0f} ms", f"{100 * near:.1f} %"]


def _percent(same: Sequence[bool]) -> str:
    return f"{100 * np.mean(same):.1f} %"


def _settings() -> settings.Settings:
    given = {"model": "tiny", "device": "cpu", "dtype": "float32", "preload": "0"}
    return settings.load({}, {**given, "speaker_filter": "0"})


def _upstream() -> Any:
    import torch
    from qwen_asr import Qwen3ForcedAligner

    directory = checkpoint.resolve(_settings(), checkpoint.ALIGNER)
    return Qwen3ForcedAligner.from_pretrained(str(Path(directory)), dtype=torch.float32)
