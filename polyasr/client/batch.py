"""The last resort: the recording of a dictation, posted to the batch endpoint of a server."""

from __future__ import annotations

import io
import json
import uuid
import wave
from collections.abc import Sequence
from contextlib import suppress

import h11
import trio

from polyasr.client.capture import BYTES_PER_SECOND
from polyasr.client.link import DictationFailed, Rescue
from polyasr.client.servers import FIRST_RETRY_SEC, LAST_RETRY_SEC
from polyasr.client.socket import (
    ServerUnreachable,
    Stream,
    bearer,
    host_of,
    open_stream,
    parse_address,
)
from polyasr.errors import PolyasrError, leaves
from polyasr.protocol.messages import CHANNELS, SAMPLE_RATE, Start

DICTATION_PATH = "/ws/transcribe"
BATCH_PATH = "/v1/audio/transcriptions"
PIECE_BYTES = 2**16
ANSWER_SEC = 60.0
"""How long an answer may take, in addition to the duration of the recording."""
TRANSIENT = frozenset({408, 429, 503})
"""Statuses that say: the same request may succeed later."""
BROKEN = (trio.BrokenResourceError, h11.RemoteProtocolError)
"""What an exchange raises when the server leaves in the middle of it."""


def rescuer(urls: Sequence[str], api_key: str | None, patience: float) -> Rescue:
    """Asks the servers of these dictation addresses one after another, for so many seconds and
    each once in any case. Raises what the last one said."""

    async def rescue(pcm16: bytes, start: Start) -> str:
        began, delay, left = trio.current_time(), FIRST_RETRY_SEC, list(urls)
        failure: PolyasrError = DictationFailed("no_server", "there is no server to ask")
        while left:
            for url in list(left):
                try:
                    return await transcribe_recording(url, api_key, pcm16, start)
                except ServerUnreachable as error:
                    failure = error
                except DictationFailed as error:
                    failure = error
                    left.remove(url)
            if trio.current_time() - began >= patience:
                break
            await trio.sleep(delay)
            delay = min(2 * delay, LAST_RETRY_SEC)
        raise failure

    return rescue


async def transcribe_recording(url: str, api_key: str | None, pcm16: bytes, start: Start) -> str:
    """The text of PCM16 at 16 kHz, by the server of this dictation address.

    Raises ServerUnreachable when it may be asked again, and DictationFailed when it may not.
    """
    address = parse_address(url)
    if not address.path.endswith(DICTATION_PATH):
        raise DictationFailed("no_batch", f"{url} tells no address for recordings")
    boundary = uuid.uuid4().hex
    fields = {
        "model": "polyasr",
        "response_format": "json",
        "language": start.language,
        "prompt": start.context,
    }
    body = _form(boundary, {name: text for name, text in fields.items() if text}, pcm16)
    headers = [
        ("Host", host_of(address)),
        ("Content-Type", f"multipart/form-data; boundary={boundary}"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    if api_key:
        headers.append(("Authorization", bearer(api_key).decode()))
    target = address.path.removesuffix(DICTATION_PATH) + BATCH_PATH
    request = h11.Request(method="POST", target=target, headers=headers)
    deadline = ANSWER_SEC + len(pcm16) / BYTES_PER_SECOND
    try:
        with trio.fail_after(deadline):
            async with await open_stream(address) as stream:
                status, answer = await _exchange(stream, request, body)
    except trio.TooSlowError as error:
        what = f"{host_of(address)} did not transcribe the recording within {deadline:.0f} s"
        raise ServerUnreachable(what) from error
    except ExceptionGroup as group:
        if not all(isinstance(error, BROKEN) for error in leaves(group)):
            raise
        what = f"{host_of(address)} broke off its answer to a recording"
        raise ServerUnreachable(what) from group
    return _read(host_of(address), status, answer)


async def _exchange(stream: Stream, request: h11.Request, body: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer, which may come before all was sent."""
    connection, status, answer = h11.Connection(h11.CLIENT), 0, bytearray()
    head = connection.send(request)
    assert head is not None

    async def send() -> None:
        with suppress(trio.BrokenResourceError):  # why, the server says in its answer
            await stream.send_all(head)
            for start in range(0, len(body), PIECE_BYTES):
                await stream.send_all(body[start : start + PIECE_BYTES])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some(PIECE_BYTES)))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                answer += event.data
        nursery.cancel_scope.cancel()
    return status, bytes(answer)


def _form(boundary: str, fields: dict[str, str], pcm16: bytes) -> bytes:
    """The body of a form with these fields and the audio as a WAV file (RFC 7578)."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    texts = "".join(f'{head}{name}"\r\n\r\n{text}\r\n' for name, text in fields.items())
    file = f'{head}file"; filename="dictation.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return (texts + file).encode() + _wav(pcm16) + f"\r\n--{boundary}--\r\n".encode()


def _wav(pcm16: bytes) -> bytes:
    recording = io.BytesIO()
    with wave.open(recording, "wb") as writer:
        writer.setnchannels(CHANNELS)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm16)
    return recording.getvalue()


def _read(host: str, status: int, answer: bytes) -> str:
    """The text of an answer. Raises PolyasrError."""
    try:
        body = json.loads(answer)
        if status == 200 and isinstance(body["text"], str):
            return body["text"]
        message, code = str(body["error"]["message"]), str(body["error"]["code"])
    except (ValueError, KeyError, TypeError):
        message, code = f"{host} answers a recording with HTTP status {status}", "no_text"
    if status in TRANSIENT:
        raise ServerUnreachable(message)
    raise DictationFailed(code, message)
