"""`/v1/align/manifest`: recordings of the server's disk, and who may ask for which."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from polyasr.errors import InvalidRequest
from polyasr.routes.manifest import MAX_ENTRIES, permitted, read_manifest
from tests.alignment.tones import by_pitch
from tests.fakes import EvenAligner, ScriptedEngine, silence, tone, wav

from .conftest import Server, serving

OPEN_FILES = Path("/proc/self/fd")


def open_files() -> int:
    return len(list(OPEN_FILES.iterdir()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with two recordings and a letter; beside it, a third recording."""
    directory = tmp_path / "root"
    directory.mkdir()
    (directory / "one.wav").write_bytes(wav(tone(8) + silence(1)))
    (directory / "three.wav").write_bytes(wav(tone(8, hertz=880) + silence(1)))
    (directory / "letter.wav").write_text("a letter" * 99)
    (tmp_path / "secret.wav").write_bytes(wav(tone(1)))
    return directory


def engine(**changes: Any) -> ScriptedEngine:
    return ScriptedEngine(script=by_pitch, **changes)


def entry(path: Path | str, offset: float = 0.0, **more: object) -> dict[str, object]:
    return {"path": str(path), "offset": offset, **more}


async def align(
    server: Server, *entries: Any, headers: dict[str, str] | None = None, **more: Any
) -> httpx.Response:
    return await server.http.post(
        "/v1/align/manifest", json={"manifest": list(entries), **more}, headers=headers
    )


def message(response: httpx.Response) -> str:
    said: str = response.json()["error"]["message"]
    return said


async def test_entries_are_joined_in_their_order_each_moved_by_its_offset(root: Path) -> None:
    async with serving(engine()) as server:
        response = await align(
            server, entry(root / "three.wav", 100.5, id="a"), entry(root / "one.wav", 12.25)
        )
    body = response.json()
    assert response.status_code == 200
    assert list(body) == ["text", "language", "segments", "model"]
    assert body["text"] == "Three four! One two."
    assert body["language"] == "English"
    first, second = body["segments"]
    assert 100.5 <= first["start"] < 101 and 108 < first["end"] < 109.5
    assert 12.25 <= second["start"] < 13
    assert [word["text"] for word in second["words"]] == ["One", "two"]
    assert second["words"][0]["start"] == second["start"]


async def test_language_and_chunk_length_are_those_of_align(root: Path) -> None:
    asked = engine()
    async with serving(asked) as server:
        body = await align(
            server, entry(root / "one.wav"), language="zh", max_chunk_seconds=4, model="any"
        )
        refused = await align(server, entry(root / "one.wav"), max_chunk_seconds="4")
        unknown = await align(server, entry(root / "one.wav"), language="Klingon")
    assert body.json()["language"] == "Chinese"
    assert max(length for length, _, _ in asked.aligner.asked) <= 4 * 16000
    assert (refused.status_code, unknown.status_code) == (400, 400)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "/no/such.wav", "offset": 0, "id": "el_7"}, "(el_7): '/no/such.wav' does not"),
        ({"path": "", "offset": 0}, "`path`"),
        ({"path": 7, "offset": 0}, "`path`"),
        ({"offset": 0}, "`path`"),
        ({"path": "one.wav", "offset": 0}, "must begin at the root"),
        ({"path": "/a\x00b", "offset": 0}, "cannot be read"),
        ({"path": "/" + "a" * 5000, "offset": 0}, "cannot be read"),
        ("one.wav", "not an object"),
        (None, "not an object"),
    ],
)
async def test_an_entry_that_cannot_be_is_named_and_nothing_is_done(
    root: Path, given: Any, said: str
) -> None:
    asked = engine()
    good = entry(root / "one.wav")
    async with serving(asked) as server:
        response = await align(server, good, good, given, good)
    assert response.status_code == 400
    assert message(response).startswith("manifest[2]")
    assert said in message(response)
    assert asked.asked == []


@pytest.mark.parametrize("offset", [-0.5, "1", None, True, [], 1e8, "nan"])
async def test_an_offset_is_a_number_of_seconds_and_not_negative(root: Path, offset: Any) -> None:
    async with serving(engine()) as server:
        response = await align(server, {"path": str(root / "one.wav"), "offset": offset})
        missing = await align(server, {"path": str(root / "one.wav")})
    assert (response.status_code, missing.status_code) == (400, 400)
    assert "manifest[0]" in message(response) and "`offset`" in message(response)


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "7", '{"manifest": []}', '{"manifest": {}}', "{}", "[" * 100_000]
)
async def test_what_is_no_manifest_is_a_400(body: str) -> None:
    async with serving(engine()) as server:
        response = await server.http.post("/v1/align/manifest", content=body)
    assert response.status_code == 400


async def test_a_directory_is_not_a_file_and_neither_is_a_pipe(root: Path) -> None:
    os.mkfifo(root / "pipe.wav")
    async with serving(engine()) as server:
        for place in (root, root / "pipe.wav", Path("/dev/null")):
            response = await align(server, entry(place))
            assert (response.status_code, "not a file" in message(response)) == (400, True)


async def test_what_lies_outside_of_the_roots_is_not_told_of(root: Path) -> None:
    secret = root.parent / "secret.wav"
    (root / "link.wav").symlink_to(secret)
    (root / "inside.wav").symlink_to(root / "one.wav")
    (root / "circle.wav").symlink_to(root / "circle.wav")
    async with serving(engine(), manifest_roots=(str(root),)) as server:
        for place in (
            secret,
            root.parent / "nothing.wav",
            f"{root}/../secret.wav",
            f"{root}/../nothing.wav",
            root / "link.wav",
            Path("/etc/passwd"),
        ):
            response = await align(server, entry(place))
            assert response.status_code == 400
            assert "lies outside the directories of POLYASR_MANIFEST_ROOTS" in message(response)
        circle = await align(server, entry(root / "circle.wav"))
        allowed = await align(
            server, entry(root / "inside.wav"), entry(f"{root}/../root/one.wav", 9)
        )
    assert circle.status_code == 400
    assert allowed.status_code == 200


async def test_a_root_may_itself_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert permitted(str(link / "one.wav"), [str(link)], "e") == (root / "one.wav").resolve()
    assert permitted(str(root / "one.wav"), [str(link)], "e") == (root / "one.wav").resolve()


async def test_without_roots_a_client_behind_a_proxy_is_of_no_use_of_files(root: Path) -> None:
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    async with serving(engine()) as server:
        refused = await align(server, entry(root / "one.wav"), headers=proxied)
        empty = await align(server, headers=proxied)
    assert refused.status_code == 403
    assert "POLYASR_MANIFEST_ROOTS" in message(refused)
    assert empty.status_code == 403
    async with serving(engine(), manifest_roots=(str(root),)) as server:
        allowed = await align(server, entry(root / "one.wav"), headers=proxied)
    assert allowed.status_code == 200


async def test_a_broken_entry_in_the_middle_fails_the_whole_and_is_named(root: Path) -> None:
    entries = [
        entry(root / "one.wav"),
        entry(root / "letter.wav", 9, id="el_1"),
        entry(root / "three.wav", 18),
    ]
    async with serving(engine()) as server:
        plain = await align(server, *entries)
        streamed = await align(server, *entries, headers={"Accept": "text/event-stream"})
    assert (plain.status_code, plain.json()["error"]["code"]) == (500, "entry_failed")
    assert message(plain).startswith("manifest[1] (el_1): ")
    assert plain.headers["x-should-retry"] == "false"
    last = streamed.text.strip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["message"] == message(plain)


async def test_an_entry_that_changes_into_something_else_meanwhile_is_looked_at_again(
    root: Path,
) -> None:
    class Swapping(EvenAligner):
        async def align(self, *arguments: Any) -> Any:
            (root / "three.wav").unlink(missing_ok=True)
            (root / "three.wav").symlink_to(root.parent / "secret.wav")
            return await super().align(*arguments)

    async with serving(engine(aligner=Swapping()), manifest_roots=(str(root),)) as server:
        response = await align(server, entry(root / "one.wav"), entry(root / "three.wav"))
    assert response.status_code == 500
    assert message(response).startswith("manifest[1]: ")
    assert "outside" in message(response)


async def test_an_aligner_that_is_not_there_is_a_503(root: Path) -> None:
    async with serving(engine(aligner=EvenAligner(missing="no weights"))) as server:
        response = await align(server, entry(root / "one.wav"))
    assert response.status_code == 503


async def test_progress_is_told_by_entry(root: Path) -> None:
    async with serving(engine()) as server:
        streamed = await align(
            server,
            entry(root / "one.wav"),
            entry(root / "three.wav", 9),
            headers={"Accept": "text/event-stream"},
        )
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line]
    *told, done = [json.loads(line) for line in lines if line != "[DONE]"]
    assert [(event["entry"], event["stage"]) for event in told] == [
        (0, "transcribe"),
        (1, "transcribe"),
        (0, "align"),
        (1, "align"),
    ]
    assert done["type"] == "align.done" and len(done["segments"]) == 2


def test_ten_thousand_entries_are_looked_at_and_no_more(root: Path) -> None:
    good = entry(root / "one.wav")
    assert len(read_manifest({"manifest": [good] * MAX_ENTRIES}, [str(root)]).entries) == 10_000
    with pytest.raises(InvalidRequest, match="10001 entries"):
        read_manifest({"manifest": [good] * (MAX_ENTRIES + 1)}, [])
    with pytest.raises(InvalidRequest, match=r"manifest\[9999\]: '/no'"):
        read_manifest({"manifest": [*[good] * (MAX_ENTRIES - 1), entry("/no")]}, [])


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the system does not list open files")
async def test_no_files_are_left_open(root: Path) -> None:
    async with serving(engine()) as server:
        await align(server, entry(root / "one.wav"))
        before = open_files()
        for _ in range(3):
            await align(server, entry(root / "one.wav"), entry(root / "letter.wav"))
        assert open_files() <= before + 1
