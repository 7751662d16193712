"""Traces and metrics of real requests through a real gateway: at the collector, and at /metrics."""

import re

import pytest

import ai_rig
from datareeve.capabilities.ai.gateway.telemetry import trace_of
from otlp_rig import Collector

CANARY = "canary7f3a"
ROUTES = {"chat": {"targets": ["openai/double-small"]}}
BODY = {"model": "chat", "messages": [{"role": "user", "content": CANARY}]}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    collector = Collector()
    with ai_rig.FaultDouble() as double:
        text = ai_rig.estate(double, gateway={"models": ROUTES, "otlp": collector.url})
        with ai_rig.gateway(tmp_path_factory.mktemp("telemetry"), text) as made:
            made.issue("app")
            made.collector = collector
            yield made
    collector.shutdown()
    collector.server_close()


def spans(collector):
    return [
        span
        for body in collector.bodies("/v1/traces")
        for span in body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]


def test_a_request_is_a_span_that_its_request_id_finds_and_a_line_of_metrics(running):
    status, _ = running.post("/v1/chat/completions", BODY, running.keys["app"])
    assert status == 200
    running.wait_until(lambda: any(span["name"] == "chat chat" for span in spans(running.collector)))
    span = next(span for span in spans(running.collector) if span["name"] == "chat chat")
    told = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    assert (told["gen_ai.provider.name"], told["gen_ai.response.model"]) == ("openai", "double-small")
    assert span["traceId"] == trace_of(told["datareeve.request.id"])
    status, text = running.get("/metrics")
    assert status == 200
    line = re.search(r'datareeve_gateway_requests_total\{gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="chat".*', text.decode())  # fmt: skip
    assert line
    assert float(line[0].rpartition(" ")[2]) >= 1


def test_no_prompt_and_no_key_is_told(running):
    running.post("/v1/chat/completions", BODY, running.keys["app"])
    running.post("/v1/chat/completions", BODY, f"dr-{CANARY}")
    told = (
        b"".join(body for _, body, _ in running.collector.sent)
        + running.get("/metrics")[1]
        + running.get("/status")[1]
    )
    assert CANARY.encode() not in told
    assert running.keys["app"].encode() not in told


def test_another_proxy_s_clients_are_shown_nothing_but_health(running):
    assert running.ask("GET", "/metrics", x_forwarded_for="203.0.113.9")[0] == 403
    assert running.ask("GET", "/status", via="1.1 nginx")[0] == 403
    assert running.ask("GET", "/health", x_forwarded_for="203.0.113.9")[0] == 200
