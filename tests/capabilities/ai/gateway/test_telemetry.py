"""Usage rows as OpenTelemetry's spans and metrics: read back by OpenTelemetry's own types."""

import json
import time

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from datareeve.capabilities.ai.gateway import telemetry
from datareeve.capabilities.ai.gateway.telemetry import BOUNDS, UNITS, Telemetry, span_of, trace_of
from datareeve.core.estate_gateway import GatewaySettings
from datareeve.systems import otlp
from datareeve.systems.otlp import Otlp
from datareeve.systems.usage_table import COLUMNS
from otlp_rig import Collector

PLAIN = dict.fromkeys(COLUMNS, "") | {
    "id": "req_1", "at": 1795403848.25, "endpoint": "/v1/messages", "asked_model": "chat", "provider": "claude", "model": "claude-sonnet-4-5",
    "key_name": "app", "status": "ok", "http_status": 200, "attempts": 2, "stream": True, "cached": False, "input": 100, "output": 5,
    "cache_read": 60, "cache_write": 7, "cache_write_1h": 3, "reasoning": 0, "estimated": False, "first_ms": 20.0, "total_ms": 300.0,
    "cost_microusd": 55, "saved_microusd": 0, "prefix_tokens": 0, "requests": 1,
}  # fmt: skip


def row(**changed):
    return tuple({**PLAIN, **changed}[name] for name in COLUMNS)


@pytest.fixture
def collector():
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


def sender(collector):
    return Otlp(collector.url, bounds=BOUNDS, units=UNITS, instance="gw_1")


def test_a_request_is_a_span_by_the_conventions():
    span = span_of(row())
    assert span["name"] == "chat chat"
    assert (span["end"] - span["start"], span["failed"]) == (300_000_000, False)
    wanted = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "claude", "gen_ai.request.model": "chat",
        "gen_ai.response.model": "claude-sonnet-4-5", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.response.time_to_first_chunk": 0.02, "http.response.status_code": 200, "datareeve.cost_usd": 0.000055,
    }  # fmt: skip
    assert wanted.items() <= span["attributes"].items()


def test_a_failed_request_is_an_error_with_its_type():
    span = span_of(row(status="broken", error="upstream.cut"))
    assert span["failed"]
    assert span["attributes"]["error.type"] == "upstream.cut"


def test_a_model_that_was_refused_is_not_told():
    assert "secret" not in json.dumps(
        span_of(row(status="refused", provider="", model="", asked_model="secret"))
    )


def test_the_trace_of_a_request_is_found_by_its_id():
    assert span_of(row(id="req_9"))["trace"] == trace_of("req_9")
    assert len(trace_of("req_9")) == 32


def test_what_is_sent_is_read_by_opentelemetry_s_own_types(collector):
    out = sender(collector)
    Telemetry(out)([row(id=f"req_{n}") for n in range(600)])
    out.close()
    traces = collector.bodies("/v1/traces")
    spans = [span for body in traces for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]]
    assert (len(spans), out.dropped) == (600, 0)
    assert {len(span["traceId"]) for span in spans} == {32}
    for body in traces:
        json_format.ParseDict(body, ExportTraceServiceRequest())
    (body,) = collector.bodies("/v1/metrics")
    read = json_format.ParseDict(body, ExportMetricsServiceRequest())
    metrics = {metric.name: metric for metric in read.resource_metrics[0].scope_metrics[0].metrics}
    assert {name: metric.unit for name, metric in metrics.items()} == UNITS
    point = metrics["gen_ai.client.operation.duration"].histogram.data_points[0]
    assert (point.count, round(point.sum, 6)) == (600, 180.0)
    assert sum(point.bucket_counts) == 600
    usage = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert sorted(p.sum for p in usage) == [3000, 60000]


def test_what_the_collector_cannot_take_now_is_sent_again(collector, monkeypatch):
    monkeypatch.setattr(otlp.random, "uniform", lambda *_: 0.0)
    collector.answers = [503, 429]
    out = sender(collector)
    out.offer([span_of(row())])
    out.close()
    assert out.dropped == 0
    assert len(collector.bodies("/v1/traces")) == 3


def test_what_the_collector_refuses_is_dropped_and_counted(collector):
    collector.answers = [400]
    out = sender(collector)
    out.offer([span_of(row())])
    out.close()
    assert out.dropped == 1


def test_a_collector_that_is_away_costs_nothing_but_the_spans():
    out = Otlp("http://127.0.0.1:9", bounds=BOUNDS, units=UNITS)
    began = time.monotonic()
    out.offer([span_of(row())] * (otlp.MOST_WAITING + 5))
    assert time.monotonic() - began < 1
    out.close(0.1)
    assert out.dropped == otlp.MOST_WAITING + 5


def test_the_collector_s_credentials_come_from_the_standard_s_variable(collector, monkeypatch):
    monkeypatch.setenv(otlp.HEADERS_VARIABLE, "x-api-key=s%3Dcret, bad name\n=x,empty")
    out = sender(collector)
    out.offer([span_of(row())])
    out.close()
    headers = {name.lower(): value for name, value in collector.sent[0][2].items()}
    assert headers["x-api-key"] == "s=cret"


def test_series_are_bounded(monkeypatch):
    monkeypatch.setattr(telemetry, "MOST_SERIES", 3)
    seen = []

    class Sender:
        def offer(self, spans):
            pass

        def record(self, name, value, attributes):
            seen.append(attributes)

    Telemetry(Sender())([row(asked_model=f"m{n}") for n in range(9)])
    assert len(set(seen)) == 3 * 3 + 3


def test_none_is_made_where_the_estate_asks_for_none():
    assert Telemetry.of(GatewaySettings(), "gw_1") is None
