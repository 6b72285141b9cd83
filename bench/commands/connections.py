"""``python -m bench connections``: what the server costs beside its model."""

from __future__ import annotations

import argparse
import json

from bench.arguments import count, minutes, new_file
from bench.progress import progress


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser(
        "connections", help="many dictations at a time, without the model, next to an echo"
    )
    parser.add_argument("--connections", type=count, default=200, help="at a time (200)")
    parser.add_argument("--minutes", type=minutes, default=1.0, help="of each server (1)")
    parser.add_argument("--no-archive", action="store_true", help="turn the archive off")
    parser.add_argument("--out", type=new_file, metavar="FILE.json", help="write the figures")
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the table, write the file."""
    from bench.connections.measure import measure
    from bench.connections.summary import document, summarize, table

    with progress() as told:
        runs = measure(
            arguments.connections,
            60 * arguments.minutes,
            told,
            archive=not arguments.no_archive,
        )
    summaries = [summarize(run) for run in runs]
    print(table(summaries))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(document(summaries), indent=1) + "\n", "utf-8")
