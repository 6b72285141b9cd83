"""What a form says about who speaks: how many there are, and how some of them sound."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from contextlib import closing

import numpy as np
import trio
from numpy.typing import NDArray

from polyasr import audio, diarization
from polyasr.diarization import MOST_ASKED_FOR, SpeakerCount
from polyasr.errors import InvalidRequest
from polyasr.pipeline.speaker import SHORTEST
from polyasr.pipeline.types import Engine
from polyasr.routes.forms import Form, refusal
from polyasr.samples import SAMPLE_RATE, Samples

NAMES, REFERENCES = "known_speaker_names", "known_speaker_references"

Voice = tuple[NDArray[np.float32], int]
"""A unit vector, shape (256,), and the samples of speech behind it."""


def speaker_count(form: Form) -> SpeakerCount:
    """How many speakers there may be; `num_speakers` goes before the bounds.

    Raises InvalidRequest, which names the field, for numbers that cannot be.
    """
    exact, least, most = (_whole(form, f"{which}_speakers") for which in ("num", "min", "max"))
    if least and most and least > most:
        raise refusal("min_speakers", str(least), f"no more than `max_speakers`, which is {most}")
    return diarization.speaker_count(exact, least, most)


async def known_voices(engine: Engine, form: Form) -> Mapping[str, Voice]:
    """The people whose names and recordings the form brings, as OpenAI's API has it.

    Of each recording the first ten seconds or so are listened to. Raises InvalidRequest where names
    and recordings do not match, and for a recording that cannot be used; InferenceFailed.
    """
    names, references = form.all(NAMES), form.all(REFERENCES)
    if len(names) != len(references):
        raise InvalidRequest(
            f"there are {len(names)} `{NAMES}` and {len(references)} `{REFERENCES}`; "
            "each name takes one recording",
            param=REFERENCES,
        )
    if len(set(names)) < len(names):
        raise refusal(NAMES, ", ".join(names), "each name once")
    voices: dict[str, Voice] = {}
    for name, reference in zip(names, references, strict=True):
        samples = await trio.to_thread.run_sync(_reference_samples, name, reference)
        voices[name] = await engine.speaker_encoder.embed(samples), len(samples)
    return voices


def _whole(form: Form, field: str) -> int | None:
    given = form.get(field)
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and 1 <= int(given) <= MOST_ASKED_FOR):
        raise refusal(field, given, f"a whole number from 1 to {MOST_ASKED_FOR}")
    return int(given)


def _reference_samples(name: str, reference: str) -> Samples:
    """The beginning of a recording in a data URL (RFC 2397)."""
    header, comma, content = reference.partition(",")
    if not (comma and header.startswith("data:") and header.endswith(";base64")):
        raise _unusable(name, "is no data URL (data:audio/wav;base64,…)")
    try:
        recording = base64.b64decode(content, validate=True)
        with closing(audio.blocks(recording, max_seconds=np.inf)) as blocks:
            samples = next(blocks)
    except binascii.Error as error:
        raise _unusable(name, f"is not base64: {error}") from error
    except InvalidRequest as error:
        raise _unusable(name, f"cannot be used: {error}") from error
    if len(samples) < SHORTEST:
        seconds = len(samples) / SAMPLE_RATE
        raise _unusable(name, f"is {seconds:.1f} s long; it takes {SHORTEST // SAMPLE_RATE} s")
    return samples


def _unusable(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"the recording of {name!r} {why}", param=REFERENCES)
