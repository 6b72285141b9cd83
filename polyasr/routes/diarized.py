"""`response_format=diarized_json`: who said what, as OpenAI's API tells it.

The recording is listened to twice: for its speakers, who are known at its end only, and then for
its words, cut where the speaker changes, so that a piece of text is one speaker's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import trio
from quart import Response, jsonify

from polyasr import diarization
from polyasr.diarization import Labels, SpeakerCount
from polyasr.pipeline import batch
from polyasr.pipeline.batch import OnSegment
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Segment, Transcript
from polyasr.routes import events, formats
from polyasr.routes.forms import Form
from polyasr.routes.services import Services
from polyasr.routes.speakers import Voice, known_voices, speaker_count
from polyasr.routes.uploads import open_blocks
from polyasr.samples import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Request:
    """One recording, how it is recognized, and what is known of its speakers."""

    services: Services
    form: Form
    how: RecognizerOptions
    count: SpeakerCount
    known: Mapping[str, Voice]


async def respond(
    services: Services,
    form: Form,
    how: RecognizerOptions,
    *,
    stream: bool,
    task_status: trio.TaskStatus[Response],
) -> None:
    """Hand over the response; one that is streamed goes on being worked for.

    Raises InvalidRequest for what the form says of speakers and for no recording.
    """
    known = await known_voices(services.engine, form)
    asked = Request(services, form, how, speaker_count(form), known)
    if stream:
        await _check(asked)
        await _stream(asked, task_status)
    else:
        labels = await _listen(asked)
        transcript = await _transcribe(asked, labels, None)
        task_status.started(jsonify(_document(transcript, labels)))


async def _check(asked: Request) -> None:
    """Raise what is wrong with the beginning of the recording, while there can be a status."""
    async with open_blocks(asked.services, asked.form.file):
        pass


async def _listen(asked: Request) -> Labels:
    async with open_blocks(asked.services, asked.form.file, to_recognize=False) as blocks:
        found = await diarization.diarize(asked.services.engine, blocks, asked.count)
    speech = [found.speech_of(speaker) for speaker in range(len(found.voices))]
    names = diarization.name_voices(found.voices, speech, asked.known, diarization.letter)
    return Labels(found, names)


async def _transcribe(asked: Request, labels: Labels, tell: OnSegment | None) -> Transcript:
    async with open_blocks(asked.services, asked.form.file) as blocks:
        engine = asked.services.engine
        transcript = await batch.transcribe(engine, blocks, asked.how, tell, labels.changes())
    asked.form.record.text = transcript.text
    return transcript


async def _stream(asked: Request, task_status: trio.TaskStatus[Response]) -> None:
    """Tell each piece as text, and then with its speaker."""
    text, count = "", 0
    async with events.streamed(task_status) as send:
        labels = await _listen(asked)

        async def tell(segment: Segment) -> None:
            nonlocal text, count
            delta = formats.delta(text, segment)
            piece = _piece(count, segment, labels)
            text, count = text + delta, count + 1
            event = formats.delta_event(delta, segment, with_logprobs=False)
            await send({**event, "segment_id": piece["id"]})
            await send(piece)

        transcript = await _transcribe(asked, labels, tell)
        await send(formats.done_event(transcript, with_logprobs=False))


def _document(transcript: Transcript, labels: Labels) -> Mapping[str, object]:
    pieces = [_piece(number, each, labels) for number, each in enumerate(transcript.segments)]
    seconds = round(transcript.n_samples / SAMPLE_RATE, 3)
    return {
        "task": "transcribe",
        "duration": seconds,
        "text": transcript.text,
        "segments": pieces,
        "usage": {"type": "duration", "seconds": seconds},
    }


def _piece(number: int, segment: Segment, labels: Labels) -> Mapping[str, object]:
    """Also the event of a stream. The speaker of what the diarization took for silence is ""."""
    return {
        "type": "transcript.text.segment",
        "id": f"seg_{number}",
        **formats.timed_text(segment),
        "speaker": labels.of(segment.start, segment.end),
    }
