"""``polyasr serve``: the server, once its model is there."""

from __future__ import annotations

import argparse

from polyasr import checkpoint
from polyasr.commands import load_settings


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal. Raises ConfigurationError and, when there is no model to load,
    ModelUnavailable: a person is there to read it now, and not later when the first client fails.
    """
    settings = load_settings(arguments)
    checkpoint.resolve(settings)
    from polyasr.server import serve

    return serve(settings)
