"""Every error as JSON: OpenAI's envelope under `/v1/`, `{"detail"}` elsewhere."""

from __future__ import annotations

import logging

from quart import Response, has_request_context, jsonify, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from polyasr.errors import PolyasrError
from polyasr.routes.services import ServingEngine

log = logging.getLogger(__name__)

RETRY_AFTER_SEC = 5
"""What a client is told to wait: a queue place or a loading model comes in seconds, and SDKs obey
values up to a minute."""
TRANSIENT = frozenset({408, 429, 503})
"""Statuses that say: the same request may succeed later."""
INTERNAL_ERROR = "an internal error of this server; its log says more"
MESSAGES = {
    404: "there is nothing at {method} {path}",
    405: "{path} does not take {method}",
    500: INTERNAL_ERROR,
}
"""What replaces the HTTP library's sentences, which speak to a person in front of a browser."""


def register_errors(app: QuartTrio, engine: ServingEngine) -> None:
    """Answer every error of this application, and every other, in the contract's form."""

    @app.errorhandler(PolyasrError)
    async def tell(error: PolyasrError) -> Response:
        if error.status >= 500:
            log.error("%s %s", error.code, error, exc_info=error)
        param = getattr(error, "param", None)
        return _with_retry_headers(_body(str(error), error.code, error.status, param))

    @app.errorhandler(HTTPException)
    async def tell_http(error: HTTPException) -> Response:
        status = error.code or 500
        method, path = (request.method, request.path) if has_request_context() else ("", "")
        message = MESSAGES.get(status, error.description or error.name)
        code = error.name.lower().replace(" ", "_")
        response = _body(message.format(method=method, path=path), code, status, None)
        response.headers.extend(_protocol_headers(error))
        return _with_retry_headers(response)

    def _with_retry_headers(response: Response) -> Response:
        """A permanent fault says so, or SDKs upload the same file three times."""
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if response.status_code == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_SEC)
        load_failed = response.status_code == 503 and engine.status().state == "failed"
        if load_failed or response.status_code not in TRANSIENT:
            response.headers["X-Should-Retry"] = "false"
        return response


def _body(message: str, code: str, status: int, param: str | None) -> Response:
    if has_request_context() and request.path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        envelope = {"message": message, "type": kind, "param": param, "code": code}
        response: Response = jsonify({"error": envelope})
    else:
        response = jsonify({"detail": message})
    response.status_code = status
    return response


def _protocol_headers(error: HTTPException) -> list[tuple[str, str]]:
    """What HTTP itself asks to be said, such as Allow with 405."""
    return [(k, v) for k, v in error.get_headers() if k.lower() not in ("content-type",)]
