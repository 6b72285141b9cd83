"""whisper-asr-webservice's routes, asked exactly as its clients ask."""

from __future__ import annotations

import math
from typing import Any

import httpx
import numpy as np
import pytest
import srt
from numpy.typing import NDArray

from polyasr.errors import InferenceFailed
from polyasr.pipeline.types import Hypothesis, Word
from polyasr.samples import Samples
from tests.fakes import Asked, EvenAligner, ScriptedDiarizer, ScriptedEngine, silence, tone, wav
from tests.media import media

from .conftest import Server, serving

SPEECH = wav(silence(0.48) + tone(0.48))
SAID = {"start": 0.32, "end": 0.96, "text": "Hello."}
WORD = {"word": "Hello.", "start": 0.32, "end": 0.96, "score": 0.5}
HELLO = {**SAID, "words": [WORD], "speaker": "SPEAKER_00"}
HELLO_SRT = "1\n00:00:00,320 --> 00:00:01,320\n[SPEAKER_00] Hello.\n"
TALK = wav(tone(3.2) + silence(0.32) + tone(3.2, hertz=3000) + silence(0.8) + tone(1.6))
"""One speaks, another answers after less than a pause, and the first speaks again."""
SPEAKR: dict[str, Any] = {
    "encode": "true",
    "task": "transcribe",
    "output": "json",
    "language": "",
    "diarize": "true",
    "enable_diarization": "true",
    "min_speakers": "",
    "max_speakers": "",
    "initial_prompt": "",
    "hotwords": "",
    "return_speaker_embeddings": "true",
}
"""All that Speakr ever puts into the query, as its form is left empty."""


async def ask(
    server: Server,
    path: str = "/asr",
    file: bytes = SPEECH,
    headers: dict[str, str] | None = None,
    data: dict[str, Any] | None = None,
    **query: str,
) -> httpx.Response:
    files = {"audio_file": ("audio_file", file)}
    return await server.http.post(path, params=query, files=files, data=data, headers=headers)


async def test_speakr_gets_segments_with_labels_and_a_voice_for_each() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await ask(server, **SPEAKR)
    assert response.status_code == 200
    body = response.json()
    voices = body.pop("speaker_embeddings")
    assert list(voices) == ["SPEAKER_00"]
    assert len(voices["SPEAKER_00"]) == 256
    assert body == {
        "text": [HELLO],
        "language": "en",
        "segments": [HELLO],
        "word_segments": [WORD],
    }


async def test_each_piece_of_text_is_one_speakers() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        told = (await ask(server, file=TALK)).json()
        cut = [asked.samples for asked in engine.asked]
        await ask(server, file=TALK, diarize="false")
        whole = [asked.samples for asked in engine.asked[len(cut) :]]
        subtitles = await ask(server, file=TALK, output="srt", encode="false")
    assert [each["speaker"] for each in told["segments"]] == [
        "SPEAKER_00",
        "SPEAKER_01",
        "SPEAKER_00",
    ]
    assert [each["start"] for each in told["segments"]] == pytest.approx([0, 3.36, 7.2], abs=0.3)
    assert np.array_equal(np.concatenate(cut), np.concatenate(whole)), "nothing is lost by cutting"
    assert [one.content for one in srt.parse(subtitles.text)] == [
        f"[SPEAKER_0{number}] Hello." for number in (0, 1, 0)
    ]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"diarize": "false"}, {None}),
        ({"enable_diarization": "false"}, {None}),
        ({"diarize": "", "enable_diarization": "0"}, {None}),
        ({"diarize": "true", "num_speakers": "1"}, {"SPEAKER_00"}),
        ({"max_speakers": "1"}, {"SPEAKER_00"}),
        ({"min_speakers": "2", "max_speakers": "2"}, {"SPEAKER_00", "SPEAKER_01"}),
    ],
)
async def test_labels_can_be_left_out_and_their_number_bounded(
    query: dict[str, str], labels: set[str | None]
) -> None:
    async with serving(ScriptedEngine()) as server:
        told = (await ask(server, file=TALK, data=query)).json()
    assert {segment.get("speaker") for segment in told["segments"]} == labels
    assert "speaker_embeddings" not in told


async def test_a_server_can_leave_labels_to_those_who_ask_for_them() -> None:
    async with serving(ScriptedEngine(), diarize=False) as server:
        without, asked_for = await ask(server), await ask(server, diarize="true")
    assert "speaker" not in without.json()["segments"][0]
    assert asked_for.json()["segments"][0]["speaker"] == "SPEAKER_00"


class Voiceless(ScriptedEngine):
    async def embed_windows(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        raise InferenceFailed("the voice encoder failed")


@pytest.mark.parametrize(
    "engine", [Voiceless(), ScriptedEngine(diarizer=ScriptedDiarizer(missing="install it"))]
)
async def test_where_speakers_cannot_be_told_the_text_comes_without_labels(
    engine: ScriptedEngine,
) -> None:
    async with serving(engine) as server:
        response = await ask(server, **SPEAKR)
    assert response.status_code == 200
    assert response.json()["segments"] == [{**SAID, "words": [WORD]}]


class Failing(EvenAligner):
    async def align(self, samples: Samples, text: str, language: str | None) -> tuple[Word, ...]:
        raise InferenceFailed("the aligner failed")


@pytest.mark.parametrize("aligner", [EvenAligner(missing="no weights"), Failing()])
async def test_where_words_cannot_be_timed_they_are_left_out_and_never_guessed(
    aligner: EvenAligner,
) -> None:
    async with serving(ScriptedEngine(aligner=aligner)) as server:
        response = await ask(server, diarize="false")
        subtitles = await ask(server, output="srt", diarize="false", encode="false")
    assert response.status_code == 200
    assert (response.json()["segments"], response.json()["word_segments"]) == ([SAID], [])
    assert "Hello." in subtitles.text


async def test_who_wants_no_words_gets_none_and_the_aligner_is_not_asked() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await ask(server, diarize="false", word_timestamps="false")
        await ask(server, output="text", diarize="false")
    assert response.json()["segments"] == [SAID]
    assert engine.aligner.asked == []


async def test_subtitles_of_headerless_samples_stand_where_the_words_are_heard() -> None:
    class Late(EvenAligner):
        async def align(
            self, samples: Samples, text: str, language: str | None
        ) -> tuple[Word, ...]:
            return (Word("Hello", len(samples) // 2, len(samples)),)

    async with serving(ScriptedEngine(aligner=Late())) as server:
        response = await ask(server, file=tone(4), output="srt", diarize="false", encode="false")
    assert response.text.startswith("1\n00:00:02,000 --> 00:00:04,000\nHello.\n")


async def test_silence_has_no_speakers() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await ask(server, file=wav(silence(2)), **SPEAKR)
    assert (response.json()["segments"], response.json()["speaker_embeddings"]) == ([], {})


async def test_speakrs_hints_reach_the_model() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        hints = {"initial_prompt": "About birds.", "hotwords": "heron, stork", "language": "de"}
        response = await ask(server, **SPEAKR | hints)
    assert response.json()["language"] == "de"
    (asked,) = engine.asked
    assert (asked.language, asked.context) == ("German", "About birds. heron, stork")


async def test_speakr_shows_its_users_what_was_wrong() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    async with serving(ScriptedEngine(fail)) as server:
        failed = await ask(server, **SPEAKR)
        no_audio = await ask(server, file=b"a letter" * 99, **SPEAKR)
        probes = [(await server.http.get(path)).status_code for path in ("/v1/models", "/health")]
    assert (failed.status_code, failed.json()["detail"]) == (500, "the model returned NaN")
    assert no_audio.status_code == 415
    assert "not audio" in no_audio.json()["detail"]
    assert probes == [200, 200]


BAZARR: dict[str, Any] = {
    "task": "transcribe",
    "language": "en",
    "output": "srt",
    "encode": "false",
}


async def test_bazarr_sends_samples_without_a_header_and_gets_a_subtitle_file() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await ask(server, file=silence(0.48) + tone(0.48), **BAZARR)
    assert response.text == HELLO_SRT
    assert [one.content for one in srt.parse(response.text)] == ["[SPEAKER_00] Hello."]
    assert engine.asked[0].language == "English"


async def test_bazarrs_samples_are_never_taken_for_a_codec() -> None:
    """Noise has everything in it, MPEG's sync words above all."""
    engine = ScriptedEngine()
    noise = np.random.default_rng(0).integers(-9000, 9000, 480_000, dtype=np.int16)
    noise[::400] = -1
    async with serving(engine) as server:
        await ask(server, file=noise.tobytes(), **BAZARR)
    assert sum(len(asked.samples) for asked in engine.asked) == 480_000


async def test_bazarr_asks_for_the_language_first() -> None:
    async with serving(ScriptedEngine()) as server:
        spoken = await ask(server, "/detect-language", tone(1), encode="false")
        silent = await ask(server, "/detect-language", silence(1), encode="false")
        root = await server.http.get("/")
    assert spoken.json() == {"detected_language": "english", "language_code": "en"}
    assert silent.json() == {"detected_language": "", "language_code": ""}
    assert root.json()["version"]


async def test_how_sure_the_model_is_of_a_language_is_told_where_it_tells() -> None:
    async def sure(asked: Asked) -> Hypothesis:
        return Hypothesis("Guten Tag.", "German", language_logprob=math.log(0.875))

    async with serving(ScriptedEngine(sure)) as server:
        answer = (await ask(server, "/detect-language")).json()
    assert (answer["language_code"], answer["confidence"]) == ("de", pytest.approx(0.875))


async def test_the_language_is_told_before_the_film_is_through() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        film = wav(60 * (tone(8.16) + silence(0.8)))
        response = await ask(server, "/detect-language", film)
    assert response.json()["language_code"] == "en"
    assert len(engine.asked) < 20


async def test_a_file_with_a_header_is_read_as_what_it_is_even_with_encode_false() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        for file in (SPEECH, media("mp4", "aac", picture=True), media("ogg", "libopus")):
            assert (await ask(server, file=file, **BAZARR)).status_code == 200
    assert all(asked.samples.any() for asked in engine.asked)
    assert [len(asked.samples) > 30_000 for asked in engine.asked] == [False, True, True]


async def test_half_a_sample_is_a_415() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await ask(server, file=tone(0.5)[:-1], **BAZARR)
    assert response.status_code == 415
    assert "half a sample" in response.json()["detail"]


@pytest.mark.parametrize(
    ("query", "data"),
    [
        ({"output": "srt"}, {}),
        ({"output_format": "srt"}, {}),
        ({}, {"output_format": "srt"}),
        ({"output": "vtt"}, {"output": "srt"}),
        ({"output": "srt"}, {"output": ""}),
    ],
)
async def test_options_come_from_the_query_and_from_the_form(
    query: dict[str, Any], data: dict[str, str]
) -> None:
    async with serving(ScriptedEngine()) as server:
        response = await ask(server, data=data, **query)
    assert response.json() == {"srt": HELLO_SRT}


@pytest.mark.parametrize("output", ["text", "txt"])
async def test_text_is_wrapped_unless_the_client_asks_for_text(output: str) -> None:
    async with serving(ScriptedEngine()) as server:
        wrapped = await ask(server, output=output)
        bare = await ask(server, output=output, headers={"Accept": "text/plain"})
    assert wrapped.json() == {output: "Hello.\n"}
    assert bare.text == "Hello.\n"
    assert bare.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", "sing"),
        ("output", "doc"),
        ("language", "tlh"),
        ("encode", "perhaps"),
        ("diarize", "maybe"),
        ("num_speakers", "0"),
    ],
)
async def test_a_value_that_cannot_be_used_is_a_400_that_names_it(field: str, value: str) -> None:
    async with serving(ScriptedEngine()) as server:
        query: dict[str, Any] = {field: value}
        response = await ask(server, **query)
    assert response.status_code == 400
    assert value in response.json()["detail"]


async def test_translation_is_a_501_that_names_the_setting() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await ask(server, task="translate")
    assert response.status_code == 501
    assert "POLYASR_TRANSLATE_MODEL" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/asr", "/detect-language"])
async def test_a_missing_file_is_a_422_that_names_the_field(path: str) -> None:
    async with serving(ScriptedEngine()) as server:
        nothing = await server.http.post(path)
        other = await server.http.post(path, files={"file": SPEECH})
    for response in (nothing, other):
        assert response.status_code == 422
        assert "audio_file" in response.json()["detail"]
