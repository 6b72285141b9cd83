"""The times of words in what is transcribed: from the aligner, in a second pass over the upload."""

from __future__ import annotations

import logging
from typing import IO

from polyasr import alignment
from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Transcript
from polyasr.routes.services import Services
from polyasr.routes.uploads import reopened

log = logging.getLogger(__name__)


async def aligner_ready(services: Services) -> None:
    """Before hours of work, have the aligner fetched where its files are not here.

    Raises ModelUnavailable where they are not to be had.
    """
    aligner = services.engine.word_aligner
    if not aligner.present:
        await aligner.ready()


def to_be_timed(services: Services, how: RecognizerOptions) -> RecognizerOptions:
    """How to recognize what is to be timed: in segments that suit the aligner, if it is there."""
    aligner = services.engine.word_aligner
    return how.fitted(aligner.longest) if aligner.present else how


async def with_words(
    services: Services, transcript: Transcript, file: IO[bytes], *, may_be_headerless: bool = False
) -> Transcript:
    """The transcript of an upload with the times of its words.

    Raises ModelUnavailable and InferenceFailed.
    """
    again = reopened(services, file, may_be_headerless=may_be_headerless)
    return await alignment.with_words(services.engine.word_aligner, transcript, again)


async def with_words_if_there(
    services: Services, transcript: Transcript, file: IO[bytes], *, may_be_headerless: bool = False
) -> Transcript:
    """As ``with_words``, where nobody has asked for them in so many words: the transcript as it is
    where the aligner's files are not on this machine, or it fails."""
    if not services.engine.word_aligner.present:
        return transcript
    try:
        return await with_words(services, transcript, file, may_be_headerless=may_be_headerless)
    except (ModelUnavailable, InferenceFailed) as error:
        log.warning("the words of an upload were not timed: %s", error)
        return transcript
