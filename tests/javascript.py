"""The JavaScript client, run by Node where there is one of version 20 or later."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio

ROOT = Path(__file__).parents[1]
CLIENT = ROOT / "client" / "js"
NODE = shutil.which("node")
OLDEST = 20
HAS_WEBSOCKET = 22
"""Before this version it has to be asked for."""
LIMIT_SEC = 120
"""Against hanging."""

QUICK = {"firstRetry": 0.02, "lastRetry": 0.1, "loyal": 0.3, "patience": 5}


def _version() -> int:
    if NODE is None:
        return 0
    told = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.lstrip("v").split(".")[0])


VERSION = _version()
needs_node = pytest.mark.skipif(VERSION < OLDEST, reason=f"there is no Node {OLDEST} or later")


def node(*arguments: str) -> list[str]:
    """The command that runs Node with a WebSocket."""
    flags = [] if VERSION >= HAS_WEBSOCKET else ["--experimental-websocket", "--no-warnings"]
    return [str(NODE), *flags, *arguments]


async def dictate(
    urls: list[str], pcm16: bytes, *flags: str, timing: dict[str, float] = QUICK, **options: Any
) -> list[dict[str, Any]]:
    """The events of a dictation."""
    given = [f"--timing={json.dumps(timing)}", f"--options={json.dumps(options)}"]
    command = node(str(CLIENT / "src" / "cli.js"), *flags, *given, *urls)
    with trio.fail_after(LIMIT_SEC):
        done = await trio.run_process(
            command, stdin=pcm16, capture_stdout=True, capture_stderr=True, check=False
        )
    assert done.stderr == b"", done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]
