"""Reading a multipart upload as it comes: the file to a temporary file, the fields to memory.

Everything is counted while it arrives, for a body sent in chunks declares no length. The file is
unnamed on the disk, or not there yet while it is small, so nothing is left behind by a crash.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import trio
from quart import Request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from polyasr.archive import UploadRecord
from polyasr.errors import InvalidRequest, MissingField, UploadTooLarge

MIB = 2**20
IN_MEMORY_BYTES = MIB
"""Files up to this size never touch the disk: half a minute of 16 kHz WAV."""
MAX_FIELD_BYTES = 512 * 1024
"""All text fields together; the longest sensible one is a context of some thousand words …"""
LARGE_FIELDS = {"known_speaker_references": 12 * MIB}
"""… but for these, in which recordings come as data URLs: four of ten seconds, as WAV of 48 kHz in
stereo, are 10 MB."""
MAX_PARTS = 200
PIECE_BYTES = 64 * 1024
"""How much is parsed between two chances for other tasks to run."""
BODY_IDLE_SEC = 60
"""How long a client may stay silent in the middle of its upload."""
MIN_BYTES_PER_SEC = 512
"""How slow it may be on average, besides: less than any speech codec (AMR: 594), so that even what
is sent while it is spoken comes through. Who drips keeps a place in the queue from the others."""
FORM_OVERHEAD_BYTES = MIB + sum(LARGE_FIELDS.values())
"""What a body may hold besides its file: the fields, the boundaries, the part headers."""


SWITCH_WORDS = {
    "": False,
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off"), False),
}
"""What clients send for true and false; FastAPI, which they were written against, takes all."""


@dataclass(frozen=True, slots=True)
class Form:
    """A parsed upload: the fields by their bare names (`keywords[]` is `keywords`), and the file.

    ``file`` stands at its beginning and is closed when the form's block ends; ``size`` in bytes;
    ``filename`` is what the client calls it. What becomes of it is noted in ``record``.
    """

    fields: Mapping[str, tuple[str, ...]]
    file: IO[bytes]
    size: int
    filename: str = ""
    record: UploadRecord = field(default_factory=UploadRecord)

    def get(self, name: str) -> str:
        """The field's last value without surrounding space, "" when it was not sent."""
        return (self.fields.get(name) or ("",))[-1].strip()

    def all(self, name: str) -> tuple[str, ...]:
        """The field's values that hold something."""
        return tuple(value.strip() for value in self.fields.get(name, ()) if value.strip())

    def with_query(self, query: MultiDict[str, str]) -> Form:
        """The form with the fields of the URL's query, to which those of the form are preferred."""
        names = (*query, *self.fields)
        fields = {name: (*query.getlist(name), *self.all(name)) for name in names}
        return replace(self, fields=fields)

    def switch(self, name: str, *, default: bool) -> bool:
        """The field as true or false. Raises InvalidRequest for anything else."""
        given = self.get(name)
        if given.lower() not in SWITCH_WORDS:
            raise refusal(name, given, "true or false")
        return SWITCH_WORDS[given.lower()] if given else default


def refusal(field: str, given: str, accepted: str) -> InvalidRequest:
    """The error for a field whose value cannot be used."""
    return InvalidRequest(f"`{field}` is {given!r}; this server takes {accepted}", param=field)


@asynccontextmanager
async def read_form(request: Request, *, file_field: str, max_file_mb: int) -> AsyncIterator[Form]:
    """Read the request's form, which must hold one file in ``file_field``.

    Raises UploadTooLarge past the limits, InvalidRequest for what is no such form, and
    RequestTimeout (408) when the client stops sending.
    """
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
        upload = _Upload(file_field, max_file_mb, spool)
        boundary = _boundary(request, file_field)
        decoder = MultipartDecoder(boundary, 2 * PIECE_BYTES, max_parts=MAX_PARTS)
        body = _TimedBody(request)
        try:
            while (piece := await body.next_piece()) is not None:
                for start in range(0, len(piece), PIECE_BYTES):
                    await upload.take(decoder, piece[start : start + PIECE_BYTES])
        except RequestEntityTooLarge:
            raise upload.too_large() from None
        await upload.take(decoder, None)
        yield upload.form()


async def read_json(request: Request, max_bytes: int) -> Any:
    """The request's body, a JSON document.

    Raises InvalidRequest for anything else, UploadTooLarge, and RequestTimeout (408).
    """
    content = bytearray()
    body = _TimedBody(request)
    while (piece := await body.next_piece()) is not None:
        content += piece
        if len(content) > max_bytes:
            raise UploadTooLarge(f"the request is longer than {max_bytes} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request's body is not JSON: {error}") from error


class _Upload:
    """What has come of one upload."""

    def __init__(self, file_field: str, max_file_mb: int, spool: IO[bytes]) -> None:
        self._file_field, self._max_file_mb, self._spool = file_field, max_file_mb, spool
        self._fields: dict[str, list[str]] = {}
        self._part = self._filename = ""
        self._value = bytearray()
        self._field_bytes: Counter[str] = Counter()
        self._file_bytes: int | None = None

    async def take(self, decoder: MultipartDecoder, piece: bytes | None) -> None:
        """Parse the next piece, None at the end of the body."""
        for event in _events(decoder, piece):
            if isinstance(event, File | Field):
                self._begin_part((event.name or "").removesuffix("[]"))
                if isinstance(event, File) and self._part == self._file_field:
                    self._filename = event.filename or ""
            elif isinstance(event, Data) and self._part == self._file_field:
                await self._take_file(event.data)
            elif isinstance(event, Data):
                self._take_field(event)

    def _begin_part(self, name: str) -> None:
        self._part = name
        self._value.clear()
        if name == self._file_field:
            if self._file_bytes is not None:
                raise InvalidRequest("send one file with a request, not several", param=name)
            self._file_bytes = 0

    async def _take_file(self, data: bytes) -> None:
        self._file_bytes = (self._file_bytes or 0) + len(data)
        if self._file_bytes > self._max_file_mb * MIB:
            raise self.too_large()
        if self._file_bytes <= IN_MEMORY_BYTES:
            self._spool.write(data)
        else:
            await trio.to_thread.run_sync(self._spool.write, data)

    def _take_field(self, event: Data) -> None:
        counted = self._part if self._part in LARGE_FIELDS else ""
        self._field_bytes[counted] += len(event.data)
        limit = LARGE_FIELDS.get(counted, MAX_FIELD_BYTES)
        if self._field_bytes[counted] > limit:
            fields = f"`{counted}` holds" if counted else "the text fields hold"
            raise UploadTooLarge(
                f"{fields} more than {limit} bytes: send less text, or shorter or compressed "
                "recordings",
                param=self._part,
            )
        self._value += event.data
        if not event.more_data:
            value = self._value.decode("utf-8", "replace")
            self._fields.setdefault(self._part, []).append(value)

    def too_large(self) -> UploadTooLarge:
        """The error for a body or a file over the limit."""
        return UploadTooLarge(
            f"the upload is larger than {self._max_file_mb} MB, the limit of this server: "
            "raise POLYASR_MAX_UPLOAD_MB, or send it compressed or in parts",
            param=self._file_field,
        )

    def form(self) -> Form:
        """The whole form. Raises MissingField, or InvalidRequest when the file is empty."""
        if self._file_bytes is None:
            raise MissingField(
                f"the field `{self._file_field}` with the recording is missing",
                param=self._file_field,
            )
        if self._file_bytes == 0:
            raise InvalidRequest(
                f"the file in `{self._file_field}` is empty", param=self._file_field
            )
        self._spool.seek(0, io.SEEK_SET)
        fields = {name: tuple(values) for name, values in self._fields.items()}
        return Form(fields, self._spool, self._file_bytes, self._filename)


def _boundary(request: Request, file_field: str) -> bytes:
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary:
        raise MissingField(
            f"send the recording as multipart/form-data, in a field called `{file_field}`; "
            f"the request's Content-Type is {request.content_type or 'missing'!r}",
            param=file_field,
        )
    return boundary.encode()


class _TimedBody:
    """A request's body, which may neither pause nor drip for ever."""

    def __init__(self, request: Request) -> None:
        self._body = request.body
        self._began = trio.current_time()
        self._received = 0

    async def next_piece(self) -> bytes | None:
        """What came since the last call, None at the end. Raises RequestTimeout."""
        idle = trio.current_time() + BODY_IDLE_SEC
        slow = self._began + BODY_IDLE_SEC + self._received / MIN_BYTES_PER_SEC
        try:
            with trio.fail_at(min(idle, slow)):
                piece = await anext(self._body)
        except StopAsyncIteration:
            return None
        except trio.TooSlowError:
            raise RequestTimeout(
                f"the upload came to a stop for {BODY_IDLE_SEC} s, or was slower than "
                f"{MIN_BYTES_PER_SEC} bytes a second"
            ) from None
        self._received += len(piece)
        return piece


def _events(decoder: MultipartDecoder, piece: bytes | None) -> Iterator[Event]:
    """What the piece completes. Raises InvalidRequest for what is not multipart."""
    try:
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            yield event
    except ValueError as error:
        raise InvalidRequest(f"the multipart body is malformed or cut off: {error}") from error
    except RequestEntityTooLarge:
        raise InvalidRequest(
            f"the multipart body has a header that is too long, or more than {MAX_PARTS} parts"
        ) from None
