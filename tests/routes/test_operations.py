"""What an operator and a monitor see."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from polyasr import __version__
from tests.fakes import READY, HeldModel, ScriptedEngine

from .conftest import serving


async def test_the_root_names_the_server_and_its_version() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.http.get("/")
    assert response.json() == {"name": "polyasr", "version": __version__, "model": "tiny"}


async def test_a_server_that_is_well_says_so() -> None:
    async with serving(ScriptedEngine()) as server:
        health, ready = await server.http.get("/health"), await server.http.get("/ready")
    assert health.status_code == ready.status_code == 200
    assert health.json()["status"] == "ok"
    assert ready.json() == {"ready": True, "reasons": []}


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (replace(READY, state="loading", last_ok_age_sec=None), "starting"),
        (replace(READY, state="failed", reason="gone"), "degraded"),
        (replace(READY, weights_present=False), "degraded"),
    ],
)
async def test_a_server_that_cannot_serve_answers_503_and_when_to_ask_again(
    status: object, verdict: str
) -> None:
    async with serving(ScriptedEngine(how=status)) as server:  # type: ignore[arg-type]
        health, ready = await server.http.get("/health"), await server.http.get("/ready")
    assert health.status_code == ready.status_code == 503
    assert health.json()["status"] == verdict
    assert health.json()["reasons"] == ready.json()["reasons"] != []
    assert int(health.headers["Retry-After"]) > 0
    assert ready.json()["ready"] is False


async def test_health_follows_the_engine() -> None:
    engine = ScriptedEngine(how=replace(READY, state="loading", last_ok_age_sec=None))
    async with serving(engine) as server:
        starting = await server.http.get("/health")
        engine.how = READY
        serving_now = await server.http.get("/health")
    assert (starting.status_code, serving_now.status_code) == (503, 200)


async def test_the_queue_is_told() -> None:
    held = HeldModel()
    async with serving(ScriptedEngine(held.script), max_queue_size=7) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.transcribe)
            await held.begun.wait()
            busy = (await server.http.get("/queue-metrics")).json()
            held.release.set()
        idle = (await server.http.get("/queue-metrics")).json()
    queue = {"requests_queued": 0, "gpu_concurrency": 8, "max_queue_size": 7}
    about = {"serve_mode": "transformers", "device": "cpu", "loaded_models": ["asr"]}
    assert busy == {**about, "queue": {**queue, "requests_in_flight": 1}}
    assert idle == {**about, "queue": {**queue, "requests_in_flight": 0}}


async def test_unload_names_what_it_freed_and_null_when_there_was_nothing() -> None:
    async with serving(ScriptedEngine()) as server:
        first = await server.http.post("/model/unload")
        second = await server.http.post("/model/unload")
        health = await server.http.get("/health")
    assert (first.status_code, second.status_code) == (200, 200)
    assert (first.json()["unloaded"], second.json()["unloaded"]) == ("asr", None)
    assert first.json()["manager"]["resident"] == []
    assert second.json()["manager"] == health.json()["manager"]


async def test_pages_of_other_origins_may_not_unload() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.http.post(
            "/model/unload", headers={"Origin": "https://elsewhere.example"}
        )
        health = await server.http.get("/health")
    assert response.status_code == 403
    assert health.json()["manager"]["resident"] == ["asr"]


async def test_unloading_needs_the_key_where_there_is_one() -> None:
    async with serving(ScriptedEngine(), api_key="open sesame") as server:
        without = await server.http.post("/model/unload")
        key = {"Authorization": "Bearer open sesame"}
        with_key = await server.http.post("/model/unload", headers=key)
    assert (without.status_code, with_key.status_code) == (401, 200)


async def test_an_unknown_path_is_a_404_in_json() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.http.get("/nowhere")
    assert response.status_code == 404
    assert response.json() == {"detail": "there is nothing at GET /nowhere"}


async def test_an_unknown_path_of_the_api_is_told_in_the_envelope() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.http.get("/v1/nowhere")
    assert response.status_code == 404
    assert response.json()["error"] == {
        "message": "there is nothing at GET /v1/nowhere",
        "type": "invalid_request_error",
        "param": None,
        "code": "not_found",
    }


async def test_a_wrong_method_is_a_405_that_names_the_right_ones() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.http.get("/v1/audio/transcriptions")
        outside = await server.http.post("/health")
    assert (response.status_code, outside.status_code) == (405, 405)
    assert "POST" in response.headers["Allow"]
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert outside.json() == {"detail": "/health does not take POST"}
