"""What the commands take: numbers, and files that can be written."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from bench.plot import FORMATS

DTYPES = ("bfloat16", "float16", "float32", "int8")
SIZES = ("0.6b", "1.7b", "tiny")


def add_random_model(parser: argparse.ArgumentParser, note: str = "") -> None:
    """Which random weights, in what number format and where; ``note`` is said of the format."""
    parser.add_argument("--size", default="0.6b", choices=SIZES, help="random weights (0.6b)")
    parser.add_argument(
        "--dtype", default="bfloat16", choices=DTYPES, help=f"of the weights (bfloat16){note}"
    )
    parser.add_argument("--device", default="cpu", help="a torch device (cpu)")


def count(text: str) -> int:
    """A number from 1 to 1000."""
    return whole(text, 1000)


def whole(text: str, largest: int) -> int:
    """A number from 1 on. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= largest:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {largest}")
    return int(text)


def minutes(text: str) -> float:
    """Up to a day. Raises ArgumentTypeError."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 1440:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of minutes up to a day")
    return found


def new_file(text: str) -> Path:
    """A file that can be written, found out before the work is done. Raises ArgumentTypeError."""
    file = Path(text)
    if not file.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {file.parent}")
    return file


def new_picture(text: str) -> Path:
    """The same, of a picture."""
    file = new_file(text)
    if file.suffix not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise argparse.ArgumentTypeError("a picture needs matplotlib: pip install 'polyasr[bench]'")
    return file
