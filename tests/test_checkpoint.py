"""Finding a model and looking whether it is whole, without loading it."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from polyasr import checkpoint, settings
from polyasr.checkpoint import pyannote
from polyasr.errors import ModelUnavailable
from polyasr.settings import Settings
from tests.conftest import safetensors
from tests.pyannote_pipeline import CONFIG

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOBODY = "http://127.0.0.1:9"
"""The discard port; nothing listens there, so that a connection is refused at once."""


def chosen(model: object, **environ: str) -> Settings:
    return settings.load({"HF_ENDPOINT": NOBODY, **environ}, {"model": str(model)})


def complaint(model: object, **environ: str) -> str:
    with pytest.raises(ModelUnavailable) as refused:
        checkpoint.resolve(chosen(model, **environ))
    assert "\n" not in str(refused.value)
    return str(refused.value)


@dataclass
class Hub:
    """A model hub on loopback that serves the files of directories."""

    models: dict[str, Path] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        for model, directory in self.models.items():
            if request.path == f"/api/models/{model}/revision/main":
                files = [file for file in directory.rglob("*") if file.is_file()]
                names = [{"rfilename": str(file.relative_to(directory))} for file in files]
                listing = {"id": model, "sha": COMMIT, "siblings": names}
                return self._send(request, json.dumps(listing).encode())
            resolved = f"/{model}/resolve/{COMMIT}/"
            if request.path.startswith(resolved):
                file = directory / request.path.removeprefix(resolved)
                return self._send(request, file.read_bytes())
        request.send_response(404)
        request.send_header("X-Error-Code", "RepoNotFound")
        request.send_header("Content-Length", "0")
        return request.end_headers()

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", f'"{zlib.crc32(body):x}"')
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            """Nothing is to be printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_directory_with_a_whole_checkpoint_is_the_model(checkpoint_directory: Path) -> None:
    assert checkpoint.resolve(chosen(checkpoint_directory)) == checkpoint_directory
    assert checkpoint.weights_present(chosen(checkpoint_directory))


def test_a_tokenizer_and_a_template_in_one_file_each_will_do(checkpoint_directory: Path) -> None:
    for name in ("vocab.json", "merges.txt", "chat_template.json"):
        (checkpoint_directory / name).unlink()
    (checkpoint_directory / "tokenizer.json").write_text("{}")
    (checkpoint_directory / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    assert checkpoint.resolve(chosen(checkpoint_directory)) == checkpoint_directory


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
        "merges.txt",
        "chat_template.json",
        "model.safetensors",
    ],
)
def test_a_missing_file_is_named_with_what_to_do(checkpoint_directory: Path, name: str) -> None:
    (checkpoint_directory / name).unlink()
    message = complaint(checkpoint_directory)
    assert f"{checkpoint_directory / name} is missing" in message
    assert "--model tiny" in message


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "is not JSON"),
        ("[]", "does not hold a JSON object"),
        ('{"model_type": "whisper"}', "is for 'whisper', not for 'qwen3_asr'"),
        (
            '{"model_type": "qwen3_asr", "thinker_config": {"model_type": "qwen3_forced_aligner"}}',
            "is for 'qwen3_forced_aligner', not for 'qwen3_asr'",
        ),
        ("{}", "is for None"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_configuration_of_something_else_is_refused(
    checkpoint_directory: Path, content: str, what: str
) -> None:
    (checkpoint_directory / "config.json").write_text(content)
    assert f"{checkpoint_directory / 'config.json'} {what}" in complaint(checkpoint_directory)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is cut off"),
        (safetensors({"x": [0, 4]}, bytes(3)), "is cut off"),
        (safetensors({"x": [0, 4]}, bytes(4))[:20], "is cut off"),
        (b"\xff" * 100, "is not a safetensors file"),
        (b"\x04" + bytes(7) + b"abcd", "has no valid safetensors header"),
        (b"\x02" + bytes(7) + b"{}", "has no valid safetensors header"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    ],
)
def test_weights_that_are_not_whole_are_told_so(
    checkpoint_directory: Path, content: bytes, what: str
) -> None:
    (checkpoint_directory / "model.safetensors").write_bytes(content)
    message = complaint(checkpoint_directory)
    assert str(checkpoint_directory / "model.safetensors") in message
    assert what in message


def shard(directory: Path) -> tuple[Path, Path]:
    """Put the weights into two shards with an index."""
    (directory / "model.safetensors").unlink()
    shards = directory / "model-00001-of-00002.safetensors", directory / "model-00002.safetensors"
    for file in shards:
        file.write_bytes(safetensors({"x": [0, 4]}, bytes(4)))
    weight_map = {str(number): file.name for number, file in enumerate(shards)}
    index = json.dumps({"weight_map": weight_map})
    (directory / "model.safetensors.index.json").write_text(index)
    return shards


def test_every_shard_of_the_index_has_to_be_there(checkpoint_directory: Path) -> None:
    _, second = shard(checkpoint_directory)
    assert checkpoint.resolve(chosen(checkpoint_directory)) == checkpoint_directory
    second.unlink()
    assert f"{second} is missing" in complaint(checkpoint_directory)
    assert not checkpoint.weights_present(chosen(checkpoint_directory))


@pytest.mark.parametrize("content", ["{", "{}", '{"weight_map": {}}', '{"weight_map": [1]}'])
def test_an_index_that_names_nothing_is_told_so(checkpoint_directory: Path, content: str) -> None:
    shard(checkpoint_directory)
    (checkpoint_directory / "model.safetensors.index.json").write_text(content)
    assert "index.json" in complaint(checkpoint_directory)
    assert not checkpoint.weights_present(chosen(checkpoint_directory))


def test_weights_that_go_are_noticed(checkpoint_directory: Path) -> None:
    weights = checkpoint_directory / "model.safetensors"
    weights.write_bytes(b"")
    assert not checkpoint.weights_present(chosen(checkpoint_directory))
    weights.unlink()
    assert not checkpoint.weights_present(chosen(checkpoint_directory))


@pytest.mark.parametrize("model", ["nope", "/no/such/directory", "a/b/c", "or g/x", "../x", "a/--"])
def test_a_name_that_can_be_neither_directory_nor_model_never_reaches_the_hub(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # beside the project there may be anything
    assert f"there is no model {model!r}" in complaint(model)
    assert not checkpoint.weights_present(chosen(model))


def test_a_model_of_the_hub_is_downloaded_once(checkpoint_directory: Path, hub: Hub) -> None:
    hub.models["org/model"] = checkpoint_directory
    online = chosen("org/model", HF_ENDPOINT=hub.url)
    assert not checkpoint.weights_present(online)
    directory = checkpoint.resolve(online)
    assert (directory / "config.json").read_bytes() == (
        checkpoint_directory / "config.json"
    ).read_bytes()
    assert checkpoint.weights_present(online)
    hub.asked.clear()
    assert checkpoint.resolve(online) == directory
    assert hub.asked == []


def test_a_downloaded_model_needs_no_hub(checkpoint_directory: Path, hub: Hub) -> None:
    hub.models["org/model"] = checkpoint_directory
    directory = checkpoint.resolve(chosen("org/model", HF_ENDPOINT=hub.url))
    assert checkpoint.resolve(chosen("org/model")) == directory
    assert checkpoint.resolve(chosen("org/model", HF_HUB_OFFLINE="1")) == directory


def test_a_download_that_was_cut_short_goes_on(checkpoint_directory: Path, hub: Hub) -> None:
    hub.models["org/model"] = checkpoint_directory
    online = chosen("org/model", HF_ENDPOINT=hub.url)
    weights = checkpoint.resolve(online) / "model.safetensors"
    weights.unlink()
    assert not checkpoint.weights_present(online)
    assert f"{weights} is missing" in complaint("org/model", HF_HUB_OFFLINE="1")
    checkpoint.resolve(online)
    assert weights.exists()


def test_a_model_that_the_hub_does_not_have_is_told_so(hub: Hub) -> None:
    message = complaint("org/missing", HF_ENDPOINT=hub.url)
    assert "'org/missing'" in message
    assert "POLYASR_HF_TOKEN" in message


def test_a_hub_that_cannot_be_reached_is_told_with_the_ways_out() -> None:
    message = complaint("org/model")
    assert f"{NOBODY} cannot be reached" in message
    assert "POLYASR_HF_ENDPOINT" in message
    assert "--model tiny" in message


def test_offline_a_model_that_is_not_here_is_not_asked_for(hub: Hub) -> None:
    message = complaint("org/model", HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE" in message
    assert hub.asked == []


def test_a_broken_bundled_model_is_not_answered_with_the_advice_to_use_it(
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelUnavailable) as refused:
        checkpoint.resolve(chosen("tiny"), replace(checkpoint.RECOGNIZER, bundled=tmp_path))
    message = str(refused.value)
    assert "install polyasr again" in message
    assert "--model tiny" not in message


@pytest.fixture
def pipeline_directory(tmp_path: Path) -> Path:
    """A directory laid out as a pipeline of pyannote, with nothing in its parts."""
    directory = tmp_path / "pipeline"
    for part, names in pyannote.PARTS.items():
        (directory / part).mkdir(parents=True)
        for name in names:
            (directory / part / name).write_bytes(b"")
    (directory / "config.yaml").write_text(CONFIG)
    return directory


def pipeline(model: object, **environ: str) -> Path:
    given = settings.load({"HF_ENDPOINT": NOBODY, **environ}, {"diarize_model": str(model)})
    return checkpoint.resolve(given, checkpoint.DIARIZER)


def test_a_directory_with_a_whole_pipeline_is_taken(pipeline_directory: Path) -> None:
    assert pipeline(pipeline_directory) == pipeline_directory


def test_a_pipeline_of_the_hub_comes_with_its_parts(pipeline_directory: Path, hub: Hub) -> None:
    hub.models["org/pipeline"] = pipeline_directory
    directory = pipeline("org/pipeline", HF_ENDPOINT=hub.url)
    assert (directory / "plda" / "plda.npz").exists()
    hub.asked.clear()
    assert pipeline("org/pipeline", HF_HUB_OFFLINE="1") == directory
    assert hub.asked == []


@pytest.mark.parametrize(
    ("line", "instead", "complaint"),
    [
        ("embedding: $model/embedding", "embedding: org/embedding", "names 'org/embedding' for"),
        ("plda: $model/plda", "", "names None for its plda"),
        ("SpeakerDiarization", "VoiceActivityDetection", "is for 'pyannote.*not for 'SpeakerDia"),
        ("pipeline:", "pipes:", "does not describe a pipeline"),
        ("params:", ": [", "does not describe a pipeline"),
        ("$model/plda", "$model/other", "other/xvec_transform.npz is missing"),
    ],
)
def test_what_pyannote_would_fetch_unasked_or_cannot_tell_speakers_is_refused(
    line: str, instead: str, complaint: str, pipeline_directory: Path
) -> None:
    config = pipeline_directory / "config.yaml"
    config.write_text(CONFIG.replace(line, instead))
    with pytest.raises(ModelUnavailable, match=f"{complaint}.*unset POLYASR_DIARIZE_MODEL"):
        pipeline(pipeline_directory)
    config.unlink()
    with pytest.raises(ModelUnavailable, match=r"config\.yaml is missing"):
        pipeline(pipeline_directory)
