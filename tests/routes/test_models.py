"""The model list of OpenAI's API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import READY, ScriptedEngine

from .conftest import serving

NAME = "Qwen/Qwen3-ASR-0.6B"


def engine() -> ScriptedEngine:
    return ScriptedEngine(how=replace(READY, model=NAME))


async def test_the_server_lists_its_one_model() -> None:
    async with serving(engine()) as server:
        body = (await server.http.get("/v1/models")).json()
    assert body["object"] == "list"
    (model,) = body["data"]
    assert (model["id"], model["object"], model["owned_by"]) == (NAME, "model", "Qwen")
    assert isinstance(model["created"], int)


@pytest.mark.parametrize("path", ["Qwen/Qwen3-ASR-0.6B", "Qwen%2FQwen3-ASR-0.6B"])
async def test_a_name_with_a_slash_is_found_raw_and_encoded(path: str) -> None:
    async with serving(engine()) as server:
        response = await server.http.get(f"/v1/models/{path}")
    assert response.status_code == 200
    assert response.json()["id"] == NAME


async def test_an_unknown_model_is_a_404_that_names_the_one_there_is() -> None:
    async with serving(engine()) as server:
        response = await server.http.get("/v1/models/whisper-9")
    assert response.status_code == 404
    error = response.json()["error"]
    assert error["code"] == "model_not_found"
    assert "whisper-9" in error["message"]
    assert NAME in error["message"]
