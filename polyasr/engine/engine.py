"""The engine: loads the models, hands them to the pipeline, and knows how they are."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr import checkpoint
from polyasr.engine.incremental import IncrementalSegment
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.engine.thread import ModelThread
from polyasr.engine.voices import ResemblyzerEncoder
from polyasr.errors import InferenceFailed, ModelUnavailable, PolyasrError
from polyasr.health import EngineStatus
from polyasr.pipeline.types import Hypothesis, Recognition, SpeechDetector, Urgency
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings

if TYPE_CHECKING:
    from polyasr.engine.qwen_torch import QwenTorch
    from polyasr.engine.silero import SileroDetector

log = logging.getLogger(__name__)

PROBE_EVERY = 120.0
"""Seconds without a success after which a probe looks whether recognition still works."""
RETRY_LOAD_AFTER = 10.0
"""Seconds for which a failed load answers for the next; loading again costs seconds of work."""


@dataclass(frozen=True, slots=True)
class Models:
    """What is loaded."""

    silero: Any
    qwen: QwenTorch


class SpeechEngine:
    """The models behind `pipeline.types.Engine`. All model work runs on its one thread."""

    def __init__(self, settings: Settings, thread: ModelThread) -> None:
        self._settings, self._thread = settings, thread
        self._loading = trio.Lock()
        self._models: Models | None = None
        self._failure: tuple[ModelUnavailable, float] | None = None
        self._last_ok: float | None = None
        self._last_error: str | None = None
        self._voices = ResemblyzerEncoder(thread)

    async def ready(self) -> None:
        """Wait until the models are loaded. Raises ModelUnavailable."""
        await self.models()

    async def models(self) -> Models:
        """The loaded models; the first caller loads them, the others wait for it.

        Raises ModelUnavailable when they cannot be found or loaded in time.
        """
        async with self._loading:
            if self._models is not None:
                return self._models
            if self._failure is not None:
                error, failed_at = self._failure
                if trio.current_time() - failed_at < RETRY_LOAD_AFTER:
                    raise error
            try:
                self._models = await self._load()
            except ModelUnavailable as error:
                self._failure = (error, trio.current_time())
                raise
            self._failure = None
            return self._models

    def open_detector(self) -> SpeechDetector:
        """A speech detector for one stream."""
        return _StreamDetector(self, self._thread)

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        """An empty segment."""
        return SegmentRecognition(self._decode, language, context)

    @property
    def speaker_encoder(self) -> ResemblyzerEncoder:
        """The encoder of voices."""
        return self._voices

    def status(self) -> EngineStatus:
        """How the engine is, without touching the models."""
        now = trio.current_time()
        qwen = self._models.qwen if self._models else None
        return EngineStatus(
            state=self._state(),
            model=self._settings.model,
            backend=self._settings.backend,
            device=str(qwen.device) if qwen else self._settings.device,
            dtype=str(qwen.dtype).removeprefix("torch.") if qwen else self._settings.dtype,
            reason=str(self._failure[0]) if self._failure else "",
            weights_present=checkpoint.weights_present(self._settings),
            last_ok_age_sec=None if self._last_ok is None else now - self._last_ok,
            last_error=self._last_error,
            memory_mb=_resident_mb(),
        )

    async def keep_probed(self) -> None:
        """Load the models, then look now and then whether recognition works; runs until cancelled.

        What fails is kept for ``status``, which is where it is asked for.
        """
        while True:
            idle = 0.0 if self._last_ok is None else trio.current_time() - self._last_ok
            if self._last_ok is not None and idle < PROBE_EVERY:
                await trio.sleep(PROBE_EVERY - idle)
                continue
            try:
                await self._decode(SegmentState(None, ""), _probe_audio(), 0, Urgency.PARTIAL)
            except PolyasrError as error:
                log.warning("the probe failed: %s", error)
                await trio.sleep(PROBE_EVERY)

    async def _decode(
        self, state: SegmentState, samples: Samples, unchanged: int, urgency: Urgency
    ) -> Hypothesis:
        qwen = (await self.models()).qwen

        def work() -> Hypothesis:
            if state.segment is None:
                state.segment = IncrementalSegment(qwen, state.language, state.context)
            return state.segment.decode(samples, unchanged)

        try:
            hypothesis = await self._thread.run(urgency, work)
        except Exception as error:
            self._last_error = f"{type(error).__name__}: {error}"
            log.exception("recognition failed")
            raise InferenceFailed(
                f"the model failed on this audio ({self._last_error}); "
                "the server's log says more, and /health whether it recovered"
            ) from error
        self._last_ok, self._last_error = trio.current_time(), None
        return hypothesis

    async def _load(self) -> Models:
        directory = await trio.to_thread.run_sync(checkpoint.resolve, self._settings)
        log.info("loading %s", directory)
        with trio.move_on_after(self._settings.load_timeout_sec):
            try:
                return await self._thread.run(Urgency.FINAL, lambda: self._load_here(directory))
            except ModelUnavailable:
                raise
            except Exception as error:
                raise ModelUnavailable(
                    f"{self._settings.model} cannot be loaded: {type(error).__name__}: {error}"
                ) from error
        raise ModelUnavailable(
            f"{self._settings.model} did not load within {self._settings.load_timeout_sec:g} s; "
            "POLYASR_LOAD_TIMEOUT_SEC allows more"
        )

    def _load_here(self, directory: Path) -> Models:
        """On the model thread."""
        from polyasr.engine.qwen_torch import QwenTorch
        from polyasr.engine.silero import load_silero

        qwen = QwenTorch.load(directory, self._settings.device, self._settings.dtype)
        if self._settings.speaker_filter:
            self._voices.load()
        return Models(silero=load_silero(), qwen=qwen)

    def _state(self) -> Any:
        if self._models is not None:
            return "ready"
        if self._loading.locked():
            return "loading"
        return "failed" if self._failure else "idle"


class _StreamDetector:
    """A detector that comes into being with the first audio, when the models are loaded."""

    def __init__(self, engine: SpeechEngine, thread: ModelThread) -> None:
        self._engine, self._thread = engine, thread
        self._detector: SileroDetector | None = None

    async def probabilities(self, windows: NDArray[np.float32]) -> Sequence[float]:
        if self._detector is None:
            silero = (await self._engine.models()).silero
            from polyasr.engine.silero import SileroDetector

            self._detector = SileroDetector(self._thread, silero)
        return await self._detector.probabilities(windows)


@asynccontextmanager
async def open_engine(settings: Settings) -> AsyncIterator[SpeechEngine]:
    """The engine and its thread; with ``settings.preload`` the models load in the background."""
    thread = ModelThread()
    try:
        async with trio.open_nursery() as nursery:
            engine = SpeechEngine(settings, thread)
            if settings.preload:
                nursery.start_soon(engine.keep_probed)
            yield engine
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.close)


def _probe_audio() -> Samples:
    """One second of faint noise, the same each time."""
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE) * 1e-3
    return noise.astype(np.float32)


def _resident_mb() -> float | None:
    """Resident memory in MB where the system tells it (Linux)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    import resource

    return pages * resource.getpagesize() / 1e6
