"""Our server and our clients against the transcripts of the protocol."""

from __future__ import annotations

import sys

import pytest

from conformance import as_client, as_server
from conformance.__main__ import main
from conformance.matching import Mismatch, fits
from conformance.transcripts import Case, cases
from polyasr import settings
from polyasr.errors import InferenceFailed, ModelUnavailable
from polyasr.pipeline.types import Hypothesis
from polyasr.server import open_server
from tests.fakes import Asked, ScriptedEngine, hello
from tests.javascript import CLIENT, needs_node, node

GIVEN = {"model": "tiny", "device": "cpu", "dtype": "float32", "port": "0"}
PYTHON = [sys.executable, "-m", "conformance.python_client"]
SERVER_CASES = list(cases("server"))
CLIENT_CASES = [case for case in cases("client") if not case.is_slow]
CODES = {
    "audio_before_start",
    "stop_before_start",
    "unframed_audio",
    "odd_payload",
    "unsupported_version",
    "missing_session_id",
    "unsupported_message",
    "invalid_json",
    "message_too_large",
    "session_too_long",
    "too_many_sessions",
    "model_unavailable",
    "inference_failed",
    "unauthorized",
}


def named(case: Case) -> str:
    return case.name


async def fails(asked: Asked) -> Hypothesis:
    raise InferenceFailed("the model is broken")


async def missing(asked: Asked) -> Hypothesis:
    raise ModelUnavailable("the model is gone")


MODELS = {"fails": fails, "missing": missing, "": hello}
"""What the transcripts' ``model`` stands for."""


@pytest.mark.parametrize("case", SERVER_CASES, ids=named)
async def test_the_server_speaks_the_protocol(case: Case) -> None:
    environment = {name: value for name, value in case.needs.items() if name != "model"}
    chosen = settings.load(environment | {"POLYASR_LOG_DIR": ""}, GIVEN)
    engine = ScriptedEngine(MODELS[case.needs.get("model", "")])
    async with open_server(chosen, engine) as url:
        await as_client.run(case, url.replace("http", "ws", 1) + "/ws/transcribe")


@pytest.mark.parametrize("case", CLIENT_CASES, ids=named)
async def test_the_python_client_speaks_the_protocol(case: Case) -> None:
    await as_server.run(case, PYTHON)


@needs_node
@pytest.mark.parametrize("case", CLIENT_CASES, ids=named)
async def test_the_javascript_client_speaks_the_protocol(case: Case) -> None:
    await as_server.run(case, node(str(CLIENT / "src" / "cli.js")))


@needs_node
async def test_a_server_that_falls_silent_is_noticed() -> None:
    (case,) = [case for case in cases("client") if case.is_slow]
    soon = '--timing={"probe": 0.3, "stall": 0.3}'
    await as_server.run(case, node(str(CLIENT / "src" / "cli.js"), soon))


def test_every_code_of_the_contract_has_its_transcript() -> None:
    steps = [step for case in SERVER_CASES for step in case.body["steps"]]
    told = {step["expect"]["code"] for step in steps if "code" in step.get("expect", {})}
    assert told == CODES


def test_what_stands_for_values() -> None:
    remembered: dict[str, object] = {}
    assert fits({"a": 1}, {"a": 1, "b": 2}, remembered)
    assert not fits({"a": 1}, {"a": True}, remembered)
    assert not fits({"a": 1}, {"a": 1.0}, remembered)
    assert fits({"a": {"$absent": True}}, {}, remembered)
    assert not fits({"a": {"$absent": True}}, {"a": 0}, remembered)
    assert fits({"$min": 2}, 2, remembered)
    assert not fits({"$min": 2}, True, remembered)
    assert fits({"$oneOf": ["x", {"$contains": "y"}]}, "xyz", remembered)
    assert fits([{"$same": "z"}], ["q"], remembered) is False  # lists are values
    assert fits({"$same": "z"}, "q", remembered)
    assert not fits({"$same": "z"}, "r", remembered)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([{"expect": {"type": "started", "control": 9}}], "expected"),
        ([{"expect": {"type": "started"}, "after": 5}], "too soon"),
        ([{"expect": {"type": "started"}}, {"expect": {"type": "x"}, "within": 0.1}], "nothing"),
        ([{"acked": 3, "within": 0.1}], "got"),
        ([{"expect": {"type": "started"}}, {"acked": 3, "within": 0.1}], "acknowledged is"),
        ([{"never": ["started"], "for": 5}], "got"),
        ([{"expect": {"type": "started"}}, {"closed": 1000, "within": 0.1}], "stays open"),
        ([{"send": {"type": "dance"}}, {"closed": 1000}], "got"),
    ],
)
async def test_a_server_that_does_otherwise_is_told(steps: list[object], told: str) -> None:
    start = {"type": "start", "protocol": 1, "sessionId": "a"}
    case = Case("bad", "", {"steps": [{"open": "a"}, {"send": start}, *steps]})
    async with open_server(settings.load({"POLYASR_LOG_DIR": ""}, GIVEN), ScriptedEngine()) as url:
        with pytest.raises(Mismatch, match=told):
            await as_client.run(case, url.replace("http", "ws", 1) + "/ws/transcribe")


@pytest.mark.parametrize(
    ("client", "told"),
    [
        ("print('{}')", "never came to"),
        ("import sys; sys.exit(3)", "never came to"),
    ],
)
async def test_a_client_that_does_otherwise_is_told(client: str, told: str) -> None:
    with pytest.raises(Mismatch, match=told):
        await as_server.run(CLIENT_CASES[0], [sys.executable, "-c", client])


def test_the_command_counts_what_passed(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--only", "basics/dictation", "client", "--", *PYTHON]
    assert main(command) == 0
    assert "1 passed, 0 failed" in capsys.readouterr().out
    assert main([*command[:-2], "-c", "print('{}')"]) == 1
