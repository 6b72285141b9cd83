"""``python -m bench engine``: what a partial costs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import trio

from bench import provenance
from bench.arguments import add_random_model, count, new_file, new_picture, whole
from bench.plot import draw
from bench.report import report
from bench.results import Measurement, Result, write

if TYPE_CHECKING:
    from bench.engine import Outcome
    from bench.models import Models

LONGEST = 30
"""Seconds: a segment is no longer."""


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser("engine", help="what a partial costs, against re-transcription")
    add_random_model(parser, "; with int8 the others, which lack it, have bfloat16")
    parser.add_argument("--seconds", type=_seconds, default=30, help="of the recording (30)")
    parser.add_argument("--repeats", type=count, default=3, help="of everything, in turn (3)")
    parser.add_argument("--out", type=new_file, metavar="FILE.json", help="write the result")
    parser.add_argument(
        "--plot", type=new_picture, metavar="FILE", help="draw cost over length, SVG or PNG"
    )
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the tables, write the file and the picture."""
    result = _measured(arguments)
    print(report(result))
    if arguments.out is not None:
        write(result, arguments.out)
    if arguments.plot is not None:
        draw(result, arguments.plot)


def _measured(arguments: argparse.Namespace) -> Result:
    import torch
    from tqdm import tqdm

    from bench.memory import peaks
    from bench.models import Models

    commit = provenance.commit()
    subject = (arguments.size, arguments.dtype, arguments.device)
    models = Models(*subject)
    gpu = models.gpu()
    with tqdm(bar_format="{desc} ({elapsed})", leave=False) as line:
        told = line.set_description_str
        outcome, streams = trio.run(_timed, arguments, models, told)
        del models
        memory = peaks(outcome.outputs, *subject, arguments.seconds, told)
    return Result(
        **provenance.origin(commit, gpu),
        settings={
            "size": arguments.size,
            "dtype": arguments.dtype,
            "device": arguments.device,
            "seconds": arguments.seconds,
            "threads": torch.get_num_threads(),
        },
        measurements=(*outcome.measurements, *streams),
        memory=memory,
        outputs=outcome.outputs,
    )


async def _timed(
    arguments: argparse.Namespace, models: Models, told: Callable[[str], object]
) -> tuple[Outcome, list[Measurement]]:
    from bench import packed
    from bench.engine import measure
    from bench.strategies import strategies
    from polyasr.engine.thread import ModelThread
    from polyasr.pipeline.types import Urgency

    with closing(ModelThread()) as thread:
        began = strategies(models)
        alone = partial(measure, began, arguments.seconds, arguments.repeats, told)
        outcome = await thread.run(Urgency.BATCH, alone)
        return outcome, await packed.measure(thread, models, arguments.repeats, told)


def _seconds(text: str) -> int:
    return whole(text, LONGEST)
