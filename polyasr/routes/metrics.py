"""``GET /metrics``, and what is told there of the state of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from quart import Blueprint, Response, g, request
from quart_trio import QuartTrio

from polyasr import __version__
from polyasr.health import EngineStatus
from polyasr.metrics import MEDIA_TYPE, Metrics, gauge
from polyasr.pipeline.registry import SessionRegistry
from polyasr.routes.services import Services

UNKNOWN = "unknown"
"""The endpoint of requests for what is not there; their paths would be labels without end."""


def metrics(services: Services, sessions: SessionRegistry) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("metrics", __name__)
    services.metrics.watch(lambda: _state(services, sessions))

    @blueprint.get("/metrics")
    async def show_metrics() -> Response:
        return Response(services.metrics.text(), content_type=MEDIA_TYPE)

    return blueprint


def register_metrics(app: QuartTrio, counted: Metrics) -> None:
    """Count and time every request, until its answer begins."""

    @app.before_request
    async def begin() -> None:
        g.began = time.monotonic()

    @app.after_request
    async def note(response: Response) -> Response:
        endpoint = UNKNOWN if request.url_rule is None else request.url_rule.rule
        seconds = time.monotonic() - g.began
        counted.served(request.method, endpoint, response.status_code, seconds)
        return response


def _state(services: Services, sessions: SessionRegistry) -> Iterator[Metric]:
    status, queue = services.engine.status(), services.queue_metrics()
    units = status.residency.units
    loaded = {unit.name: float(unit.state == "ready") for unit in units}
    about = {"version": __version__, "model": status.model, "backend": status.backend}
    about |= {"device": status.device, "dtype": status.dtype}
    yield InfoMetricFamily("polyasr", "This server", about)
    yield gauge("polyasr_unit_loaded", "Whether a unit of models is in memory", unit=loaded)
    yield gauge("polyasr_model_healthy", "No error since the last success", _healthy(status))
    yield gauge("polyasr_sessions_attached", "Dictations with a client", sessions.n_attached)
    yield gauge("polyasr_sessions_held", "Dictations kept, with and without", sessions.n_held)
    yield gauge("polyasr_uploads_in_progress", "Recordings at work", queue["requests_in_flight"])
    yield gauge("polyasr_uploads_queued", "Recordings that wait", queue["requests_queued"])
    archive = services.archive.status()
    yield CounterMetricFamily(
        "polyasr_archive_dropped_bytes", "What the archive lost", archive.dropped_bytes
    )
    yield InfoMetricFamily(
        "whisperx_service",
        "This server",
        {
            "version": __version__,
            "device": status.device,
            "compute_type": status.dtype,
            "serve_mode": status.backend,
        },
    )
    at_work = queue["requests_in_flight"]
    yield gauge("whisperx_active_transcriptions", "Recordings at work", at_work)
    yield gauge("whisperx_loaded_models", "Models in memory", sum(loaded.values()))
    yield gauge(
        "whisperx_vram_allocated_bytes", "Memory of the accelerator", status.accelerator_bytes
    )
    evictions = CounterMetricFamily(
        "whisperx_model_evictions", "Models let go of since the start", labels=["model"]
    )
    for unit in units:
        evictions.add_metric([unit.name], unit.evictions)
    yield evictions


def _healthy(status: EngineStatus) -> float:
    return float(status.last_error is None and status.state != "failed")
