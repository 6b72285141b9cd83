"""Recordings at the model's true sizes: random weights and scripted answers, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import trio

from bench.batch.results import Throughput
from bench.dictation.corpus import Clip
from bench.models import Models
from bench.scripted import Script
from bench.segments import ScriptedSegments
from bench.tally import Tally
from polyasr.engine.silero import Silero, SileroDetector
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.batch import transcribe
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import SpeechDetector, Urgency
from polyasr.samples import SAMPLE_RATE, Samples, from_pcm16

Progress = Callable[[str], object]

OPTIONS = RecognizerOptions(language="English")


async def throughput(
    models: Models,
    clips: Sequence[Clip],
    counts: Sequence[int],
    repeats: int,
    told: Progress,
) -> tuple[Throughput, ...]:
    """So many of the clips at once: through this project's pipeline, speech detection and all, and
    as one batch through ``generate`` of ``qwen-asr``, in turn, on one thread for the reason that
    `bench.packed.measure` gives. Either writes three tokens for each second of what it decodes."""
    recordings = [from_pcm16(clip.pcm16) for clip in clips]
    with closing(ModelThread()) as thread:
        ways = {"polyasr": _transcribe, "qwen-asr": _generate}
        for name, way in ways.items():
            told(f"warming up: {name}")
            await way(thread, models, recordings[:1])
        found = []
        for count in counts:
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            cpu: dict[str, list[float]] = {name: [] for name in ways}
            for repeat in range(repeats):
                for name, way in ways.items():
                    told(f"{count} at once, {repeat + 1} of {repeats}: {name}")
                    began, computed = time.perf_counter(), time.process_time()
                    await way(thread, models, recordings[:count])
                    seconds[name].append(time.perf_counter() - began)
                    cpu[name].append(time.process_time() - computed)
            audio = sum(map(len, recordings[:count])) / SAMPLE_RATE
            found += [
                Throughput(name, count, audio, tuple(seconds[name]), tuple(cpu[name]), errors=None)
                for name in ways
            ]
        return tuple(found)


async def _transcribe(thread: ModelThread, models: Models, recordings: Sequence[Samples]) -> None:
    backend = await thread.run(Urgency.BATCH, lambda: models.backend)
    await transcribed(ScriptedRecognizer(thread, backend, models.script, Tally()), recordings)


async def _generate(thread: ModelThread, models: Models, recordings: Sequence[Samples]) -> None:
    longest = max(map(len, recordings)) / SAMPLE_RATE
    n_tokens = len(models.script.answer(0, longest)) + 1

    def generate() -> None:
        models.upstream.generate_all(recordings, "", n_tokens, Tally())

    await thread.run(Urgency.BATCH, generate)


async def transcribed(recognizer: ScriptedRecognizer, recordings: Sequence[Samples]) -> None:
    """All of the recordings, at once, and the recognizer closed."""
    with closing(recognizer):
        async with trio.open_nursery() as nursery:
            for samples in recordings:
                starts = range(0, len(samples), SAMPLE_RATE)
                blocks = [samples[start : start + SAMPLE_RATE] for start in starts]
                nursery.start_soon(transcribe, recognizer, iter(blocks), OPTIONS)


class ScriptedRecognizer(ScriptedSegments):
    """The engine's way from recordings to text, speech detection and all."""

    def __init__(self, thread: ModelThread, backend: Any, script: Script, tally: Tally) -> None:
        super().__init__(thread, backend, script, tally)
        self._detection, self._network = ModelThread("polyasr-detector"), Silero()

    def close(self) -> None:
        """End the detector's thread."""
        self._detection.close()

    def pinned(self) -> AbstractContextManager[None]:
        """It stays."""
        return nullcontext()

    def open_detector(self) -> SpeechDetector:
        """The speech detector, as it is."""
        return SileroDetector(self._detection, self._network)
