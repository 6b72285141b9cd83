"""`POST /v1/audio/translations`: a recording in any language in, its text in English out."""

from __future__ import annotations

from dataclasses import replace

import trio
from quart import Blueprint, Response, request

from polyasr import languages
from polyasr.errors import NotAvailable
from polyasr.routes.body import answered_by
from polyasr.routes.forms import refusal
from polyasr.routes.services import Services, Translator
from polyasr.routes.transcriptions import DIARIZED, read_options, respond
from polyasr.routes.uploads import open_blocks, open_upload


def translations(services: Services) -> Blueprint:
    """The blueprint. Where there is no model for it the upload is not read."""
    blueprint = Blueprint("translations", __name__)

    @blueprint.post("/v1/audio/translations")
    async def translate() -> Response:
        return await answered_by(work)

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        translator = translator_of(services, None)
        async with open_upload(services, request, "file", to_recognize=False) as form:
            options = replace(read_options(form, languages.TRANSLATED), task="translate")
            if options.response_format == DIARIZED:
                raise refusal("response_format", DIARIZED, "any other for translations")
            if options.with_words:
                raise refusal("timestamp_granularities", "word", "segment for translations")
            async with open_blocks(services, form.file, to_recognize=False) as blocks:
                await translator.ready()
                await respond(services, translator, form, blocks, options, task_status)

    return blueprint


def translator_of(services: Services, param: str | None) -> Translator:
    """What translates. Raises NotAvailable, naming the field that asked, where nothing does."""
    if services.engine.translator is None:
        raise NotAvailable(
            "this server does not translate: that takes a Whisper model, which "
            "POLYASR_TRANSLATE_MODEL names, such as small or large-v3",
            param=param,
        )
    return services.engine.translator
