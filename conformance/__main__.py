"""``python -m conformance``: run the transcripts against a server, or against a client."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable

import trio

from conformance import as_client, as_server
from conformance.matching import Mismatch
from conformance.transcripts import Case, cases


def main(argv: list[str] | None = None) -> int:
    """Returns 0 when all that was run passed."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART", help="of the transcript's name")
    parser.add_argument("--slow", action="store_true", help="those that take half a minute as well")
    sides = parser.add_subparsers(dest="side", required=True)
    server = sides.add_parser("server", help="a server that runs")
    server.add_argument("url", help="ws://127.0.0.1:8766/ws/transcribe")
    server.add_argument(
        "--with",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="how the server is set up; transcripts that need something else are left out",
    )
    client = sides.add_parser("client", help="a command that dictates")
    client.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(argv)
    if arguments.side == "server":
        given = dict(text.split("=", 1) for text in arguments.given)
        chosen = [case for case in cases("server") if dict(case.needs) == given]
        return _run(chosen, arguments, lambda case: as_client.run(case, arguments.url))
    command = [word for word in arguments.command if word != "--"]
    return _run(list(cases("client")), arguments, lambda case: as_server.run(case, command))


def _run(
    chosen: list[Case], arguments: argparse.Namespace, judge: Callable[[Case], Awaitable[None]]
) -> int:
    n_passed = n_failed = 0
    for case in chosen:
        if arguments.only not in case.name or (case.is_slow and not arguments.slow):
            continue
        try:
            trio.run(judge, case)
        except Mismatch as error:
            told = f"FAILED {error}"
        else:
            told = "ok"
        n_passed, n_failed = n_passed + (told == "ok"), n_failed + (told != "ok")
        print(f"{case.name}: {told}", flush=True)
    print(f"{n_passed} passed, {n_failed} failed")
    return int(n_failed > 0 or n_passed == 0)


if __name__ == "__main__":
    sys.exit(main())
