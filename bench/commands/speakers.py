"""``python -m bench speakers``: what the speaker filter keeps and drops."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.arguments import count
from bench.progress import progress


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser("speakers", help="what the speaker filter keeps and drops")
    parser.add_argument(
        "--audio",
        type=Path,
        required=True,
        metavar="DIR",
        help="recordings of one speaker each, called SPEAKER-anything.flac",
    )
    parser.add_argument("--seeds", type=count, default=2, help="of each kind (2)")
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the tables."""
    from bench.speakers import measure, report

    with progress() as told:
        trials = measure(arguments.audio, arguments.seeds, told)
    print(report(trials))
