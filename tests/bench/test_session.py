"""The runs of one call, the search for the capacity, and what is written of them."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest
import trio
from trio.testing import MockClock

from bench.adapters.port import Adapter, StreamFailed
from bench.dictation import command, results, session
from bench.dictation.drive import Pace
from bench.dictation.observed import Heard
from bench.dictation.processes import metered, server_of, slope
from bench.dictation.ramp import ramp
from bench.dictation.results import Objective, Run
from bench.dictation.session import Plan, Session, System
from bench.dictation.tables import report
from bench.documents import BadResult
from bench.results import Host
from tests.bench.scripted_server import Line, ScriptedServer, clip, final

CLIPS = [clip("one two three four", name=name) for name in "ab"]
SPOKEN = (("One", 1.1), ("One two", 1.6), ("One two three", 2.1), ("One two three four", 2.6))
ON_TIME = [Line(at, Heard(text, text)) for text, at in SPOKEN]
ON_TIME += [final("One two three four")]
SCRIPT = [Line(1.1, Heard("One", "One")), final("One two three")]


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Plan]:
    """A plan for scripted servers."""

    def plan(server: Adapter, **changes: Any) -> Plan:
        adapters = MappingProxyType({"scripted": lambda url, key: server})
        monkeypatch.setattr(session, "ADAPTERS", adapters)
        given: dict[str, Any] = {
            "systems": [System(name, "scripted", "ws://nowhere.example") for name in "xy"],
            "corpora": {"2x0": CLIPS},
            "rounds": [("2x0", 1), ("2x0", 2)],
            "networks": ["none"],
            "pace": Pace(),
            "seed": 0,
            "key": None,
            "cold": CLIPS[0],
            "batch": True,
        }
        return Plan(**given | changes)

    return plan


def silent(text: str) -> None:
    pass


def result(runs: tuple[Run, ...], **changes: Any) -> results.DictationResult:
    given: dict[str, Any] = {
        "date": "2026-11-21T12:00:00+00:00",
        "host": Host("Linux x86_64", "A CPU", 2, 16, None),
        "commit": None,
        "packages": {"python": "3.11.7"},
        "settings": {"timeout": 10.0, "paced": True, "seed": 0},
        "corpora": {"2x0": "0123456789abcdef"},
        "runs": runs,
        "capacities": (),
    }
    return results.DictationResult(**given | changes)


@pytest.mark.parametrize(("control", "adapter"), [(1, "polyasr1"), (2, "polyasr2"), (3, "polyasr")])
async def test_the_own_server_is_asked_for_the_control_that_is_wanted(
    control: int, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def open_server(**_: str) -> AsyncIterator[str]:
        yield "http://127.0.0.1:1"

    monkeypatch.setattr(command, "open_server", open_server)
    arguments = argparse.Namespace(systems=[], setting=[], control=control)
    async with command._systems(arguments, lambda _: None) as systems:
        assert systems == [System(adapter, adapter, "ws://127.0.0.1:1/ws/transcribe")]


async def test_systems_take_turns_and_the_first_clip_is_cold(
    autojump_clock: MockClock, planned: Callable[..., Plan]
) -> None:
    plan = planned(ScriptedServer(SCRIPT, batch_text="one two three four"))
    runs = await Session(plan, silent, silent).rounds()
    assert [(run.system, run.streams) for run in runs] == [("x", 1), ("y", 1), ("x", 2), ("y", 2)]
    assert [run.cold is not None for run in runs] == [True, True, False, False]
    assert runs[0].seconds == pytest.approx(2 * 3.2)
    assert runs[2].seconds < 3.2 + 1
    assert runs[0].described == {"model": "script"}
    assert [each.clip for each in runs[0].figures] == ["a", "b"]
    errors = runs[0].figures[0].batch_word_errors
    assert errors is not None and errors.wrong == 0
    assert runs[0].usage is None


async def test_a_result_is_read_as_it_was_written_and_told_in_tables(
    autojump_clock: MockClock, planned: Callable[..., Plan], tmp_path: Path
) -> None:
    told = Session(planned(ScriptedServer(SCRIPT)), silent, silent)
    whole = result(await told.rounds(), capacities=await told.capacities("2x0", Objective(), 2))
    results.write(whole, tmp_path / "a.json")
    assert results.read(tmp_path / "a.json") == whole
    text = report(whole)
    assert "| x | 2x0 × 1 | none | 0.60 / 0.60 / 0.60 |" in text
    assert "x holds 0 streams" in text  # a word that stands only with the final is late
    (tmp_path / "b.json").write_text('{"schema": 1, "kind": "dictation"}')
    with pytest.raises(BadResult, match="not a whole result"):
        results.read(tmp_path / "b.json")
    (tmp_path / "b.json").write_text('{"schema": 0, "kind": "dictation"}')
    with pytest.raises(BadResult, match="has schema 0"):
        results.read(tmp_path / "b.json")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(BadResult, match="not a result of `python -m bench dictation`"):
        results.read(tmp_path / "b.json")


async def test_a_server_without_batch_is_measured_all_the_same(
    autojump_clock: MockClock, planned: Callable[..., Plan]
) -> None:
    class WithoutBatch(ScriptedServer):
        async def batch(self, pcm16: bytes, language: str) -> str | None:
            raise StreamFailed("404")

    warnings: list[str] = []
    plan = planned(WithoutBatch(SCRIPT), rounds=[("2x0", 1)])
    runs = await Session(plan, silent, warnings.append).rounds()
    assert [figures.batch_word_errors for figures in runs[0].figures] == [None, None]
    told = [warning for warning in warnings if "as a whole" in warning]
    why = "has no text of a as a whole: 404"
    assert told == [f"x {why}", f"y {why}"]  # which is not told again of b


@pytest.mark.parametrize("limit", [0, 1, 3, 16, 37, 64])
async def test_the_ramp_finds_what_a_server_holds(
    limit: int, autojump_clock: MockClock, planned: Callable[..., Plan]
) -> None:
    tried: list[int] = []

    async def measure(n_streams: int) -> Run:
        tried.append(n_streams)
        plan = planned(ScriptedServer(ON_TIME if n_streams <= limit else SCRIPT))
        system = plan.systems[0]
        return await Session(plan, silent, silent).run(system, "2x0", n_streams, "none")

    capacity = await ramp(measure, "x", Objective(), 64)
    assert limit - limit // 8 <= capacity.streams <= limit
    assert [run.streams for run in capacity.runs] == sorted(tried)
    assert len(tried) == len(set(tried)) <= 10


async def test_what_a_process_uses_is_metered() -> None:
    began = time.process_time()
    async with metered(psutil.Process()) as meter:
        while time.process_time() - began < 0.1:
            pass
        held = bytearray(b"x") * 50_000_000
    assert meter.usage is not None
    assert 0.05 < meter.usage.cpu < 10
    assert meter.usage.peak - meter.usage.rest > len(held) / 1e6 - 10
    assert meter.usage.slope is None


async def test_the_server_is_found_by_its_port() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener:
        found = server_of(f"ws://127.0.0.1:{port}/asr")
    assert found is not None and found.is_running()
    assert server_of(f"ws://192.0.2.1:{port}/asr") is None


def test_growth_is_in_megabytes_a_minute() -> None:
    assert slope([(second, 100 + second / 6) for second in range(121)]) == pytest.approx(10)
    assert slope([(0.0, 100.0), (59.0, 200.0)]) is None


@pytest.mark.parametrize(
    ("text", "system"),
    [
        ("ws://h:1/ws", System("polyasr", "polyasr", "ws://h:1/ws")),
        ("vllm@ws://h:1/v1", System("vllm", "vllm", "ws://h:1/v1")),
        ("mine=polyasr2@ws://h:1/ws", System("mine", "polyasr2", "ws://h:1/ws")),
    ],
)
def test_a_system_is_a_name_an_adapter_and_an_address(text: str, system: System) -> None:
    assert System.parse(text) == system


@pytest.mark.parametrize("text", ["nobody@ws://h", "polyasr@h:1", ""])
def test_a_system_that_cannot_be_spoken_to_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (adapter|address)"):
        System.parse(text)
