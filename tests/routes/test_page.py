"""The dictation page as it is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polyasr.languages import CODES
from tests.fakes import ScriptedEngine

from .conftest import serving

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
LINK = re.compile(r"""(?:src|href)="([^"]+)"|(?:from|URL\() ?'(\./[^']+)'""")


async def test_a_browser_gets_the_page_and_a_program_the_servers_name() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        page = await server.http.get("/", headers=BROWSER)
        told = [
            await server.http.get("/", headers={"Accept": accept})
            for accept in ("*/*", "application/json", "application/json, text/html;q=0.5")
        ]
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<!doctype html>" in page.text
    assert all(each.json()["name"] == "polyasr" for each in told)
    assert {each.headers["Vary"] for each in (page, *told)} == {"Accept"}


async def test_every_part_of_the_page_is_there_and_none_comes_from_another_host() -> None:
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        page = await server.http.get("/", headers=BROWSER)
        seen, left = {"/"}, [("/", page.text)]
        while left:
            address, text = left.pop()
            for link in re.findall(
                r"""(?:src|href)="([^"]+)"|(?:from|URL\() ?'(\./[^']+)'""", text
            ):
                target = str(page.url.join(address).join(link[0] or link[1]).path)
                if target not in seen:
                    seen.add(target)
                    part = await server.http.get(target)
                    assert part.status_code == 200, target
                    assert part.headers["X-Content-Type-Options"] == "nosniff"
                    left.append((target, part.text))
                    assert "https://" not in part.text
    assert {"/web/page.css", "/web/client/dictation.js", "/web/client/worklet.js"} <= seen


async def test_the_browser_is_told_to_take_nothing_from_elsewhere() -> None:
    async with serving(ScriptedEngine()) as server:
        page = await server.http.get("/", headers=BROWSER)
        script = await server.http.get("/web/page.js")
    for response in (page, script):
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["Referrer-Policy"] == "no-referrer"
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert not re.search(r"<script(?![^>]* src=)|<style| on\w+=| style=", page.text)


async def test_what_has_not_changed_is_not_sent_again() -> None:
    async with serving(ScriptedEngine()) as server:
        first = await server.http.get("/web/page.css")
        again = await server.http.get(
            "/web/page.css", headers={"If-None-Match": first.headers["ETag"]}
        )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["", "nothing.js", "../app.py", "%2e%2e/app.py", "client/"])
async def test_nothing_else_is_served(name: str) -> None:
    async with serving(ScriptedEngine()) as server:
        assert (await server.http.get(f"/web/{name}")).status_code == 404


async def test_every_language_of_the_model_can_be_chosen() -> None:
    async with serving(ScriptedEngine()) as server:
        page = await server.http.get("/", headers=BROWSER)
    assert sorted(re.findall(r'<option value="(\w+)"', page.text)) == sorted(CODES.values())


def test_the_client_is_there_once() -> None:
    root = Path(__file__).parents[2]
    assert (root / "polyasr/web/client").resolve() == root / "client/js/src"
