"""The command line, as a person and as a script meet it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from polyasr.cli import main
from polyasr.commands import config, demo
from polyasr.commands.terminal import LiveLine, tail
from polyasr.errors import ModelUnavailable, PolyasrError
from polyasr.pipeline.types import Hypothesis
from polyasr.settings import OPTIONS, PREFIX, Settings, variable
from tests.fakes import Asked, ScriptedEngine, hello, silence, tone, wav
from tests.routes.conftest import serving

COMMANDS = ("serve", "dictate", "transcribe", "diarize", "replay", "config", "demo")
HEAVY = {"torch", "transformers", "numpy", "quart", "trio", "soundfile", "huggingface_hub"}
POLYASR = (sys.executable, "-m", "polyasr")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings play no part."""
    for name in OPTIONS:
        monkeypatch.delenv(variable(name), raising=False)
        monkeypatch.delenv(f"ASR_{name.upper()}", raising=False)


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_help_answers_at_once() -> None:
    """Under two seconds of processor time, ten times what it takes: the machine may be slow."""
    printed = python(
        "import atexit, time; atexit.register(lambda: print('seconds', time.process_time()))\n"
        "from polyasr.cli import main; main(['--help'])"
    )
    assert "examples:" in printed
    assert float(printed.split("seconds ")[1]) < 2.0


def test_help_imports_nothing_heavy() -> None:
    printed = python(
        "import atexit, sys; atexit.register(lambda: print('modules', *sys.modules))\n"
        "from polyasr.cli import main; main(['serve', '--help'])"
    )
    assert HEAVY.isdisjoint(printed.split("modules ")[1].split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: polyasr {command}" in capsys.readouterr().out


def test_flags_of_settings_name_their_variables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    printed = capsys.readouterr().out
    for name in ("model", "device", "dtype", "host", "port"):
        assert f"--{name}" in printed
        assert variable(name) in printed


def test_config_shows_every_setting_its_value_and_its_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASR_PORT", "9000")
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert "POLYASR_PORT=9000  (ASR_PORT)" in printed
    assert "POLYASR_PRELOAD=1  (default)" in printed
    for name, option in OPTIONS.items():
        assert variable(name) in printed
        assert option.help in printed


def test_config_shows_no_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLYASR_API_KEY", "open sesame")
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert "POLYASR_API_KEY=***  (POLYASR_API_KEY)" in printed
    assert "sesame" not in printed


@pytest.mark.parametrize("command", [["config"], ["transcribe", "/no/such/file"]])
def test_an_unknown_variable_is_named_once(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}PROT", "1")
    main(command)
    assert capsys.readouterr().err.count("did you mean POLYASR_PORT?") == 1


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["serve", "--port", "x"], "--port is 'x'"),
        (["serve", "--model", "/no/such/model"], "no model '/no/such/model'"),
        (["transcribe", "/no/such/file"], "/no/such/file does not exist"),
        (["dictate", "/no/such/file"], "/no/such/file cannot be read"),
        (["transcribe", "--language", "tlh", "x.wav"], "the language 'tlh'"),
    ],
)
def test_what_a_person_can_mend_is_one_line(
    command: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("polyasr: ")
    assert named in printed
    assert printed.count("\n") == 1


def fail_with(monkeypatch: pytest.MonkeyPatch, failure: BaseException) -> Callable[[], int]:
    """A command that ends so."""

    def run(arguments: object) -> int:
        raise failure

    monkeypatch.setattr(config, "run", run)
    return lambda: main(["config"])


@pytest.mark.parametrize(
    "failure",
    [
        KeyboardInterrupt(),
        BaseExceptionGroup("", [KeyboardInterrupt(), ModelUnavailable("gone")]),
    ],
)
def test_ctrl_c_is_quiet(
    failure: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fail_with(monkeypatch, failure)() == 130
    assert capsys.readouterr() == ("", "")


def test_an_error_out_of_a_nursery_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failure = ExceptionGroup("", [ExceptionGroup("", [ModelUnavailable("the model is gone")])])
    assert fail_with(monkeypatch, failure)() == 2
    assert capsys.readouterr().err == "polyasr: the model is gone\n"


@pytest.mark.parametrize(
    "failure", [ZeroDivisionError(), ExceptionGroup("", [PolyasrError(), ZeroDivisionError()])]
)
def test_a_fault_of_ours_is_not_hidden(failure: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(failure)):
        fail_with(monkeypatch, failure)()


def test_a_reader_that_leaves_ends_the_command_without_a_traceback() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -m polyasr config | true; echo "${PIPESTATUS[0]}"', sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout in ("0\n", "141\n")  # 0 when all went into the pipe before


async def test_dictate_prints_the_final_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "speech.wav"
    recording.write_bytes(wav(silence(0.5) + tone(1.0) + silence(1.0)))
    engine = ScriptedEngine()
    async with serving(engine) as server:
        command = ["dictate", "--fast", "--server", server.websocket_url, "--language", "en"]
        command += ["--context", "Benchday", str(recording)]
        code = await trio.to_thread.run_sync(main, command)
    assert (code, capsys.readouterr().out) == (0, "Hello.\n")
    assert {(asked.language, asked.context) for asked in engine.asked} == {("English", "Benchday")}


async def test_dictate_sends_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "speech.wav"
    recording.write_bytes(wav(tone(1.0)))
    async with serving(ScriptedEngine(), api_key="sesame") as server:
        command = ["dictate", "--fast", "--server", server.websocket_url, str(recording)]
        refused = await trio.to_thread.run_sync(main, command)
        admitted = await trio.to_thread.run_sync(main, [*command, "--api-key", "sesame"])
    assert (refused, admitted) == (2, 0)
    printed = capsys.readouterr()
    assert printed.out == "Hello.\n"
    assert printed.err.count("\n") == 1


async def test_dictate_goes_to_the_next_server_when_the_first_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "speech.wav"
    recording.write_bytes(wav(tone(1.0)))
    async with serving(ScriptedEngine()) as server:
        command = ["dictate", "--fast", "--server", "ws://127.0.0.1:9/ws/transcribe"]
        command += ["--server", server.websocket_url, str(recording)]
        code = await trio.to_thread.run_sync(main, command)
    assert (code, capsys.readouterr().out) == (0, "Hello.\n")


def test_dictate_without_a_server_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "speech.wav"
    recording.write_bytes(wav(tone(1.0)))
    assert main(["dictate", "--server", "ws://127.0.0.1:9/ws/transcribe", str(recording)]) == 2
    assert "polyasr serve" in capsys.readouterr().err


async def test_dictate_reads_raw_audio_from_a_pipe() -> None:
    """An odd byte at the end is half a sample, and no audio."""
    async with serving(ScriptedEngine()) as server:
        done = await trio.run_process(
            [*POLYASR, "dictate", "-", "--server", server.websocket_url],
            stdin=tone(1.0) + silence(1.0) + b"\0",
            capture_stdout=True,
            capture_stderr=True,
        )
    assert (done.stdout, done.stderr) == (b"Hello.\n", b"")


async def test_ctrl_c_ends_a_live_recording_and_not_its_text() -> None:
    heard = trio.Event()

    async def script(asked: Asked) -> Hypothesis:
        heard.set()
        return await hello(asked)

    command = [*POLYASR, "dictate", "-"]
    async with serving(ScriptedEngine(script)) as server, trio.open_nursery() as nursery:
        run = partial(trio.run_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = await nursery.start(run, [*command, "--server", server.websocket_url])
        assert process.stdin is not None
        assert process.stdout is not None
        await process.stdin.send_all(tone(2.0))
        await heard.wait()
        process.send_signal(signal.SIGINT)
        printed = b"".join([piece async for piece in process.stdout])
        assert await process.wait() == 0
    assert printed == b"Hello.\n"


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, checkpoint_directory: Path) -> ScriptedEngine:
    """The engine of ``polyasr transcribe``, with a checkpoint that it does not look at."""
    engine = ScriptedEngine()

    @asynccontextmanager
    async def open_engine(settings: Settings) -> AsyncIterator[Any]:
        assert settings.model == str(checkpoint_directory)
        yield engine

    monkeypatch.setattr("polyasr.engine.open_engine", open_engine)
    monkeypatch.setenv("POLYASR_MODEL", str(checkpoint_directory))
    return engine


def test_transcribe_prints_the_text_of_a_recording(
    scripted: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "speech.wav"
    recording.write_bytes(wav(tone(1.0)))
    assert main(["transcribe", "--language", "zh", "--context", "Qwen", str(recording)]) == 0
    assert capsys.readouterr() == ("Hello.\n", "")
    assert {(asked.language, asked.context) for asked in scripted.asked} == {("Chinese", "Qwen")}


def test_transcribe_goes_on_after_a_file_that_is_no_recording(
    scripted: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "letter.txt", tmp_path / "speech.wav"
    first.write_text("not a recording")
    second.write_bytes(wav(tone(1.0)))
    assert main(["transcribe", str(first), str(second)]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{second}: Hello.\n"
    assert printed.err.startswith(f"polyasr: {first}: the file is not audio")


class Terminal(io.StringIO):
    """Where a person watches."""

    def isatty(self) -> bool:
        return True


def test_a_growing_text_rewrites_its_line_on_a_terminal() -> None:
    terminal = Terminal()
    line = LiveLine(terminal)
    line.show("good")
    line.show("good morning")
    line.clear()
    assert terminal.getvalue() == "\r\x1b[Kgood\r\x1b[Kgood morning\r\x1b[K"


def test_what_may_still_change_is_faint() -> None:
    terminal = Terminal()
    LiveLine(terminal).show("good morning", tentative=len("morning"))
    assert terminal.getvalue() == "\r\x1b[Kgood \x1b[2mmorning\x1b[22m"


def test_a_growing_text_is_a_line_each_time_on_a_pipe() -> None:
    pipe = io.StringIO()
    line = LiveLine(pipe)
    line.show("good")
    line.show("good morning")
    line.clear()
    assert pipe.getvalue() == "good\ngood morning\n"


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("good morning", 20, "good morning"),
        ("good morning", 7, "morning"),
        ("你好，我叫小明", 6, "叫小明"),
        ("你好，我叫小明", 7, "叫小明"),
        ("", 5, ""),
    ],
)
def test_of_a_long_text_the_end_is_shown(text: str, columns: int, shown: str) -> None:
    assert tail(text, columns) == shown


def test_the_demo_compares_words_and_not_their_dress() -> None:
    assert demo.words("Good morning, it's 5!") == demo.words("good MORNING it's 5")
    assert demo.words("Good morning") != demo.words("Good evening")


async def test_the_demo_recognizes_its_recording() -> None:
    done = await trio.run_process([*POLYASR, "demo"], capture_stdout=True, check=False)
    printed = done.stdout.decode()
    assert done.returncode == 0, printed
    assert demo.RECORDING.with_suffix(".txt").read_text("utf-8").strip() in printed
    assert "First partial: " in printed
    assert "Final: " in printed
