"""Translation, for which there is no model yet."""

from __future__ import annotations

from tests.fakes import ScriptedEngine, tone, wav

from .conftest import serving


async def test_it_is_a_501_in_the_envelope_that_names_the_setting() -> None:
    async with serving(ScriptedEngine()) as server:
        files = {"file": wav(tone(0.5))}
        response = await server.http.post("/v1/audio/translations", files=files)
    assert response.status_code == 501
    assert response.headers["X-Should-Retry"] == "false"
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "not_available")
    assert "POLYASR_TRANSLATE_MODEL" in error["message"]
