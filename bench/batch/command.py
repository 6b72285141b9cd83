"""``python -m bench batch``: its options, and what becomes of them."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import trio

from bench import provenance
from bench.arguments import SIZES, count, new_file, whole
from bench.batch.measure import film, latencies, throughput
from bench.batch.report import report
from bench.batch.results import BatchResult, Film, Latency, Throughput, write
from bench.batch.upstream import open_upstream
from bench.dictation.corpus import Clip, Recipe, digest, synthesized
from bench.progress import progress
from bench.results import Commit
from polyasr import checkpoint, settings
from polyasr.commands.demo import open_server
from polyasr.errors import ungrouped

LONGEST = 24 * 3600
"""Seconds of a recording."""
SENTENCES = "12"
"""Dictations, of a sentence each."""
OWN_SETTINGS = {"idle_evict_seconds": "0", "max_queue_size": "1000"}


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser(
        "batch",
        help="recordings by HTTP: how many at once, how fast, against qwen-asr's own",
        description="Start a server, send it synthesised recordings, and compare with "
        "qwen-asr's transcribe on the same checkpoint.",
    )
    parser.add_argument("--model", default="tiny", help="a name on the hub or a directory (tiny)")
    parser.add_argument(
        "--size",
        choices=SIZES,
        help="random weights of this size in place of a model: no server, and scripted texts",
    )
    parser.add_argument("--dtype", default="float32", help="of the weights (float32)")
    parser.add_argument("--device", default="cpu", help="a torch device (cpu)")
    parser.add_argument(
        "--files", nargs="+", type=count, default=[1, 8, 32], help="recordings at once (1 8 32)"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=30, help="of each, or a little more (30)"
    )
    parser.add_argument("--repeats", type=count, default=3, help="of everything, in turn (3)")
    parser.add_argument(
        "--film", type=float, default=120, help="minutes of the long recording; 0: none (120)"
    )
    parser.add_argument("--no-upstream", action="store_true", help="only our own")
    parser.add_argument("--no-dictation", action="store_true", help="no dictations beside a film")
    parser.add_argument("--out", type=new_file, metavar="FILE.json", help="write the result")
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the tables, write the file. Raises ValueError, OSError and PolyasrError."""
    if not 0 <= arguments.film < math.inf:
        raise ValueError("--film takes a number of minutes, or 0 for none")
    recipe = Recipe(max(arguments.files), arguments.seconds)
    recordings = synthesized(recipe)
    with progress() as told:
        if arguments.size:
            result = _at_size(arguments, recordings, told)
        else:
            sentences = synthesized(Recipe.parse(SENTENCES))
            result = trio.run(_measure, arguments, recordings, sentences, told)
    if arguments.out is not None:
        write(result, arguments.out)
    print(report(result))


def _at_size(
    arguments: argparse.Namespace, recordings: Sequence[Clip], told: Callable[[str], object]
) -> BatchResult:
    from bench.batch import sizes
    from bench.models import Models

    commit = provenance.commit()
    models = Models(arguments.size, arguments.dtype, arguments.device)
    files, repeats = arguments.files, arguments.repeats
    speeds = trio.run(sizes.throughput, models, recordings, files, repeats, told)
    found = _Found({"recordings": digest(recordings)}, speeds)
    return _result(arguments, f"{arguments.size} at random", commit, models.gpu(), found)


async def _measure(
    arguments: argparse.Namespace,
    recordings: Sequence[Clip],
    sentences: Sequence[Clip],
    told: Callable[[str], object],
) -> BatchResult:
    commit = provenance.commit()
    subject = {name: getattr(arguments, name) for name in ("model", "dtype", "device")}
    with ungrouped(), ExitStack() as stack:
        upstream = None
        if not arguments.no_upstream:
            directory = checkpoint.resolve(settings.load({}, subject))
            upstream = stack.enter_context(
                open_upstream(directory, arguments.dtype, arguments.device)
            )
        told("starting a server")
        async with open_server(**subject, **OWN_SETTINGS) as url:
            speeds = await throughput(
                url, upstream, recordings, arguments.files, arguments.repeats, told
            )
            seconds = 60 * arguments.film
            long = await film(url, recordings, seconds, told) if seconds else None
            delays = (
                () if arguments.no_dictation else await latencies(url, sentences, recordings, told)
            )
    corpora = {"recordings": digest(recordings), "sentences": digest(sentences)}
    return _result(arguments, arguments.model, commit, None, _Found(corpora, speeds, long, delays))


@dataclass(frozen=True, slots=True)
class _Found:
    corpora: dict[str, str]
    throughput: tuple[Throughput, ...]
    film: Film | None = None
    latencies: tuple[Latency, ...] = ()


def _result(
    arguments: argparse.Namespace,
    model: str,
    commit: Commit | None,
    gpu: str | None,
    found: _Found,
) -> BatchResult:
    import torch

    return BatchResult(
        **provenance.origin(commit, gpu),
        settings={
            "model": model,
            "dtype": arguments.dtype,
            "device": arguments.device,
            "threads": torch.get_num_threads(),
            "seconds": arguments.seconds,
            "repeats": arguments.repeats,
        },
        corpora=found.corpora,
        throughput=found.throughput,
        film=found.film,
        latencies=found.latencies,
    )


def _seconds(text: str) -> int:
    return whole(text, LONGEST)
