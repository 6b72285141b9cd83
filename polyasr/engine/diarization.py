"""The unit `diarize`, as the pipeline sees it: there where the settings name a model for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from polyasr import checkpoint
from polyasr.engine.inference import inference
from polyasr.engine.thread import ModelThread
from polyasr.engine.units import ModelUnits, Recipe
from polyasr.pipeline.types import Turn, Urgency
from polyasr.samples import Samples
from polyasr.settings import Settings

if TYPE_CHECKING:
    from polyasr.engine.pyannote import PyannoteNetworks


class ModelDiarizer:
    """The `Diarizer` of pyannote. Each pass of its networks is a job of the lowest urgency."""

    def __init__(self, settings: Settings, thread: ModelThread, units: ModelUnits) -> None:
        self._settings, self._thread = settings, thread
        self._unit = units.add(Recipe("diarize", settings.diarize_model, self._prepare))
        self._turn = trio.Lock()

    @property
    def name(self) -> str:
        """What the settings call the model."""
        return self._settings.diarize_model

    async def ready(self) -> None:
        """Wait until it is loaded; counts as a use. Raises ModelUnavailable."""
        await self._unit.load()

    async def turns(
        self,
        recording: Samples,
        least: int,
        most: int,
        tell: Callable[[float], Awaitable[object]],
    ) -> Sequence[Turn]:
        """As `Diarizer.turns`. Where an unload comes between, it begins anew.

        One recording at a time: what a pipeline makes of a long one takes much memory.
        """
        run = partial(self._unit.run_if_loaded, Urgency.BATCH)

        def ask(work: Callable[[PyannoteNetworks], Any]) -> Any:
            return trio.from_thread.run(run, work)

        def told(share: float) -> None:
            trio.from_thread.run(tell, share)

        async def apply() -> Sequence[Turn]:
            pipeline = await run(lambda networks: networks.rest)
            return await trio.to_thread.run_sync(pipeline.apply, recording, least, most, ask, told)

        async with inference(self._thread, "the diarization model"), self._turn:
            return await self._unit.use(apply)

    def _prepare(self) -> Callable[[], PyannoteNetworks]:
        from polyasr.engine.pyannote import PyannoteNetworks, import_pyannote

        import_pyannote()
        directory: Path = checkpoint.resolve(self._settings, checkpoint.DIARIZER)
        return partial(PyannoteNetworks.load, directory, self._settings.device)
