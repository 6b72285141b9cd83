"""``python -m bench rounding``: what weights of fewer bits change in the text."""

from __future__ import annotations

import argparse

from bench.arguments import DTYPES, count
from bench.progress import progress


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser(
        "rounding", help="what weights of fewer bits change in the text, with the tiny model"
    )
    parser.add_argument(
        "--dtypes", nargs="+", choices=DTYPES, default=["bfloat16", "int8"], help="(bfloat16 int8)"
    )
    parser.add_argument("--clips", type=count, default=100, help="of each language (100)")
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table."""
    from bench.rounding import measure, report

    with progress() as told:
        found = measure(arguments.dtypes, arguments.clips, told)
    print(report(found))
