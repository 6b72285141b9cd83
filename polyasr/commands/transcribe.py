"""``polyasr transcribe``: the texts of recordings, with the model in this process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import trio
from numpy.typing import NDArray
from tqdm import tqdm

from polyasr import checkpoint, languages
from polyasr.commands import load_settings
from polyasr.commands.recordings import read_recording
from polyasr.errors import ConfigurationError, PolyasrError
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Engine, Recognition, SpeakerEncoder, SpeechDetector
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings

PROGRESS_AFTER_SEC = 2.0
"""What is done sooner needs no bar."""


def run(arguments: argparse.Namespace) -> int:
    """Print the text of each file. Returns 2 when one could not be transcribed, else 0.

    Raises PolyasrError for what concerns all of them.
    """
    settings = load_settings(arguments)
    language = languages.parse(arguments.language) if arguments.language else None
    files = [Path(name) for name in arguments.files]
    for file in files:
        if not file.exists():
            raise ConfigurationError(f"{file} does not exist")
    checkpoint.resolve(settings)
    options = RecognizerOptions.from_settings(
        settings, language=language, context=arguments.context
    )
    return trio.run(_transcribe_all, settings, files, options)


async def _transcribe_all(
    settings: Settings, files: Sequence[Path], options: RecognizerOptions
) -> int:
    from polyasr.engine import open_engine

    code = 0
    async with open_engine(replace(settings, preload=False, speaker_filter=False)) as engine:
        await engine.ready()
        for file in files:
            read = partial(read_recording, file, settings.max_audio_seconds)
            try:
                samples = await trio.to_thread.run_sync(read)
                text = await _transcribe(engine, file, samples, options)
            except PolyasrError as error:
                print(f"polyasr: {error}", file=sys.stderr)
                code = 2
            else:
                print(f"{file}: {text}" if len(files) > 1 else text, flush=True)
    return code


async def _transcribe(
    engine: Engine, file: Path, samples: Samples, options: RecognizerOptions
) -> str:
    with tqdm(
        desc=file.name,
        total=round(len(samples) / SAMPLE_RATE),
        unit="s",
        delay=PROGRESS_AFTER_SEC,
        leave=False,
        disable=None,  # where stderr is no terminal
    ) as bar:
        watched = WatchedEngine(engine, bar.update)
        transcript = await batch.transcribe(watched, samples, options)
    return transcript.text


@dataclass(frozen=True)
class WatchedEngine:
    """An engine that tells how many seconds were heard.

    Its detector hears all audio, and is at most some seconds ahead of what is recognized.
    """

    engine: Engine
    heard: Callable[[float], object]

    def open_detector(self) -> SpeechDetector:
        return WatchedDetector(self.engine.open_detector(), self.heard)

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        return self.engine.open_recognition(language=language, context=context)

    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        return self.engine.speaker_encoder


@dataclass(frozen=True)
class WatchedDetector:
    """The detector of a WatchedEngine."""

    detector: SpeechDetector
    heard: Callable[[float], object]

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        probabilities = await self.detector.probabilities(windows)
        self.heard(windows.size / SAMPLE_RATE)
        return probabilities
