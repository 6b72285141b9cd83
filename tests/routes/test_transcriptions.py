"""OpenAI's transcription route."""

from __future__ import annotations

import logging
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import trio

from polyasr.errors import InferenceFailed
from polyasr.health import Residency, UnitStatus
from polyasr.pipeline.types import Hypothesis, Urgency, Word
from polyasr.routes.services import BATCH_CONCURRENCY
from polyasr.samples import Samples
from tests.fakes import READY, Asked, EvenAligner, HeldModel, ScriptedEngine, silence, tone, wav
from tests.media import media

from .conftest import Server, serving

URL = "/v1/audio/transcriptions"
STARTING = replace(READY, state="loading", last_ok_age_sec=None)


async def test_a_recording_comes_back_as_text_with_its_duration() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(wav(tone(0.5)), model="whisper-1")
    assert response.status_code == 200
    assert response.json() == {"text": "Hello.", "usage": {"type": "duration", "seconds": 0.5}}


async def test_silence_is_an_empty_text() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await server.transcribe(wav(silence(1.0)))
    assert response.json()["text"] == ""
    assert engine.asked == []


async def test_text_is_plain_and_ends_with_a_newline() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(response_format="text")
    assert response.text == "Hello.\n"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_verbose_json_tells_what_the_model_tells_and_nothing_else() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(
            wav(silence(0.48) + tone(0.48)), response_format="verbose_json"
        )
    raw = b"Hello."
    assert response.json() == {
        "task": "transcribe",
        "language": "english",
        "duration": 0.96,
        "text": "Hello.",
        "segments": [
            {
                "id": 0,
                "seek": 32,
                "start": 0.32,
                "end": 0.96,
                "text": "Hello.",
                "tokens": [9707, 13],
                "temperature": 0.0,
                "avg_logprob": pytest.approx(-0.2),
                "compression_ratio": pytest.approx(len(raw) / len(zlib.compress(raw))),
            }
        ],
        "usage": {"type": "duration", "seconds": 0.96},
    }


async def test_an_unknown_probability_is_left_out() -> None:
    async def without_logprobs(asked: Asked) -> Hypothesis:
        return Hypothesis("你好。", "Chinese")

    async with serving(ScriptedEngine(without_logprobs)) as server:
        response = await server.transcribe(response_format="verbose_json")
    assert "avg_logprob" not in response.json()["segments"][0]
    assert response.json()["language"] == "chinese"
    assert "你好。" in response.text, "text is not escaped"


async def test_language_and_every_kind_of_context_reach_the_model() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await server.transcribe(
            **{
                "language": "zh-CN",
                "prompt": "About birds.",
                "context": "Field notes.",
                "keywords[]": ["heron", "stork"],
            }
        )
    assert response.status_code == 200
    (asked,) = engine.asked
    assert asked.language == "Chinese"
    assert asked.context == "About birds. Field notes. heron stork"
    assert asked.urgency == Urgency.BATCH


async def test_empty_fields_are_as_good_as_none() -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await server.transcribe(
            language="", prompt="", temperature="", response_format="", stream="false"
        )
    assert response.status_code == 200
    assert (engine.asked[0].language, engine.asked[0].context) == (None, "")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("response_format", "sub", "verbose_json"),
        ("temperature", "1.5", "0 to 1"),
        ("temperature", "warm", "0 to 1"),
        ("temperature", "nan", "0 to 1"),
        ("stream", "maybe", "false"),
        ("timestamp_granularities[]", "syllable", "segment"),
        ("include[]", "words", "logprobs"),
        ("language", "tlh", "English"),
    ],
)
async def test_a_value_that_cannot_be_used_is_a_400_that_names_field_value_and_choice(
    field: str, value: str, named: str
) -> None:
    engine = ScriptedEngine()
    async with serving(engine) as server:
        response = await server.transcribe(**{field: value})
    error = response.json()["error"]
    assert response.status_code == 400
    assert response.headers["X-Should-Retry"] == "false"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == field.removesuffix("[]")
    assert value in error["message"]
    assert named in error["message"]
    assert engine.asked == []


@pytest.mark.parametrize("value", ["0", "0.0", "1", "0.7"])
async def test_a_temperature_in_openais_range_is_accepted(value: str) -> None:
    async with serving(ScriptedEngine()) as server:
        assert (await server.transcribe(temperature=value)).status_code == 200


async def test_segment_granularity_is_what_verbose_json_has_anyway() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(**{"timestamp_granularities[]": ["segment"]})
    assert response.status_code == 200


WORDS = {"timestamp_granularities[]": ["segment", "word"]}


async def test_words_have_their_times_when_they_are_asked_for() -> None:
    async with serving(ScriptedEngine()) as server:
        asked = (await server.transcribe(response_format="verbose_json", **WORDS)).json()
        plain = (await server.transcribe(response_format="verbose_json")).json()
    (segment,) = asked["segments"]
    assert asked.pop("words") == [
        {"word": "Hello", "start": segment["start"], "end": segment["end"]}
    ]
    assert asked == plain


async def test_words_cannot_be_timed_without_an_aligner_which_is_told_before_the_work() -> None:
    engine = ScriptedEngine(aligner=EvenAligner(missing="no weights: set POLYASR_ALIGNER_MODEL"))
    async with serving(engine) as server:
        response = await server.transcribe(response_format="verbose_json", **WORDS)
    assert response.status_code == 503
    error = response.json()["error"]
    assert error["code"] == "model_unavailable"
    assert "POLYASR_ALIGNER_MODEL" in error["message"]
    assert engine.asked == []


async def test_an_aligner_that_failed_to_load_is_not_to_be_asked_again_at_once() -> None:
    failed = Residency(180.0, (UnitStatus("align", "failed", in_use=False, idle_for=None),))
    engine = ScriptedEngine(
        how=replace(READY, residency=failed), aligner=EvenAligner(missing="no weights")
    )
    async with serving(engine) as server:
        response = await server.transcribe(response_format="verbose_json", **WORDS)
    assert response.status_code == 503
    assert response.headers["X-Should-Retry"] == "false"


async def test_words_are_not_streamed() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(response_format="verbose_json", stream="true", **WORDS)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "stream")


async def test_subtitles_take_the_times_of_the_aligner_where_it_is() -> None:
    class Early(EvenAligner):
        async def align(
            self, samples: Samples, text: str, language: str | None
        ) -> tuple[Word, ...]:
            return (Word("Hello", 16000, 40000),)

    for aligner, times in (
        (Early(), "00:00:01,000 --> 00:00:02,500"),
        (EvenAligner(missing="no weights"), "00:00:00,000 --> 00:00:05,000"),
    ):
        async with serving(ScriptedEngine(aligner=aligner)) as server:
            response = await server.transcribe(wav(tone(5)), response_format="srt")
        assert response.text == f"1\n{times}\nHello.\n"


@pytest.mark.parametrize(
    ("form", "media_type", "whole"),
    [
        ("srt", "application/x-subrip", "1\n00:00:00,320 --> 00:00:01,320\nHello.\n"),
        ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.320 --> 00:00:01.320\nHello.\n"),
        ("tsv", "text/tab-separated-values", "start\tend\ttext\n320\t1320\tHello.\n"),
    ],
)
async def test_subtitles_lie_where_the_words_were_said(
    form: str, media_type: str, whole: str
) -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(wav(silence(0.48) + tone(0.48)), response_format=form)
    assert response.text == whole
    assert response.headers["Content-Type"] == f"{media_type}; charset=utf-8"


async def test_a_film_is_as_good_as_a_recording() -> None:
    async with serving(ScriptedEngine()) as server:
        film = await server.transcribe(media("mp4", "aac", picture=True))
        mute = await server.transcribe(media("mp4", None, picture=True))
    assert film.json()["text"] == "Hello."
    assert mute.status_code == 400
    assert "no sound track" in mute.json()["error"]["message"]


async def post(server: Server, **request: Any) -> httpx.Response:
    return await server.http.post(URL, **request)


async def test_no_file_is_a_400_that_names_the_field() -> None:
    async with serving(ScriptedEngine()) as server:
        multipart = await post(server, files={"model": (None, "whisper-1")})
        nothing = await post(server)
        json = await post(server, json={"file": "speech.wav"})
    for response in (multipart, nothing, json):
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "file"


async def test_an_empty_file_is_a_400() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(b"")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "file")


async def test_what_is_not_audio_is_a_415() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(b"%PDF-1.7 surely not a recording" * 99)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_audio"
    assert response.headers["X-Should-Retry"] == "false"


async def test_two_files_are_a_400() -> None:
    async with serving(ScriptedEngine()) as server:
        part = ("speech.wav", wav(tone(0.1)))
        response = await post(server, files=[("file", part), ("file", part)])
    assert response.status_code == 400
    assert "one file" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"--x", b"no boundary at all", b"--x\r\nContent-Disposition: form-data; name=file\r\n"],
)
async def test_a_broken_multipart_body_is_a_400(body: bytes) -> None:
    async with serving(ScriptedEngine()) as server:
        response = await post(
            server, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_a_body_in_small_chunks_is_read_whole() -> None:
    engine = ScriptedEngine()
    body = httpx.Request("POST", "http://x/", files={"file": wav(tone(0.5))})
    whole = body.read()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 997):
            yield whole[start : start + 997]

    async with serving(engine) as server:
        response = await post(
            server, content=chunks(), headers={"Content-Type": body.headers["Content-Type"]}
        )
    assert response.json()["text"] == "Hello."
    assert len(engine.asked[0].samples) == 8000


async def test_an_upload_over_the_limit_is_a_413_that_names_the_setting() -> None:
    async with serving(ScriptedEngine(), max_upload_mb=1) as server:
        response = await server.transcribe(bytes(3 * 2**20))
    assert response.status_code == 413
    assert "POLYASR_MAX_UPLOAD_MB" in response.json()["error"]["message"]
    assert response.headers["X-Should-Retry"] == "false"


def chunk(data: bytes) -> bytes:
    """A chunk of a body that declares no length."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def test_an_upload_without_a_length_is_refused_at_the_limit_before_it_has_ended() -> None:
    head = (
        f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    async with serving(ScriptedEngine(), max_upload_mb=1) as server:
        host, port = server.url.removeprefix("http://").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(head.encode() + chunk(part))
            for _ in range(17):
                await stream.send_all(chunk(bytes(2**16)))
            answer = b""
            with trio.fail_after(10):
                while b"upload_too_large" not in answer:
                    answer += await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_hangs_up_in_the_middle_of_its_upload_frees_its_place() -> None:
    head = (
        f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    async with serving(ScriptedEngine(), max_queue_size=1) as server:
        host, port = server.url.removeprefix("http://").split(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(head.encode() + part + bytes(4_000_000))
            while (await server.transcribe()).status_code != 503:
                await trio.lowlevel.checkpoint()
        with trio.fail_after(10):
            while (answer := await server.transcribe()).status_code == 503:
                await trio.lowlevel.checkpoint()
    assert answer.status_code == 200


async def says_hello(asked: Asked) -> Hypothesis:
    pieces = (b"H\xc3", b"\xa4llo", b".")
    logprobs = (-0.1, -0.2, -0.3)
    return Hypothesis("Hällo.", "German", (1, 2, 3), logprobs, pieces=pieces)


async def test_the_probabilities_of_tokens_are_told_when_asked_for() -> None:
    async with serving(ScriptedEngine(says_hello)) as server:
        asked = (await server.transcribe(**{"include[]": "logprobs"})).json()
        not_asked = (await server.transcribe()).json()
        elsewhere = await server.transcribe(include="logprobs", response_format="verbose_json")
    assert asked["logprobs"] == [
        {"token": "H\ufffd", "bytes": [72, 195], "logprob": -0.1},
        {"token": "\ufffdllo", "bytes": [164, 108, 108, 111], "logprob": -0.2},
        {"token": ".", "bytes": [46], "logprob": -0.3},
    ]
    assert bytes(b for token in asked["logprobs"] for b in token["bytes"]).decode() == "Hällo."
    assert "logprobs" not in not_asked
    assert elsewhere.status_code == 400
    assert "response_format json" in elsewhere.json()["error"]["message"]


async def test_endless_fields_are_refused() -> None:
    async with serving(ScriptedEngine()) as server:
        response = await server.transcribe(prompt="word " * 200_000)
    assert response.status_code == 413
    assert response.json()["error"]["param"] == "prompt"


async def test_a_recording_over_the_limit_is_a_413() -> None:
    async with serving(ScriptedEngine(), max_audio_seconds=2) as server:
        response = await server.transcribe(wav(tone(3)))
    assert response.status_code == 413


async def test_a_failing_model_is_an_error_and_never_an_empty_text() -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    async with serving(ScriptedEngine(fail)) as server:
        response = await server.transcribe()
    error = response.json()["error"]
    assert response.status_code == 500
    assert (error["type"], error["code"]) == ("server_error", "inference_failed")
    assert response.headers["X-Should-Retry"] == "false"


async def test_a_fault_of_the_server_is_a_500_without_its_inner_life() -> None:
    async def crash(asked: Asked) -> Hypothesis:
        raise ZeroDivisionError("secret detail")

    async with serving(ScriptedEngine(crash)) as server:
        response = await server.transcribe()
    assert response.status_code == 500
    assert "secret detail" not in response.text
    assert response.json()["error"]["type"] == "server_error"


async def test_while_the_model_loads_clients_are_told_to_come_back() -> None:
    async with serving(ScriptedEngine(how=STARTING)) as server:
        response = await server.transcribe()
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "model_unavailable"
    assert int(response.headers["Retry-After"]) > 0
    assert "X-Should-Retry" not in response.headers


@pytest.mark.parametrize("fails", [False, True])
async def test_the_log_has_a_line_of_what_passes_and_where_a_fault_came_from(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(asked: Asked) -> Hypothesis:
        raise InferenceFailed("the model returned NaN")

    engine = ScriptedEngine(fail) if fails else ScriptedEngine(how=STARTING)
    async with serving(engine) as server:
        await server.transcribe()
    (record,) = [each for each in caplog.records if each.name == "polyasr.routes.errors"]
    assert record.levelno == (logging.ERROR if fails else logging.WARNING)
    assert bool(record.exc_info) == fails


async def test_while_a_model_that_was_let_go_comes_back_uploads_wait_for_it() -> None:
    async with serving(ScriptedEngine(how=replace(READY, state="loading"))) as server:
        response = await server.transcribe()
        health = await server.http.get("/health")
    assert (response.status_code, response.json()["text"]) == (200, "Hello.")
    assert (health.status_code, health.json()["status"]) == (200, "ok")


async def test_a_model_that_cannot_be_loaded_is_not_worth_retrying() -> None:
    broken = replace(READY, state="failed", reason="there are no weights in /models/mine")
    async with serving(ScriptedEngine(how=broken)) as server:
        response = await server.transcribe()
    assert response.status_code == 503
    assert "no weights" in response.json()["error"]["message"]
    assert response.headers["X-Should-Retry"] == "false"


async def test_beyond_the_queue_limit_requests_are_refused_and_come_in_again_later() -> None:
    held = HeldModel()
    async with serving(ScriptedEngine(held.script), max_queue_size=1) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.transcribe)
            await held.begun.wait()
            refused = await server.transcribe()
            held.release.set()
        accepted = await server.transcribe()
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "queue_full"
    assert "POLYASR_MAX_QUEUE_SIZE" in refused.json()["error"]["message"]
    assert int(refused.headers["Retry-After"]) > 0
    assert "X-Should-Retry" not in refused.headers
    assert accepted.status_code == 200


async def test_a_client_that_goes_away_cancels_its_work_and_frees_its_place() -> None:
    held = HeldModel()
    async with serving(ScriptedEngine(held.script), max_queue_size=1) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.transcribe)
            await held.begun.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(5):
            await held.cancelled.wait()
        held.release.set()
        assert (await server.transcribe()).status_code == 200


async def test_more_requests_than_turns_wait_for_theirs() -> None:
    async with serving(ScriptedEngine()) as server:
        answers: list[httpx.Response] = []

        async def ask() -> None:
            answers.append(await server.transcribe())

        async with trio.open_nursery() as nursery:
            for _ in range(BATCH_CONCURRENCY + 3):
                nursery.start_soon(ask)
    assert [answer.json()["text"] for answer in answers] == ["Hello."] * (BATCH_CONCURRENCY + 3)
