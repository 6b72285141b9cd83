"""What the commands of the command line do: one a file, each with ``run(arguments) -> int``."""

from __future__ import annotations

import argparse
import os
import sys

from polyasr import settings
from polyasr.settings import OPTIONS, Settings


def load_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the flags and the environment, with a word about variables that are none.

    Raises ConfigurationError.
    """
    for line in settings.unknown_variables(os.environ):
        print(f"polyasr: {line}", file=sys.stderr)
    given = vars(arguments)
    return settings.load(os.environ, {name: given[name] for name in OPTIONS if name in given})
