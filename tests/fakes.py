"""Stand-ins that do what a test tells them: an engine without models, and audio for it."""

from __future__ import annotations

import io
import wave
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr import settings
from polyasr.errors import ModelUnavailable
from polyasr.health import EngineStatus, Residency, UnitStatus
from polyasr.pipeline.types import Hypothesis, Recognition, SpeakerEncoder, Turn, Urgency, Word
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings


def configured() -> Settings:
    """The default settings of a server on a free port of this machine, for the tiny model, which
    keeps nothing."""
    given = {"model": "tiny", "device": "cpu", "dtype": "float32", "port": "0", "log_dir": ""}
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
    residency=Residency(180.0, (UnitStatus("asr", "ready", in_use=False, idle_for=1.23),)),
)
"""The status of an engine that is well."""


@dataclass(frozen=True)
class Asked:
    """One decode that the pipeline asked for."""

    samples: Samples
    language: str | None
    context: str
    urgency: Urgency
    committed: str = ""


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
    pins: int = 0
    aligner: EvenAligner = field(default_factory=lambda: EvenAligner())
    translator: ScriptedEngine | None = None
    diarizer: ScriptedDiarizer | None = None

    async def ready(self) -> None:
        if self.how.state == "failed":
            raise ModelUnavailable(self.how.reason)

    def status(self) -> EngineStatus:
        return self.how

    def residency(self) -> Residency:
        return self.how.residency

    async def unload(self) -> tuple[str, ...]:
        """What is in memory becomes idle."""
        units = self.how.residency.units
        idle = tuple(replace(unit, state="idle", idle_for=None) for unit in units)
        self.how = replace(self.how, state="idle", residency=Residency(180.0, idle))
        return tuple(unit.name for unit in units if unit.state == "ready")

    @contextmanager
    def pinned(self) -> Iterator[None]:
        self.pins += 1
        try:
            yield
        finally:
            self.pins -= 1

    def open_detector(self) -> LoudnessDetector:
        return LoudnessDetector()

    def open_listener(self) -> LoudnessDetector:
        return LoudnessDetector()

    async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Voices are told apart by their pitch, as `pitch_embedding` has it."""
        return np.stack([pitch_embedding(window) for window in windows])

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        return ScriptedRecognition(self, language, context)

    @property
    def speaker_encoder(self) -> SpeakerEncoder:
        return OneVoice()

    @property
    def word_aligner(self) -> EvenAligner:
        return self.aligner


class LoudnessDetector:
    """Speech is what has an RMS of more than 0.01."""

    def fork(self) -> LoudnessDetector:
        return self

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        return [float(np.sqrt(np.mean(window**2)) > 0.01) for window in windows]


@dataclass
class EvenAligner:
    """An aligner to which all words, between spaces, are as long as each other.

    ``missing`` says why it cannot be loaded; ``asked`` keeps the audio's length and the text.
    """

    missing: str = ""
    asked: list[tuple[int, str, str | None]] = field(default_factory=list)
    longest: int = 300 * SAMPLE_RATE

    @property
    def present(self) -> bool:
        return not self.missing

    async def ready(self) -> None:
        if self.missing:
            raise ModelUnavailable(self.missing)

    async def ready_beside_recognizer(self) -> None:
        await self.ready()

    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        await self.ready()
        self.asked.append((len(samples), text, language))
        words = [word.strip(".,!?") for word in text.split()]
        step = len(samples) // max(len(words), 1)
        return tuple(Word(word, i * step, (i + 1) * step, 0.5) for i, word in enumerate(words))


@dataclass
class ScriptedDiarizer:
    """A diarizer whose turns are given; ``missing`` says why it cannot be loaded."""

    told: Sequence[Turn] = ()
    missing: str = ""
    name: str = "scripted"
    asked: list[tuple[int, int, int]] = field(default_factory=list)
    """Samples, least and most speakers, of each recording."""

    async def ready(self) -> None:
        if self.missing:
            raise ModelUnavailable(self.missing)

    async def turns(
        self,
        recording: Samples,
        least: int,
        most: int,
        tell: Callable[[float], Awaitable[object]],
    ) -> Sequence[Turn]:
        self.asked.append((len(recording), least, most))
        for share in (0.5, 1.0):
            await tell(share)
        return self.told


class FakeEncoder:
    """An encoder that looks at one recording at a time."""

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        raise NotImplementedError

    async def embed_windows(
        self, windows: NDArray[np.float32], urgency: Urgency = Urgency.PARTIAL
    ) -> NDArray[np.float32]:
        return np.stack([await self.embed(window) for window in windows])


class OneVoice(FakeEncoder):
    """An encoder to which everybody sounds the same."""

    async def embed(self, samples: Samples) -> NDArray[np.float32]:
        return np.full(256, 1 / 16, np.float32)


class ScriptedRecognition:
    """A segment that keeps its audio and asks the script."""

    def __init__(self, engine: ScriptedEngine, language: str | None, context: str) -> None:
        self._engine, self._language, self._context = engine, language, context
        self._samples: Samples = np.empty(0, np.float32)

    @property
    def audio(self) -> Samples:
        return self._samples

    def append(self, samples: Samples) -> None:
        self._samples = np.concatenate([self._samples, samples])

    def crop(self, length: int) -> None:
        self._samples = self._samples[:length]

    def split(self, length: int) -> ScriptedRecognition:
        rest = ScriptedRecognition(self._engine, self._language, self._context)
        rest.append(self._samples[length:])
        self.crop(length)
        return rest

    async def hypothesis(self, urgency: Urgency, committed: str = "") -> Hypothesis:
        asked = Asked(self._samples, self._language, self._context, urgency, committed)
        self._engine.asked.append(asked)
        return await self._engine.script(asked)

    def close(self) -> None:
        self._samples = np.empty(0, np.float32)


def pitch_embedding(window: Samples) -> NDArray[np.float32]:
    """A unit vector of 256 bands of the spectrum; tones in two bands are two voices.

    As with real voices, two have a similarity of 0.5, and a window with both is like either.
    """
    bands = np.abs(np.fft.rfft(window))[:-1].reshape(256, -1).sum(axis=1)
    embedding = bands / (np.linalg.norm(bands) + 1e-6) + 1 / 16
    unit: NDArray[np.float32] = (embedding / np.linalg.norm(embedding)).astype(np.float32)
    return unit


def tone(seconds: float, amplitude: float = 0.3, hertz: float = 440) -> bytes:
    """A tone, PCM16 at 16 kHz: speech to `LoudnessDetector`."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (amplitude * 32767 * np.sin(2 * np.pi * hertz * time)).astype("<i2").tobytes()


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
