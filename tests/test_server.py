"""The server as a process: it listens, says so, and stops when it is told."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from polyasr import server
from polyasr.errors import ConfigurationError
from tests.fakes import HeldModel, ScriptedEngine, configured, tone, wav

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from contextlib import asynccontextmanager
from polyasr import server
from tests.fakes import ScriptedEngine, configured

@asynccontextmanager
async def open_engine(settings, timed):
    yield ScriptedEngine()
    print("engine closed", flush=True)

server.open_engine = open_engine
sys.exit(server.serve(configured()))
"""
"""The real server over an engine without a model."""


@contextmanager
def running() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server's process and the first line it prints."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_listens_and_a_signal_stops_it(number: signal.Signals) -> None:
    with running() as (process, line):
        name, model, address = line.strip().split(" · ")
        assert (name.split()[0], model) == ("polyasr", "model tiny")
        assert httpx.get(address).json()["name"] == "polyasr"
        process.send_signal(number)
        rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest == "engine closed\n"


def test_a_port_in_use_is_one_clear_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert server.serve(replace(configured(), port=port)) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert str(port) in line
    assert "in use" in line
    assert "POLYASR_PORT" in line


@pytest.mark.parametrize("host", ["203.0.113.7", "a" * 64])
def test_a_host_that_is_not_of_this_machine_is_one_clear_line(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.serve(replace(configured(), host=host)) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert host in line
    assert "POLYASR_HOST" in line


def test_a_name_with_two_families_is_listened_to_over_ipv4() -> None:
    with server.listen("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


async def test_two_servers_do_not_share_a_port() -> None:
    async with server.open_server(configured(), ScriptedEngine()) as address:
        port = int(address.rpartition(":")[2])
        with pytest.raises(ConfigurationError):
            async with server.open_server(replace(configured(), port=port), ScriptedEngine()):
                pass


async def test_when_the_block_ends_nobody_listens_any_more() -> None:
    async with server.open_server(configured(), ScriptedEngine()) as address:
        port = int(address.rpartition(":")[2])
    with pytest.raises(OSError, match="connect"):
        await trio.open_tcp_stream("127.0.0.1", port)


async def test_a_stop_lets_work_in_progress_end() -> None:
    held, answers = HeldModel(), []

    async def ask(address: str) -> None:
        async with httpx.AsyncClient() as http:
            url = f"{address}/v1/audio/transcriptions"
            answers.append(await http.post(url, files={"file": wav(tone(0.5))}))

    async def release_once_it_stops() -> None:
        await wait_all_tasks_blocked()
        held.release.set()

    engine = ScriptedEngine(held.script)
    async with (
        trio.open_nursery() as nursery,
        server.open_server(configured(), engine) as address,
    ):
        nursery.start_soon(ask, address)
        await held.begun.wait()
        nursery.start_soon(release_once_it_stops)
    assert [answer.json()["text"] for answer in answers] == ["Hello."]


@pytest.mark.parametrize(
    ("host", "key", "warned"),
    [("0.0.0.0", "", True), ("0.0.0.0", "k", False), ("127.0.0.1", "", False), ("::1", "", False)],
)
def test_a_server_that_anybody_can_reach_without_a_key_says_so(
    host: str, key: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    server._warn_if_open(replace(configured(), host=host, api_key=key))
    assert ("POLYASR_API_KEY" in capsys.readouterr().err) == warned
