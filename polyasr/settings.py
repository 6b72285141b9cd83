"""The settings: one frozen dataclass, read from the environment in this file and nowhere else.

A setting ``x`` is read from ``POLYASR_X``, and from the older name ``ASR_X`` when that is not set;
an empty value counts as not set, but for ``log_dir``. What the command line gives goes before both.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from polyasr.accelerator import cuda_present
from polyasr.errors import ConfigurationError
from polyasr.kinds import (
    DEVICE,
    DIRECTORIES,
    ORIGINS,
    SECRET,
    SWITCH,
    TEXT,
    Kind,
    choice,
    seconds,
    whole,
)

PREFIX = "POLYASR_"
LEGACY_PREFIX = "ASR_"
AUTO = "auto"
TINY = "tiny"
"""The checkpoint that comes with the package."""
SMALL_MODEL = "Qwen/Qwen3-ASR-0.6B"
LARGE_MODEL = "Qwen/Qwen3-ASR-1.7B"
ALIGNER_MODEL = "Qwen/Qwen3-ForcedAligner-0.6B"
MODEL_ALIASES = {
    **dict.fromkeys(("0.6b", "qwen3-asr-0.6b", "base", "small"), SMALL_MODEL),
    **dict.fromkeys(("1.7b", "qwen3-asr-1.7b", "medium", "large"), LARGE_MODEL),
    **dict.fromkeys(("large-v2", "large-v3", "large-v3-turbo", "turbo"), LARGE_MODEL),
}
"""Size names, among them those of Whisper, which configurations of its servers carry over."""
WHISPER_SIZES = ("tiny", "base", "small", "medium", "large-v2", "large-v3")
"""Those that were trained to translate; turbo and those that end in .en were not."""
DTYPES = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of one setting. ``default`` is a text, parsed like any other.

    ``standard`` is the name under which other programs read the same thing; it comes last.
    ``may_be_empty``: an empty text is a value and not the same as none.
    """

    kind: Kind
    default: str
    help: str
    standard: str = ""
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A value and where it came from: a flag, a variable, or ``default``."""

    value: Any
    source: str


def _option(
    default: str, kind: Kind, help: str, standard: str = "", *, may_be_empty: bool = False
) -> Any:
    option = Option(kind, default, help, standard, may_be_empty)
    return field(repr=not kind.secret, metadata={"option": option})


def _parse_model(text: str) -> str:
    word = text.lower()
    return word if word in (TINY, AUTO) else MODEL_ALIASES.get(word, text)


def _parse_aligner(text: str) -> str:
    word = text.lower()
    return word if word in (TINY, AUTO) else text


def _parse_translator(text: str) -> str:
    return f"openai/whisper-{text.lower()}" if text.lower() in WHISPER_SIZES else text


MODEL = Kind(_parse_model, "tiny, 0.6b, 1.7b, a name on the hub, a directory, or auto")
TRANSLATOR = Kind(_parse_translator, "a size of Whisper, a name on the hub, or a directory")
ALIGNER = Kind(_parse_aligner, "tiny, a name on the hub, a directory, or auto")
DIARIZER = Kind(str, "a pyannote pipeline: a name on the hub, or a directory")
BACKEND = choice("transformers", note=" (mlx and vllm are not there yet)")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process. Sizes, times and ranges are in each one's help.

    ``model`` and ``aligner_model`` are ``tiny``, the id of a model on the hub, or a directory;
    ``device`` and ``dtype`` are names that torch knows; never ``auto`` in any of them.
    """

    model: str = _option(
        AUTO, MODEL, "the model: tiny (bundled), 0.6b, 1.7b, a name on the hub, or a directory"
    )
    aligner_model: str = _option(
        AUTO, ALIGNER, f"the model that times words; auto: {ALIGNER_MODEL}, or tiny beside tiny"
    )
    translate_model: str = _option(
        "",
        TRANSLATOR,
        "a Whisper that translates speech to English, such as small or large-v3; empty: none",
    )
    diarize_model: str = _option(
        "",
        DIARIZER,
        "a pyannote pipeline that tells speakers apart (pip install 'polyasr[pyannote]'), "
        "such as pyannote/speaker-diarization-community-1; empty: the built-in way",
    )
    backend: str = _option("transformers", BACKEND, "what runs the model")
    device: str = _option(AUTO, DEVICE, "where the model runs; auto: CUDA if there is one")
    dtype: str = _option(
        AUTO,
        choice(AUTO, *DTYPES),
        "number format; auto: bfloat16 on CUDA, else float32; int8 is for the CPU",
    )
    host: str = _option("127.0.0.1", TEXT, "the address to listen at; 0.0.0.0 opens it to others")
    port: int = _option("8766", whole(0, 65535), "the port to listen at; 0 takes a free one")
    api_key: str = _option("", SECRET, "the key that clients must send; empty: none is asked for")
    cors_origins: tuple[str, ...] = _option(
        "", ORIGINS, "web pages of other origins that may use this server; * for all"
    )
    manifest_roots: tuple[str, ...] = _option(
        "",
        DIRECTORIES,
        "where recordings lie that may be aligned in place; empty: anywhere, for this machine only",
    )
    max_upload_mb: int = _option("512", whole(1, 65536), "the largest upload, in MB")
    max_audio_seconds: int = _option(
        "14400", whole(1, 86400), "the longest recording or dictation, in seconds"
    )
    max_sessions: int = _option("32", whole(1, 10000), "dictations at a time")
    resume_ttl_sec: float = _option(
        "300", seconds(1, 86400), "how long a dictation waits for its client to come back"
    )
    stop_result_ttl_sec: float = _option(
        "300", seconds(1, 86400), "how long the final of a dictation is kept to be asked for again"
    )
    idle_timeout_sec: float = _option(
        "300", seconds(1, 86400), "how long a dictation's connection may say nothing"
    )
    max_queue_size: int = _option("32", whole(1, 10000), "uploads at work or waiting")
    preload: bool = _option("1", SWITCH, "load the model at start rather than at its first use")
    load_timeout_sec: float = _option(
        "300", seconds(1, 86400), "how long loading the model may take, in seconds"
    )
    idle_evict_seconds: float = _option(
        "180", seconds(0, 604800), "seconds after its last use that a model stays; 0: for ever"
    )
    coload: bool = _option("1", SWITCH, "several models in memory at a time; 0: one at a time")
    diarize: bool = _option(
        "1", SWITCH, "tell the speakers apart in /asr, where the request does not say otherwise"
    )
    partials_enabled: bool = _option("1", SWITCH, "show text while it is still being spoken")
    partial_interval_sec: float = _option(
        "0.6",
        seconds(0.05, 60),
        "seconds between two partials of a dictation, once it has shown something",
    )
    partial_min_delta_sec: float = _option(
        "0.5", seconds(0.02, 60), "seconds of new audio that a partial waits for"
    )
    stable_commit_min_sec: float = _option(
        "8", seconds(1, 30), "seconds of speech after which the next pause settles the text"
    )
    log_dir: str = _option(
        "logs", TEXT, "where dictations and uploads are kept; empty: nowhere", may_be_empty=True
    )
    log_max_gb: int = _option("10", whole(0, 100_000), "GB kept at most; 0: no limit")
    log_max_days: int = _option("30", whole(0, 36_500), "days kept at most; 0: no limit")
    speaker_filter: bool = _option(
        "1", SWITCH, "leave out other voices than the one that began the dictation"
    )
    hf_endpoint: str = _option("", TEXT, "the hub to get models from", "HF_ENDPOINT")
    hf_token: str = _option("", SECRET, "the key to private models of the hub", "HF_TOKEN")
    hf_hub_offline: bool = _option("0", SWITCH, "never ask the hub", "HF_HUB_OFFLINE")


OPTIONS: Mapping[str, Option] = {item.name: item.metadata["option"] for item in fields(Settings)}


def load(
    environ: Mapping[str, str],
    overrides: Mapping[str, str | None],
    *,
    has_cuda: Callable[[], bool] = cuda_present,
) -> Settings:
    """The settings. Raises ConfigurationError for a value that cannot be used.

    ``overrides`` are the command line's, as texts by the names of Settings' fields; None and, with
    the exception above, an empty text count as not given. ``has_cuda`` is asked only where
    something is ``auto``.
    """
    found = read(environ, overrides, has_cuda=has_cuda)
    return Settings(**{name: reading.value for name, reading in found.items()})


def read(
    environ: Mapping[str, str],
    overrides: Mapping[str, str | None],
    *,
    has_cuda: Callable[[], bool] = cuda_present,
) -> Mapping[str, Reading]:
    """As ``load``, with where each value came from."""
    readings = {name: _read(name, environ, overrides) for name in OPTIONS}
    if any(readings[name].value == AUTO for name in ("model", "device", "dtype")):
        _settle(readings, "device", lambda: "cuda" if has_cuda() else "cpu")
        on_cuda = readings["device"].value.startswith("cuda")
        _settle(readings, "model", lambda: LARGE_MODEL if on_cuda else SMALL_MODEL)
        _settle(readings, "dtype", lambda: "bfloat16" if on_cuda else "float32")
    beside_tiny = readings["model"].value == TINY
    _settle(readings, "aligner_model", lambda: TINY if beside_tiny else ALIGNER_MODEL)
    return readings


def unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """One line for each variable that looks like a setting and is none."""
    known = [variable(name) for name in OPTIONS]
    return tuple(
        f"{name} is set, but there is no such setting{_suggestion(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    )


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that shall not see this one's settings."""
    return {name: value for name, value in environ.items() if not name.startswith(_PREFIXES)}


def variable(name: str) -> str:
    """The variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The command line's name of a setting."""
    return "--" + name.replace("_", "-")


_PREFIXES = (PREFIX, LEGACY_PREFIX)


def _read(name: str, environ: Mapping[str, str], overrides: Mapping[str, str | None]) -> Reading:
    option = OPTIONS[name]
    given = {flag(name): overrides.get(name)}
    names = [prefix + name.upper() for prefix in _PREFIXES] + [option.standard]
    given |= {variable: environ.get(variable) for variable in names}
    for source, text in given.items():
        if text is not None and (text.strip() or option.may_be_empty):
            return Reading(_parse(option, source, text.strip()), source)
    return Reading(option.kind.parse(option.default), "default")


def _parse(option: Option, source: str, text: str) -> Any:
    try:
        return option.kind.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{source} is {text!r}; it takes {option.kind.accepts}") from error


def _settle(readings: dict[str, Reading], name: str, choose: Callable[[], str]) -> None:
    """Put the choice in the place of ``auto``."""
    if readings[name].value == AUTO:
        readings[name] = Reading(choose(), readings[name].source)


def _suggestion(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else "; `polyasr config` lists them"
