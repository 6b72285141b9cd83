"""The measurement of many connections: that it measures, not what comes out."""

from __future__ import annotations

from array import array

import pytest

from bench.connections.client import Heard
from bench.connections.measure import Run, Usage, measure
from bench.connections.summary import summarize, table

MIB = 2**20


def test_figures_are_those_of_what_was_heard() -> None:
    at = array("d", range(100, 200))
    heard = Heard(
        acked_at=at,
        ack_latencies=array("d", [0.001] * 50 + [0.003] * 50),
        send_delays=array("d", [0.0] * 100),
        final_latencies=array("d", [0.2, 0.2]),
        partials=300,
        failures=["bench-1: no final"],
    )
    usage = Usage(
        at=at,
        cpu_sec=array("d", [second * 0.5 for second in range(100)]),
        memory_bytes=array("d", [(100 + second) * MIB for second in range(100)]),
    )
    summary = summarize(Run("polyasr", 2, 100.0, heard, usage))
    assert summary.ack_ms == pytest.approx((2.0, 3.0, 3.0))
    assert summary.drift_ms == pytest.approx(2.0)
    assert summary.final_ms == pytest.approx((200.0, 200.0, 200.0))
    assert summary.cpu == pytest.approx(0.25)
    assert summary.growth_mib_per_min == pytest.approx(60.0)
    assert (summary.partials_per_sec, summary.failures) == (1.5, 1)
    printed = table([summary])
    assert "| 2 connections, 100 s | polyasr |" in printed
    assert "| cores in all | 0.50 |" in printed


def test_a_server_that_says_nothing_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="acknowledged nothing"):
        summarize(Run("polyasr", 1, 1.0, Heard(), Usage()))


def test_both_servers_are_measured_under_the_same_load() -> None:
    runs = measure(3, 2.0, lambda told: None, ramp=0.2)
    assert [run.server for run in runs] == ["echo", "polyasr"]
    for run in runs:
        assert run.heard.failures == []
        assert len(run.heard.final_latencies) == 3
        assert len(run.heard.ack_latencies) >= 30
        assert summarize(run).cpu > 0
    assert runs[1].heard.partials > 0
