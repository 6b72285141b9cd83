"""Segments as the engine has them, packed into shared passes, with a script for what is said."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from bench.scripted import Script, ScriptedBackend
from bench.tally import Tally
from polyasr.engine.backend import Backend, Decoding, Extend
from polyasr.engine.packing import Packing
from polyasr.engine.recognition import SegmentRecognition, SegmentState
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Hypothesis, Recognition, Urgency
from polyasr.samples import SAMPLE_RATE, Samples


class ScriptedSegments:
    """The engine's way from audio to text; of each segment three tokens a second are written."""

    def __init__(self, thread: ModelThread, backend: Any, script: Script, tally: Tally) -> None:
        self._packing = Packing(thread)
        self._backend, self._script, self._tally = backend, script, tally
        self._voices: WeakKeyDictionary[SegmentState, _Voice] = WeakKeyDictionary()
        self._by_cache: WeakKeyDictionary[Any, _Voice] = WeakKeyDictionary()

    def open_recognition(self, *, language: str | None, context: str) -> Recognition:
        """An empty segment."""
        return SegmentRecognition(self._decode, language, context)

    async def _decode(
        self,
        state: SegmentState,
        samples: Samples,
        unchanged: int,
        committed: str,
        urgency: Urgency,
    ) -> Hypothesis:
        begin = partial(self._begin, state, samples, unchanged, committed)
        return await self._packing.decode(urgency, begin)

    def _begin(
        self, state: SegmentState, samples: Samples, unchanged: int, committed: str
    ) -> tuple[Backend[Any, Any], Decoding]:
        if state not in self._voices:
            self._voices[state] = _Voice(self._backend, self._tally, self._by_cache)
        voice = self._voices[state]
        voice.hear(self._script.answer(0, len(samples) / SAMPLE_RATE))
        return voice, state.decoding(voice, samples, unchanged, committed)


class _Voice(ScriptedBackend):
    """What one segment says, also in passes that it shares with others."""

    def __init__(
        self, backend: Any, tally: Tally, by_cache: WeakKeyDictionary[Any, _Voice]
    ) -> None:
        super().__init__(backend, tally)
        self._by_cache = by_cache

    def new_cache(self) -> Any:
        """An empty cache."""
        cache = self._backend.new_cache()
        self._by_cache[cache] = self
        return cache

    def _scripted(self, extension: Extend[Any, Any]) -> list[int]:
        return ScriptedBackend._scripted(self._by_cache[extension.cache], extension)
