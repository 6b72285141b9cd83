"""Which transcripts are told not to belong to a recording, of held-out sentences that are really
recognized. The aligner plays no part in it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from polyasr.alignment.chunks import given_chunks
from polyasr.engine import open_engine
from polyasr.errors import InvalidRequest
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.pipeline.types import Transcript
from polyasr.samples import SAMPLE_RATE
from tests.fakes import configured
from training.domain import Language
from training.evaluate_aligner import Kind, cases

CLIPS, SECONDS = 4, 12
LONGEST = 270 * SAMPLE_RATE


async def recognized(language: Language) -> list[tuple[str, Transcript]]:
    """What is said in recordings of several sentences each, and what is heard of it."""
    kind = Kind("", language, "espeak", CLIPS, seconds=SECONDS)
    async with open_engine(replace(configured(), preload=False, speaker_filter=False)) as engine:
        return [
            (
                case.text,
                await batch.transcribe(engine, iter([case.samples]), RecognizerOptions()),
            )
            for case in cases(kind, CLIPS, seed=21)
        ]


def belongs(text: str, transcript: Transcript) -> bool:
    try:
        chunks = given_chunks(text, transcript, LONGEST)
    except InvalidRequest as error:
        assert "does not belong" in str(error)
        return False
    return "".join(chunk.text for chunk in chunks) == text


@pytest.mark.parametrize("language", ["English", "Chinese"])
async def test_a_right_transcript_is_taken_and_a_wrong_one_named(language: Language) -> None:
    found = await recognized(language)
    for text, transcript in found:
        assert belongs(text, transcript)
        half = text[: len(text) // 2]
        assert belongs(half, transcript)
    for (text, _), (_, transcript) in permutations(found, 2):
        assert not belongs(text, transcript)
    (english, chinese) = "Nothing of this was ever said here", "这里从来没有人说过这样的话"
    assert not any(belongs(other, one) for other in (english, chinese) for _, one in found)
