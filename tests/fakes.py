"""Stand-ins that do what a test tells them: an engine without models, and audio for it."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr import settings
from polyasr.errors import ModelUnavailable
from polyasr.health import EngineStatus
from polyasr.pipeline.types import Hypothesis, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings


def configured() -> Settings:
    """The default settings of a server on a free port of this machine, for the tiny model."""
    given = {"model": "tiny", "device": "cpu", "dtype": "float32", "port": "0"}
    return settings.load({}, given)


READY = EngineStatus(
    state="ready",
    model="tiny",
    backend="transformers",
    device="cpu",
    dtype="float32",
    reason="",
    weights_present=True,
    last_ok_age_sec=1.0,
    last_error=None,
    memory_mb=512.0,
)
"""The status of an engine that is well."""


@dataclass(frozen=True)
class Asked:
    """One decode that the pipeline asked for."""

    samples: Samples
    language: str | None
    context: str
    urgency: Urgency


Script = Callable[[Asked], Awaitable[Hypothesis]]


async def hello(asked: Asked) -> Hypothesis:
    """A model that hears "Hello." in everything."""
    language = asked.language or "English"
    return Hypothesis("Hello.", language, tokens=(9707, 13), logprobs=(-0.1, -0.3))


class HeldModel:
    """A model whose decodes begin, and end only when they are released."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.release = trio.Event()
        self.cancelled = trio.Event()

    async def script(self, asked: Asked) -> Hypothesis:
        self.begun.set()
        try:
            await self.release.wait()
        except trio.Cancelled:
            self.cancelled.set()
            raise
        return await hello(asked)


@dataclass
class ScriptedEngine:
    """An engine whose model is a function; whatever is louder than a whisper is speech."""

    script: Script = hello
    how: EngineStatus = READY
    asked: list[Asked] = field(default_factory=list)

    async def ready(self) -> None:
        if self.how.state == "failed":
            raise ModelUnavailable(self.how.reason)

    def status(self) -> EngineStatus:
        return self.how

    def open_detector(self) -> LoudnessDetector:
        return LoudnessDetector()

    def open_recognition(self, *, language: str | None, context: str) -> ScriptedRecognition:
        return ScriptedRecognition(self, language, context)

    @property
    def speaker_encoder(self) -> OneVoice:
        return OneVoice()


class LoudnessDetector:
    """Speech is what has an RMS of more than 0.01."""

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        return [float(np.sqrt(np.mean(window**2)) > 0.01) for window in windows]


class OneVoice:
    """An encoder to which everybody sounds the same."""

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        return np.full(256, 1 / 16, np.float32)


class ScriptedRecognition:
    """A segment that keeps its audio and asks the script."""

    def __init__(self, engine: ScriptedEngine, language: str | None, context: str) -> None:
        self._engine, self._language, self._context = engine, language, context
        self._samples: Samples = np.empty(0, np.float32)

    def append(self, samples: Samples) -> None:
        self._samples = np.concatenate([self._samples, samples])

    def crop(self, length: int) -> None:
        self._samples = self._samples[:length]

    def split(self, length: int) -> ScriptedRecognition:
        rest = ScriptedRecognition(self._engine, self._language, self._context)
        rest.append(self._samples[length:])
        self.crop(length)
        return rest

    async def hypothesis(self, urgency: Urgency) -> Hypothesis:
        asked = Asked(self._samples, self._language, self._context, urgency)
        self._engine.asked.append(asked)
        return await self._engine.script(asked)

    def close(self) -> None:
        self._samples = np.empty(0, np.float32)


def tone(seconds: float, amplitude: float = 0.3) -> bytes:
    """A 440 Hz tone, PCM16 at 16 kHz: speech to `LoudnessDetector`."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * 32767 * np.sin(2 * np.pi * 440 * time)).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    """Digital silence, PCM16 at 16 kHz."""
    return bytes(2 * round(seconds * SAMPLE_RATE))


def wav(pcm16: bytes) -> bytes:
    """The same audio as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm16)
    return file.getvalue()
