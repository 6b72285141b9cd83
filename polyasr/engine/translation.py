"""The unit `translate` as the pipeline sees it: a recognizer whose texts are in English."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from polyasr import checkpoint
from polyasr.engine.inference import inference
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.engine.thread import ModelThread
from polyasr.engine.units import ModelUnits, NotLoaded, Recipe
from polyasr.pipeline.types import (
    Hypothesis,
    Recognition,
    SpeechDetector,
    Urgency,
    VoiceEngine,
)
from polyasr.samples import Samples
from polyasr.settings import Settings

if TYPE_CHECKING:
    from polyasr.engine.whisper import Translating, WhisperTorch


class Translator:
    """A `pipeline.types.Recognizer` over Whisper, a unit of its own; not for dictations.

    All its work has the lowest urgency and comes in slices, so that a dictation waits for one
    layer, or one token, at the most.
    """

    def __init__(
        self,
        settings: Settings,
        thread: ModelThread,
        units: ModelUnits,
        voices: VoiceEngine,
    ) -> None:
        self._settings, self._thread, self._voices = settings, thread, voices
        self._under_way: WeakSet[Translating] = WeakSet()
        self._unit = units.add(
            Recipe("translate", settings.translate_model, self._prepare, self._give_up)
        )

    async def ready(self) -> None:
        """Wait until the model is loaded; counts as a use. Raises ModelUnavailable."""
        await self._unit.load()

    def pinned(self) -> AbstractContextManager[None]:
        """Keep the model in memory, once it is there, for the length of the block."""
        return self._unit.pin()

    def open_detector(self) -> SpeechDetector:
        """A speech detector for one stream."""
        return self._voices.open_listener()

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        """An empty segment. ``language``: what is spoken, or None to let the model tell."""
        return SegmentRecognition(self._decode, language, context)

    async def _decode(
        self,
        state: SegmentState,
        samples: Samples,
        unchanged: int,
        committed: str,
        urgency: Urgency,
    ) -> Hypothesis:
        """The `Decode` of a SegmentRecognition; each is done from the beginning."""
        async with inference(self._thread, "the translation model"):
            return await self._unit.use(lambda: self._translate(state, samples))

    async def _translate(self, state: SegmentState, samples: Samples) -> Hypothesis:
        """Slice by slice. Raises NotLoaded when the model is freed between two."""

        def begin() -> Translating:
            translating = self._unit.here().translating(samples, state.language, state.context)
            self._under_way.add(translating)
            return translating

        def proceed() -> Hypothesis | None:
            if translating not in self._under_way:
                raise NotLoaded(self._unit.name)
            try:
                next(translating)
            except StopIteration as done:
                hypothesis: Hypothesis = done.value
                return hypothesis
            return None

        if not len(samples):
            return Hypothesis(text="", language="")
        translating = await self._thread.run(Urgency.BATCH, begin)
        while (hypothesis := await self._thread.run(Urgency.BATCH, proceed)) is None:
            pass
        return hypothesis

    def _prepare(self) -> Callable[[], WhisperTorch]:
        directory = checkpoint.resolve(self._settings, checkpoint.TRANSLATOR)
        return lambda: self._load(directory)

    def _load(self, directory: Path) -> WhisperTorch:
        """On the model thread. 8 bits are for the recognizer; its other parts are bfloat16 then."""
        from polyasr.engine.whisper import WhisperTorch

        dtype = "bfloat16" if self._settings.dtype == "int8" else self._settings.dtype
        return WhisperTorch.load(directory, self._settings.device, dtype)

    def _give_up(self, _: WhisperTorch) -> None:
        """On the model thread: what is under way holds the model no longer."""
        for translating in list(self._under_way):
            translating.close()
        self._under_way.clear()
