"""What is counted and timed, for Prometheus: names in base units, ``polyasr_`` in front.

The ``whisperx_`` names are those of whispermlx-asr-service, so that its dashboards go on working.
Nothing here knows what a client said, or who it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from polyasr.pipeline.types import Segment, Urgency
from polyasr.samples import SAMPLE_RATE

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, which every scraper reads."""
LATENCIES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)
"""Upper bounds in seconds of what a person waits for."""
DURATIONS = (0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800)
"""Upper bounds in seconds of requests that bring a recording."""
RECORDINGS = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14400)
"""Upper bounds in seconds of recordings."""
MEGABYTES = (0.1, 0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """The metrics of one server. It is the `pipeline.observer.Observer` of its dictations."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._decodes = Histogram(
            "polyasr_decode_duration_seconds",
            "From asking for a decode until it was there, waiting included",
            ("urgency", "outcome"),
            buckets=LATENCIES,
            registry=registry,
        )
        self._decoding = Gauge(
            "polyasr_decodes_in_progress", "Decodes asked for", ("urgency",), registry=registry
        )
        self._dictations = Counter("polyasr_dictations", "Dictations begun", registry=registry)
        self._failures = Counter(
            "polyasr_dictation_failures",
            "Dictations ended by an error",
            ("code",),
            registry=registry,
        )
        self._audio = Counter(
            "polyasr_dictation_audio_seconds", "Audio that dictations brought", registry=registry
        )
        self._behind = Histogram(
            "polyasr_partial_behind_seconds",
            "Audio that had come and was not in a partial yet when it was made: grows, and "
            "partials get rarer, when the server cannot keep up",
            buckets=LATENCIES,
            registry=registry,
        )
        self._finals = Histogram(
            "polyasr_final_duration_seconds",
            "From the end of a dictation's audio until its final",
            buckets=LATENCIES,
            registry=registry,
        )
        self._segments = Counter(
            "polyasr_dictation_segments",
            "Segments of dictations by how their text ended",
            ("finish_reason",),
            registry=registry,
        )
        self._regrets = Counter(
            "polyasr_commit_regrets",
            "Segments that a decode of the whole would begin otherwise than what was committed",
            registry=registry,
        )
        self._requests = Histogram(
            "polyasr_http_request_duration_seconds",
            "HTTP requests",
            ("method", "endpoint", "status"),
            buckets=DURATIONS,
            registry=registry,
        )
        self._whisperx_requests = Counter(
            "whisperx_requests", "Requests", ("endpoint", "status"), registry=registry
        )
        self._whisperx_durations = Histogram(
            "whisperx_request_duration_seconds",
            "End-to-end time of requests",
            ("endpoint",),
            buckets=DURATIONS,
            registry=registry,
        )
        self._recordings = Histogram(
            "whisperx_audio_duration_seconds",
            "Length of uploaded recordings",
            buckets=RECORDINGS,
            registry=registry,
        )
        self._uploads = Histogram(
            "whisperx_audio_size_megabytes",
            "Size of uploaded files",
            buckets=MEGABYTES,
            registry=registry,
        )

    @contextmanager
    def decoding(self, urgency: Urgency) -> Iterator[None]:
        """Around a decode, from asking for it."""
        name, began, outcome = urgency.name.lower(), time.monotonic(), "abandoned"
        with self._decoding.labels(name).track_inprogress():
            try:
                yield
                outcome = "ok"
            except Exception:
                outcome = "error"
                raise
            finally:
                self._decodes.labels(name, outcome).observe(time.monotonic() - began)

    def began(self) -> None:
        """A dictation has begun."""
        self._dictations.inc()

    def heard(self, n_samples: int) -> None:
        """So much audio of a dictation came in."""
        self._audio.inc(n_samples / SAMPLE_RATE)

    def showed(self, behind: float) -> None:
        """A partial was made, of audio that is so many seconds older than the newest."""
        self._behind.observe(behind)

    def sealed(self, segment: Segment) -> None:
        """A segment of a dictation is over."""
        self._segments.labels(segment.finish_reason).inc()
        if segment.commit_regret:
            self._regrets.inc()

    def answered(self, seconds: float) -> None:
        """The final was there so long after the end of audio was known."""
        self._finals.observe(seconds)

    def failed(self, code: str) -> None:
        """A dictation ended by the error with this code."""
        self._failures.labels(code).inc()

    def served(self, method: str, endpoint: str, status: int, seconds: float) -> None:
        """An HTTP request was answered; ``endpoint`` is the rule of its route."""
        self._requests.labels(method, endpoint, str(status)).observe(seconds)
        word = "ok" if status < 400 else f"http_{status}"
        self._whisperx_requests.labels(endpoint, word).inc()
        self._whisperx_durations.labels(endpoint).observe(seconds)

    def uploaded(self, size: int) -> None:
        """A file of so many bytes came in."""
        self._uploads.observe(size / 1e6)

    def decoded(self, n_samples: int) -> None:
        """A recording was so long, as far as it was read."""
        self._recordings.observe(n_samples / SAMPLE_RATE)

    def watch(self, state: Callable[[], Iterable[Metric]]) -> None:
        """Also tell, at each scrape, what ``state`` gives: what is known without counting."""
        self._registry.register(_State(state))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    def __init__(self, state: Callable[[], Iterable[Metric]]) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        return self._state()


def gauge(
    name: str, what: str, value: float | None = None, **by_label: dict[str, float]
) -> GaugeMetricFamily:
    """A gauge with one value, or with one for each value of a label: ``unit={"asr": 1}``."""
    if value is not None:
        return GaugeMetricFamily(name, what, value)
    ((label, values),) = by_label.items()
    family = GaugeMetricFamily(name, what, labels=[label])
    for of, each in values.items():
        family.add_metric([of], each)
    return family
