"""``polyasr transcribe``: the texts of recordings, with the model in this process."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import trio

from polyasr import checkpoint, languages
from polyasr.commands import load_settings
from polyasr.commands.recordings import recording_blocks, watched
from polyasr.errors import ConfigurationError, PolyasrError
from polyasr.pipeline import batch
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Print the text of each file. Returns 2 when one could not be transcribed, else 0.

    Raises PolyasrError for what concerns all of them.
    """
    settings = load_settings(arguments)
    language = languages.parse(arguments.language) if arguments.language else None
    files = [Path(name) for name in arguments.files]
    for file in files:
        if not file.exists():
            raise ConfigurationError(f"{file} does not exist")
    checkpoint.resolve(settings)
    options = RecognizerOptions.from_settings(
        settings, language=language, context=arguments.context
    )
    return trio.run(_transcribe_all, settings, files, options)


async def _transcribe_all(
    settings: Settings, files: Sequence[Path], options: RecognizerOptions
) -> int:
    from polyasr.engine import open_engine

    code = 0
    async with open_engine(replace(settings, preload=False, speaker_filter=False)) as engine:
        await engine.ready()
        for file in files:
            with watched(recording_blocks(file, settings.max_audio_seconds), file.name) as blocks:
                try:
                    transcript = await batch.transcribe(engine, blocks, options)
                except PolyasrError as error:
                    print(f"polyasr: {error}", file=sys.stderr)
                    code = 2
                    continue
            print(f"{file}: {transcript.text}" if len(files) > 1 else transcript.text, flush=True)
    return code
