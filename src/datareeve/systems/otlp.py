"""Spans and histograms to an OpenTelemetry collector: OTLP over HTTP, in its JSON encoding.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding. Written by ourselves because OpenTelemetry's SDK takes 250 µs a request for it,
more than all else that the gateway does with a request; this takes a tenth. Whoever offers something never waits: it goes into a bounded
queue, and a thread sends it. A collector that is away costs the spans that did not fit, which are counted; nothing else notices.
"""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict
from urllib.parse import unquote, urlsplit

import orjson

from datareeve import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_WAITING = 20_000  # spans
AT_ONCE = 512
SEND_SECONDS = 5.0
METRICS_SECONDS = 15.0
LOOK_SECONDS = 0.5  # spans wait so long for company
ATTEMPTS = 3
AGAIN: Final = frozenset(
    {429, 502, 503, 504}
)  # https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes
CUMULATIVE, INTERNAL, CLIENT, ERROR = 2, 1, 3, 2  # AggregationTemporality, SpanKind, StatusCode
HEADERS_VARIABLE = "OTEL_EXPORTER_OTLP_HEADERS"  # the collector's credentials, as every exporter takes them


class Span(TypedDict):
    """One span, as it is offered. Times are Unix nanoseconds."""

    name: str
    trace: str  # 32 hexadecimal digits; the last 16 are the span's own id
    start: int
    end: int
    failed: bool
    attributes: dict[str, str | bool | int | float]
    id: NotRequired[str]  # 16 hexadecimal digits, where it is another
    parent: NotRequired[str]  # the id of the span that it is a part of
    inside: NotRequired[bool]  # work of our own, not a request to somebody else


Attributes = tuple[tuple[str, str], ...]


class Otlp:
    """A sender to one collector: `url` without the signal's path ('http://collector:4318'). `bounds` and `units`: by histogram."""

    def __init__(
        self,
        url: str,
        *,
        bounds: Mapping[str, Sequence[float]],
        units: Mapping[str, str],
        instance: str = "",
        service: str = "gateway",
    ) -> None:
        self.dropped = 0  # spans that were not sent: the collector was away for too long, or refused them
        self._wire = _Wire(url)
        named = {
            "service.name": f"datareeve-{service}",
            "service.version": __version__,
            "service.instance.id": instance,
        }
        self._scope = {"name": f"datareeve.{service}", "version": __version__}
        self._resource = {"attributes": _attributes(named)}
        self._histograms = {
            name: _Histograms(name, units[name], tuple(limits)) for name, limits in bounds.items()
        }
        self._waiting: deque[Span] = deque()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def offer(self, spans: Iterable[Span]) -> None:
        """Give spans to be sent; of those that do not fit the oldest go."""
        self._waiting.extend(spans)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1

    def record(self, name: str, value: float, attributes: Attributes) -> None:
        """Add to a histogram; it is sent every 15 s. From one thread."""
        self._histograms[name].add(value, attributes)

    def close(self, seconds: float = SEND_SECONDS) -> None:
        """Send what is waiting, as far as the time goes; the rest counts as dropped."""
        self._deadline = time.monotonic() + seconds
        self._closing.set()
        self._thread.join(seconds + SEND_SECONDS)
        self.dropped += len(self._waiting)

    # -- the thread ----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        told = time.monotonic()
        while not self._closing.wait(LOOK_SECONDS):
            self._send_spans()
            if time.monotonic() - told >= METRICS_SECONDS:
                told = time.monotonic()
                self._send_metrics()
        self._send_spans()
        self._send_metrics()
        self._wire.close()

    def _send_spans(self) -> None:
        while self._waiting and time.monotonic() < self._deadline:
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            scope = {"scope": self._scope, "spans": [_told(span) for span in batch]}
            body = {"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}
            if not self._delivered("/v1/traces", body):
                self.dropped += len(batch)

    def _send_metrics(self) -> None:
        metrics = [told for series in self._histograms.values() if (told := series.told())]
        if metrics and time.monotonic() < self._deadline:
            scope = {"scope": self._scope, "metrics": metrics}
            self._delivered(
                "/v1/metrics", {"resourceMetrics": [{"resource": self._resource, "scopeMetrics": [scope]}]}
            )

    def _delivered(self, path: str, body: dict[str, Any]) -> bool:
        """Whether the collector took it; tried again where it may help, with pauses that grow and vary."""
        data = orjson.dumps(body)
        for attempt in range(ATTEMPTS):
            status = self._wire.post(path, data)
            if status not in AGAIN and status != 0:
                return 200 <= status < 300  # noqa: PLR2004 - RFC 9110, 15.3
            pause = random.uniform(0, 2.0**attempt)  # noqa: S311 - a pause, no secret
            if attempt + 1 == ATTEMPTS or time.monotonic() + pause > self._deadline:
                return False
            self._closing.wait(pause)
        return False


class _Wire:
    """One kept connection to the collector."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=SEND_SECONDS)
        self._path = parts.path.rstrip("/")
        self._headers = {
            "Content-Type": "application/json",
            "User-Agent": f"datareeve/{__version__}",
            **_given_headers(),
        }

    def post(self, path: str, data: bytes) -> int:
        """The status of the answer, 0 where there was none."""
        try:
            self._connection.request("POST", f"{self._path}{path}", data, self._headers)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens another
            return 0
        return answer.status

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class _Histograms:
    """One histogram with its series, cumulative since the start."""

    def __init__(self, name: str, unit: str, bounds: tuple[float, ...]) -> None:
        self._about = {"name": name, "unit": unit}
        self._bounds = bounds
        self._start = time.time_ns()
        self._series: dict[Attributes, tuple[list[int], list[float]]] = {}

    def add(self, value: float, attributes: Attributes) -> None:
        found = self._series.get(attributes)
        if found is None:
            found = self._series[attributes] = ([0] * (len(self._bounds) + 1), [0.0, value, value])
        counts, sums = found
        counts[bisect_left(self._bounds, value)] += 1
        sums[0] += value
        sums[1], sums[2] = min(sums[1], value), max(sums[2], value)

    def told(self) -> dict[str, Any]:
        """As OTLP tells it, {} where nothing was recorded."""
        now = str(time.time_ns())
        points = [
            {"attributes": _attributes(dict(attributes)), "startTimeUnixNano": str(self._start), "timeUnixNano": now,
             "count": str(sum(counts)), "sum": sums[0], "min": sums[1], "max": sums[2],
             "bucketCounts": [str(count) for count in counts], "explicitBounds": list(self._bounds)}
            for attributes, (counts, sums) in list(self._series.items())
        ]  # fmt: skip
        return (
            {**self._about, "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": points}}
            if points
            else {}
        )


def _told(span: Span) -> dict[str, Any]:
    """A span in OTLP's JSON: ids in hexadecimal, 64-bit integers as text."""
    return {
        "traceId": span["trace"],
        "spanId": span.get("id") or span["trace"][16:],
        **({"parentSpanId": span["parent"]} if "parent" in span else {}),
        "name": span["name"],
        "kind": INTERNAL if span.get("inside") else CLIENT,
        "startTimeUnixNano": str(span["start"]),
        "endTimeUnixNano": str(span["end"]),
        "attributes": _attributes(span["attributes"]),
        "status": {"code": ERROR} if span["failed"] else {},
    }


def _attributes(values: Mapping[str, str | bool | int | float]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value != ""]


def _value(value: str | bool | float) -> dict[str, Any]:  # noqa: FBT001 - any kind of value
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}


def _given_headers() -> dict[str, str]:
    """The headers that the standard's variable gives: 'name=value,name=value', percent-encoded. What cannot be a header is left out."""
    pairs = (entry.partition("=") for entry in os.environ.get(HEADERS_VARIABLE, "").split(","))
    found = {name.strip(): unquote(value).strip() for name, _, value in pairs if name.strip()}
    return {name: value for name, value in found.items() if name.isascii() and f"{name}{value}".isprintable()}
