"""``python -m bench``: the measurements, one subcommand each."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from bench import provenance
from bench.batch import command as batch
from bench.compare import compare
from bench.dictation import command as dictation
from bench.dictation.results import is_dictation
from bench.plot import FORMATS, draw
from bench.progress import progress
from bench.report import report
from bench.results import Measurement, Result, read, write
from polyasr.errors import PolyasrError

if TYPE_CHECKING:
    from bench.engine import Outcome
    from bench.models import Models

LONGEST = 30
"""Seconds: a segment is no longer."""
DTYPES = ("bfloat16", "float16", "float32", "int8")


def main() -> None:
    """Run one command. Exits with 2 and a line on stderr for files it can do nothing with."""
    arguments = _parser().parse_args()
    try:
        if arguments.command == "engine":
            _engine(arguments)
        elif arguments.command == "diarization":
            _diarization(arguments)
        elif arguments.command == "speakers":
            _speakers(arguments)
        elif arguments.command == "alignment":
            _alignment(arguments)
        elif arguments.command == "batch":
            batch.run(arguments)
        elif arguments.command == "dictation":
            dictation.run(arguments)
        elif arguments.command == "rounding":
            _rounding(arguments)
        elif arguments.command == "connections":
            _connections(arguments)
        elif arguments.command == "plot":
            draw(read(arguments.result), arguments.picture)
        elif arguments.command == "report":
            dictation.write_page(arguments.results, arguments.page)
        elif is_dictation(arguments.a) and is_dictation(arguments.b):
            print(dictation.compared(arguments.a, arguments.b))
        else:
            print(compare(read(arguments.a), read(arguments.b)))
    except (OSError, ValueError, PolyasrError) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure polyasr.")
    commands = parser.add_subparsers(dest="command", required=True)
    engine = commands.add_parser("engine", help="what a partial costs, against re-transcription")
    engine.add_argument(
        "--size", default="0.6b", choices=("0.6b", "1.7b", "tiny"), help="random weights (0.6b)"
    )
    engine.add_argument(
        "--dtype",
        default="bfloat16",
        choices=DTYPES,
        help="of the weights (bfloat16); with int8 the others, which lack it, have bfloat16",
    )
    engine.add_argument("--device", default="cpu", help="a torch device (cpu)")
    engine.add_argument("--seconds", type=_seconds, default=30, help="of the recording (30)")
    engine.add_argument("--repeats", type=_repeats, default=3, help="of everything, in turn (3)")
    engine.add_argument("--out", type=_new_file, metavar="FILE.json", help="write the result")
    engine.add_argument(
        "--plot", type=_new_picture, metavar="FILE", help="draw cost over length, SVG or PNG"
    )
    diarization = commands.add_parser("diarization", help="who spoke when: error, speed, memory")
    diarization.add_argument(
        "--speech",
        type=Path,
        required=True,
        metavar="DIR",
        help="recordings of one speaker each, called SPEAKER-anything.flac",
    )
    diarization.add_argument("--seeds", type=_repeats, default=3, help="of each kind (3)")
    diarization.add_argument("--seconds", type=_seconds_of_talk, default=90, help="of each (90)")
    diarization.add_argument(
        "--memory", type=_repeats, metavar="MINUTES", help="the memory of one so long instead"
    )
    diarization.add_argument(
        "--model", default="", help="a pipeline of pyannote; left out, the built-in way is measured"
    )
    speakers = commands.add_parser("speakers", help="what the speaker filter keeps and drops")
    speakers.add_argument(
        "--audio",
        type=Path,
        required=True,
        metavar="DIR",
        help="recordings of one speaker each, called SPEAKER-anything.flac",
    )
    speakers.add_argument("--seeds", type=_repeats, default=2, help="of each kind (2)")
    alignment = commands.add_parser("alignment", help="when each word is said: error, speed")
    alignment.add_argument(
        "--seconds", type=int, nargs="+", default=[0, 5, 15, 30, 60, 120, 240], help="of the clips"
    )
    alignment.add_argument("--clips", type=_repeats, default=10, help="of each kind (10)")
    alignment.add_argument("--seed", type=int, default=1)
    alignment.add_argument(
        "--memory", type=_repeats, metavar="MINUTES", help="the memory of one so long instead"
    )
    batch.add_arguments(commands)
    dictation.add_arguments(commands)
    connections = commands.add_parser(
        "connections", help="many dictations at a time, without the model, next to an echo"
    )
    connections.add_argument("--connections", type=_repeats, default=200, help="at a time (200)")
    connections.add_argument("--minutes", type=_minutes, default=1.0, help="of each server (1)")
    connections.add_argument("--no-archive", action="store_true", help="turn the archive off")
    connections.add_argument("--out", type=_new_file, metavar="FILE.json", help="write the figures")
    rounding = commands.add_parser(
        "rounding", help="what weights of fewer bits change in the text, with the tiny model"
    )
    rounding.add_argument(
        "--dtypes", nargs="+", choices=DTYPES, default=["bfloat16", "int8"], help="(bfloat16 int8)"
    )
    rounding.add_argument("--clips", type=_repeats, default=100, help="of each language (100)")
    pages = commands.add_parser("report", help="results of `dictation` as one HTML page")
    pages.add_argument("results", type=Path, nargs="+", metavar="FILE.json")
    pages.add_argument("--html", type=_new_file, required=True, metavar="FILE.html", dest="page")
    comparison = commands.add_parser("compare", help="two results of the same host and settings")
    comparison.add_argument("a", type=Path, metavar="A")
    comparison.add_argument("b", type=Path, metavar="B")
    plot = commands.add_parser("plot", help="the picture of a result")
    plot.add_argument("result", type=Path, metavar="FILE.json")
    plot.add_argument("picture", type=_new_picture, metavar="PICTURE", help="SVG or PNG")
    return parser


def _engine(arguments: argparse.Namespace) -> None:
    result = _measured(arguments)
    print(report(result))
    if arguments.out is not None:
        write(result, arguments.out)
    if arguments.plot is not None:
        draw(result, arguments.plot)


def _speakers(arguments: argparse.Namespace) -> None:
    from bench.speakers import measure, report

    with progress() as told:
        trials = measure(arguments.audio, arguments.seeds, told)
    print(report(trials))


def _alignment(arguments: argparse.Namespace) -> None:
    from bench.alignment import measure, memory, report

    with progress() as told:
        if arguments.memory is not None:
            outcome = memory(arguments.memory, told)
        else:
            outcome = report(measure(arguments.seconds, arguments.clips, arguments.seed, told))
    print(outcome)


def _diarization(arguments: argparse.Namespace) -> None:
    from bench.diarization import measure, memory, report

    with progress() as told:
        if arguments.memory is not None:
            outcome = memory(arguments.speech, arguments.memory, arguments.model, told)
        else:
            of_each = arguments.seeds, arguments.seconds, arguments.model
            outcome = report(measure(arguments.speech, *of_each, told))
    print(outcome)


def _rounding(arguments: argparse.Namespace) -> None:
    from bench.rounding import measure, report

    with progress() as told:
        found = measure(arguments.dtypes, arguments.clips, told)
    print(report(found))


def _connections(arguments: argparse.Namespace) -> None:
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
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        host=provenance.host(gpu),
        commit=commit,
        packages=provenance.packages(),
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
    return _whole(text, LONGEST)


def _seconds_of_talk(text: str) -> int:
    return _whole(text, 3600)


def _repeats(text: str) -> int:
    return _whole(text, 1000)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= 1440:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes up to a day")
    return minutes


def _whole(text: str, largest: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {largest}")
    return int(text)


def _new_file(text: str) -> Path:
    """A file that can be written, found out before the work is done."""
    file = Path(text)
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {file.parent}")
    return file


def _new_picture(text: str) -> Path:
    file = _new_file(text)
    if file.suffix not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("a picture needs matplotlib: pip install 'polyasr[bench]'")
    return file


if __name__ == "__main__":
    main()
