"""`POST /v1/audio/translations`: speech to English text. There is no model for it here yet."""

from __future__ import annotations

from quart import Blueprint, Response

from polyasr.errors import NotAvailable


def translations() -> Blueprint:
    """The blueprint. The upload is not read."""
    blueprint = Blueprint("translations", __name__)

    @blueprint.post("/v1/audio/translations")
    async def translate() -> Response:
        raise no_translation(None)

    return blueprint


def no_translation(param: str | None) -> NotAvailable:
    """The error for who asks for a translation."""
    return NotAvailable(
        "this server does not translate: that takes a Whisper model, named by "
        "POLYASR_TRANSLATE_MODEL, which this version does not load yet",
        param=param,
    )
