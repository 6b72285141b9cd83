"""What an operator and a monitor ask: who are you, how are you, may I send work, free memory."""

from __future__ import annotations

from quart import Blueprint, Response, jsonify

from polyasr import __version__, health
from polyasr.routes.errors import RETRY_AFTER_SEC
from polyasr.routes.page import Page, wants_page
from polyasr.routes.services import Services


def operations(services: Services, page: Page) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("operations", __name__)

    def judge() -> health.Health:
        archive = services.archive.status()
        return health.report(services.engine.status(), version=__version__, archive=archive)

    @blueprint.get("/")
    async def show_server() -> Response:
        if wants_page():
            response = await page.show()
        else:
            model = services.engine.status().model
            response = jsonify({"name": "polyasr", "version": __version__, "model": model})
        response.headers.add("Vary", "Accept")
        return response

    @blueprint.get("/health")
    async def show_health() -> Response:
        verdict = judge()
        return _with_status(jsonify(verdict.body), verdict.http_status)

    @blueprint.get("/ready")
    async def show_readiness() -> Response:
        verdict = judge()
        body = {"ready": verdict.can_serve, "reasons": list(verdict.reasons)}
        return _with_status(jsonify(body), verdict.http_status)

    @blueprint.get("/queue-metrics")
    async def show_queue() -> Response:
        status = services.engine.status()
        loaded = [unit.name for unit in status.residency.units if unit.state == "ready"]
        return jsonify(
            {
                "serve_mode": status.backend,
                "device": status.device,
                "loaded_models": loaded,
                "queue": services.queue_metrics(),
            }
        )

    @blueprint.post("/model/unload")
    async def unload() -> Response:
        names = await services.engine.unload()
        manager = services.engine.residency().body()
        return jsonify({"unloaded": ", ".join(names) or None, "manager": manager})

    return blueprint


def _with_status(response: Response, status: int) -> Response:
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_SEC)
    return response
