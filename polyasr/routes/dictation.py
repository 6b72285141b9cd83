"""`WS /ws/transcribe`: a browser's or a program's WebSocket joined to the dictation pipeline."""

from __future__ import annotations

import logging

import trio
from quart import Blueprint, Websocket, websocket

from polyasr import languages
from polyasr.errors import PolyasrError
from polyasr.pipeline.connection import run_dictation
from polyasr.pipeline.registry import SessionRegistry
from polyasr.protocol.messages import Error
from polyasr.routes.access import AccessRules
from polyasr.routes.errors import INTERNAL_ERROR
from polyasr.routes.services import Services

log = logging.getLogger(__name__)

CLOSE_WAIT_SEC = 2.0
"""How long the peer has to answer a close. Until then what it still sends is read and dropped:
closing a socket with unread data resets the connection, and the peer may lose our last words."""


class QuartSocket:
    """Quart's websocket as the pipeline's ``Socket``.

    A peer that is gone is not told by ``receive``: Quart cancels the task that serves it.
    """

    def __init__(self, connection: Websocket) -> None:
        self._connection = connection

    async def receive(self) -> bytes | str:
        """The next message."""
        message: bytes | str = await self._connection.receive()
        return message

    async def send(self, text: str) -> None:
        """Send a text message."""
        await self._connection.send(text)

    async def close(self, code: int) -> None:
        """Close, and wait a little for the peer to close as well, which ends this task."""
        await self._connection.close(code)
        with trio.move_on_after(CLOSE_WAIT_SEC):
            while True:
                await self._connection.receive()


def dictation(services: Services, rules: AccessRules, sessions: SessionRegistry) -> Blueprint:
    """The blueprint."""
    blueprint = Blueprint("dictation", __name__)

    @blueprint.websocket("/ws/transcribe")
    async def dictate() -> None:
        await websocket.accept()
        socket = QuartSocket(websocket)
        try:
            rules.check_key(
                websocket.headers.get("Authorization", ""), websocket.args.get("token", "")
            )
            with services.connections.enter():
                await run_dictation(socket, sessions, languages.parse)
        except PolyasrError as error:
            await _refuse(socket, error)
        except Exception:
            log.exception("a dictation failed by a fault of this server")
            await _refuse(socket, PolyasrError(INTERNAL_ERROR))

    return blueprint


async def _refuse(socket: QuartSocket, error: PolyasrError) -> None:
    await socket.send(Error(error=str(error), code=error.code).to_json())
    await socket.close(error.close_code)
