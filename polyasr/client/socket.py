"""The WebSocket beneath a dictation: its errors say what to do, and it is closed for sure."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import SplitResult, urlsplit

import trio
from trio_websocket import ConnectionRejected, WebSocketConnection, wrap_client_stream

from polyasr.errors import ConfigurationError, PolyasrError, leaves

CONNECT_TIMEOUT = 10.0
"""Seconds for the connection, and again for the handshake."""
CLOSE_TIMEOUT = 2.0
"""Seconds a server has to answer the goodbye."""
WAITING_MESSAGES = 1000
"""Messages kept for a reader that is busy; without room for them pings would go unanswered."""
DEFAULT_PORTS = {"ws": 80, "wss": 443}
"""RFC 6455, 3."""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class ServerUnreachable(PolyasrError):
    """No dictation server answers at the address."""

    code = "server_unreachable"


@asynccontextmanager
async def open_socket(
    url: str, api_key: str | None, scheme: str = "Bearer"
) -> AsyncIterator[WebSocketConnection]:
    """A WebSocket to a ``ws://`` or ``wss://`` address, closed at the end.

    ``scheme`` is the word before the key, for servers that want another.
    Raises ServerUnreachable, ConfigurationError for an address or a key that cannot be one, and
    what the body raises as it is, in no group.
    """
    address = parse_address(url)
    headers = [(b"Authorization", bearer(api_key, scheme))] if api_key else []
    failure: Exception | None = None
    # The stream is ours: the library leaves it open when the server closes first.
    async with await open_stream(address) as stream:
        try:
            async with trio.open_nursery() as nursery:
                try:
                    socket = await _shake_hands(nursery, stream, address, headers)
                    try:
                        yield socket
                    finally:
                        with trio.move_on_after(CLOSE_TIMEOUT):
                            await socket.aclose()
                except Exception as error:
                    failure = error
                nursery.cancel_scope.cancel()
        except ExceptionGroup as group:
            failure = _refused(address, group)
    if failure is not None:
        raise failure


def parse_address(url: str) -> SplitResult:
    """The parts of a ``ws://`` or ``wss://`` address. Raises ConfigurationError."""
    try:
        address = urlsplit(url)
        usable = address.scheme in DEFAULT_PORTS and address.hostname and address.port != 0
    except ValueError:
        usable = False
    if not usable or not _is_printable(url):
        raise ConfigurationError(
            f"{url!r} is not the address of a dictation server: "
            "it looks like ws://127.0.0.1:8766/ws/transcribe"
        )
    return address


def bearer(api_key: str, scheme: str = "Bearer") -> bytes:
    """The key as a header has it. Raises ConfigurationError."""
    if not _is_printable(api_key):
        raise ConfigurationError(
            "the API key cannot be sent: it holds a space, a line break or a letter beyond ASCII"
        )
    return f"{scheme} {api_key}".encode()


def _is_printable(text: str) -> bool:
    """What may stand in the head of an HTTP request without further ado."""
    return all("!" <= letter <= "~" for letter in text)


async def open_stream(address: SplitResult) -> Stream:
    """A connection, encrypted for ``wss``. Raises ServerUnreachable."""
    host = address.hostname or ""
    port = address.port or DEFAULT_PORTS[address.scheme]
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            if address.scheme == "ws":
                return await trio.open_tcp_stream(host, port)
            context = ssl.create_default_context()
            stream = await trio.open_ssl_over_tcp_stream(
                host, port, ssl_context=context, https_compatible=True
            )
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return stream
    except trio.TooSlowError as error:
        raise ServerUnreachable(
            f"{host}:{port} does not answer within {CONNECT_TIMEOUT:g} s"
        ) from error
    except trio.BrokenResourceError as error:
        raise ServerUnreachable(
            f"{host}:{port} does not speak TLS as it should ({error.__cause__}): "
            "a server without a certificate is at ws:// and not at wss://"
        ) from error
    except (OSError, UnicodeError) as error:
        raise ServerUnreachable(
            f"no dictation server answers at {host}:{port} ({error}): "
            "start one with 'polyasr serve'"
        ) from error


async def _shake_hands(
    nursery: trio.Nursery,
    stream: Stream,
    address: SplitResult,
    headers: list[tuple[bytes, bytes]],
) -> WebSocketConnection:
    host = host_of(address)
    resource = (address.path or "/") + (f"?{address.query}" if address.query else "")
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            return await wrap_client_stream(
                nursery,
                stream,
                host,
                resource,
                extra_headers=headers,
                message_queue_size=WAITING_MESSAGES,
            )
    except trio.TooSlowError as error:
        raise ServerUnreachable(
            f"{host} does not answer as a dictation server within {CONNECT_TIMEOUT:g} s: "
            "is 'polyasr serve' what runs there?"
        ) from error


def _refused(address: SplitResult, group: ExceptionGroup[Exception]) -> ServerUnreachable:
    """The handshake went wrong in the task that reads; so say the errors in the group."""
    for error in leaves(group):
        if isinstance(error, ConnectionRejected):
            return ServerUnreachable(
                f"{host_of(address)} answers {address.path or '/'} with HTTP status "
                f"{error.status_code} and not as a dictation server: its path is /ws/transcribe"
            )
    return ServerUnreachable(f"{host_of(address)} does not speak the WebSocket protocol: {group}")


def host_of(address: SplitResult) -> str:
    """Host and port, without what logs must not show."""
    return address.netloc.rpartition("@")[2]
