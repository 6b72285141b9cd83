"""Every error as JSON: OpenAI's envelope under `/v1/`, `{"detail"}` elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from quart import Response, has_request_context, jsonify, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from polyasr.errors import InvalidRequest, MissingField, ModelUnavailable, PolyasrError
from polyasr.routes.services import ServingEngine

log = logging.getLogger(__name__)

RETRY_AFTER_SEC = 5
"""What a client is told to wait: a queue place or a loading model comes in seconds, and SDKs obey
values up to a minute."""
UNAVAILABLE = 503
TRANSIENT = frozenset({408, 429, UNAVAILABLE})
"""Statuses that say: the same request may succeed later."""
INTERNAL_ERROR = "an internal error of this server; its log says more"
MISSING_ELSEWHERE = 422
"""What whisper-asr-webservice answers when a field is missing; with OpenAI it is 400."""
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
        if error.status == UNAVAILABLE:  # it passes, or was logged where it came from
            log.warning("%s: %s", error.code, error)
        elif error.status >= 500 and not isinstance(error, InvalidRequest):
            log.error("%s %s", error.code, error, exc_info=error)
        response = jsonify(envelope(error) if _is_openai() else {"detail": str(error)})
        response.status_code = error.status
        if isinstance(error, MissingField) and not _is_openai():
            response.status_code = MISSING_ELSEWHERE
        units = engine.residency().units
        if isinstance(error, ModelUnavailable) and any(unit.state == "failed" for unit in units):
            response.headers["X-Should-Retry"] = "false"
        return _with_retry_headers(response)

    @app.errorhandler(HTTPException)
    async def tell_http(error: HTTPException) -> Response:
        status = error.code or 500
        method, path = (request.method, request.path) if has_request_context() else ("", "")
        message = MESSAGES.get(status, error.description or error.name)
        message = message.format(method=method, path=path)
        code = error.name.lower().replace(" ", "_")
        body = _envelope(message, code, status, None) if _is_openai() else {"detail": message}
        response: Response = jsonify(body)
        response.status_code = status
        response.headers.extend(_protocol_headers(error))
        return _with_retry_headers(response)

    def _with_retry_headers(response: Response) -> Response:
        """A permanent fault says so, or SDKs upload the same file three times."""
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        if response.status_code == UNAVAILABLE:
            response.headers["Retry-After"] = str(RETRY_AFTER_SEC)
        load_failed = response.status_code == UNAVAILABLE and engine.status().state == "failed"
        if load_failed or response.status_code not in TRANSIENT:
            response.headers["X-Should-Retry"] = "false"
        return response


def envelope(error: PolyasrError) -> Mapping[str, object]:
    """An error as OpenAI's API tells it."""
    return _envelope(str(error), error.code, error.status, getattr(error, "param", None))


def _envelope(message: str, code: str, status: int, param: str | None) -> Mapping[str, object]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _is_openai() -> bool:
    """Whether the request is of OpenAI's API."""
    return has_request_context() and request.path.startswith("/v1/")


def _protocol_headers(error: HTTPException) -> list[tuple[str, str]]:
    """What HTTP itself asks to be said, such as Allow with 405."""
    return [(k, v) for k, v in error.get_headers() if k.lower() not in ("content-type",)]
