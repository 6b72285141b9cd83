"""What a scraper of ``GET /metrics`` reads after this and that has happened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from polyasr.client import open_dictation
from polyasr.errors import InferenceFailed
from polyasr.metrics import Metrics
from polyasr.pipeline.types import Segment, Urgency
from tests.fakes import ScriptedEngine, tone
from tests.routes.conftest import Server, serving

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def scrape(server: Server) -> Samples:
    return parsed((await server.http.get("/metrics")).text)


async def test_a_request_is_counted_under_its_route_and_its_status() -> None:
    async with serving(ScriptedEngine()) as server:
        await server.transcribe()
        await server.http.post("/v1/audio/transcriptions")
        samples = await scrape(server)
    endpoint = "/v1/audio/transcriptions"
    counted = "polyasr_http_request_duration_seconds_count"
    for status in ("200", "400"):
        labels = {"method": "POST", "endpoint": endpoint, "status": status}
        assert value(samples, counted, **labels) == 1
    for word in ("ok", "http_400"):
        assert value(samples, "whisperx_requests_total", endpoint=endpoint, status=word) == 1
    assert value(samples, "whisperx_request_duration_seconds_count", endpoint=endpoint) == 2
    assert value(samples, "whisperx_audio_size_megabytes_count") == 1
    assert value(samples, "whisperx_audio_duration_seconds_sum") > 0


async def test_paths_that_strangers_make_up_are_one_endpoint() -> None:
    async with serving(ScriptedEngine()) as server:
        for path in ("/wp-login.php", "/.env"):
            await server.http.get(path)
        samples = await scrape(server)
    labels = {"method": "GET", "endpoint": "unknown", "status": "404"}
    assert value(samples, "polyasr_http_request_duration_seconds_count", **labels) == 2


async def test_metrics_take_the_key_where_there_is_one() -> None:
    async with serving(ScriptedEngine(), api_key="secret") as server:
        refused = await server.http.get("/metrics")
        right = {"Authorization": "Bearer secret"}
        granted = await server.http.get("/metrics", headers=right)
    assert (refused.status_code, granted.status_code) == (401, 200)


def test_decodes_are_told_apart_by_urgency_and_by_how_they_ended() -> None:
    metrics = Metrics()
    with metrics.decoding(Urgency.PARTIAL):
        within = parsed(metrics.text().decode())
    try:
        with metrics.decoding(Urgency.FINAL):
            raise InferenceFailed("broken")
    except InferenceFailed:
        pass
    after = parsed(metrics.text().decode())
    assert value(within, "polyasr_decodes_in_progress", urgency="partial") == 1
    assert value(after, "polyasr_decodes_in_progress", urgency="partial") == 0
    count = "polyasr_decode_duration_seconds_count"
    assert value(after, count, urgency="partial", outcome="ok") == 1
    assert value(after, count, urgency="final", outcome="error") == 1


def test_a_segment_that_would_begin_otherwise_now_is_a_regret() -> None:
    metrics = Metrics()
    metrics.sealed(Segment("One.", "English", 0, 16000))
    metrics.sealed(Segment("Two.", "English", 0, 16000, commit_regret=True))
    metrics.sealed(Segment("Two two", "English", 0, 16000, finish_reason="repetition"))
    samples = parsed(metrics.text().decode())
    assert value(samples, "polyasr_commit_regrets_total") == 1
    counted = "polyasr_dictation_segments_total"
    assert value(samples, counted, finish_reason="stop") == 2
    assert value(samples, counted, finish_reason="repetition") == 1


async def test_what_the_page_of_metrics_names_is_what_is_there() -> None:
    async with serving(ScriptedEngine()) as server:
        await server.transcribe()
        text = (await server.http.get("/metrics")).text
    families = [f.name for f in text_string_to_metric_families(text)]
    ours = [name for name in families if not re.search(r"^process_|_created$", name)]
    there = {re.sub(r"_(total|info)$", "", name) for name in ours}
    words = re.findall(r"`((?:polyasr|whisperx)_\w+)", DOCUMENT.read_text(encoding="utf-8"))
    named = {re.sub(r"_(total|info|count)$", "", word) for word in words}
    assert named == there


async def test_a_dictation_is_counted_from_its_start_to_its_final() -> None:
    async with serving(ScriptedEngine()) as server:
        async with open_dictation(server.websocket_url) as dictation:
            await dictation.send(tone(1.0))
            await dictation.stop()
            async for _ in dictation:
                pass
        samples = await scrape(server)
    assert value(samples, "polyasr_dictations_total") == 1
    assert value(samples, "polyasr_dictation_audio_seconds_total") == pytest.approx(1)
    assert value(samples, "polyasr_final_duration_seconds_count") == 1
    assert value(samples, "polyasr_sessions_held") == 1
    assert value(samples, "polyasr_sessions_attached") == 0
