"""The command line: `python -m training tiny` makes the recognizer, `... aligner` the aligner.

The rest are their steps; `--of aligner` means those of the aligner.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from training import corpus, demo
from training.synthesis import SynthesizerMissing

if TYPE_CHECKING:
    from training.task import Task

PACKAGE = Path(__file__).parents[1]
CACHE = PACKAGE / ".cache" / "training"
MODELS = PACKAGE / "polyasr" / "models"
FOLDERS = {"tiny": "tiny", "aligner": "tiny-aligner"}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument(
        "step",
        choices=("tiny", "aligner", "synthesize", "train", "export", "evaluate", "demo"),
        help="tiny, aligner: synthesize, train and evaluate; export: a running training's state",
    )
    parser.add_argument(
        "--of", choices=("tiny", "aligner"), help="whose step it is (default: tiny)"
    )
    parser.add_argument("--cache", type=Path, default=CACHE, help="corpus and state")
    parser.add_argument("--output", type=Path, help="the checkpoint's folder")
    parser.add_argument("--seed", type=int, default=0, help="of the corpus and the training")
    parser.add_argument("--hours", type=float, default=36.0, help="hours of speech to synthesise")
    parser.add_argument("--minutes", type=float, default=85.0, help="minutes of training")
    parser.add_argument("--resume", action="store_true", help="go on from the saved state")
    parser.add_argument("--processes", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--share", type=float, default=1.0, help="share of the evaluation's clips")
    parser.add_argument(
        "--through",
        choices=("batches", "engine", "qwen-asr"),
        default="batches",
        help="who recognises in the evaluation; qwen-asr hears single sentences only",
    )
    arguments = parser.parse_args()
    arguments.of = arguments.step if arguments.step in FOLDERS else arguments.of or "tiny"
    arguments.output = arguments.output or MODELS / FOLDERS[arguments.of]
    return arguments


def _task(arguments: argparse.Namespace) -> type[Task]:
    from training.aligner import Aligner
    from training.recognizer import Recognizer

    return Aligner if arguments.of == "aligner" else Recognizer


def _synthesize(arguments: argparse.Namespace) -> None:
    if arguments.of == "aligner" and (arguments.cache / "corpus" / "index.pickle").exists():
        return  # the recognizer's is the same
    corpus.build(arguments.cache / "corpus", arguments.seed, arguments.hours, arguments.processes)


def _train(arguments: argparse.Namespace) -> None:
    from training import train
    from training.task import Settings

    train.train(
        _task(arguments),
        Settings(
            cache=arguments.cache,
            output=arguments.output,
            minutes=arguments.minutes,
            seed=arguments.seed,
            resume=arguments.resume,
            processes=arguments.processes,
        ),
    )


def _export(arguments: argparse.Namespace) -> None:
    from training import train

    train.export_state(_task(arguments), arguments.cache, arguments.output)


def _evaluate(arguments: argparse.Namespace) -> None:
    if arguments.of == "aligner":
        _evaluate_aligner(arguments)
    else:
        _evaluate_recognizer(arguments)


def _evaluate_aligner(arguments: argparse.Namespace) -> None:
    from training import evaluate_aligner as evaluate

    if arguments.through == "qwen-asr":
        align = evaluate.official_aligner(arguments.output)
    else:
        align = evaluate.aligner(*evaluate.load(arguments.output))
    print(evaluate.markdown(evaluate.table(align, arguments.seed, arguments.share)))


def _evaluate_recognizer(arguments: argparse.Namespace) -> None:
    from training import evaluate

    began = time.monotonic()
    longest = 12
    if arguments.through == "engine":
        listen = evaluate.engine_listener(arguments.output)
    elif arguments.through == "qwen-asr":
        listen, longest = evaluate.official_listener(arguments.output), 1
    else:
        listen = evaluate.listener(*evaluate.load(arguments.output))
    scores = evaluate.table(listen, arguments.seed, arguments.share, longest=longest)
    print(evaluate.markdown(scores))
    agreement = evaluate.partial_agreement(listen, count=max(1, round(60 * arguments.share)))
    print(f"\nwords of partials but the last that stand in the final: {100 * agreement:.1f} %")
    print(f"measured in {time.monotonic() - began:.0f} s")


def _demo(arguments: argparse.Namespace) -> None:
    demo.write(arguments.output.parent / "demo")


def main() -> int:
    """Run the chosen step."""
    arguments = _arguments()
    steps = {
        "tiny": (_synthesize, _train, _evaluate),
        "aligner": (_synthesize, _train, _evaluate),
        "synthesize": (_synthesize,),
        "train": (_train,),
        "export": (_export,),
        "evaluate": (_evaluate,),
        "demo": (_demo,),
    }[arguments.step]
    try:
        for step in steps:
            step(arguments)
    except SynthesizerMissing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
