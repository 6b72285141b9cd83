"""``python -m bench paced``: its options, and what becomes of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import trio

from bench import provenance
from bench.arguments import add_random_model, count, new_file
from bench.paced.measure import paced
from bench.paced.report import report
from bench.paced.results import Paced, PacedResult, write
from bench.progress import progress
from bench.tally import Tally
from polyasr.engine.thread import ModelThread
from polyasr.pipeline.types import Urgency

if TYPE_CHECKING:
    from bench.models import Models


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser(
        "paced",
        help="how late partials are of so many streams at the speed of speech, at true sizes",
        description="Streams at the speed of speech on random weights, each with a partial a "
        "second and a final every 30 s.",
    )
    add_random_model(parser)
    parser.add_argument(
        "--streams", nargs="+", type=count, default=[1, 2, 4], help="at a time (1 2 4)"
    )
    parser.add_argument(
        "--seconds", type=count, default=60, help="measured of each, after 30 to begin (60)"
    )
    parser.add_argument("--out", type=new_file, metavar="FILE.json", help="write the result")
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the table, write the file. Raises ValueError for a device that is
    not there, and OSError."""
    import torch

    from bench.models import Models

    commit = provenance.commit()
    models = Models(arguments.size, arguments.dtype, arguments.device)
    with progress() as told:
        runs = trio.run(_measure, models, arguments.streams, arguments.seconds, told)
    result = PacedResult(
        **provenance.origin(commit, models.gpu()),
        settings={
            "size": arguments.size,
            "dtype": arguments.dtype,
            "device": arguments.device,
            "threads": torch.get_num_threads(),
        },
        runs=runs,
    )
    if arguments.out is not None:
        write(result, arguments.out)
    print(report(result))


async def _measure(
    models: Models, counts: Sequence[int], seconds: float, told: Callable[[str], object]
) -> tuple[Paced, ...]:
    from bench.segments import ScriptedSegments

    with closing(ModelThread()) as thread:
        told("loading the model")
        backend = await thread.run(Urgency.BATCH, lambda: models.backend)
        segments = ScriptedSegments(thread, backend, models.script, Tally())
        begin = partial(segments.open_recognition, language="English", context="")
        found = []
        for count in counts:
            told(f"{count} streams")
            found.append(await paced(begin, count, seconds))
        return tuple(found)
