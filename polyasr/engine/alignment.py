"""The unit that times words, as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from polyasr.engine.inference import inference
from polyasr.engine.thread import ModelThread
from polyasr.engine.units import Unit
from polyasr.errors import ModelUnavailable
from polyasr.pipeline.types import Urgency, Word
from polyasr.samples import Samples

if TYPE_CHECKING:
    from polyasr.engine.qwen_aligner import QwenAligner


class ModelAligner:
    """The `WordAligner` of a unit. Its work goes in slices, each a job of the lowest urgency, so
    that a dictation waits for one of them at the most."""

    def __init__(
        self,
        thread: ModelThread,
        unit: Unit[QwenAligner],
        present: Callable[[], bool],
        longest: int,
        coload: bool,
    ) -> None:
        """``present`` looks whether the unit's files are on this machine; ``coload``: whether it
        may be in memory beside others."""
        self._thread, self._unit, self._present = thread, unit, present
        self._longest, self._coload = longest, coload

    @property
    def present(self) -> bool:
        """Whether its files are on this machine, so that using it downloads nothing."""
        return self._unit.model is not None or self._present()

    async def ready(self) -> None:
        """Wait until it is loaded; counts as a use. Raises ModelUnavailable."""
        await self._unit.load()

    async def ready_beside_recognizer(self) -> None:
        """As ``ready``, for a dictation, which keeps the recognizer. Raises ModelUnavailable."""
        if not self._coload:
            raise ModelUnavailable(
                "a dictation with word times needs the aligner in memory beside the recognizer, "
                "and POLYASR_COLOAD is 0: set it to 1, or leave `timestamps` out"
            )
        await self.ready()

    @property
    def longest(self) -> int:
        """Samples that it is good at when it gets them at once."""
        return self._longest

    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        """As `WordAligner.align`. Where an unload comes between, it begins anew."""
        async with inference(self._thread, "the aligner"):
            return await self._unit.use(lambda: self._align(samples, text, language))

    async def _align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        run = partial(self._unit.run_if_loaded, Urgency.BATCH)
        job = await run(lambda aligner: aligner.begin(samples, text, language))
        while job.words is None:
            await run(lambda aligner: aligner.advance(job))
        return job.words
