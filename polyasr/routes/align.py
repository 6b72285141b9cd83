"""`POST /v1/align`: when each word of a recording is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, jsonify, request

from polyasr import alignment
from polyasr.alignment import Alignment, OnProgress, Stage
from polyasr.errors import InvalidRequest
from polyasr.routes import events
from polyasr.routes.body import exchange_tasks
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
        response: Response = await exchange_tasks().start(work)
        return response

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        """Hand over the response; one that is streamed goes on being worked for."""
        async with open_upload(services, request, "file") as form:
            options = read_options(form)
            await aligner_ready(services)
            async with open_blocks(services, form.file) as blocks:

                async def found(tell: OnProgress = alignment.nobody) -> Mapping[str, object]:
                    return answer(
                        services,
                        await alignment.align(
                            services.engine,
                            blocks,
                            reopened(services, form.file),
                            recognition(services, options.language, ""),
                            text=options.text,
                            longest=options.longest,
                            tell=tell,
                        ),
                    )

                if events.wanted(request):
                    to_client, told = trio.open_memory_channel[bytes](0)
                    task_status.started(events.event_response(told))
                    async with events.failures_told(to_client):
                        await tell_done(to_client, await found(progress_teller(to_client)))
                else:
                    task_status.started(jsonify(await found()))

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


def progress_teller(to_client: trio.MemorySendChannel[bytes], **more: object) -> OnProgress:
    """What tells a client by events how far it is; ``more`` is told with each."""

    async def tell(stage: Stage, n_samples: int) -> None:
        seconds = round(n_samples / SAMPLE_RATE, 3)
        event = {"type": "align.progress", "stage": stage, "seconds": seconds, **more}
        await to_client.send(events.encode(event))

    return tell


async def tell_done(to_client: trio.MemorySendChannel[bytes], body: Mapping[str, object]) -> None:
    """The answer as the last event."""
    await to_client.send(events.encode({"type": "align.done", **body}))
    await to_client.send(events.DONE)
