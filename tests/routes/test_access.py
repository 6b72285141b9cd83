"""Who may use the server."""

from __future__ import annotations

import pytest

from polyasr.errors import Unauthorized
from polyasr.routes.access import AccessRules, ForbiddenOrigin
from tests.fakes import ScriptedEngine, tone, wav

from .conftest import serving

NO_KEY = AccessRules(api_key="", origins=frozenset(), hosts=frozenset({"asr-box.example"}))
OPENED = AccessRules(
    api_key="", origins=frozenset({"https://notes.example"}), hosts=frozenset({"notes.example"})
)
KEY = AccessRules(api_key="sesame", origins=frozenset(), hosts=frozenset())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "127.0.0.1:8766"),
        ("", "localhost:8766"),
        ("", "[::1]:8766"),
        ("", "192.168.1.20:8766"),
        ("", "polyasr:8766"),
        ("", "studio.local"),
        ("", "asr-box.example:8766"),
        ("", ""),
        ("http://127.0.0.1:8766", "127.0.0.1:8766"),
        ("http://LOCALHOST:8766", "localhost:8766"),
        ("https://asr-box.example", "asr-box.example"),
        ("http://polyasr", "polyasr:80"),
    ],
)
def test_programs_and_the_servers_own_pages_may_use_a_server_without_a_key(
    origin: str, host: str
) -> None:
    NO_KEY.check_page(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "127.0.0.1:8766"),
        ("http://localhost:3000", "localhost:8766"),
        ("http://127.0.0.1:8766", "localhost:8766"),
        ("https://localhost:8766", "localhost"),
        ("null", "127.0.0.1:8766"),
        ("file://", "127.0.0.1:8766"),
        ("http://localhost:99999999", "localhost:8766"),
        ("http://evil.example:8766", "evil.example:8766"),
        ("", "evil.example:8766"),
        ("", "127.0.0.1.evil.example"),
        ("", "localhost.evil.example"),
        ("", "[broken"),
    ],
)
def test_other_pages_and_strange_names_may_not(origin: str, host: str) -> None:
    with pytest.raises(ForbiddenOrigin, match="POLYASR_CORS_ORIGINS"):
        NO_KEY.check_page(origin, host)


def test_listed_origins_may() -> None:
    OPENED.check_page("https://notes.example", "127.0.0.1:8766")
    OPENED.check_page("HTTPS://notes.example/", "notes.example")
    with pytest.raises(ForbiddenOrigin):
        OPENED.check_page("http://notes.example", "127.0.0.1:8766")


def test_a_star_opens_the_server_to_every_page() -> None:
    AccessRules("", frozenset({"*"}), frozenset()).check_page("null", "evil.example")


def test_behind_a_key_origins_do_not_matter() -> None:
    KEY.check_page("https://evil.example", "asr.example.com")


@pytest.mark.parametrize(
    ("authorization", "token"),
    [("Bearer sesame", ""), ("bearer  sesame ", ""), ("", "sesame"), ("Basic eA==", "sesame")],
)
def test_the_key_is_taken_as_a_bearer_or_a_token(authorization: str, token: str) -> None:
    KEY.check_key(authorization, token)


@pytest.mark.parametrize(
    ("authorization", "token"),
    [("", ""), ("Bearer", ""), ("Bearer sesam", ""), ("sesame", ""), ("Bearer wrong", "sesame")],
)
def test_without_the_key_nobody_gets_in(authorization: str, token: str) -> None:
    with pytest.raises(Unauthorized):
        KEY.check_key(authorization, token)


async def test_a_missing_key_is_a_401_in_the_envelope() -> None:
    async with serving(ScriptedEngine(), api_key="secret") as server:
        response = await server.transcribe()
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "unauthorized"


async def test_the_right_key_opens_every_route() -> None:
    async with serving(ScriptedEngine(), api_key="secret") as server:
        server.http.headers["Authorization"] = "Bearer secret"
        answers = [await server.transcribe(), await server.http.get("/v1/models")]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("path", ["/", "/health", "/ready"])
async def test_monitors_need_no_key(path: str) -> None:
    async with serving(ScriptedEngine(), api_key="secret") as server:
        assert (await server.http.get(path)).status_code == 200


async def test_a_page_of_another_origin_is_refused_before_anything_is_done() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        server.http.headers["Origin"] = "https://evil.example"
        response = await server.transcribe()
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "forbidden_origin"
    assert engine.asked == []


async def test_a_rebound_name_is_refused() -> None:
    async with serving(ScriptedEngine()) as server:
        server.http.headers["Host"] = "evil.example"
        assert (await server.transcribe()).status_code == 403


async def test_a_listed_origin_may_send_and_read() -> None:
    origin = "https://notes.example"
    async with serving(ScriptedEngine(), cors_origins=(origin,)) as server:
        server.http.headers["Origin"] = origin
        preflight = await server.http.options("/v1/audio/transcriptions")
        response = await server.transcribe()
        refused = await server.http.post("/v1/audio/transcriptions")
    assert preflight.status_code == 200
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert (response.status_code, refused.status_code) == (200, 400)
    for answer in (preflight, response, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == origin


async def test_an_origin_that_is_not_listed_may_not_read() -> None:
    async with serving(ScriptedEngine(), cors_origins=("https://notes.example",)) as server:
        response = await server.http.get("/health", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_preflight_needs_no_key() -> None:
    origin = "https://notes.example"
    async with serving(ScriptedEngine(), cors_origins=(origin,), api_key="secret") as server:
        response = await server.http.options(
            "/v1/audio/transcriptions",
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
        )
    assert response.status_code == 200


async def test_a_refusal_reaches_a_client_that_is_still_sending() -> None:
    async with serving(ScriptedEngine(), api_key="secret") as server:
        response = await server.transcribe(wav(tone(60)))
    assert response.status_code == 401
