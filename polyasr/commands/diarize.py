"""``polyasr diarize``: who spoke when in a recording, with the models in this process."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import trio

from polyasr import diarization, picture
from polyasr.commands import load_settings
from polyasr.commands.recordings import recording_blocks, shown
from polyasr.diarization import Diarization, SpeakerCount
from polyasr.errors import ConfigurationError
from polyasr.picture import Outline, Track
from polyasr.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Print the turns of a file, and draw them if that is asked for. Raises PolyasrError."""
    settings = load_settings(arguments)
    file = Path(arguments.file)
    if not file.exists():
        raise ConfigurationError(f"{file} does not exist")
    if arguments.plot is not None:
        picture.check(arguments.plot)
    outline = Outline()
    found = trio.run(_diarize, settings, file, _count(arguments), outline)
    names = [diarization.label(speaker) for speaker in range(len(found.voices))]
    sys.stdout.write(_written(found, names, arguments.format, file.stem))
    if arguments.plot is not None:
        picture.draw(arguments.plot, outline, _tracks(found, names))
    return 0


async def _diarize(
    settings: Settings, file: Path, count: SpeakerCount, outline: Outline
) -> Diarization:
    from polyasr.engine import open_engine

    blocks = outline.listening(recording_blocks(file, settings.max_audio_seconds))
    async with open_engine(replace(settings, preload=False)) as engine:
        with shown(file.name) as heard:
            return await diarization.diarize(engine, blocks, count, heard)


def _count(arguments: argparse.Namespace) -> SpeakerCount:
    exact, least, most = (
        getattr(arguments, f"{which}_speakers") for which in ("num", "min", "max")
    )
    try:
        return diarization.speaker_count(exact, least, most)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _written(found: Diarization, names: list[str], form: str, recording: str) -> str:
    if form == "json":
        return json.dumps(diarization.document(found, names), ensure_ascii=False, indent=1) + "\n"
    if form == "rttm":
        return diarization.rttm(found, names, recording)
    return diarization.text(found, names)


def _tracks(found: Diarization, names: list[str]) -> list[Track]:
    return [
        Track(name, [(turn.start, turn.end) for turn in found.turns if turn.speaker == speaker])
        for speaker, name in enumerate(names)
    ]
