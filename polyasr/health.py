"""Health is derived from what happened, never asserted. Pure: no clock, no model, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

MAX_EVIDENCE_AGE_SEC = 600.0
"""How long one success speaks for the model: ten minutes, long against any probe's cadence and
short against the time in which somebody should have noticed an outage."""


UnitState = Literal["idle", "loading", "ready", "failed"]
"""A unit of models: not in memory, on its way there, in memory, or not to be loaded."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """One unit; ``idle_for``: seconds since its last use ended, 0 in use, None when not loaded;
    ``evictions``: how often it was let go."""

    name: str
    state: UnitState
    in_use: bool
    idle_for: float | None
    evictions: int = 0


@dataclass(frozen=True, slots=True)
class Residency:
    """Which units of models are in memory; idle ones go after ``idle_evict_seconds`` (0: never)."""

    idle_evict_seconds: float
    units: tuple[UnitStatus, ...]

    def body(self) -> dict[str, object]:
        """As the contract's ``manager``; ``idle_for`` is that of the unit used last."""
        resident = [unit for unit in self.units if unit.state == "ready"]
        idle = [unit.idle_for for unit in resident if unit.idle_for is not None]
        return {
            "resident": [unit.name for unit in resident],
            "idle_seconds": self.idle_evict_seconds,
            "idle_for": _rounded(min(idle, default=None)),
            "units": {
                unit.name: {
                    "state": unit.state,
                    "in_use": unit.in_use,
                    "idle_for": _rounded(unit.idle_for),
                }
                for unit in self.units
            },
        }


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the engine knows about itself, cheap to ask for at any time.

    ``state`` is that of the recognizer; ``reason`` says why its load failed ("" unless ``failed``);
    ``weights_present`` is looked up without loading the model; ``last_ok_age_sec`` is the age of
    the last decode or probe that succeeded (None: none yet); ``last_error`` the inference failure
    newer than that success.
    """

    state: UnitState
    model: str
    backend: str
    device: str
    dtype: str
    reason: str
    weights_present: bool
    last_ok_age_sec: float | None
    last_error: str | None
    memory_mb: float | None
    residency: Residency
    accelerator_bytes: int = 0

    @property
    def starting(self) -> bool:
        """Whether the model is loading and has not worked before, so that nobody knows when or
        whether it will. A model that was let go and comes back takes seconds, and is waited for."""
        return self.state == "loading" and self.last_ok_age_sec is None


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """``error``: why the last thing could not be written, None when it could; ``dropped_bytes``:
    what was lost since the server's start, because the disk failed or was too slow."""

    enabled: bool
    error: str | None = None
    dropped_bytes: int = 0

    def body(self) -> dict[str, object]:
        """As the contract's ``archive``."""
        if not self.enabled:
            return {"state": "off"}
        state = "failing" if self.error else "ok"
        return {"state": state, "error": self.error, "dropped_bytes": self.dropped_bytes}


NO_ARCHIVE = ArchiveStatus(enabled=False)


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


def report(status: EngineStatus, *, version: str, archive: ArchiveStatus = NO_ARCHIVE) -> Health:
    """Judge the engine, and say how the archive is.

    ``ok`` needs fresh evidence: weights on the disk and a success not long ago. 503 means that a
    request sent now would fail: the model is loading for the first time, its load failed, its
    weights are gone (the next load would fail, and only a person can mend that), or it has only
    ever failed. One
    failure after successes is ``degraded`` with 200: it may have been that one recording, and a
    server that is taken out of service for it would never get the chance to recover.

    A model that was let go because nobody used it is not brought back to be judged: its last
    success stands, however old, as long as its weights are there; the next use loads it anew.

    An archive that cannot be written is ``degraded``, and costs nobody an answer.
    """
    reasons = (*_reasons(status), *_archive_reasons(archive))
    verdict: Literal["ok", "degraded", "starting"] = "degraded" if reasons else "ok"
    if status.starting and status.weights_present:
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
        "manager": status.residency.body(),
        "archive": archive.body(),
        "version": version,
    }
    if status.memory_mb is not None:
        body["memory_mb"] = _rounded(status.memory_mb)
    return Health(verdict, reasons, http_status, body)


def _can_serve(status: EngineStatus) -> bool:
    if status.starting or status.state == "failed" or not status.weights_present:
        return False
    never_worked = status.last_error is not None and status.last_ok_age_sec is None
    return status.state == "idle" or not never_worked


def _reasons(status: EngineStatus) -> tuple[str, ...]:
    reasons = []
    if not status.weights_present:
        reasons.append(f"the weights of {status.model} are gone or incomplete")
    if status.state == "failed":
        reasons.append(f"the model could not be loaded: {status.reason}")
    elif status.starting:
        reasons.append("the model is loading")
    elif status.last_error is not None:
        reasons.append(f"the last recognition failed: {status.last_error}")
    elif status.last_ok_age_sec is None:
        reasons.append("nothing has been recognized yet")
    elif status.state == "ready" and status.last_ok_age_sec > MAX_EVIDENCE_AGE_SEC:
        reasons.append(
            f"the last success is {status.last_ok_age_sec:.0f} s old; "
            f"after {MAX_EVIDENCE_AGE_SEC:.0f} s it no longer counts as evidence"
        )
    return tuple(reasons)


def _archive_reasons(archive: ArchiveStatus) -> tuple[str, ...]:
    if archive.error is None:
        return ()
    return (f"the archive cannot be written: {archive.error}",)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
