"""What every route that takes a recording does with it: a place in the queue, the form, a turn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from itertools import chain
from typing import IO

import trio
from quart import Request, Response
from werkzeug.exceptions import HTTPException

from polyasr import alignment, audio, languages
from polyasr.archive import Upload, UploadRecord
from polyasr.errors import ModelUnavailable, PolyasrError
from polyasr.metrics import Metrics
from polyasr.pipeline.recognizer import RecognizerOptions
from polyasr.routes.forms import Form, read_form
from polyasr.routes.services import Services, ServingEngine
from polyasr.samples import Samples

FAILED = 500
CLIENT_GONE = 499
"""What nginx notes for a client that did not wait for its answer."""


@asynccontextmanager
async def open_upload(
    services: Services, request: Request, file_field: str, *, to_recognize: bool = True
) -> AsyncIterator[Form]:
    """The request's form, while it holds a place among those that work or wait; it is archived.

    Raises QueueFull or, where it is ``to_recognize``, ModelUnavailable before anything is read, and
    what ``read_form`` raises.
    """
    with services.queue.enter():
        if to_recognize:
            _refuse_while_loading(services.engine)
        limit = services.settings.max_upload_mb
        async with read_form(request, file_field=file_field, max_file_mb=limit) as form:
            fields = {**request.args.to_dict(flat=False), **form.fields}
            services.metrics.uploaded(form.size)
            upload = Upload(request.path, fields, form.filename, form.size)
            with services.archive.upload(upload, form.file) as record, _noted(record):
                yield replace(form, record=record)


@asynccontextmanager
async def open_blocks(
    services: Services,
    file: IO[bytes],
    *,
    may_be_headerless: bool = False,
    to_recognize: bool = True,
) -> AsyncIterator[Iterator[Samples]]:
    """The recording in ``file``, to be drawn on a worker thread, when its turn has come.

    By then the first block is decoded and, where it is ``to_recognize``, the model loaded, so what
    is no recording was told; what is damaged further on is told when that is drawn.
    ``may_be_headerless``: a file without a container's signature is PCM16, 16 kHz, mono. It can be
    opened again when it is closed.
    """
    limit = services.settings.max_audio_seconds
    async with services.batch_turns:
        await trio.to_thread.run_sync(file.seek, 0)
        read = audio.blocks_or_pcm16 if may_be_headerless else audio.blocks
        with closing(read(file, max_seconds=limit)) as blocks:
            first = await trio.to_thread.run_sync(next, blocks)
            if to_recognize:
                await services.engine.ready()
            with _measured(services.metrics, chain([first], blocks)) as measured:
                yield measured


def reopened(
    services: Services, file: IO[bytes], *, may_be_headerless: bool = False
) -> alignment.Reopened:
    """What opens an upload once more when ``open_blocks`` has been read to its end."""

    @contextmanager
    def again() -> Iterator[Iterator[Samples]]:
        file.seek(0)
        read = audio.blocks_or_pcm16 if may_be_headerless else audio.blocks
        with closing(read(file, max_seconds=services.settings.max_audio_seconds)) as blocks:
            yield blocks

    return again


@contextmanager
def _measured(metrics: Metrics, blocks: Iterator[Samples]) -> Iterator[Iterator[Samples]]:
    """Note how long a recording is, as far as it was read."""
    n_samples = 0

    def counted() -> Iterator[Samples]:
        nonlocal n_samples
        for block in blocks:
            n_samples += len(block)
            yield block

    try:
        yield counted()
    finally:
        metrics.decoded(n_samples)


@contextmanager
def _noted(record: UploadRecord) -> Iterator[None]:
    """Note the status of what the work raises."""
    try:
        yield
    except PolyasrError as error:
        record.status = error.status
        raise
    except HTTPException as error:
        record.status = error.code or FAILED
        raise
    except Exception:
        record.status = FAILED
        raise
    except BaseException:  # cancelled
        record.status = CLIENT_GONE
        raise


def language_of(form: Form, spoken: Collection[str] = languages.NAMES) -> str | None:
    """The model's name for the form's `language`, None when the model shall decide.

    Raises InvalidRequest for a language that is not among those ``spoken``.
    """
    given = form.get("language")
    return None if given.lower() in ("", "auto") else languages.parse(given, spoken)


def recognition(services: Services, language: str | None, context: str) -> RecognizerOptions:
    """How recordings are recognized here. ``language``: the model's name for it, or None."""
    return RecognizerOptions.from_settings(services.settings, language=language, context=context)


def plain(text: str, media_type: str) -> Response:
    """A response that is no JSON."""
    return Response(text, content_type=f"{media_type}; charset=utf-8")


def _refuse_while_loading(engine: ServingEngine) -> None:
    """Turn a request away before its upload is read. Raises ModelUnavailable.

    A model that is merely not loaded yet is loaded by the request that needs it, and waited for by
    those that come meanwhile.
    """
    if engine.status().starting:
        raise ModelUnavailable("the model is still loading: try again in a few seconds")
