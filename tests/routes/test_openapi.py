"""The OpenAPI document: whole, true, and read without the internet.

`POLYASR_TEST_SOAK=100` draws a hundred times as many requests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CheckContext
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from polyasr.app import create_app
from polyasr.metrics import Metrics
from polyasr.routes.forms import Form
from polyasr.routes.openapi import document
from tests.fakes import ScriptedEngine, configured, silence, tone, wav

from .conftest import Server, serving

CASES = 10 * int(os.environ.get("POLYASR_TEST_SOAK", "1"))
"""Requests to each operation, of both kinds."""
LIVE = {
    "GET /docs",
    "GET /docs/<name>",
    "GET /openapi.json",
    "GET /web/<path:name>",
    "WS /ws/transcribe",
}
"""What a document of the HTTP API does not describe: itself, files of pages, what is no HTTP."""
UNREAD = {"model", "chunking_strategy"}
"""Fields that are accepted and make no difference."""
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}

schemathesis.openapi.format(
    "binary",
    st.sampled_from([wav(tone(0.5)), wav(silence(1) + tone(1)), tone(0.25), b"", b"a letter" * 99]),
)


def test_every_route_is_described_and_nothing_else() -> None:
    app, _ = create_app(configured(), ScriptedEngine(), Any, Any, Metrics())  # type: ignore[arg-type]
    routes = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:path:)?model>", "{model}", rule.rule)
        methods = {"WS"} if rule.websocket else (rule.methods or set()) & METHODS
        routes |= {f"{method} {path}" for method in methods}
    paths = document(has_key=True)["paths"]
    described = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert routes - described == LIVE, "describe the route in polyasr/routes/openapi.py"
    assert described - routes == set()


@pytest.mark.parametrize("has_key", [True, False])
def test_the_document_is_valid(has_key: bool) -> None:
    schemathesis.openapi.from_dict(document(has_key=has_key)).validate()


@pytest.mark.parametrize(
    ("path", "requests"),
    [
        ("/v1/audio/transcriptions", [{}, {"response_format": "diarized_json"}]),
        ("/v1/audio/translations", [{}]),
        ("/v1/align", [{"text": "Hello."}]),
        ("/v1/diarize", [{}]),
        ("/asr", [{}]),
        ("/detect-language", [{}]),
    ],
)
async def test_the_fields_that_are_read_are_those_that_are_described(
    path: str, requests: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    for method in ("get", "all"):
        original = getattr(Form, method)

        def spied(form: Form, name: str, original: Any = original) -> Any:
            read.add(name)
            return original(form, name)

        monkeypatch.setattr(Form, method, spied)
    body = document(has_key=False)["paths"][path]["post"]["requestBody"]
    schema = body["content"]["multipart/form-data"]["schema"]
    (file,) = schema["required"]
    async with serving(ScriptedEngine(translator=ScriptedEngine())) as server:
        for fields in requests:
            answer = await server.http.post(path, files={file: wav(tone(0.5))}, data=fields)
            assert answer.status_code == 200
    described = {name.removesuffix("[]") for name in schema["properties"]} - {file}
    if path == "/v1/audio/translations":  # read as for transcriptions, and of no use here
        read &= described
    assert read == described - UNREAD


async def test_whatever_is_sent_the_answer_is_one_that_is_described() -> None:
    async with serving(ScriptedEngine(translator=ScriptedEngine())) as server:
        answered = await trio.to_thread.run_sync(send_all_kinds, server)
    assert [operation for operation in answered if 200 not in answered[operation]] == [
        "POST /v1/align/manifest",  # of files that are not there
        "GET /v1/models/{model}",  # whose name is not guessed
    ]


async def test_where_nothing_translates_and_a_key_is_asked_for_so_too() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        await trio.to_thread.run_sync(send_all_kinds, server, True)


def send_all_kinds(server: Server, has_key: bool = False) -> dict[str, set[int]]:
    """Requests as the document allows them, and others, to every operation; the statuses."""
    answered: dict[str, set[int]] = {}
    schema = schemathesis.openapi.from_dict(document(has_key=has_key))
    modes = [GenerationMode.POSITIVE] if has_key else list(GenerationMode)
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        for mode in modes:
            if mode is GenerationMode.NEGATIVE and not operation.body:
                continue  # a request without anything to be wrong
            strategy = operation.as_strategy(generation_mode=mode)
            answered.setdefault(operation.label, set()).update(send(server, strategy, has_key))
    return answered


def send(server: Server, strategy: Any, has_key: bool) -> set[int]:
    statuses: set[int] = set()
    headers = {"Authorization": "Bearer sesame"} if has_key else None
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def run(case: Any) -> None:
        answer = case.call_and_validate(
            base_url=server.url, headers=headers, checks=[*checks, only_declared_faults]
        )
        statuses.add(answer.status_code)

    run()
    return statuses


def only_declared_faults(context: CheckContext, response: Any, case: Any) -> None:
    """No fault of the server but those that say what it is not set up or ready for."""
    assert response.status_code < 500 or response.status_code in (501, 503), response.text


def linked(page: str) -> Iterator[str]:
    yield from re.findall(r'(?:src|href)="([^"]+)"', page)


async def test_the_page_needs_no_key_and_nothing_from_elsewhere() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        page = await server.http.get("/docs")
        files = {
            url: await server.http.get(f"/{url}") for url in linked(page.text) if ":" not in url
        }
        described = await server.http.get("/openapi.json")
        other = await server.http.get("/docs/index.html")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "'self'" in page.headers["Content-Security-Policy"]
    assert "http" not in re.sub(r"<!doctype.*?>", "", page.text)
    assert len(files) == 3
    assert all(file.status_code == 200 and file.text for file in files.values())
    assert "openapi.json" in files["docs/show.js"].text
    assert described.json()["paths"]["/asr"]["post"]["security"] == [{"key": []}]
    assert other.status_code == 401
