"""``python -m bench alignment``: how near the word times are."""

from __future__ import annotations

import argparse

from bench.arguments import count
from bench.progress import progress


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser("alignment", help="when each word is said: error, speed")
    parser.add_argument(
        "--seconds", type=int, nargs="+", default=[0, 5, 15, 30, 60, 120, 240], help="of the clips"
    )
    parser.add_argument("--clips", type=count, default=10, help="of each kind (10)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--memory", type=count, metavar="MINUTES", help="the memory of one so long instead"
    )
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the tables."""
    from bench.alignment import measure, memory, report

    with progress() as told:
        if arguments.memory is not None:
            outcome = memory(arguments.memory, told)
        else:
            outcome = report(measure(arguments.seconds, arguments.clips, arguments.seed, told))
    print(outcome)
