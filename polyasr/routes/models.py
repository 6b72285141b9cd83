"""`GET /v1/models`: the one model of this server, as OpenAI's API lists them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from quart import Blueprint, Response, jsonify

from polyasr.errors import PolyasrError
from polyasr.routes.services import Services


class UnknownModel(PolyasrError):
    """There is no model of that name here."""

    code = "model_not_found"
    status = 404


def models(services: Services) -> Blueprint:
    """The blueprint. ``created``, which the API asks for, is when this server began."""
    blueprint = Blueprint("models", __name__)
    name = services.engine.status().model
    entry: Mapping[str, object] = {
        "id": name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": name.split("/")[0] if name.count("/") == 1 else "polyasr",
    }

    @blueprint.get("/v1/models")
    async def list_models() -> Response:
        return jsonify({"object": "list", "data": [entry]})

    @blueprint.get("/v1/models/<path:model>")
    async def show_model(model: str) -> Response:
        if model != name:
            raise UnknownModel(f"there is no model {model!r} here; this server has {name!r}")
        return jsonify(entry)

    return blueprint
