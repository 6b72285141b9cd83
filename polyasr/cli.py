"""The command line: what there is to type. What each command does is in ``polyasr.commands``.

Nothing heavy is imported before a command is known to run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyasr import __version__
from polyasr.errors import PolyasrError, leaves
from polyasr.settings import OPTIONS, flag, variable

FAILED = 2
"""The exit code for what a person has to mend; argparse has the same."""
INTERRUPTED = 130
"""128 + SIGINT, as shells count."""
READER_GONE = 141
"""128 + SIGPIPE: the program that read our output has left."""

DESCRIPTION = """\
Speech recognition on your own machine: a server that writes while you speak, and the tools to
talk to it. The model is Qwen3-ASR; a tiny one comes along to try things with (--model tiny).
"""
EXAMPLES = """\
examples:
  polyasr demo                          see it work, with what is bundled
  polyasr serve                         the server, at http://127.0.0.1:8766
  polyasr dictate meeting.wav           stream a file to the server and watch the text grow
  polyasr transcribe a.mp3 b.flac       the texts of recordings, without a server
  polyasr config                        all settings, their values and where these come from

`polyasr COMMAND --help` tells more about each.
"""
SERVE_EXAMPLES = """\
Every setting can also come from the environment (POLYASR_PORT=9000); `polyasr config` lists them.

examples:
  polyasr serve --model tiny            the bundled model: starts in seconds, knows few words
  polyasr serve --model 1.7b            the large model, downloaded at the first start
  polyasr serve --host 0.0.0.0          open to other machines; set POLYASR_API_KEY as well
"""
DICTATE_EXAMPLES = """\
The text grows on the terminal while the audio is sent; the final text goes to standard output.

examples:
  polyasr dictate meeting.wav           at the speed of speech, as if it were spoken now
  polyasr dictate --fast meeting.wav    as fast as the server takes it
  arecord -q -t raw -f S16_LE -r 16000 -c 1 | polyasr dictate -
                                        from a microphone; Ctrl-C ends the recording
  polyasr dictate --server ws://a:8766/ws/transcribe --server ws://b:8766/ws/transcribe talk.wav
                                        the second server takes over when the first fails
"""
TRANSCRIBE_EXAMPLES = """\
One line of text for each recording, with the file's name before it when there are several.

examples:
  polyasr transcribe interview.mp3
  polyasr transcribe --model tiny --language en *.wav
  polyasr transcribe --context "Qwen, polyasr" talk.flac
"""
ALIGN_EXAMPLES = """\
The words come from the model, or from a transcript that you have; their times, from a second model,
POLYASR_ALIGNER_MODEL.

examples:
  polyasr align talk.m4a
  polyasr align --text talk.txt --format srt talk.m4a > talk.srt
  polyasr align --format textgrid --plot talk.png talk.m4a > talk.TextGrid
"""
DIARIZE_EXAMPLES = """\
A line for each turn: from, to, and a label for who speaks.

examples:
  polyasr diarize meeting.m4a
  polyasr diarize --num-speakers 2 --format rttm interview.wav > interview.rttm
  polyasr diarize --plot meeting.png meeting.m4a
"""


REPLAY_EXAMPLES = """\
Says what differs: the final text, word by word, and when what was told. The exit code is 1 when a
final text is another than the archived one. docs/archive.md says what is kept and where.

examples:
  polyasr replay --fast logs/sessions/2026-11-21
  polyasr replay logs/sessions/2026-11-21/142501-ws-abc
  polyasr replay --server ws://127.0.0.1:8766/ws/transcribe logs
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code; what a person can mend is one line on stderr."""
    arguments = build_parser().parse_args(argv)
    logging.getLogger("polyasr").setLevel(logging.WARNING)  # model libraries print what is below
    try:
        command = importlib.import_module(f"polyasr.commands.{arguments.command}")
        code: int = command.run(arguments)
        sys.stdout.flush()
    except BaseException as failure:
        return _exit_code(failure)
    return code


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="polyasr", **_texts(DESCRIPTION, EXAMPLES))
    parser.add_argument("--version", action="version", version=f"polyasr {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, examples: str = "") -> argparse.ArgumentParser:
        description = f"{summary[0].upper()}{summary[1:]}."
        return commands.add_parser(name, help=summary, **_texts(description, examples))

    _serve(add("serve", "run the server until Ctrl-C", SERVE_EXAMPLES))
    _dictate(add("dictate", "stream a recording to a server, text as it comes", DICTATE_EXAMPLES))
    _transcribe(add("transcribe", "print the texts of recordings", TRANSCRIBE_EXAMPLES))
    _align(add("align", "tell when each word of a recording is said", ALIGN_EXAMPLES))
    _diarize(add("diarize", "tell who spoke when in a recording", DIARIZE_EXAMPLES))
    _replay(add("replay", "dictate again what the server has kept", REPLAY_EXAMPLES))
    add("config", "show all settings, their values and where these come from")
    add("demo", "start a server with the bundled model and dictate a recording to it")
    return parser


def _serve(parser: argparse.ArgumentParser) -> None:
    _settings(parser, "model", "device", "dtype", "host", "port")


def _dictate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a recording, or - for PCM16 at 16 kHz, mono, from stdin"
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        action="append",
        help="its WebSocket (ws://127.0.0.1:8766/ws/transcribe); more of them: the next takes over",
    )
    parser.add_argument("--fast", action="store_true", help="do not wait as a speaker would")
    _hints(parser)
    _settings(parser, "api_key")


def _transcribe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="recordings, of any format")
    _hints(parser)
    _settings(parser, "model", "device", "dtype")


def _align(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording, of any format")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="what is said; left out, it is recognized"
    )
    parser.add_argument(
        "--format",
        default="json",
        choices=("json", "srt", "vtt", "textgrid"),
        help="of the output (json)",
    )
    _plot(parser)
    _hints(parser)
    _settings(parser, "model", "aligner_model", "device", "dtype")


def _diarize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording, of any format")
    for which, said in (("num", "how many speak"), ("min", "at least"), ("max", "at most")):
        parser.add_argument(
            f"--{which}-speakers", type=int, metavar="N", help=f"{said}; left out, it is found out"
        )
    parser.add_argument(
        "--format", default="text", choices=("text", "json", "rttm"), help="of the output (text)"
    )
    _plot(parser)
    _settings(parser, "diarize_model", "device")


def _replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "directory", metavar="DIR", type=Path, help="an archived dictation, or a directory of them"
    )
    parser.add_argument(
        "--server", metavar="URL", help="a server's WebSocket; left out, one is run in this process"
    )
    parser.add_argument("--fast", action="store_true", help="do not wait as a speaker would")
    _settings(parser, "model", "device", "dtype", "api_key")


def _plot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plot", type=Path, metavar="PICTURE", help="draw it, to a PNG or SVG file"
    )


def _hints(parser: argparse.ArgumentParser) -> None:
    """What may be said about the speech."""
    parser.add_argument("--language", help="such as en, zh or French; left out, it is recognized")
    parser.add_argument("--context", default="", help="names and words that may come up")


def _settings(parser: argparse.ArgumentParser, *names: str) -> None:
    """Settings that can be given as flags, as texts; ``settings.load`` parses them."""
    for name in names:
        described = f"{OPTIONS[name].help} ({variable(name)})"
        parser.add_argument(flag(name), metavar=name.upper(), help=described)


def _texts(description: str, examples: str) -> dict[str, Any]:
    return {
        "description": description,
        "epilog": examples,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _exit_code(failure: BaseException) -> int:
    """The exit code for what ended a command; what is no one's mistake but ours is raised."""
    causes = list(leaves(failure))
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return INTERRUPTED
    if any(isinstance(cause, BrokenPipeError) for cause in causes):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit
        return READER_GONE
    if all(isinstance(cause, PolyasrError) for cause in causes):
        print(f"polyasr: {causes[0]}", file=sys.stderr)
        return FAILED
    raise failure
