"""``polyasr config``: what is set, and by whom."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from polyasr.settings import OPTIONS, Option, read, unknown_variables, variable


def run(arguments: argparse.Namespace) -> int:
    """Print every setting. Raises ConfigurationError for one that cannot be used."""
    for line in unknown_variables(os.environ):
        print(f"polyasr: {line}", file=sys.stderr)
    for name, reading in read(os.environ, {}).items():
        option = OPTIONS[name]
        print(f"{variable(name)}={_shown(option, reading.value)}  ({reading.source})")
        print(f"    {option.help}; takes {option.kind.accepts}")
    return 0


def _shown(option: Option, value: Any) -> str:
    """The value as a variable would hold it; of a secret only whether it is set."""
    if option.kind.secret:
        return "***" if value else ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
