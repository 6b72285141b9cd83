"""Reading an upload, where the real server would take too long to show it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import trio
from quart import Request
from trio.testing import MockClock
from werkzeug.exceptions import RequestTimeout

from polyasr.routes.body import BoundedBody
from polyasr.routes.forms import BODY_IDLE_SEC, read_form

MULTIPART = "multipart/form-data; boundary=x"


async def test_a_client_that_stops_sending_is_given_up(autojump_clock: MockClock) -> None:
    body = BoundedBody(None, None)
    body.append(b"--x\r\n")
    request = SimpleNamespace(
        body=body,
        mimetype="multipart/form-data",
        mimetype_params={"boundary": "x"},
        content_type=MULTIPART,
    )
    began = trio.current_time()
    with pytest.raises(RequestTimeout):
        async with read_form(cast("Request", request), file_field="file", max_file_mb=1):
            pass
    assert trio.current_time() - began == BODY_IDLE_SEC
