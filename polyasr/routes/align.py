"""`POST /v1/align`: when each word of a recording is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, request

from polyasr import alignment
from polyasr.alignment import Alignment, OnProgress, Stage
from polyasr.errors import InvalidRequest
from polyasr.routes import events
from polyasr.routes.body import answered_by
from polyasr.routes.forms import Form, refusal
from polyasr.routes.services import Services
from polyasr.routes.uploads import (
    language_of,
    open_blocks,
    open_upload,
    recognition,
    reopened,
)
from polyasr.routes.words import aligner_ready
from polyasr.samples import SAMPLE_RATE

CHUNK_SECONDS, LEAST_CHUNK_SECONDS, MOST_CHUNK_SECONDS = 270.0, 1.0, 300.0
"""How much is aligned at once if nothing is said, and what may be said: 300 s is the aligner's own
limit, and in less than a second there are no whole words."""

EVENTS = "align"
"""What the events of a streamed answer are called, before the stop."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the form asks for. ``longest``: samples that are aligned at once."""

    language: str | None
    text: str | None
    longest: int


def align(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("align", __name__)

    @blueprint.post("/v1/align")
    async def align_upload() -> Response:
        return await answered_by(work)

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        """Hand over the response; one that is streamed goes on being worked for."""
        async with open_upload(services, request, "file") as form:
            options = read_options(form)
            await aligner_ready(services)
            async with open_blocks(services, form.file) as blocks:

                async def found(tell: events.Send) -> Mapping[str, object]:
                    aligned = await alignment.align(
                        services.engine,
                        blocks,
                        reopened(services, form.file),
                        recognition(services, options.language, ""),
                        text=options.text,
                        longest=options.longest,
                        tell=progress_teller(tell),
                    )
                    return answer(services, aligned)

                await events.hand_over(task_status, EVENTS, found)

    return blueprint


def read_options(form: Form) -> Options:
    """The options of a form. Raises InvalidRequest, which names the field. `model` is free."""
    text = form.get("text") if "text" in form.fields else None
    if text == "":
        raise InvalidRequest(
            "`text` is empty: send the transcript, or leave it out to have the recording "
            "transcribed",
            param="text",
        )
    given = form.get("max_chunk_seconds")
    try:
        seconds = float(given) if given else CHUNK_SECONDS
    except ValueError:
        seconds = math.nan
    return Options(language_of(form), text, chunk_samples(seconds, given))


def chunk_samples(seconds: float, given: str) -> int:
    """So many seconds in samples. Raises InvalidRequest, which tells what was ``given``."""
    if not LEAST_CHUNK_SECONDS <= seconds <= MOST_CHUNK_SECONDS:  # NaN is in no range
        accepted = f"a number of seconds from {LEAST_CHUNK_SECONDS:g} to {MOST_CHUNK_SECONDS:g}"
        raise refusal("max_chunk_seconds", given, accepted)
    return round(seconds * SAMPLE_RATE)


def answer(services: Services, found: Alignment) -> Mapping[str, object]:
    """The body of the answer."""
    told = map(alignment.sentence, found.sentences)
    return alignment.document(found.text, found.language, told, models(services))


def models(services: Services) -> tuple[str, str]:
    """What is told of the models."""
    return services.settings.model, services.settings.aligner_model


def progress_teller(send: events.Send, **more: object) -> OnProgress:
    """What tells a client how far it is; ``more`` is told each time."""

    async def tell(stage: Stage, n_samples: int) -> None:
        await send({"stage": stage, "seconds": round(n_samples / SAMPLE_RATE, 3), **more})

    return tell
