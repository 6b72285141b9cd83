"""``python -m bench``: the measurements, one subcommand each."""

from __future__ import annotations

import argparse
import sys

from bench.batch import command as batch
from bench.commands import (
    alignment,
    connections,
    diarization,
    documents,
    engine,
    rounding,
    speakers,
)
from bench.dictation import command as dictation
from bench.paced import command as paced
from polyasr.errors import PolyasrError

COMMANDS = (
    dictation,
    engine,
    paced,
    rounding,
    connections,
    batch,
    diarization,
    speakers,
    alignment,
    documents,
)


def main() -> None:
    """Run one command. Exits with 2 and a line on stderr for files it can do nothing with."""
    arguments = _parser().parse_args()
    try:
        arguments.execute(arguments)
    except (OSError, ValueError, PolyasrError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure polyasr.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in COMMANDS:
        command.add_arguments(commands)
    return parser


if __name__ == "__main__":
    main()
