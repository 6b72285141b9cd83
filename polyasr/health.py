"""Health is derived from what happened, never asserted. Pure: no clock, no model, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_EVIDENCE_AGE_SEC = 600.0
"""How long one success speaks for the model: ten minutes, long against any probe's cadence and
short against the time in which somebody should have noticed an outage."""


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine knows about itself, cheap to ask for at any time.

    ``reason`` says why the load failed ("" unless ``failed``); ``weights_present`` is looked up
    without loading the model; ``last_ok_age_sec`` is the age of the last decode or probe that
    succeeded (None: none yet); ``last_error`` the inference failure newer than that success.
    """

    state: Literal["idle", "loading", "ready", "failed"]
    model: str
    backend: str
    device: str
    dtype: str
    reason: str
    weights_present: bool
    last_ok_age_sec: float | None
    last_error: str | None
    memory_mb: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict: ``body`` is what ``GET /health`` answers, with ``http_status`` 200 or 503."""

    status: Literal["ok", "degraded", "starting"]
    reasons: tuple[str, ...]
    http_status: int
    body: Mapping[str, object]

    @property
    def can_serve(self) -> bool:
        """Whether a request sent now is expected to be answered."""
        return self.http_status == 200


def report(status: EngineStatus, *, version: str) -> Health:
    """Judge the engine.

    ``ok`` needs fresh evidence: weights on the disk and a success not long ago. 503 means that a
    request sent now would fail: the model is loading, its load failed, its weights are gone (the
    next load would fail, and only a person can mend that), or it has only ever failed. One
    failure after successes is ``degraded`` with 200: it may have been that one recording, and a
    server that is taken out of service for it would never get the chance to recover.
    """
    reasons = _reasons(status)
    verdict: Literal["ok", "degraded", "starting"] = "degraded" if reasons else "ok"
    if status.state == "loading" and status.weights_present:
        verdict = "starting"
    http_status = 200 if _can_serve(status) else 503
    body: dict[str, object] = {
        "status": verdict,
        "reasons": list(reasons),
        "model": status.model,
        "backend": status.backend,
        "device": status.device,
        "dtype": status.dtype,
        "weights_present": status.weights_present,
        "streaming_probe": {"last_ok_age_sec": _rounded(status.last_ok_age_sec)},
        "version": version,
    }
    if status.memory_mb is not None:
        body["memory_mb"] = _rounded(status.memory_mb)
    return Health(verdict, reasons, http_status, body)


def _can_serve(status: EngineStatus) -> bool:
    if status.state in ("loading", "failed") or not status.weights_present:
        return False
    return status.last_error is None or status.last_ok_age_sec is not None


def _reasons(status: EngineStatus) -> tuple[str, ...]:
    reasons = []
    if not status.weights_present:
        reasons.append(f"the weights of {status.model} are gone or incomplete")
    if status.state == "failed":
        reasons.append(f"the model could not be loaded: {status.reason}")
    elif status.state == "loading":
        reasons.append("the model is loading")
    elif status.last_error is not None:
        reasons.append(f"the last recognition failed: {status.last_error}")
    elif status.last_ok_age_sec is None:
        reasons.append("nothing has been recognized yet")
    elif status.last_ok_age_sec > MAX_EVIDENCE_AGE_SEC:
        reasons.append(
            f"the last success is {status.last_ok_age_sec:.0f} s old; "
            f"after {MAX_EVIDENCE_AGE_SEC:.0f} s it no longer counts as evidence"
        )
    return tuple(reasons)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
