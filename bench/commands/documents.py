"""``python -m bench compare``, ``plot`` and ``report``: what is made of results."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.arguments import new_file, new_picture
from bench.compare import compare
from bench.dictation import command as dictation
from bench.dictation.results import is_dictation
from bench.plot import draw
from bench.results import read


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The three subcommands."""
    pages = commands.add_parser("report", help="results of `dictation` as one HTML page")
    pages.add_argument("results", type=Path, nargs="+", metavar="FILE.json")
    pages.add_argument("--html", type=new_file, required=True, metavar="FILE.html", dest="page")
    pages.set_defaults(execute=_report)
    comparison = commands.add_parser("compare", help="two results of the same host and settings")
    comparison.add_argument("a", type=Path, metavar="A")
    comparison.add_argument("b", type=Path, metavar="B")
    comparison.set_defaults(execute=_compare)
    plot = commands.add_parser("plot", help="the picture of a result")
    plot.add_argument("result", type=Path, metavar="FILE.json")
    plot.add_argument("picture", type=new_picture, metavar="PICTURE", help="SVG or PNG")
    plot.set_defaults(execute=_plot)


def _report(arguments: argparse.Namespace) -> None:
    dictation.write_page(arguments.results, arguments.page)


def _compare(arguments: argparse.Namespace) -> None:
    if is_dictation(arguments.a) and is_dictation(arguments.b):
        print(dictation.compared(arguments.a, arguments.b))
    else:
        print(compare(read(arguments.a), read(arguments.b)))


def _plot(arguments: argparse.Namespace) -> None:
    draw(read(arguments.result), arguments.picture)
