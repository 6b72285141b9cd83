"""Reading an upload, where the real server would take too long to show it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import cast

import pytest
import trio
from quart import Request
from trio.testing import MockClock
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestTimeout

from polyasr.errors import InvalidRequest
from polyasr.routes.body import BoundedBody
from polyasr.routes.forms import BODY_IDLE_SEC, MIN_BYTES_PER_SEC, Form, read_form

FIELD = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
"""A field, for files are written on a thread, which the mock clock does not wait for."""
FILE = b'\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--x--\r\n'
MULTIPART = "multipart/form-data; boundary=x"


def request_with(body: BoundedBody) -> Request:
    request = SimpleNamespace(
        body=body,
        mimetype="multipart/form-data",
        mimetype_params={"boundary": "x"},
        content_type=MULTIPART,
    )
    return cast("Request", request)


async def read(body: BoundedBody) -> Form:
    async with read_form(request_with(body), file_field="file", max_file_mb=1) as form:
        return form


async def test_a_client_that_stops_sending_is_given_up(autojump_clock: MockClock) -> None:
    body = BoundedBody(None, None)
    body.append(b"--x\r\n")
    began = trio.current_time()
    with pytest.raises(RequestTimeout):
        await read(body)
    assert trio.current_time() - began == BODY_IDLE_SEC


async def test_a_client_that_only_drips_is_given_up(autojump_clock: MockClock) -> None:
    body = BoundedBody(None, None)
    body.append(FIELD)

    async def drip() -> None:
        while True:
            await trio.sleep(BODY_IDLE_SEC / 2)
            body.append(b"x")

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        with pytest.raises(RequestTimeout):
            await read(body)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began < 1.1 * BODY_IDLE_SEC


async def test_a_client_on_a_slow_line_is_waited_for(autojump_clock: MockClock) -> None:
    body = BoundedBody(None, None)

    async def send() -> None:
        body.append(FIELD)
        for _ in range(10):
            await trio.sleep(BODY_IDLE_SEC / 2)
            body.append(b"x" * (MIN_BYTES_PER_SEC * BODY_IDLE_SEC // 2))
        body.append(FILE)
        body.set_complete()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        form = await read(body)
    assert len(form.get("prompt")) == 5 * MIN_BYTES_PER_SEC * BODY_IDLE_SEC


def form_with(**fields: str) -> Form:
    return Form({name: (value,) for name, value in fields.items()}, io.BytesIO(), 0)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("off", False)],
)
def test_switches_are_read_in_every_spelling(given: str, meant: bool) -> None:
    assert form_with(encode=given).switch("encode", default=not meant) is meant


@pytest.mark.parametrize("default", [True, False])
def test_a_switch_that_is_empty_or_absent_has_its_default(default: bool) -> None:
    assert form_with(encode="").switch("encode", default=default) is default
    assert form_with().switch("encode", default=default) is default


def test_a_switch_that_is_neither_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="'perhaps'; this server takes true or false"):
        form_with(encode="perhaps").switch("encode", default=True)


def test_the_form_goes_before_the_query_where_it_says_something() -> None:
    form = form_with(task="", output="srt").with_query(
        MultiDict([("task", "transcribe"), ("output", "json"), ("language", "en")])
    )
    assert form_with(task="").with_query(MultiDict()).get("task") == ""
    assert [form.get(name) for name in ("task", "output", "language")] == [
        "transcribe",
        "srt",
        "en",
    ]
