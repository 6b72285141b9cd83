"""Units of models, with models that are plain objects and a clock of the test's own."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from polyasr.engine.thread import ModelThread
from polyasr.engine.units import (
    RETRY_LOAD_AFTER,
    SWEEP_EVERY,
    ModelUnits,
    NotLoaded,
    Recipe,
    Unit,
)
from polyasr.errors import ModelUnavailable

Make = Callable[..., ModelUnits]


class Model:
    """What a unit loads."""


@dataclass
class Source:
    """Where models come from: counts them, and fails or waits when it is told to."""

    name: str = "asr"
    loads: int = 0
    failure: Exception | None = None
    release: threading.Event | None = None
    made: list[weakref.ref[Model]] = field(default_factory=list)
    cut: list[Model] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe[Model]:
        return Recipe(self.name, "a model", lambda: self.load, lambda _: None)

    def load(self) -> Model:
        self.loads += 1
        if self.release is not None:
            self.release.wait(20)
        model = Model()
        self.made.append(weakref.ref(model))
        if self.failure is not None:
            raise self.failure
        return model

    def alive(self) -> int:
        gc.collect()
        return sum(reference() is not None for reference in self.made)


@pytest.fixture
def make() -> Iterator[Make]:
    thread = ModelThread()

    def units(**changes: Any) -> ModelUnits:
        settings = {"idle_evict_seconds": 180.0, "coload": True, "load_timeout_sec": 300.0}
        return ModelUnits(thread, **(settings | changes))

    yield units
    thread.close()


async def use(unit: Unit[Model]) -> bool:
    return await unit.run(0, lambda model: isinstance(model, Model))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.lowlevel.checkpoint()


async def test_the_first_use_loads_and_all_who_wait_share_that_load(make: Make) -> None:
    source = Source()
    unit = make().add(source.recipe)
    assert (unit.state, source.loads) == ("idle", 0)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(use, unit)
    assert (unit.state, source.loads) == ("ready", 1)


async def test_what_nobody_uses_is_evicted_and_comes_back_with_the_next_use(
    make: Make, mock_clock: MockClock
) -> None:
    source = Source()
    units = make()
    unit = units.add(source.recipe)
    await use(unit)
    mock_clock.jump(179)
    await units.evict_idle()
    assert source.alive() == 1
    mock_clock.jump(1)
    await units.evict_idle()
    assert (unit.state, source.alive()) == ("idle", 0)
    await use(unit)
    assert (unit.state, source.loads) == ("ready", 2)


async def test_a_use_begins_the_time_anew_and_looking_at_it_does_not(
    make: Make, mock_clock: MockClock
) -> None:
    units = make()
    unit = units.add(Source().recipe)
    await use(unit)
    mock_clock.jump(100)
    await use(unit)
    assert unit.idle_for() == 0
    mock_clock.jump(100)
    await unit.run_if_loaded(0, lambda model: None)
    units.residency()
    assert unit.idle_for() == 100
    await units.evict_idle()
    assert unit.state == "ready"


async def test_looking_at_a_unit_does_not_bring_it_back(make: Make) -> None:
    source = Source()
    unit = make().add(source.recipe)
    with pytest.raises(NotLoaded):
        await unit.run_if_loaded(0, lambda model: None)
    assert source.loads == 0


async def test_a_pinned_unit_stays_and_its_time_begins_when_it_is_let_go(
    make: Make, mock_clock: MockClock
) -> None:
    units = make()
    unit = units.add(Source().recipe)
    with unit.pin():
        await use(unit)
        mock_clock.jump(1000)
        await units.evict_idle()
        assert (unit.state, unit.idle_for()) == ("ready", 0)
    mock_clock.jump(179)
    await units.evict_idle()
    assert unit.state == "ready"


async def test_the_sweep_runs_by_itself(make: Make, mock_clock: MockClock) -> None:
    units = make(idle_evict_seconds=60.0)
    unit = units.add(Source().recipe)
    async with trio.open_nursery() as nursery:
        await use(unit)
        nursery.start_soon(units.keep_swept)
        await wait_all_tasks_blocked()
        mock_clock.jump(60 + SWEEP_EVERY)
        await until(lambda: unit.state == "idle")
        nursery.cancel_scope.cancel()


async def test_with_0_nothing_is_ever_evicted(make: Make, mock_clock: MockClock) -> None:
    units = make(idle_evict_seconds=0.0)
    unit = units.add(Source().recipe)
    await use(unit)
    mock_clock.jump(1e9)
    await units.keep_swept()
    assert unit.state == "ready"


async def test_unload_frees_all_and_names_what_was_loaded(make: Make) -> None:
    units = make()
    asr, align, idle = (Source(name) for name in ("asr", "align", "diarize"))
    first, second, _ = (units.add(source.recipe) for source in (asr, align, idle))
    await use(first)
    await use(second)
    assert await units.unload() == ("asr", "align")
    assert asr.alive() == align.alive() == 0
    assert await units.unload() == ()


async def test_unload_is_obeyed_in_the_middle_of_a_use_which_loads_again(make: Make) -> None:
    source = Source()
    units = make()
    unit = units.add(source.recipe)
    with unit.pin():
        await use(unit)
        assert await units.unload() == ("asr",)
        assert source.alive() == 0
        assert await use(unit)
    assert source.loads == 2


async def test_a_use_that_an_unload_overtakes_loads_again(make: Make) -> None:
    source = Source()
    units = make()
    unit = units.add(source.recipe)
    await use(unit)
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(20)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(units.thread.run, 0, hold)
        await until(begun.is_set)
        nursery.start_soon(units.unload)  # with the urgency of finals, so before the use
        nursery.start_soon(unit.run, 3, lambda model: None)
        await until(lambda: units.thread.queued == 2)
        release.set()
    assert (source.loads, unit.state) == (2, "ready")


async def test_what_outlives_a_unit_is_told_to_let_go(make: Make) -> None:
    held: list[Model] = []
    source = Source()

    def load() -> Model:
        held.append(source.load())
        return held[0]

    units = make()
    unit = units.add(Recipe("asr", "a model", lambda: load, lambda model: held.remove(model)))
    await use(unit)
    assert source.alive() == 1
    await units.unload()
    assert source.alive() == 0


async def test_a_failed_load_answers_for_the_next_a_while_and_keeps_nothing(
    make: Make, mock_clock: MockClock
) -> None:
    source = Source(failure=RuntimeError("no such layer"))
    unit = make().add(source.recipe)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match=r"a model cannot be loaded: .*no such layer"):
            await unit.load()
    assert (unit.state, source.loads, source.alive()) == ("failed", 1, 0)
    assert "no such layer" in unit.failure
    mock_clock.jump(RETRY_LOAD_AFTER)
    source.failure = None
    await unit.load()
    assert (unit.state, unit.failure, source.loads) == ("ready", "", 2)


async def test_a_load_that_takes_too_long_is_given_up_and_used_when_it_comes(
    make: Make, mock_clock: MockClock
) -> None:
    source = Source(release=threading.Event())
    assert source.release is not None
    units = make(load_timeout_sec=7.0)
    unit = units.add(source.recipe)
    async with trio.open_nursery() as nursery:

        async def load() -> None:
            with pytest.raises(ModelUnavailable, match=r"within 7 s; POLYASR_LOAD_TIMEOUT_SEC"):
                await unit.load()

        nursery.start_soon(load)
        await until(lambda: source.loads == 1)
        assert unit.state == "loading"
        mock_clock.jump(7)
    assert "within 7 s" in unit.failure
    source.release.set()
    await until(lambda: unit.model is not None)
    assert await use(unit)
    assert source.loads == 1


async def test_who_goes_away_does_not_take_the_load_of_the_others_with_them(make: Make) -> None:
    source = Source(release=threading.Event())
    assert source.release is not None
    unit = make().add(source.recipe)
    async with trio.open_nursery() as others:
        async with trio.open_nursery() as client:
            client.start_soon(unit.load)
            await until(lambda: source.loads == 1)
            others.start_soon(unit.load)
            await wait_all_tasks_blocked()
            client.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        source.release.set()
    assert (unit.state, source.loads) == ("ready", 1)


async def test_side_by_side_units_stay(make: Make) -> None:
    units = make()
    asr, align = (units.add(Source(name).recipe) for name in ("asr", "align"))
    await use(asr)
    await use(align)
    assert (asr.state, align.state) == ("ready", "ready")


async def test_one_at_a_time_a_unit_makes_room_for_the_next(make: Make) -> None:
    units = make(coload=False)
    first = Source()
    asr, align = units.add(first.recipe), units.add(Source("align").recipe)
    await use(asr)
    await use(align)
    assert (asr.state, align.state, first.alive()) == ("idle", "ready", 0)


async def test_one_at_a_time_a_unit_waits_until_the_other_is_not_used(make: Make) -> None:
    units = make(coload=False)
    asr, align = (units.add(Source(name).recipe) for name in ("asr", "align"))
    async with trio.open_nursery() as nursery:
        with asr.pin():
            await use(asr)
            nursery.start_soon(use, align)
            await until(lambda: len(units.changed) == 1)
            assert (asr.state, align.state) == ("ready", "loading")
    assert (asr.state, align.state) == ("idle", "ready")


async def test_one_at_a_time_a_wait_has_an_end_that_says_who_is_in_the_way(
    make: Make, mock_clock: MockClock
) -> None:
    units = make(coload=False, load_timeout_sec=30.0)
    asr, align = (units.add(Source(name).recipe) for name in ("asr", "align"))

    async def wait_for_align() -> None:
        with pytest.raises(ModelUnavailable, match=r"30 s, because asr is in use and .*COLOAD"):
            await use(align)

    with asr.pin():
        await use(asr)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait_for_align)
            await until(lambda: len(units.changed) == 1)
            mock_clock.jump(30)
        assert asr.state == "ready"


async def test_one_at_a_time_an_unload_makes_room_for_who_waits(make: Make) -> None:
    units = make(coload=False)
    asr, align = (units.add(Source(name).recipe) for name in ("asr", "align"))
    with asr.pin():
        await use(asr)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(use, align)
            await until(lambda: len(units.changed) == 1)
            assert await units.unload() == ("asr",)
        assert (asr.state, align.state) == ("idle", "ready")
        assert await use(asr)
    assert (asr.state, align.state) == ("ready", "idle")


async def test_one_at_a_time_units_that_are_asked_for_at_once_take_turns(make: Make) -> None:
    units = make(coload=False)
    asr, align = (units.add(Source(name).recipe) for name in ("asr", "align"))
    async with trio.open_nursery() as nursery:
        for unit in (asr, align, asr, align):
            nursery.start_soon(use, unit)
    assert sorted((asr.state, align.state)) == ["idle", "ready"]


async def test_the_report_tells_who_is_in_memory_and_since_when_idle(
    make: Make, mock_clock: MockClock
) -> None:
    units = make()
    asr, _ = (units.add(Source(name).recipe) for name in ("asr", "align"))
    await use(asr)
    mock_clock.jump(12.34)
    idle = {"state": "idle", "in_use": False, "idle_for": None}
    assert units.residency().body() == {
        "resident": ["asr"],
        "idle_seconds": 180.0,
        "idle_for": 12.3,
        "units": {"asr": {"state": "ready", "in_use": False, "idle_for": 12.3}, "align": idle},
    }
    await units.unload()
    assert units.residency().body() == {
        "resident": [],
        "idle_seconds": 180.0,
        "idle_for": None,
        "units": {"asr": idle, "align": idle},
    }
