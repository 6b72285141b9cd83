"""`POST /v1/diarize`: who spoke when in a recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Blueprint, Response, request

from polyasr import diarization
from polyasr.diarization import Diarization, SpeakerCount
from polyasr.routes import events
from polyasr.routes.body import answered_by
from polyasr.routes.forms import Form
from polyasr.routes.services import Services
from polyasr.routes.speakers import Voice, known_voices, speaker_count
from polyasr.routes.uploads import open_blocks, open_upload
from polyasr.samples import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Options:
    """What the form asks for. ``known``: the voices of people by name."""

    count: SpeakerCount
    with_embeddings: bool
    known: Mapping[str, Voice]


def diarize(services: Services) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("diarize", __name__)

    @blueprint.post("/v1/diarize")
    async def tell_apart() -> Response:
        return await answered_by(work)

    async def work(task_status: trio.TaskStatus[Response]) -> None:
        """Hand over the response; one that is streamed goes on being worked for."""
        async with open_upload(services, request, "file", to_recognize=False) as form:
            options = await read_options(services, form)
            async with open_blocks(services, form.file, to_recognize=False) as blocks:

                async def found(tell: events.Send) -> Mapping[str, object]:
                    async def hear(n_samples: int) -> None:
                        await tell({"seconds": round(n_samples / SAMPLE_RATE, 3)})

                    engine, count = services.engine, options.count
                    return answer(await diarization.diarize(engine, blocks, count, hear), options)

                await events.hand_over(task_status, "diarize", found)

    return blueprint


async def read_options(services: Services, form: Form) -> Options:
    """The options of a form. Raises InvalidRequest, which names the field; InferenceFailed."""
    return Options(
        count=speaker_count(form),
        with_embeddings=form.switch("return_speaker_embeddings", default=False),
        known=await known_voices(services.engine, form),
    )


def answer(found: Diarization, options: Options) -> Mapping[str, object]:
    """The body of the answer."""
    speech = [found.speech_of(speaker) for speaker in range(len(found.voices))]
    names = diarization.name_voices(found.voices, speech, options.known)
    return diarization.document(found, names, with_embeddings=options.with_embeddings)
