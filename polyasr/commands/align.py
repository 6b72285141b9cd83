"""``polyasr align``: when each word of a recording is said, with the models in this process."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import trio

from polyasr import alignment, checkpoint, languages, picture, subtitles
from polyasr.alignment import Alignment
from polyasr.commands import load_settings
from polyasr.commands.recordings import recording_blocks, watched
from polyasr.errors import ConfigurationError
from polyasr.picture import Outline, Track
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.samples import SAMPLE_RATE, Samples
from polyasr.settings import Settings

LONGEST = 270 * SAMPLE_RATE
"""Samples that are aligned at once, as the server has it."""


def run(arguments: argparse.Namespace) -> int:
    """Print the words of a file and their times, and draw them if that is asked for.

    Raises PolyasrError.
    """
    settings = load_settings(arguments)
    file = Path(arguments.file)
    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    if arguments.plot is not None:
        picture.check(arguments.plot)
    language = languages.parse(arguments.language) if arguments.language else None
    text = None if arguments.text is None else _transcript(arguments.text)
    for role in (checkpoint.RECOGNIZER, checkpoint.ALIGNER):
        checkpoint.resolve(settings, role)
    outline = Outline()
    options = RecognizerOptions.from_settings(
        settings, language=language, context=arguments.context
    )
    found = trio.run(_align, settings, file, text, options, outline)
    sys.stdout.write(_written(found, arguments.format, settings))
    if arguments.plot is not None:
        picture.draw(arguments.plot, outline, _tracks(found))
    return 0


async def _align(
    settings: Settings, file: Path, text: str | None, options: RecognizerOptions, outline: Outline
) -> Alignment:
    from polyasr.engine import open_engine

    def blocks() -> Iterator[Samples]:
        return recording_blocks(file, settings.max_audio_seconds)

    def again() -> AbstractContextManager[Iterator[Samples]]:
        return watched(blocks(), f"{file.name}, words")

    async with open_engine(replace(settings, preload=False, speaker_filter=False)) as engine:
        with watched(outline.listening(blocks()), file.name) as heard:
            planned = await alignment.plan(engine, heard, options, text=text, longest=LONGEST)
        return await alignment.carry_out(engine.word_aligner, again, planned)


def _transcript(file: Path) -> str:
    """What is said, from a file. Raises ConfigurationError."""
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not text in UTF-8: {error}") from error
    if not text.strip():
        raise ConfigurationError(f"{file} is empty: leave --text out to transcribe the recording")
    return text


def _written(found: Alignment, form: str, settings: Settings) -> str:
    if form == "json":
        document = alignment.document(
            found.text,
            found.language,
            map(alignment.sentence, found.sentences),
            (settings.model, settings.aligner_model),
        )
        return json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    if form == "textgrid":
        return alignment.textgrid(found)
    words = [word for one in found.sentences for word in one.words]
    write = {"srt": subtitles.srt, "vtt": subtitles.vtt}[form]
    return write(subtitles.cues(subtitles.timed_words(found.text, words)))


def _tracks(found: Alignment) -> list[Track]:
    words = [word for one in found.sentences for word in one.words]
    return [
        Track("sentences", [(one.start, one.end) for one in found.sentences]),
        Track(
            "words",
            [(word.start, word.end) for word in words],
            labels=[word.text for word in words],
        ),
    ]
