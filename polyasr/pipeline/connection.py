"""One dictation connection: reads what the client says and tells it to the session it is about.

The session outlives the connection (`held`). What is heard is acted upon at once; the only waiting
here is for the next message, for the session's stages to keep up, and for the client to read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import trio

from polyasr.errors import InvalidRequest, ProtocolError
from polyasr.pipeline.config import DictationOptions
from polyasr.pipeline.emitter import Sender, emit
from polyasr.pipeline.held import HeldSession
from polyasr.pipeline.line import POLICY_VIOLATION, Line, cause
from polyasr.pipeline.registry import SessionRegistry
from polyasr.protocol import messages
from polyasr.protocol.frames import Frame
from polyasr.protocol.session import read

log = logging.getLogger(__name__)

STOP_WAIT = 2.0
"""Seconds that a stop waits for frames it has overtaken (`dictation`, *Stop*)."""
GOODBYE_WAIT = 5.0
"""Seconds a client has to read what was still to be sent to it."""


class Disconnected(Exception):
    """The peer is gone."""


class Socket(Sender, Protocol):
    """A WebSocket, whoever serves it. Its sending half raises Disconnected."""

    async def receive(self) -> bytes | str:
        """The next message. Raises Disconnected."""
        ...

    async def close(self, code: int) -> None:
        """Close with a code of RFC 6455."""
        ...


async def run_dictation(
    socket: Socket, sessions: SessionRegistry, parse_language: Callable[[str], str]
) -> None:
    """Serve one connection until it is done, broken, or gone.

    ``parse_language`` turns what a client calls a language into the model's name for it and raises
    InvalidRequest. Returns after the socket was closed, by us or by the peer.
    """
    line = Line()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(emit, line.outbox, socket)
            await _converse(socket, Conversation(line, sessions, parse_language))
            line.outbox.close()
            nursery.cancel_scope.deadline = trio.current_time() + GOODBYE_WAIT
        await socket.close(line.close_code)
    except* Disconnected:
        log.info("the client is gone")


async def _converse(socket: Socket, conversation: Conversation) -> None:
    """Hear the client until the line is hung up. Raises Disconnected."""
    line = conversation.line
    try:
        with line.scope:
            while True:
                before, message = trio.current_time(), None
                with trio.move_on_after(conversation.patience):
                    message = await socket.receive()
                if line.scope.cancel_called:  # hung up as the message came: it is too late
                    return
                if message is None:
                    conversation.lose_patience()
                else:
                    conversation.hear(message, trio.current_time() - before)
                    line.outbox.pass_on(socket)
                    await conversation.has_room()
    except Disconnected:
        raise
    except Exception as failure:
        line.fail(cause(failure))
    finally:
        conversation.leave()


class Conversation:
    """The messages of one connection, each acted upon for the session that it is about."""

    def __init__(
        self, line: Line, sessions: SessionRegistry, parse_language: Callable[[str], str]
    ) -> None:
        self.line = line
        self._sessions, self._parse_language = sessions, parse_language
        self._session: HeldSession | None = None
        self._stop_wait = STOP_WAIT

    @property
    def patience(self) -> float:
        """Seconds to wait for the next message."""
        if self._session is None or self._session.state.asked is None:
            return self._sessions.config.idle_timeout
        return self._stop_wait if self._session.state.waits else float("inf")

    def lose_patience(self) -> None:
        """No message has come in that time: the stop waits no longer, or the client is idle."""
        session = self._session
        if session is None or session.state.asked is None:
            self.line.hang_up(POLICY_VIOLATION)
        elif not session.end():
            stop_id = session.state.asked.stop_id
            self.line.expire(session.state.session_id, stop_id, "session_not_held")
            self._sessions.remove(session)

    def hear(self, message: bytes | str, waited: float) -> None:
        """Act upon a message that took so many seconds to come. Raises PolyasrError.

        The stages may take their time: a stop waits for the client alone.
        """
        if self._session is not None and self._session.state.waits:
            self._stop_wait = max(0.0, self._stop_wait - waited)
        match read(message, self._sessions.config.limits):
            case messages.Start() as start:
                self._switch(start)
            case messages.Stop() as stop:
                self._stop(stop)
            case Frame() as frame:
                self._accept(frame)
            case messages.Flush() as request:
                self._note(request)

    async def has_room(self) -> None:
        """Wait for the stages to keep up, and for the client to read."""
        if self._session is not None:
            await self._session.has_room()
        await self.line.outbox.has_room()

    def leave(self) -> None:
        """The connection is gone."""
        if self._session is not None:
            self._sessions.leave(self._session, self.line)
            self._session = None

    def _switch(self, start: messages.Start) -> None:
        """Begin a session or go on with one, and leave the one before."""
        options = self._options(start)
        self.leave()
        is_resume = isinstance(start, messages.Resume)
        open_session = self._sessions.resume if is_resume else self._sessions.begin
        self._session = open_session(start.session_id, options, self.line)
        self._stop_wait = STOP_WAIT
        self.line.control = min(start.control, self._session.options.control)
        self.line.outbox.record = self._session.record
        self._session.record.message(start.to_json())
        kind = messages.Resumed if is_resume else messages.Started
        state = self._session.state
        self.line.outbox.put(kind(state.session_id, state.ack_seq, self.line.control))
        self._session.show_again()

    def _accept(self, frame: Frame) -> None:
        if self._session is None:
            raise ProtocolError("audio_before_start", "audio came before start or resume")
        self._session.accept(frame)
        state = self._session.state
        self.line.outbox.acknowledge(messages.Ack(state.session_id, state.ack_seq))

    def _stop(self, stop: messages.Stop) -> None:
        if self._session is None:
            raise ProtocolError("stop_before_start", "stop came before start or resume")
        self._session.record.message(stop.to_json())
        if self._sessions.has_expired(self._session.state.session_id, stop.stop_id):
            self.line.expire(self._session.state.session_id, stop.stop_id, "stop_result_expired")
        else:
            self._session.ask(stop)

    def _note(self, request: messages.Flush | messages.Mark) -> None:
        if self._session is None:
            raise ProtocolError(
                "unsupported_message", f"{request.TYPE} came before start or resume"
            )
        if self.line.control < 3:
            what = f"{request.TYPE} takes control 3, and {self.line.control} was granted"
            raise ProtocolError("unsupported_message", what)
        self._session.record.message(request.to_json())
        self._session.note(request)

    def _options(self, start: messages.Start) -> DictationOptions:
        config = self._sessions.config
        try:
            language = self._parse_language(start.language) if start.language else None
        except InvalidRequest as error:
            raise ProtocolError("unsupported_message", str(error)) from error
        recognizer = replace(
            config.recognizer,
            language=language,
            context=start.context,
            append_only=start.control >= 3,
            endpointing=start.endpointing,
            word_times=start.word_times,
        )
        chosen = start.speaker_filter
        return DictationOptions(recognizer, config.speaker_filter if chosen is None else chosen)
