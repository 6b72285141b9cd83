"""The kinds of values that settings have: how a text becomes one, what to say when it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWITCH_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """``parse`` raises ValueError; ``accepts`` says what it takes. A ``secret`` is never shown."""

    parse: Callable[[str], Any]
    accepts: str
    secret: bool = False


def whole(low: int, high: int) -> Kind:
    """A whole number in [low, high]."""

    def parse(text: str) -> int:
        _check_range(low, int(text), high)
        return int(text)

    return Kind(parse, f"a whole number from {low} to {high}")


def seconds(low: float, high: float) -> Kind:
    """A number of seconds in [low, high]."""

    def parse(text: str) -> float:
        _check_range(low, float(text), high)
        return float(text)

    return Kind(parse, f"a number of seconds from {low:g} to {high:g}")


def choice(*choices: str, note: str = "") -> Kind:
    """One of some words, in any case; ``note`` is said after them."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(text)
        return text.lower()

    return Kind(parse, ", ".join(choices) + note)


def _check_range(low: float, number: float, high: float) -> None:
    if not low <= number <= high:  # NaN is in no range
        raise ValueError(number)


def _switch(text: str) -> bool:
    if text.lower() not in SWITCH_WORDS:
        raise ValueError(text)
    return SWITCH_WORDS[text.lower()]


def _device(text: str) -> str:
    name, colon, index = text.lower().partition(":")
    numbered = name == "cuda" and index.isascii() and index.isdecimal()
    if name not in ("auto", "cpu", "cuda", "mps") or (colon and not numbered):
        raise ValueError(text)
    return text.lower()


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
    if not all(origin == "*" or "://" in origin for origin in origins):
        raise ValueError(text)
    return origins


def _directories(text: str) -> tuple[str, ...]:
    """Colons part them as in PATH, or commas, as they are shown."""
    named = [name.strip() for name in re.split("[:,]", text) if name.strip()]
    directories = [Path(name).expanduser() for name in named]
    if not all(directory.is_absolute() for directory in directories):
        raise ValueError(text)
    return tuple(map(str, directories))


TEXT = Kind(str, "a text")
SECRET = Kind(str, "a text", secret=True)
SWITCH = Kind(_switch, "1 or 0")
DEVICE = Kind(_device, "cpu, cuda, cuda:1 and so on, mps, or auto")
ORIGINS = Kind(_origins, "origins such as https://example.org, with commas between, or *")
DIRECTORIES = Kind(_directories, "directories, each from the root on, with commas between")
