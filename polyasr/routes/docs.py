"""`GET /openapi.json`, and `GET /docs`, which shows it and needs nothing from the internet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trio
from quart import Blueprint, Response, jsonify
from werkzeug.exceptions import NotFound

from polyasr.routes.openapi import document
from polyasr.routes.services import Services

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>polyasr: the HTTP API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="page"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/show.js"></script>
</body>
</html>
"""
SHOW = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null,
});
"""
FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
"""What of Swagger UI is served."""
POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
DAY = 86400


def docs(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("docs", __name__)
    content = document(has_key=bool(services.settings.api_key))

    @blueprint.get("/openapi.json")
    async def show_document() -> Response:
        return jsonify(content)

    @blueprint.get("/docs")
    async def show_page() -> Response:
        return _response(PAGE, "text/html", {"Content-Security-Policy": POLICY})

    @blueprint.get("/docs/<name>")
    async def show_file(name: str) -> Response:
        if name == "show.js":
            return _response(SHOW, "text/javascript", {})
        if name not in FILES:
            raise NotFound
        text = await trio.to_thread.run_sync(_swagger_ui(name).read_text, "utf-8")
        return _response(text, FILES[name], {"Cache-Control": f"max-age={DAY}"})

    return blueprint


def _swagger_ui(name: str) -> Path:
    from swagger_ui_bundle import swagger_ui_path

    return Path(swagger_ui_path) / name


def _response(text: str, media_type: str, headers: Mapping[str, str]) -> Response:
    response = Response(text, content_type=f"{media_type}; charset=utf-8")
    response.headers.update(headers)
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
