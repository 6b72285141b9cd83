"""Units of models: loaded at their first use, in memory while they are used, then let go.

A unit is what is loaded and freed together: ``asr`` is one. Its model is read and written on the
model thread alone, so that no job finds it half gone; all else lives on the event loop.

A pinned unit, one in use, is never evicted: not because time has passed, and not to make room for
another. An operator's ``unload`` is obeyed all the same; whoever uses the unit then loads it again.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import trio

from polyasr.engine import memory
from polyasr.engine.thread import ModelThread
from polyasr.errors import ModelUnavailable
from polyasr.health import Residency, UnitState, UnitStatus
from polyasr.pipeline.types import Urgency

log = logging.getLogger(__name__)

M = TypeVar("M")
T = TypeVar("T")

RETRY_LOAD_AFTER = 10.0
"""Seconds for which a failed load answers for the next; loading again costs seconds of work."""
SWEEP_EVERY = 5.0
"""Seconds by which an eviction may be late."""


class NotLoaded(Exception):
    """The unit's model is not in memory, or no longer."""


def _nothing(_: object) -> None:
    """What there is to cut where nothing outside a unit refers to its model."""


@dataclass(frozen=True, slots=True)
class Recipe(Generic[M]):
    """How a unit comes and goes.

    ``model`` is what error messages call it. ``prepare`` finds and checks the files, or downloads
    them, on a worker thread and for as long as that takes; what it returns then loads them on the
    model thread. Both may raise ModelUnavailable. ``cut``, on the model thread, makes all that
    outlives the unit let go of its model.
    """

    name: str
    model: str
    prepare: Callable[[], Callable[[], M]]
    cut: Callable[[M], None] = _nothing


class Unit(Generic[M]):
    """One unit of a `ModelUnits`."""

    def __init__(self, recipe: Recipe[M], owner: ModelUnits) -> None:
        self._recipe, self._owner = recipe, owner
        self._loading = trio.Lock()
        self._model: M | None = None
        self._failure: tuple[str, float] | None = None
        self._used_at = trio.current_time()
        self._pins = 0
        self.evictions = 0
        """How often it was let go."""

    @property
    def name(self) -> str:
        """The unit's name."""
        return self._recipe.name

    @property
    def model(self) -> M | None:
        """The model if it is in memory, to be looked at and not kept; counts as no use."""
        return self._model

    @property
    def pinned(self) -> bool:
        """Whether it is in use."""
        return self._pins > 0

    @property
    def state(self) -> UnitState:
        """Where it stands."""
        if self._model is not None:
            return "ready"
        if self._loading.locked():
            return "loading"
        return "failed" if self._failure else "idle"

    @property
    def failure(self) -> str:
        """Why the last load failed, "" unless the state is ``failed``."""
        return self._failure[0] if self._failure and self.state == "failed" else ""

    def idle_for(self) -> float:
        """Seconds since the last use ended, 0 while there is one."""
        return 0.0 if self._pins else trio.current_time() - self._used_at

    @contextmanager
    def pin(self) -> Iterator[None]:
        """Be using the unit for the length of the block. Loads nothing."""
        self._pins += 1
        try:
            yield
        finally:
            self._pins -= 1
            self._used_at = trio.current_time()
            self._owner.changed.unpark_all()

    async def load(self) -> None:
        """Wait until the model is in memory; the first to ask loads it. Raises ModelUnavailable."""
        with self.pin():
            await self._ensure()

    async def run(self, urgency: int, work: Callable[[M], T]) -> T:
        """Run ``work`` with the model on the model thread; loads it if need be.

        What ``work`` returns and keeps must not refer to the model, or `Recipe.cut` knows of it.
        Raises ModelUnavailable, and what ``work`` does.
        """
        return await self.use(lambda: self.run_if_loaded(urgency, work))

    async def use(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do ``work``, whose jobs on the model thread take the model from `here`.

        As often as it takes: where an unload comes between them, NotLoaded begins it anew.
        """
        with self.pin():
            while True:
                await self._ensure()
                with suppress(NotLoaded):
                    return await work()

    async def run_if_loaded(self, urgency: int, work: Callable[[M], T]) -> T:
        """As ``run``, but counts as no use and brings nothing back: raises NotLoaded."""
        return await self._owner.thread.run(urgency, lambda: work(self.here()))

    def here(self) -> M:
        """The model, on the model thread and for the length of one job. Raises NotLoaded."""
        if self._model is None:
            raise NotLoaded(self.name)
        return self._model

    async def free(self, *, even_pinned: bool = False) -> bool:
        """Let the model go and give its memory back; whether there was one to let go."""
        freed = await self._owner.thread.run(Urgency.FINAL, lambda: self._free_here(even_pinned))
        self._owner.changed.unpark_all()
        return freed

    def _free_here(self, even_pinned: bool) -> bool:
        if self._model is None or (self.pinned and not even_pinned):
            return False
        self._recipe.cut(self._model)
        self._model = None
        self.evictions += 1
        memory.release()
        return True

    async def _ensure(self) -> None:
        async with self._loading:
            if self._model is not None:
                return
            if self._failure is not None:
                message, failed_at = self._failure
                if trio.current_time() - failed_at < RETRY_LOAD_AFTER:
                    raise ModelUnavailable(message)
            self._failure = None
            message = await self._try_to_load()
            if message:
                self._failure = (message, trio.current_time())
                raise ModelUnavailable(message)

    async def _try_to_load(self) -> str:
        """Load; returns why it failed, or ""."""
        try:
            await self._load()
        except ModelUnavailable as error:
            return str(error)
        except Exception as error:
            log.exception("loading %s failed", self._recipe.model)
            return f"{self._recipe.model} cannot be loaded: {type(error).__name__}: {error}"
        return ""

    async def _load(self) -> None:
        load = await trio.to_thread.run_sync(self._recipe.prepare, abandon_on_cancel=True)
        log.info("loading %s: %s", self.name, self._recipe.model)
        with trio.move_on_after(self._owner.load_timeout_sec) as deadline:
            async with self._owner.room_for(self):
                await self._owner.thread.run(Urgency.FINAL, lambda: self._load_here(load))
        if deadline.cancelled_caught:
            raise ModelUnavailable(
                f"{self._recipe.model} did not load within {self._owner.load_timeout_sec:g} s"
                f"{self._owner.in_the_way(self)}; POLYASR_LOAD_TIMEOUT_SEC allows more"
            )

    def _load_here(self, load: Callable[[], M]) -> None:
        """On the model thread. One that nobody waited for to its end may be there by now."""
        if self._model is not None:
            return
        try:
            self._model = load()
        except Exception as error:
            memory.forget_frames(error)  # which hold what has been loaded of it
            memory.release()
            raise


class ModelUnits:
    """All units of the process: who stays in memory and who goes.

    ``idle_evict_seconds`` without a use end a unit's stay, 0: never. Without ``coload`` one unit is
    in memory at a time: another waits until nobody uses that one, for ``load_timeout_sec`` in all.
    """

    def __init__(
        self,
        thread: ModelThread,
        *,
        idle_evict_seconds: float,
        coload: bool,
        load_timeout_sec: float,
    ) -> None:
        self.thread, self.load_timeout_sec = thread, load_timeout_sec
        self.changed = trio.lowlevel.ParkingLot()
        """Where they wait who need a unit to be let go, by its users or from memory."""
        self._idle_evict_seconds, self._coload = idle_evict_seconds, coload
        self._units: list[Unit[Any]] = []
        self._turn = trio.Lock()

    def add(self, recipe: Recipe[M]) -> Unit[M]:
        """A unit, not loaded yet."""
        unit = Unit(recipe, self)
        self._units.append(unit)
        return unit

    async def keep_swept(self) -> None:
        """Evict what is idle, again and again; runs until cancelled."""
        if self._idle_evict_seconds:
            while True:
                await trio.sleep(min(SWEEP_EVERY, self._idle_evict_seconds))
                await self.evict_idle()

    async def evict_idle(self) -> None:
        """Free the units that nobody has used for long enough."""
        for unit in self._resident():
            if unit.idle_for() >= self._idle_evict_seconds and await unit.free():
                log.info("evicted %s: not used for %g s", unit.name, self._idle_evict_seconds)

    async def unload(self) -> tuple[str, ...]:
        """Free all units now, those in use as well; returns the names of those that were loaded.

        A load that is under way has been asked for, and goes on.
        """
        freed = [unit.name for unit in self._resident() if await unit.free(even_pinned=True)]
        log.info("unloaded %s", ", ".join(freed) or "nothing")
        return tuple(freed)

    def residency(self) -> Residency:
        """Who is in memory."""
        units = tuple(
            UnitStatus(
                name=unit.name,
                state=unit.state,
                in_use=unit.pinned,
                idle_for=unit.idle_for() if unit.model is not None else None,
                evictions=unit.evictions,
            )
            for unit in self._units
        )
        return Residency(self._idle_evict_seconds, units)

    @asynccontextmanager
    async def room_for(self, unit: Unit[Any]) -> AsyncIterator[None]:
        """The turn to load ``unit``, once there is room for it."""
        async with self._turn:
            while others := self._others_in_memory(unit):
                idle = [other for other in others if not other.pinned]
                for other in idle:
                    await other.free()
                if not idle:
                    await self.changed.park()
            yield

    def in_the_way(self, unit: Unit[Any]) -> str:
        """What a message says of the units that leave ``unit`` no room; "" when there is room."""
        names = ", ".join(other.name for other in self._others_in_memory(unit))
        return f", because {names} is in use and POLYASR_COLOAD is 0" if names else ""

    def _others_in_memory(self, unit: Unit[Any]) -> list[Unit[Any]]:
        return [] if self._coload else [other for other in self._resident() if other is not unit]

    def _resident(self) -> list[Unit[Any]]:
        return [unit for unit in self._units if unit.model is not None]
