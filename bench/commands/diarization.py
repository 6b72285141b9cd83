"""``python -m bench diarization``: who spoke when."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.arguments import count, whole
from bench.progress import progress


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser("diarization", help="who spoke when: error, speed, memory")
    parser.add_argument(
        "--speech",
        type=Path,
        required=True,
        metavar="DIR",
        help="recordings of one speaker each, called SPEAKER-anything.flac",
    )
    parser.add_argument("--seeds", type=count, default=3, help="of each kind (3)")
    parser.add_argument("--seconds", type=_seconds_of_talk, default=90, help="of each (90)")
    parser.add_argument(
        "--memory", type=count, metavar="MINUTES", help="the memory of one so long instead"
    )
    parser.add_argument(
        "--model", default="", help="a pipeline of pyannote; left out, the built-in way is measured"
    )
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the tables."""
    from bench.diarization import measure, memory, report

    with progress() as told:
        if arguments.memory is not None:
            outcome = memory(arguments.speech, arguments.memory, arguments.model, told)
        else:
            of_each = arguments.seeds, arguments.seconds, arguments.model
            outcome = report(measure(arguments.speech, *of_each, told))
    print(outcome)


def _seconds_of_talk(text: str) -> int:
    return whole(text, 3600)
