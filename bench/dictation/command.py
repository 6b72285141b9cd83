"""``python -m bench dictation``: its options, and what becomes of them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio

from bench import provenance
from bench.adapters import ADAPTERS
from bench.arguments import new_file
from bench.dictation.compare import compare
from bench.dictation.corpus import Clip, Recipe, digest, read_folder, synthesized
from bench.dictation.drive import Pace
from bench.dictation.network import NETWORKS
from bench.dictation.page import page
from bench.dictation.results import Capacity, DictationResult, Objective, read, write
from bench.dictation.session import Plan, Session, System
from bench.dictation.tables import report
from bench.progress import progress
from polyasr.commands.demo import open_server
from polyasr.errors import ungrouped
from polyasr.settings import OPTIONS

KEY = "BENCH_API_KEY"
ROUNDS = ("48@1", "8x28@8")
RAMP_CLIPS = "16x20"
LIMIT = 64
OWN = "polyasr"
OWN_SETTINGS = {"max_sessions": "1000", "idle_evict_seconds": "0"}


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The subcommand."""
    parser = commands.add_parser(
        "dictation",
        help="what a person feels of a streaming server, ours or another's",
        description="Speak to servers at the speed of speech and say how they answer. Without a "
        "SYSTEM this project's own is started, with the tiny model.",
    )
    parser.add_argument(
        "systems",
        nargs="*",
        type=_checked(System.parse),
        metavar="SYSTEM",
        help=f"[NAME=][ADAPTER@]URL; adapters: {', '.join(ADAPTERS)} (polyasr); "
        f"the key is in ${KEY}",
    )
    parser.add_argument(
        "--run",
        nargs="+",
        default=list(ROUNDS),
        metavar="CLIPS@STREAMS",
        help="synthesised clips, and how many streams speak them: 48@1 are 48 sentences, 8x300@4 "
        f"are eight clips of 300 s; with --corpus only @STREAMS ({' '.join(ROUNDS)})",
    )
    parser.add_argument("--corpus", type=Path, metavar="DIR", help="recordings with texts instead")
    parser.add_argument("--language", default="English", help="of the clips (English)")
    parser.add_argument("--seed", type=int, default=0, help="of clips, starts and networks (0)")
    parser.add_argument(
        "--network", nargs="+", default=["none"], choices=NETWORKS, help="impaired ones (none)"
    )
    parser.add_argument(
        "--ramp", action="store_true", help="find the largest number of streams at the objective"
    )
    parser.add_argument(
        "--objective",
        type=_checked(_objective),
        default=Objective(),
        metavar="NAME=SEC,…",
        help="of 95 in 100: first_partial from the onset of speech, final after the audio, "
        "commit_lag (0.9, 0.3, 1.2)",
    )
    parser.add_argument("--limit", type=int, default=LIMIT, help=f"of the ramp ({LIMIT})")
    parser.add_argument("--timeout", type=float, default=10.0, help="for a final, in seconds (10)")
    parser.add_argument("--unpaced", action="store_true", help="as fast as the server takes it")
    parser.add_argument(
        "--setting",
        nargs="+",
        default=[],
        type=_checked(_setting),
        metavar="NAME=VALUE",
        help="of the server that is started, like partial_interval_sec=0.4",
    )
    parser.add_argument(
        "--control",
        type=int,
        choices=(1, 2, 3),
        default=3,
        help="asked of the server that is started: only 3 tells what is committed (3)",
    )
    parser.add_argument(
        "--cold", action="store_true", help="a clip before all others tells of a cold server"
    )
    parser.add_argument("--no-batch", action="store_true", help="ask for no text of the whole")
    parser.add_argument("--out", type=new_file, metavar="FILE.json", help="write the result")
    parser.add_argument(
        "--html", type=new_file, metavar="FILE.html", help="write a page with plots"
    )
    parser.set_defaults(execute=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print the tables, write the files. Raises ValueError, OSError and PolyasrError."""
    rounds, corpora = clips(arguments)
    with progress() as told:
        result = trio.run(_measure, arguments, rounds, corpora, told)
    print(report(result))
    if arguments.out is not None:
        write(result, arguments.out)
    if arguments.html is not None:
        arguments.html.write_text(page([result]), "utf-8")


def write_page(files: Sequence[Path], page_file: Path) -> None:
    """Results as one page. Raises BadResult and OSError."""
    page_file.write_text(page([read(file) for file in files]), "utf-8")


def compared(a: Path, b: Path) -> str:
    """Two results side by side. Raises Incomparable, BadResult and OSError."""
    return compare(read(a), read(b))


def clips(
    arguments: argparse.Namespace,
) -> tuple[list[tuple[str, int]], dict[str, Sequence[Clip]]]:
    """The rounds and the clips they need, synthesised where they have to be.

    Raises ValueError for what is no round.
    """
    corpora: dict[str, Sequence[Clip]] = {}
    rounds = []
    for text in arguments.run:
        found = re.fullmatch(r"([^@]*)@([1-9]\d{0,4})", text)
        if not found:
            raise ValueError(f"--run takes CLIPS@STREAMS, like 48@1 or 8x40@8, and not {text!r}")
        rounds.append((_corpus(found[1], arguments, corpora), int(found[2])))
    if arguments.ramp and arguments.corpus is None:
        _corpus(RAMP_CLIPS, arguments, corpora)
    return rounds, corpora


def _corpus(text: str, arguments: argparse.Namespace, corpora: dict[str, Sequence[Clip]]) -> str:
    """Add the clips of a recipe, or those of the folder; the name they have."""
    if arguments.corpus is not None:
        name = arguments.corpus.resolve().name
        corpora.setdefault(name, read_folder(arguments.corpus, arguments.language))
        return str(name)
    recipe = Recipe.parse(text, arguments.language, arguments.seed)
    if recipe.name not in corpora:
        corpora[recipe.name] = synthesized(recipe)
    return recipe.name


def _cold(arguments: argparse.Namespace, corpora: Mapping[str, Sequence[Clip]]) -> Clip | None:
    """A short one: a sentence, or the shortest of the folder."""
    if arguments.systems and not arguments.cold:
        return None
    if arguments.corpus is None:
        return synthesized(Recipe.parse("1", arguments.language, arguments.seed))[0]
    return min((clip for found in corpora.values() for clip in found), key=lambda c: c.seconds)


async def _measure(
    arguments: argparse.Namespace,
    rounds: Sequence[tuple[str, int]],
    corpora: Mapping[str, Sequence[Clip]],
    told: Callable[[str], object],
) -> DictationResult:
    commit = provenance.commit()
    pace = Pace(arguments.timeout, paced=not arguments.unpaced)
    with ungrouped():
        async with _systems(arguments, told) as systems:
            plan = Plan(
                systems,
                corpora,
                rounds,
                arguments.network,
                pace,
                arguments.seed,
                os.environ.get(KEY),
                cold=_cold(arguments, corpora),
                batch=not arguments.no_batch,
            )
            session = Session(plan, told, lambda text: print(f"bench: {text}", file=sys.stderr))
            runs = await session.rounds()
            capacities: tuple[Capacity, ...] = ()
            if arguments.ramp:
                name = rounds[0][0] if arguments.corpus else Recipe.parse(RAMP_CLIPS).name
                capacities = await session.capacities(name, arguments.objective, arguments.limit)
    return DictationResult(
        **provenance.origin(commit, None),
        settings={
            "timeout": pace.timeout,
            "paced": pace.paced,
            "seed": arguments.seed,
            **dict(arguments.setting),
        },
        corpora={name: digest(each) for name, each in corpora.items()},
        runs=runs,
        capacities=capacities,
    )


@asynccontextmanager
async def _systems(
    arguments: argparse.Namespace, told: Callable[[str], object]
) -> AsyncIterator[Sequence[System]]:
    if arguments.systems:
        yield arguments.systems
        return
    told("starting a server")
    async with open_server(**OWN_SETTINGS | dict(arguments.setting)) as url:
        address = url.replace("http", "ws", 1) + "/ws/transcribe"
        adapter = OWN if arguments.control == 3 else f"{OWN}{arguments.control}"
        yield [System(adapter, adapter, address)]


def _objective(text: str) -> Objective:
    try:
        limits = {name: float(value) for name, value in (s.split("=") for s in text.split(","))}
        return replace(Objective(), **limits)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text!r} is not like first_partial=0.9,final=0.3") from error


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or name not in OPTIONS:
        raise ValueError(f"{text!r} is not NAME=VALUE; `polyasr config` lists the names")
    return name, value


def _checked(parse: Callable[[str], object]) -> Callable[[str], object]:
    """Its errors as argparse tells them."""

    def checked(text: str) -> object:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked
