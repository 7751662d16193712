"""Spans and histograms to an OpenTelemetry collector, over OTLP/HTTP. Needs the extra `otel`.

Whoever offers something never waits: it goes into a bounded queue, and a thread sends it. A collector that is away costs the spans that did
not fit, which are counted; nothing else notices.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, TypedDict

from datareeve import __version__
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_WAITING = 20_000  # spans
AT_ONCE = 512
SEND_SECONDS = 5.0  # an attempt may take so long
METRICS_SECONDS = 15.0
PAUSE_SECONDS = 0.5
SCOPE = "datareeve.gateway"

log = logging.getLogger(__name__)


class Span(TypedDict):
    """One span, as it is offered. Times are Unix nanoseconds."""

    name: str
    trace: int  # 128 bits
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]


class Otlp:
    """A sender to one collector: `url` without the signal's path ('http://collector:4318').

    Errors: `BadInput` `otel.extra` where the extra is not installed.
    """

    def __init__(
        self, url: str, *, bounds: Mapping[str, Sequence[float]], units: Mapping[str, str], instance: str = ""
    ) -> None:
        try:
            self._sdk = _Sdk(url.rstrip("/"), bounds, units, instance)
        except ImportError:
            raise BadInput(
                "otel.extra",
                "Telemetry needs OpenTelemetry's SDK.",
                "Install datareeve[otel], or take gateway.otlp out.",
            ) from None
        self.dropped = 0  # spans that did not fit while the collector was away
        self._waiting: deque[Span] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def offer(self, spans: Sequence[Span]) -> None:
        """Give spans to be sent; of those that do not fit the oldest go."""
        self._waiting.extend(spans)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._wake.set()

    def record(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        """Add to a histogram; it is sent every 15 s."""
        self._sdk.record(name, value, attributes)

    def close(self, seconds: float = SEND_SECONDS) -> None:
        """Send what is waiting, as far as the time goes."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        self._sdk.close(seconds)

    def _run(self) -> None:
        while not (self._closing.is_set() and not self._waiting):
            self._wake.wait(PAUSE_SECONDS)
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                if not self._sdk.send(batch):
                    self.dropped += len(batch)
                    if self._closing.is_set():
                        return


class _Sdk:
    """What is asked of OpenTelemetry. Imported here, so that the module loads without it."""

    def __init__(
        self, url: str, bounds: Mapping[str, Sequence[float]], units: Mapping[str, str], instance: str
    ) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

        # The exporter says at length what it could not send; that spans were dropped is said by `dropped`.
        logging.getLogger("opentelemetry.exporter.otlp").setLevel(logging.CRITICAL)
        names = {
            "service.name": "datareeve-gateway",
            "service.version": __version__,
            "service.instance.id": instance,
        }
        self._resource = Resource.create({name: value for name, value in names.items() if value})
        self._spans = OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=SEND_SECONDS)
        exporter = OTLPMetricExporter(endpoint=f"{url}/v1/metrics", timeout=SEND_SECONDS)
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=METRICS_SECONDS * 1000)
        self._metrics = MeterProvider(
            metric_readers=[reader], resource=self._resource, shutdown_on_exit=False
        )
        meter = self._metrics.get_meter(SCOPE, __version__)
        self._histograms = {
            name: meter.create_histogram(
                name, unit=units[name], explicit_bucket_boundaries_advisory=list(limits)
            )
            for name, limits in bounds.items()
        }

    def record(self, name: str, value: float, attributes: Mapping[str, Any]) -> None:
        self._histograms[name].record(value, attributes)

    def send(self, batch: Sequence[Span]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - as above

        try:
            return self._spans.export([self._span(span) for span in batch]) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 - the thread's boundary: what a collector answers ends no thread
            log.warning("Spans were not sent: %s", type(error).__name__)
            return False

    def _span(self, span: Span) -> Any:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - as above
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415

        context = SpanContext(
            trace_id=span["trace"],
            span_id=(span["trace"] & (1 << 64) - 1) or 1,
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        return ReadableSpan(
            name=span["name"],
            context=context,
            resource=self._resource,
            attributes=span["attributes"],
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR if span["failed"] else StatusCode.UNSET),
            start_time=span["start"],
            end_time=span["end"],
            instrumentation_scope=InstrumentationScope(SCOPE, __version__),
        )

    def close(self, seconds: float) -> None:
        try:
            self._metrics.shutdown(timeout_millis=seconds * 1000)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("Metrics were not sent: %s", type(error).__name__)
        self._spans.shutdown()  # type: ignore[no-untyped-call]
