"""`WS /ws/transcribe`: a browser's or a program's WebSocket joined to the dictation pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio
from quart import Blueprint, Websocket, websocket

from polyasr import languages
from polyasr.errors import PolyasrError
from polyasr.pipeline.connection import Disconnected, Socket, run_dictation
from polyasr.pipeline.registry import SessionRegistry
from polyasr.protocol.messages import Error
from polyasr.routes.access import AccessRules, ForbiddenOrigin
from polyasr.routes.errors import INTERNAL_ERROR
from polyasr.routes.services import Services
from polyasr.routes.websockets import CLOSE_WAIT_SEC, DirectSocket, Handshake

log = logging.getLogger(__name__)

PATH = "/ws/transcribe"


class QuartSocket:
    """Quart's websocket as the pipeline's ``Socket``.

    A peer that is gone is not told by ``receive``: Quart cancels the task that serves it.
    """

    def __init__(self, connection: Websocket) -> None:
        self._connection = connection

    async def receive(self) -> bytes | str:
        """The next message."""
        message: bytes | str | None = await self._connection.receive()
        return b"" if message is None else message  # which is how Quart tells an empty one

    async def send(self, text: str) -> None:
        """Send a text message."""
        await self._connection.send(text)

    def offer(self, text: Callable[[], str]) -> bool:
        """Nothing is sent without waiting."""
        return False

    async def close(self, code: int) -> None:
        """Close, and wait a little for the peer to close as well, which ends this task."""
        await self._connection.close(code)
        with trio.move_on_after(CLOSE_WAIT_SEC):
            while True:
                await self._connection.receive()


class Dictations:
    """The dictations of one server, whichever way their WebSockets come."""

    def __init__(self, services: Services, rules: AccessRules, sessions: SessionRegistry) -> None:
        self._services, self._rules, self._sessions = services, rules, sessions

    def takes(self, handshake: Handshake) -> bool:
        """Whether this one is served directly; what is to be refused is not."""
        if handshake.path != PATH:
            return False
        try:
            self._rules.check_page(handshake.header("origin"), handshake.header("host"))
        except ForbiddenOrigin:
            return False
        return True

    async def serve_directly(self, stream: trio.SocketStream, handshake: Handshake) -> None:
        """Serve a connection whose handshake was looked at and is taken."""
        async with DirectSocket(stream, handshake.protocol) as connection:
            try:
                await connection.accept(handshake)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(connection.keep_alive)
                    authorization = handshake.header("authorization")
                    await self.serve(connection, authorization, handshake.argument("token"))
                    nursery.cancel_scope.cancel()
            except* Disconnected:
                log.info("the client is gone")

    async def serve(self, connection: Socket, authorization: str, token: str) -> None:
        """Serve a WebSocket that was accepted, until it is closed. Raises Disconnected."""
        try:
            self._rules.check_key(authorization, token)
            with self._services.connections.enter():
                await run_dictation(connection, self._sessions, languages.parse)
        except Disconnected:
            raise
        except PolyasrError as error:
            await _refuse(connection, error)
        except Exception:
            log.exception("a dictation failed by a fault of this server")
            await _refuse(connection, PolyasrError(INTERNAL_ERROR))


def dictation(dictations: Dictations) -> Blueprint:
    """The blueprint, for the connections that are not served directly."""
    blueprint = Blueprint("dictation", __name__)

    @blueprint.websocket(PATH)
    async def dictate() -> None:
        await websocket.accept()
        authorization = websocket.headers.get("Authorization", "")
        token = websocket.args.get("token", "")
        await dictations.serve(QuartSocket(websocket), authorization, token)

    return blueprint


async def _refuse(connection: Socket, error: PolyasrError) -> None:
    await connection.send(Error(error=str(error), code=error.code).to_json())
    await connection.close(error.close_code)
