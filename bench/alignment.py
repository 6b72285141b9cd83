"""When each word is said: errors against the synthesiser's times, and against ``qwen-asr``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio

from bench.report import table
from bench.upstream import windows_masked
from polyasr import alignment, checkpoint, settings
from polyasr.alignment import Alignment
from polyasr.engine import SpeechEngine, open_engine
from polyasr.errors import InvalidRequest
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Word
from polyasr.samples import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    from training.evaluate_aligner import Case

LONGEST = 270 * SAMPLE_RATE
NEAR_SEC = 0.2
Times = Sequence[tuple[float, float]]
"""Where words begin and end, in seconds."""


@dataclass(slots=True)
class Row:
    """What came out for clips of one kind; errors of boundaries in seconds."""

    kind: str
    clips: int = 0
    refused: int = 0
    """Clips whose own transcript was said not to belong to them."""
    seconds: float = 0.0
    served: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)
    same: list[bool] = field(default_factory=list)
    same_masked: list[bool] = field(default_factory=list)
    took: float = 0.0
    they_took: float = 0.0


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
    head = ("clips of", "clips", "boundaries", "/v1/align", "≤ 200 ms", "refused")
    errors = [
        [row.kind, f"{row.clips}", f"{len(row.served)}", *_cells(row.served), f"{row.refused}"]
        for row in rows
    ]
    both = ("clips of", "the aligner alone", "≤ 200 ms", "`qwen-asr`", "≤ 200 ms")
    more = ("the same", "the same under the windows' mask", "RTFx", "RTFx of `qwen-asr`")
    against = [
        [
            row.kind,
            *_cells(row.alone),
            *_cells(row.theirs),
            _percent(row.same),
            _percent(row.same_masked),
            f"{row.seconds / row.took:.0f}",
            f"{row.seconds / row.they_took:.0f}",
        ]
        for row in rows
        if row.alone
    ]
    return table(head, errors) + "\n\n" + table([*both, *more], against)


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
        row.served += _errors(case, _seconds(_words(await _served(engine, case))))
    except InvalidRequest:
        row.refused += 1
    step = upstream.timestamp_segment_time / 1000
    if len(case.samples) > upstream.model.thinker.config.classify_num * step * SAMPLE_RATE:
        return
    began = time.perf_counter()
    words = await engine.word_aligner.align(case.samples, case.text, case.language)
    row.took += time.perf_counter() - began
    began = time.perf_counter()
    theirs = _theirs(upstream, case)
    row.they_took += time.perf_counter() - began
    with windows_masked(upstream.model.thinker):
        masked = _theirs(upstream, case)
    row.seconds += len(case.samples) / SAMPLE_RATE
    ours = _seconds(words)
    row.alone += _errors(case, ours)
    row.theirs += _errors(case, theirs)
    row.same += _equal(ours, theirs, case)
    row.same_masked += _equal(ours, masked, case)


async def _served(engine: SpeechEngine, case: Case) -> Alignment:
    @contextmanager
    def again() -> Iterator[Iterator[Samples]]:
        yield iter([case.samples])

    return await alignment.align(
        engine,
        iter([case.samples]),
        again,
        RecognizerOptions(language=case.language),
        text=case.text,
        longest=LONGEST,
    )


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
