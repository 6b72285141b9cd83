"""Health is what the evidence says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from polyasr.health import MAX_EVIDENCE_AGE_SEC, ArchiveStatus, Health, report
from tests.fakes import READY


def judged(**changes: Any) -> Health:
    return report(replace(READY, **changes), version="1.2.3")


def test_fresh_success_and_weights_on_the_disk_are_health() -> None:
    health = judged()
    assert (health.status, health.reasons, health.http_status) == ("ok", (), 200)
    assert health.body == {
        "status": "ok",
        "reasons": [],
        "model": "tiny",
        "backend": "transformers",
        "device": "cpu",
        "dtype": "float32",
        "weights_present": True,
        "streaming_probe": {"last_ok_age_sec": 1.0},
        "manager": {
            "resident": ["asr"],
            "idle_seconds": 180.0,
            "idle_for": 1.2,
            "units": {"asr": {"state": "ready", "in_use": False, "idle_for": 1.2}},
        },
        "archive": {"state": "off"},
        "version": "1.2.3",
        "memory_mb": 512.0,
    }


def test_an_archive_that_cannot_be_written_is_told_and_no_outage() -> None:
    full = ArchiveStatus(enabled=True, error="No space left on device", dropped_bytes=3200)
    health = report(READY, version="1", archive=full)
    assert (health.status, health.http_status) == ("degraded", 200)
    assert health.reasons == ("the archive cannot be written: No space left on device",)
    assert health.body["archive"] == {
        "state": "failing",
        "error": "No space left on device",
        "dropped_bytes": 3200,
    }


def test_what_an_archive_has_lost_before_is_told_and_is_health() -> None:
    again = ArchiveStatus(enabled=True, dropped_bytes=3200)
    health = report(READY, version="1", archive=again)
    assert health.status == "ok"
    assert health.body["archive"] == {"state": "ok", "error": None, "dropped_bytes": 3200}


def test_memory_that_is_not_known_is_left_out() -> None:
    assert "memory_mb" not in judged(memory_mb=None).body


@pytest.mark.parametrize(
    ("changes", "status", "http_status", "reason"),
    [
        ({"state": "loading", "last_ok_age_sec": None}, "starting", 503, "loading"),
        ({"state": "failed", "reason": "no such file"}, "degraded", 503, "no such file"),
        ({"weights_present": False}, "degraded", 503, "weights of tiny"),
        ({"state": "idle", "weights_present": False}, "degraded", 503, "weights of tiny"),
        ({"state": "loading", "weights_present": False}, "degraded", 503, "weights of tiny"),
        ({"last_error": "out of memory"}, "degraded", 200, "out of memory"),
        ({"last_error": "NaN", "last_ok_age_sec": None}, "degraded", 503, "NaN"),
        ({"last_ok_age_sec": None}, "degraded", 200, "nothing has been recognized yet"),
        ({"state": "idle", "last_ok_age_sec": None}, "degraded", 200, "nothing"),
        ({"last_ok_age_sec": MAX_EVIDENCE_AGE_SEC + 1}, "degraded", 200, "no longer counts"),
    ],
)
def test_what_is_wrong_is_named_and_503_means_a_request_would_fail(
    changes: dict[str, Any], status: str, http_status: int, reason: str
) -> None:
    health = judged(**changes)
    assert (health.status, health.http_status) == (status, http_status)
    assert any(reason in given for given in health.reasons), health.reasons
    assert health.can_serve == (http_status == 200)


def test_evidence_counts_until_it_is_too_old() -> None:
    assert judged(last_ok_age_sec=MAX_EVIDENCE_AGE_SEC).status == "ok"


@pytest.mark.parametrize("age", [1.0, MAX_EVIDENCE_AGE_SEC + 1])
def test_a_model_that_was_unloaded_while_it_worked_is_well(age: float) -> None:
    assert judged(state="idle", last_ok_age_sec=age).status == "ok"


def test_a_model_that_never_worked_and_was_unloaded_may_be_tried_anew() -> None:
    health = judged(state="idle", last_error="NaN", last_ok_age_sec=None)
    assert (health.status, health.http_status) == ("degraded", 200)


def test_every_fault_is_told_not_only_the_first() -> None:
    assert len(judged(weights_present=False, last_error="out of memory").reasons) == 2
