"""Where settings come from, and what is said about those that cannot be used."""

from __future__ import annotations

import pytest

from polyasr import settings
from polyasr.errors import ConfigurationError
from polyasr.settings import LARGE_MODEL, OPTIONS, SMALL_MODEL, Settings


def load(*, cuda: bool = False, **environ: str) -> Settings:
    return settings.load(environ, {}, has_cuda=lambda: cuda)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        settings.load(environ, {}, has_cuda=bool)
    return str(refused.value)


def test_every_default_is_a_value_that_is_accepted() -> None:
    assert load().host == "127.0.0.1"
    assert load().port == 8766


def test_a_variable_sets_a_value() -> None:
    assert load(POLYASR_PORT="9000").port == 9000


def test_the_older_name_is_read_when_the_new_one_is_not_set() -> None:
    assert load(ASR_PORT="9000").port == 9000
    assert load(ASR_PORT="9000", POLYASR_PORT="").port == 9000
    assert load(ASR_PORT="9000", POLYASR_PORT="9001").port == 9001


def test_the_hub_is_configured_by_its_own_variables_too() -> None:
    assert load(HF_HUB_OFFLINE="1").hf_hub_offline
    assert load(HF_ENDPOINT="http://mirror").hf_endpoint == "http://mirror"
    assert load(HF_TOKEN="theirs", POLYASR_HF_TOKEN="ours").hf_token == "ours"


def test_flags_go_before_variables() -> None:
    chosen = settings.load({"POLYASR_PORT": "1"}, {"port": "2", "host": None}, has_cuda=bool)
    assert (chosen.port, chosen.host) == (2, "127.0.0.1")


def test_an_empty_value_counts_as_not_set() -> None:
    assert load(POLYASR_PORT=" ").port == 8766


def test_an_empty_log_dir_turns_the_archive_off() -> None:
    assert load().log_dir == "logs"
    assert load(POLYASR_LOG_DIR="").log_dir == ""
    assert load(POLYASR_LOG_DIR="", ASR_LOG_DIR="theirs").log_dir == ""
    assert load(ASR_LOG_DIR="").log_dir == ""


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("tiny", "tiny"),
        ("TINY", "tiny"),
        ("0.6B", SMALL_MODEL),
        ("base", SMALL_MODEL),
        ("1.7b", LARGE_MODEL),
        ("large-v3", LARGE_MODEL),
        ("Somebody/Qwen3-ASR-Tuned", "Somebody/Qwen3-ASR-Tuned"),
        ("./Models/Mine", "./Models/Mine"),
    ],
)
def test_size_names_stand_for_models(given: str, meant: str) -> None:
    assert load(POLYASR_MODEL=given).model == meant


def test_without_cuda_the_small_model_runs_on_the_cpu_in_float32() -> None:
    chosen = load()
    assert (chosen.model, chosen.device, chosen.dtype) == (SMALL_MODEL, "cpu", "float32")


def test_with_cuda_the_large_model_runs_there_in_bfloat16() -> None:
    chosen = load(cuda=True)
    assert (chosen.model, chosen.device, chosen.dtype) == (LARGE_MODEL, "cuda", "bfloat16")


def test_a_chosen_device_decides_without_looking_for_another() -> None:
    chosen = load(cuda=True, POLYASR_DEVICE="cpu")
    assert (chosen.model, chosen.device, chosen.dtype) == (SMALL_MODEL, "cpu", "float32")
    assert load(POLYASR_DEVICE="cuda:1").dtype == "bfloat16"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "1.5"),
        ("PARTIAL_INTERVAL_SEC", "nan"),
        ("PARTIAL_INTERVAL_SEC", "0"),
        ("LOAD_TIMEOUT_SEC", "inf"),
        ("PRELOAD", "maybe"),
        ("IDLE_EVICT_SECONDS", "-1"),
        ("COLOAD", "2"),
        ("DEVICE", "tpu"),
        ("DEVICE", "cpu:0"),
        ("DEVICE", "cuda:"),
        ("DTYPE", "int4"),
        ("CORS_ORIGINS", "example.org"),
        ("BACKEND", "whisper"),
    ],
)
def test_a_refusal_names_the_variable_the_value_and_what_is_accepted(name: str, value: str) -> None:
    message = refusal(**{f"POLYASR_{name}": value})
    assert f"POLYASR_{name} is {value!r}; it takes " in message
    assert message.endswith(OPTIONS[name.lower()].kind.accepts)


def test_a_refusal_names_the_older_variable_or_the_flag_when_the_value_came_from_there() -> None:
    assert refusal(ASR_PORT="x").startswith("ASR_PORT is 'x'")
    with pytest.raises(ConfigurationError, match=r"^--port is 'x'"):
        settings.load({}, {"port": "x"})


@pytest.mark.parametrize("backend", ["mlx", "vllm"])
def test_backends_that_are_not_there_yet_are_refused_in_those_words(backend: str) -> None:
    assert "not there yet" in refusal(POLYASR_BACKEND=backend)


def test_origins_are_separated_by_commas() -> None:
    chosen = load(POLYASR_CORS_ORIGINS="https://a.example/, http://localhost:3000")
    assert chosen.cors_origins == ("https://a.example", "http://localhost:3000")
    assert load(POLYASR_CORS_ORIGINS="*").cors_origins == ("*",)


def test_secrets_are_not_in_what_is_printed_of_the_settings() -> None:
    printed = repr(load(POLYASR_API_KEY="open sesame", HF_TOKEN="hf_secret"))
    assert "sesame" not in printed
    assert "hf_secret" not in printed


def test_readings_tell_where_a_value_came_from() -> None:
    environ = {"ASR_HOST": "::1", "HF_TOKEN": "x", "POLYASR_DEVICE": "cpu"}
    found = settings.read(environ, {"port": "1"}, has_cuda=bool)
    sources = {name: found[name].source for name in ("host", "hf_token", "device", "port", "dtype")}
    assert sources == {
        "host": "ASR_HOST",
        "hf_token": "HF_TOKEN",
        "device": "POLYASR_DEVICE",
        "port": "--port",
        "dtype": "default",
    }


def test_an_unknown_variable_is_named_with_the_nearest_one() -> None:
    environ = {"POLYASR_PROT": "1", "POLYASR_PORT": "1", "ASR_ELSE": "1", "POLYASR_ZZZZZZ": "1"}
    prot, other = settings.unknown_variables(environ)
    assert "POLYASR_PROT" in prot
    assert prot.endswith("did you mean POLYASR_PORT?")
    assert "POLYASR_ZZZZZZ" in other


def test_an_environment_without_settings_keeps_the_rest() -> None:
    environ = {"POLYASR_PORT": "1", "ASR_PORT": "2", "PATH": "/bin"}
    assert settings.without_settings(environ) == {"PATH": "/bin"}
