"""One dictation connection: its nursery of stages, and the one place where failure is told.

    decode_frames → detect_speech → filter_speakers → recognize → deliver → emit

Each stage owns its ends of the channels between them and closes them with a plain ``with``. The
end of audio travels in-band. Failure cancels the nursery, and the error that caused it is told to
the client here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from polyasr.errors import InvalidRequest, PolyasrError, ProtocolError, leaves
from polyasr.pipeline.decoder import Disconnected, MessageReader, Socket, decode_frames
from polyasr.pipeline.emitter import Outbox, emit
from polyasr.pipeline.recognizer import Heard, RecognizerOptions, recognize
from polyasr.pipeline.speaker import SpeakerFilter, filter_speakers
from polyasr.pipeline.types import AudioChunk, EndOfAudio, Engine, Final, Partial
from polyasr.pipeline.vad import Detected, detect_speech
from polyasr.protocol import messages
from polyasr.protocol.session import Limits, Session, Started
from polyasr.samples import SAMPLE_RATE
from polyasr.settings import Settings

log = logging.getLogger(__name__)

AUDIO_CHUNKS = 600
"""Chunks of at most 1 s that wait for the detector: a minute of 100 ms frames."""
PASSAGE_EVENTS = 64
"""Windows of 160 ms that wait for a stage: about 10 s, more than a decode takes."""
NORMAL_CLOSURE = 1000
"""RFC 6455, 7.4.1."""
GOODBYE_WAIT = 5.0
"""Seconds a client has to read what was still to be sent to it."""


@dataclass(frozen=True, slots=True)
class DictationConfig:
    """What the server sets for all dictations."""

    recognizer: RecognizerOptions = RecognizerOptions()
    speaker_filter: bool = True
    limits: Limits = Limits()

    @classmethod
    def from_settings(cls, settings: Settings) -> DictationConfig:
        """The server's settings, in the pipeline's units."""
        return cls(
            recognizer=RecognizerOptions.from_settings(settings),
            speaker_filter=settings.speaker_filter,
            limits=Limits(max_session_bytes=settings.max_audio_seconds * SAMPLE_RATE * 2),
        )


async def run_dictation(
    socket: Socket,
    engine: Engine,
    config: DictationConfig,
    parse_language: Callable[[str], str],
) -> None:
    """Serve one connection until it is done, broken, or gone.

    ``parse_language`` turns what a client calls a language into the model's name for it and raises
    InvalidRequest. Returns after the socket was closed, by us or by the peer.
    """
    outbox = Outbox()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(emit, outbox, socket)
            reader = MessageReader(socket, Session(config.limits), outbox)
            code = await _serve(reader, engine, config, parse_language, outbox)
            outbox.close()
            nursery.cancel_scope.deadline = trio.current_time() + GOODBYE_WAIT
        await socket.close(code)
    except* Disconnected:
        log.info("the client is gone")


async def _serve(
    reader: MessageReader,
    engine: Engine,
    config: DictationConfig,
    parse_language: Callable[[str], str],
    outbox: Outbox,
) -> int:
    """Serve utterance after utterance; returns the close code."""
    try:
        started: Started | None = await _first_start(reader)
        while started is not None:
            outbox.put(_answer(started))
            options = _options(config.recognizer, started, parse_language)
            started = await _utterance(reader, engine, config, options, started, outbox)
    except Exception as failure:
        error = _cause(failure)
        outbox.put(messages.Error(error=str(error), code=error.code))
        return error.close_code
    return NORMAL_CLOSURE


async def _utterance(
    reader: MessageReader,
    engine: Engine,
    config: DictationConfig,
    options: RecognizerOptions,
    started: Started,
    outbox: Outbox,
) -> Started | None:
    """Run the stages over one utterance. Returns the start of the next, None after ``done``."""
    to_vad, audio = trio.open_memory_channel[AudioChunk | EndOfAudio](AUDIO_CHUNKS)
    to_recognizer, heard = trio.open_memory_channel[Heard](PASSAGE_EVENTS)
    to_client, results = trio.open_memory_channel[Partial | Final](1)
    following = None
    async with trio.open_nursery() as nursery:
        if config.speaker_filter:
            to_filter, passages = trio.open_memory_channel[Detected](PASSAGE_EVENTS)
            judge = SpeakerFilter(engine.speaker_encoder)
            nursery.start_soon(detect_speech, engine.open_detector(), audio, to_filter)
            nursery.start_soon(filter_speakers, judge, passages, to_recognizer)
        else:
            nursery.start_soon(detect_speech, engine.open_detector(), audio, to_recognizer)
        nursery.start_soon(recognize, engine, options, heard, to_client)
        nursery.start_soon(_deliver, results, started, outbox, nursery.cancel_scope)
        following = await decode_frames(reader, to_vad)
        nursery.cancel_scope.cancel()
    return following


async def _deliver(
    results: trio.MemoryReceiveChannel[Partial | Final],
    started: Started,
    outbox: Outbox,
    utterance: trio.CancelScope,
) -> None:
    """Turn results into messages; the final ends the utterance."""
    session_id, shown = started.session_id, ""
    with results:
        async for result in results:
            if isinstance(result, Partial):
                if result.text != shown:
                    outbox.show(messages.Partial(session_id, result.text))
                shown = result.text
                continue
            seq = result.recognized_through_seq if started.control >= 2 else None
            outbox.put(messages.Final(session_id, result.stop_id, result.text, seq))
            outbox.put(messages.Done(session_id, result.stop_id))
            utterance.cancel()


async def _first_start(reader: MessageReader) -> Started:
    while True:
        for event in await reader.events():
            if isinstance(event, Started):
                return event


def _answer(started: Started) -> messages.ServerMessage:
    kind = messages.Resumed if started.resumed else messages.Started
    return kind(started.session_id, started.ack_seq, started.control)


def _options(
    defaults: RecognizerOptions, started: Started, parse_language: Callable[[str], str]
) -> RecognizerOptions:
    try:
        language = parse_language(started.language) if started.language else None
    except InvalidRequest as error:
        raise ProtocolError("unsupported_message", str(error)) from error
    return replace(defaults, language=language, context=started.context)


def _cause(failure: Exception) -> PolyasrError:
    """The error to tell the client, out of whatever ended the stages. Raises Disconnected."""
    causes = list(leaves(failure))
    for cause in causes:
        if isinstance(cause, Disconnected):
            raise cause
    for cause in causes:
        if isinstance(cause, PolyasrError):
            return cause
    log.error("a dictation failed by a fault of this server", exc_info=failure)
    return PolyasrError("an internal error of this server; its log says more")
