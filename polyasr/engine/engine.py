"""The engine: the units of models, as the pipeline and the server use them, and how they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr import checkpoint
from polyasr.engine import memory
from polyasr.engine.alignment import ModelAligner
from polyasr.engine.backend import Decoding
from polyasr.engine.diarization import ModelDiarizer
from polyasr.engine.inference import described, inference
from polyasr.engine.packing import Packing
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.engine.thread import ModelThread
from polyasr.engine.translation import Translator
from polyasr.engine.units import ModelUnits, NotLoaded, Recipe
from polyasr.engine.voices import ResemblyzerEncoder
from polyasr.errors import InferenceFailed, PolyasrError
from polyasr.health import EngineStatus, Residency
from polyasr.pipeline.types import Hypothesis, Recognition, SpeechDetector, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import TINY, Settings

if TYPE_CHECKING:
    from polyasr.engine.qwen_aligner import QwenAligner
    from polyasr.engine.qwen_torch import QwenTorch
    from polyasr.engine.silero import Silero, SileroDetector

log = logging.getLogger(__name__)

ALIGNER_LONGEST, TINY_ALIGNER_LONGEST = 300 * SAMPLE_RATE, 10 * SAMPLE_RATE
"""Samples that an aligner is good at when it gets them at once: Qwen's own by its makers, and the
bundled one by measurement."""
PROBE_EVERY = 120.0
"""Seconds without a success after which a probe looks whether recognition still works."""


Timed = Callable[[Urgency], AbstractContextManager[None]]


def _untimed(_: Urgency) -> AbstractContextManager[None]:
    return nullcontext()


class SpeechEngine:
    """The models behind `pipeline.types.Engine`. What is large runs on the one model thread.

    What is large comes and goes as units. The speech detector and the voice encoder are some MB on
    the CPU, serve several units, and stay. The detector has a thread of its own, so that it never
    waits for a pass of the model nor the model for it.
    """

    def __init__(
        self,
        settings: Settings,
        thread: ModelThread,
        detection: ModelThread,
        timed: Timed = _untimed,
    ) -> None:
        """``detection`` runs the speech detector. ``timed`` goes around each decode, from asking
        for it."""
        self._settings, self._thread, self._timed = settings, thread, timed
        self._detection = detection
        self._units = ModelUnits(
            thread,
            idle_evict_seconds=settings.idle_evict_seconds,
            coload=settings.coload,
            load_timeout_sec=settings.load_timeout_sec,
        )
        self._asr = self._units.add(
            Recipe("asr", settings.model, self._prepare_asr, self._forget_segments)
        )
        self._aligner = ModelAligner(
            thread,
            self._units.add(Recipe("align", settings.aligner_model, self._prepare_aligner)),
            partial(checkpoint.weights_present, settings, checkpoint.ALIGNER),
            TINY_ALIGNER_LONGEST if settings.aligner_model == TINY else ALIGNER_LONGEST,
            settings.coload,
        )
        self._packing = Packing(thread)
        self._segments: WeakSet[SegmentState] = WeakSet()
        self._last_ok: float | None = None
        self._last_error: str | None = None
        self._silero: Silero | None = None
        self._silero_lock = threading.Lock()
        self._voices = ResemblyzerEncoder(thread)
        self._diarizer = (
            ModelDiarizer(settings, thread, self._units) if settings.diarize_model else None
        )
        self._translator = (
            Translator(settings, thread, self._units, self) if settings.translate_model else None
        )

    async def ready(self) -> None:
        """Wait until the recognizer is loaded; counts as a use. Raises ModelUnavailable."""
        await self._asr.load()

    def pinned(self) -> AbstractContextManager[None]:
        """Keep the recognizer in memory, once it is there, for the length of the block."""
        return self._asr.pin()

    def open_detector(self) -> SpeechDetector:
        """A speech detector for one stream, which is going to be recognized."""
        return _StreamDetector(self._detection, self._network_beside_recognizer)

    def open_listener(self) -> SpeechDetector:
        """A speech detector for one stream that nobody recognizes."""
        return _StreamDetector(
            self._detection, lambda: self._detection.run(Urgency.DETECT, self._network)
        )

    async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voices in windows of 1.6 s, as `ResemblyzerEncoder.embed_windows`."""
        return await self._voices.embed_windows(windows, Urgency.BATCH)

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        """An empty segment."""
        return SegmentRecognition(self._decode, language, context)

    @property
    def speaker_encoder(self) -> ResemblyzerEncoder:
        """The encoder of voices."""
        return self._voices

    @property
    def word_aligner(self) -> ModelAligner:
        """What tells where the words of a text are."""
        return self._aligner

    @property
    def diarizer(self) -> ModelDiarizer | None:
        """What tells speakers apart, None where the settings name no model for it."""
        return self._diarizer

    @property
    def translator(self) -> Translator | None:
        """What translates recordings to English, None where the settings name no model for it."""
        return self._translator

    async def unload(self) -> tuple[str, ...]:
        """Free the memory of all units now, whoever uses them; the next use loads again.

        Returns the names of those that were loaded. An open dictation loses no text.
        """
        return await self._units.unload()

    def residency(self) -> Residency:
        """Which units are in memory."""
        return self._units.residency()

    def status(self) -> EngineStatus:
        """How the engine is, without touching the models."""
        now = trio.current_time()
        qwen = self._asr.model
        return EngineStatus(
            state=self._asr.state,
            model=self._settings.model,
            backend=self._settings.backend,
            device=str(qwen.device) if qwen else self._settings.device,
            dtype=qwen.dtype if qwen else self._settings.dtype,
            reason=self._asr.failure,
            weights_present=checkpoint.weights_present(self._settings),
            last_ok_age_sec=None if self._last_ok is None else now - self._last_ok,
            last_error=self._last_error,
            memory_mb=memory.resident_mb(),
            accelerator_bytes=memory.accelerator_bytes(),
            residency=self.residency(),
        )

    async def keep_swept(self) -> None:
        """Evict units that nobody uses; runs until cancelled."""
        await self._units.keep_swept()

    async def keep_probed(self) -> None:
        """Preload if that is set, then look now and then how it is; runs until cancelled.

        What fails is kept for ``status``, which is where it is asked for.
        """
        load = self._settings.preload
        while True:
            try:
                await self._probe(load=load)
            except PolyasrError as error:
                log.warning("the probe failed: %s", error)
            load = False
            await trio.sleep(PROBE_EVERY)

    async def _probe(self, *, load: bool) -> None:
        """Recognize a second of noise where no success is fresh; any success is as good as this.

        A model that was let go stays where it is, for nobody asked for it; one that somebody asked
        for and that could not be loaded is tried again, or a server that is taken out of service
        for it would never be well again.
        """
        if load or self._asr.state == "failed":
            await self.ready()
        if self._last_ok is not None and trio.current_time() - self._last_ok < PROBE_EVERY:
            return
        begin = partial(self._begin, SegmentState(None, ""), _probe_audio(), 0, "")
        with suppress(NotLoaded):
            await self._noted(self._packing.decode(Urgency.PARTIAL, begin))

    async def _decode(
        self,
        state: SegmentState,
        samples: Samples,
        unchanged: int,
        committed: str,
        urgency: Urgency,
    ) -> Hypothesis:
        """The `Decode` of a SegmentRecognition."""
        begin = partial(self._begin, state, samples, unchanged, committed)
        with self._timed(urgency):
            return await self._noted(self._asr.use(lambda: self._packing.decode(urgency, begin)))

    def _begin(
        self, state: SegmentState, samples: Samples, unchanged: int, committed: str
    ) -> tuple[QwenTorch, Decoding]:
        """On the model thread."""
        qwen = self._asr.here()
        self._segments.add(state)
        return qwen, state.decoding(qwen, samples, unchanged, committed)

    async def _noted(self, decoding: Awaitable[Hypothesis]) -> Hypothesis:
        """Note how a decode ends. Raises InferenceFailed, ModelUnavailable or NotLoaded."""
        try:
            async with inference(self._thread, "the model"):
                hypothesis = await decoding
        except InferenceFailed as failure:
            self._last_error = described(failure.__cause__)
            raise
        self._last_ok, self._last_error = trio.current_time(), None
        return hypothesis

    def _prepare_asr(self) -> Callable[[], QwenTorch]:
        directory = checkpoint.resolve(self._settings)
        return lambda: self._load_asr(directory)

    def _load_asr(self, directory: Path) -> QwenTorch:
        """On the model thread. What a dictation needs beside it is made ready with it."""
        from polyasr.engine.qwen_torch import QwenTorch

        self._network()
        if self._settings.speaker_filter:
            self._voices.load()
        return QwenTorch.load(directory, self._settings.device, self._settings.dtype)

    def _prepare_aligner(self) -> Callable[[], QwenAligner]:
        directory = checkpoint.resolve(self._settings, checkpoint.ALIGNER)

        def load() -> QwenAligner:
            from polyasr.engine.qwen_aligner import QwenAligner

            return QwenAligner.load(directory, self._settings.device, self._settings.dtype)

        return load

    def _forget_segments(self, _: QwenTorch) -> None:
        """On the model thread: open segments let go of the model; their audio gives them anew."""
        self._packing.interrupt(NotLoaded("asr"))
        for state in self._segments:
            state.segment = None
        self._segments.clear()

    async def _network_beside_recognizer(self) -> Silero:
        """Silero's network, once the recognizer is there too: a stream that cannot be recognized
        shall fail at its first sound, and not pass for silence."""
        await self.ready()
        return await self._detection.run(Urgency.DETECT, self._network)

    def _network(self) -> Silero:
        """On either thread: Silero's network, loaded at the first use."""
        from polyasr.engine.silero import Silero

        with self._silero_lock:
            if self._silero is None:
                self._silero = Silero()
            return self._silero


class _StreamDetector:
    """A detector that comes into being with the first audio, when its network is loaded."""

    def __init__(self, thread: ModelThread, network: Callable[[], Awaitable[Silero]]) -> None:
        self._thread, self._network = thread, network
        self._detector: SileroDetector | None = None

    def fork(self) -> _StreamDetector:
        fork = _StreamDetector(self._thread, self._network)
        fork._detector = None if self._detector is None else self._detector.fork()
        return fork

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        async with inference(self._thread, "the speech detector"):
            if self._detector is None:
                network = await self._network()
                from polyasr.engine.silero import SileroDetector

                self._detector = SileroDetector(self._thread, network)
            return await self._detector.probabilities(windows)


@asynccontextmanager
async def open_engine(settings: Settings, timed: Timed = _untimed) -> AsyncIterator[SpeechEngine]:
    """The engine and its thread; with ``settings.preload`` the models load in the background.

    ``timed`` goes around each decode.
    """
    thread, detection = ModelThread(), ModelThread("polyasr-detector")
    try:
        async with trio.open_nursery() as nursery:
            engine = SpeechEngine(settings, thread, detection, timed)
            nursery.start_soon(engine.keep_swept)
            nursery.start_soon(engine.keep_probed)
            yield engine
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.close)
            await trio.to_thread.run_sync(detection.close)


def _probe_audio() -> Samples:
    """One second of faint noise, the same each time."""
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE) * 1e-3
    return noise.astype(np.float32)
