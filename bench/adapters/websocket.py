"""A WebSocket on which JSON comes and goes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from trio_websocket import ConnectionClosed, WebSocketConnection

from bench.adapters.port import StreamFailed
from polyasr.client.socket import open_socket


class JsonSocket:
    """Iterate over it for the messages, until the server closes. Binary is for sending alone."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes | dict[str, Any]) -> None:
        """Send; to a server that has closed nothing goes, and why it did is for the reader."""
        try:
            await self._socket.send_message(
                message if isinstance(message, bytes) else json.dumps(message)
            )
        except ConnectionClosed:
            return

    def __aiter__(self) -> JsonSocket:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            text = await self._socket.get_message()
        except ConnectionClosed:
            raise StopAsyncIteration from None
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise StreamFailed(f"the server sent what is no JSON object: {text[:80]!r}")
        return message


@asynccontextmanager
async def open_json(url: str, key: str | None, scheme: str = "Bearer") -> AsyncIterator[JsonSocket]:
    """Connect. Raises ServerUnreachable and ConfigurationError."""
    async with open_socket(url, key, scheme) as socket:
        yield JsonSocket(socket)


def query_value(url: str, name: str) -> str:
    """What the address has for this name in its query, "" for nothing."""
    return dict(parse_qsl(urlsplit(url).query)).get(name, "")


def with_query(url: str, **values: str) -> str:
    """The address with these in its query, where they are neither empty nor there already."""
    parts = urlsplit(url)
    query = {name: value for name, value in values.items() if value}
    query |= dict(parse_qsl(parts.query))
    return urlunsplit(parts._replace(query=urlencode(query)))
