"""The composition root: opens the sockets, the engine, the archive, then the application; closes in
reverse."""

from __future__ import annotations

import errno
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import hypercorn
import trio

from polyasr import __version__
from polyasr.app import create_app
from polyasr.archive import open_archive
from polyasr.engine import open_engine
from polyasr.errors import ConfigurationError
from polyasr.metrics import Metrics
from polyasr.pipeline.config import DictationConfig
from polyasr.pipeline.registry import open_sessions
from polyasr.routes.linger import LingeringClose
from polyasr.routes.port import serve_port
from polyasr.routes.services import ServingEngine
from polyasr.routes.websockets import MAX_MESSAGE_BYTES, PING_INTERVAL_SEC
from polyasr.settings import Settings

BACKLOG = 128
"""Connections the kernel holds until they are accepted."""
KEEP_ALIVE_SEC = 75.0
"""Longer than clients keep an idle connection (5 to 60 s), so that it is they who drop it and none
sends a request into a closing socket."""
UNACKNOWLEDGED_MS = 40_000
"""How long the network may leave our data, such as two pings, unacknowledged before the peer counts
as gone. The kernel's own patience is a quarter of an hour."""
HYPERCORN_GRACE_SEC = 0.1
"""Hypercorn's own grace comes after ours, when nothing is being served any more, and only waits
for the tasks that sent pings on WebSockets closed long ago."""


SWITCH_SEC = 0.0005
"""How long a thread may keep the others from the interpreter; Python's default is 5 ms. The speech
detector gives it up and wants it back for each window, hundreds of times a second."""


def share_the_interpreter() -> None:
    """Let this process's threads take turns fast enough for a server, and the garbage collector
    leave out what is loaded already: looking through all of it stops everybody for 50 ms."""
    sys.setswitchinterval(SWITCH_SEC)
    gc.freeze()


def serve(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code: 0, or 2 when it cannot listen.

    The first signal ends the server once its work in progress is done or ``GRACE_SEC`` is over, a
    second one ends the process at once.
    """
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("polyasr").setLevel(logging.INFO)
    share_the_interpreter()
    try:
        with listen(settings.host, settings.port) as listener:
            trio.run(_serve_until_signalled, settings, listener)
    except ConfigurationError as error:
        print(f"polyasr: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve_until_signalled(settings: Settings, listener: socket.socket) -> None:
    metrics = Metrics()
    async with (
        open_engine(settings, metrics.decoding) as engine,
        _open_http(settings, engine, listener, metrics) as address,
    ):
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print(f"polyasr {__version__} · model {settings.model} · {address}", flush=True)
            _warn_if_open(settings)
            await anext(signals)
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@asynccontextmanager
async def open_server(settings: Settings, engine: ServingEngine) -> AsyncIterator[str]:
    """The server on its sockets, for the length of the block; yields its address as a URL.

    Port 0 takes a free one. Raises ConfigurationError when it cannot listen there.
    """
    with listen(settings.host, settings.port) as listener:
        async with _open_http(settings, engine, listener, Metrics()) as address:
            yield address


@asynccontextmanager
async def _open_http(
    settings: Settings, engine: ServingEngine, listener: socket.socket, metrics: Metrics
) -> AsyncIterator[str]:
    address = _address(listener)
    stop = trio.Event()
    async with (
        open_archive(settings) as archive,
        open_sessions(
            engine, DictationConfig.from_settings(settings), archive, metrics
        ) as sessions,
        trio.open_nursery() as nursery,
    ):
        app, dictations = create_app(settings, engine, sessions, archive, metrics)
        lingering = LingeringClose(app)
        await nursery.start(serve_port, lingering, hypercorn_config(), listener, dictations, stop)
        yield address
        stop.set()


def hypercorn_config() -> hypercorn.Config:
    """Hypercorn's settings."""
    config = hypercorn.Config()
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE_SEC
    config.graceful_timeout = HYPERCORN_GRACE_SEC
    config.websocket_ping_interval = PING_INTERVAL_SEC
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    return config


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket at one address of ``host``, of IPv4 where it has one; port 0 takes a free
    one. Connections wait in its backlog until they are accepted.

    Raises ConfigurationError, which says what to change.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = min(addresses, key=lambda info: info[0] != socket.AF_INET)
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that DNS cannot hold
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"POLYASR_HOST {host!r} cannot be resolved: {reason}") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        try:
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError as error:
            raise _cannot_bind(host, port, error) from error
        yield listener


def _cannot_bind(host: str, port: int, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        return ConfigurationError(
            f"port {port} of {host} is in use: stop the other server, or choose a port "
            "with --port or POLYASR_PORT"
        )
    return ConfigurationError(
        f"cannot listen on {host} port {port}: {error.strerror}; see POLYASR_HOST and POLYASR_PORT"
    )


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _warn_if_open(settings: Settings) -> None:
    if not settings.api_key and not _is_loopback(settings.host):
        print(
            f"everybody who reaches {settings.host} can use this server: "
            "POLYASR_API_KEY asks for a key",
            file=sys.stderr,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
