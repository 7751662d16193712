"""Counters and histograms: what Prometheus reads, bounded whatever clients ask for."""

import json
import re
import sys
import timeit

import pytest

from datareeve.capabilities.ai.gateway.metrics import (
    LONGEST_NAME,
    MOST_NAMES,
    SECONDS,
    Metrics,
    operation_of,
    quantile_ms,
)
from datareeve.capabilities.ai.gateway.usage import Tokens, UsageRow

SAMPLE = re.compile(
    r'^[a-z_]+(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(?:,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? (?:[-+0-9.e]+|\+Inf)$'
)


def row(**changed):
    plain = {
        "id": "req_1", "at": 0.0, "virtual_key": "abcdefghijkl", "key_name": "app", "team": "shop", "endpoint": "/v1/chat/completions",
        "asked_model": "chat", "provider": "openai", "provider_key": "pk_1", "model": "gpt-4.1", "status": "ok", "http_status": 200,
        "attempts": 1, "stream": False, "cached": False, "tokens": Tokens(1200, 300, 1000), "estimated": False, "first_ms": 312.0,
        "total_ms": 2100.0, "cost_microusd": 4800, "saved_microusd": 0, "price_version": "1", "error": "", "digest": "", "prefix": "",
        "prefix_tokens": 0,
    }  # fmt: skip
    return UsageRow(**{**plain, **changed})


def samples(metrics):
    """By name, the labels and value of each sample."""
    found = {}
    for line in metrics.render().decode().splitlines():
        if not line.startswith("#"):
            assert SAMPLE.match(line), line
            name, _, rest = line.partition("{")
            labels, _, value = rest.rpartition("} ")
            found.setdefault(name, {})[labels] = float(value)
    return found


def total(metrics, name):
    return sum(samples(metrics).get(name, {}).values())


def test_a_request_is_counted_by_what_became_of_it():
    metrics = Metrics()
    metrics.observe(row(attempts=2))
    metrics.observe(
        row(
            status="error",
            http_status=502,
            error="upstream.500",
            provider="openai",
            tokens=Tokens(),
            cost_microusd=0,
        )
    )
    assert total(metrics, "datareeve_gateway_requests_total") == 2
    assert total(metrics, "datareeve_gateway_attempts_total") == 3
    assert total(metrics, "datareeve_gateway_cost_usd_total") == 0.0048
    by_status = samples(metrics)["datareeve_gateway_requests_total"]
    assert sorted(re.search(r'status="(\w+)",http', labels)[1] for labels in by_status) == ["error", "ok"]


def test_tokens_by_kind_and_their_histogram():
    metrics = Metrics()
    metrics.observe(row(tokens=Tokens(1024, 1, 1000, 5, 6, 0)))
    metrics.observe(row(tokens=Tokens(1025, 0)))
    tokens = {re.search(r'token_type="(\w+)"', labels)[1]: value for labels, value in samples(metrics)["datareeve_gateway_tokens_total"].items()}  # fmt: skip
    assert tokens == {"input": 2049, "output": 1, "cache_read": 1000, "cache_write": 11}
    buckets = samples(metrics)["gen_ai_client_token_usage_bucket"]
    at = {(re.search(r'token_type="(\w+)"', labels)[1], re.search(r'le="([^"]+)"', labels)[1]): value for labels, value in buckets.items()}  # fmt: skip
    assert (at["input", "256"], at["input", "1024"], at["input", "4096"]) == (0, 1, 2)
    assert (at["output", "1"], at["output", "+Inf"]) == (2, 2)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 16, 17, 4**13, 4**13 + 1, 10**15])
def test_the_token_bucket_is_the_one_that_a_search_gives(count):
    metrics = Metrics()
    metrics.observe(row(tokens=Tokens(count, 1)))
    buckets = samples(metrics)["gen_ai_client_token_usage_bucket"]
    first = min(
        float(re.search(r'le="([^"]+)"', labels)[1]) for labels, value in buckets.items() if value and '"input"' in labels
    )  # fmt: skip
    assert first == next((4**n for n in range(14) if count <= 4**n), float("inf"))


def test_a_cached_answer_counts_what_it_saved_and_no_tokens():
    metrics = Metrics()
    metrics.observe(row(cached=True, provider="", attempts=0, cost_microusd=0, saved_microusd=4800))
    assert total(metrics, "datareeve_gateway_cached_total") == 1
    assert total(metrics, "datareeve_gateway_saved_usd_total") == 0.0048
    assert total(metrics, "datareeve_gateway_tokens_total") == 0


def test_buckets_add_up_and_the_sum_is_in_seconds():
    metrics = Metrics()
    for ms in (5, 15, 2100, 1e6):
        metrics.observe(row(total_ms=ms, first_ms=None))
    found = samples(metrics)
    values = list(found["gen_ai_server_request_duration_seconds_bucket"].values())
    assert values == sorted(values)
    assert values[-1] == total(metrics, "gen_ai_server_request_duration_seconds_count") == 4
    assert total(metrics, "gen_ai_server_request_duration_seconds_sum") == pytest.approx(1002.12)
    assert total(metrics, "gen_ai_server_time_to_first_token_seconds_count") == 0


def test_whatever_clients_ask_for_the_series_are_bounded():
    metrics = Metrics()
    for n in range(5000):
        metrics.observe(
            row(
                asked_model=f"made-up-{n}", key_name=f"k{n}", virtual_key=f"v{n}", team=f"t{n}", error=f"e{n}"
            )
        )
    metrics.observe(row(asked_model="x" * 10_000_000))
    found = samples(metrics)
    assert (
        sum('request_model="made-up' in labels for labels in found["datareeve_gateway_requests_total"])
        <= MOST_NAMES
    )
    assert any('request_model="other"' in labels for labels in found["datareeve_gateway_requests_total"])
    assert len(found["datareeve_gateway_key_requests_total"]) <= MOST_NAMES + 1
    assert total(metrics, "datareeve_gateway_requests_total") == 5001
    assert len(metrics.render()) < 4_000_000
    assert max(map(len, (label for series in found.values() for label in series))) < LONGEST_NAME * 8


def test_a_name_that_was_refused_is_no_label():
    metrics = Metrics()
    metrics.observe(
        row(
            status="refused",
            http_status=404,
            provider="",
            model="",
            asked_model="secret-project",
            virtual_key="",
            key_name="",
        )
    )
    assert b"secret-project" not in metrics.render()


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", "\x00\x1b[31m", "ünïcode", "}{,="])
def test_names_are_escaped(name):
    metrics = Metrics()
    metrics.observe(row(asked_model=name, key_name=name))
    assert total(metrics, "datareeve_gateway_requests_total") == 1


def test_no_id_in_a_path_becomes_a_label():
    assert operation_of("/v1/messages/batches/msgbatch_01/results") == "batch"
    assert operation_of("/v1/files/file-abc/content") == "file"
    assert operation_of("/chat/completions") == "chat"
    assert operation_of("/v1/secret/path") == "other"


def test_gauges_are_set_asked_and_forgotten():
    metrics = Metrics()
    metrics.gauge("in_flight", lambda: 3, "Requests under way.")
    metrics.gauge("breaker_open", 1, provider="openai", model="gpt-4.1")
    metrics.count("failovers_total", provider="openai")
    metrics.count("datareeve_gateway_failovers_total", provider="openai")
    text = metrics.render().decode()
    assert (
        "# HELP datareeve_gateway_in_flight Requests under way.\n# TYPE datareeve_gateway_in_flight gauge\n"
        in text
    )
    assert 'datareeve_gateway_breaker_open{provider="openai",model="gpt-4.1",process="0"} 1' in text
    assert 'datareeve_gateway_failovers_total{provider="openai",process="0"} 2' in text
    metrics.forget("breaker_open", provider="openai", model="gpt-4.1")
    assert "breaker_open{" not in metrics.render().decode()


def test_a_process_tells_of_its_siblings_too_each_under_its_number(tmp_path):
    first, second = (Metrics(process=n, folder=tmp_path) for n in (0, 1))
    first.observe(row())
    for _ in range(2):
        second.observe(row())
    second.spill(second.snapshot({"revision": 7}))
    found = samples(first)["datareeve_gateway_requests_total"]
    assert {re.search(r'process="(\d)"', labels)[1]: value for labels, value in found.items()} == {
        "0": 1,
        "1": 2,
    }
    assert first.render().count(b"# TYPE datareeve_gateway_requests_total") == 1
    assert first.siblings()[0]["about"] == {"revision": 7}


def test_a_sibling_that_stopped_writing_is_left_out(tmp_path):
    metrics = Metrics(process=0, folder=tmp_path)
    sibling = Metrics(process=1, folder=tmp_path)
    sibling.spill(sibling.snapshot())
    place = tmp_path / "process-1.json"
    told = json.loads(place.read_text())
    place.write_text(json.dumps({**told, "at": told["at"] - 60}))
    assert metrics.siblings() == []
    place.write_text("{half")
    assert metrics.siblings() == []


def test_a_process_without_siblings_writes_nothing_and_a_full_disk_is_no_error(tmp_path):
    assert Metrics().snapshot() == b""
    (tmp_path / "file").write_text("")
    metrics = Metrics(process=0, folder=tmp_path / "file" / "folder")
    metrics.spill(metrics.snapshot())


def test_a_quantile_is_as_prometheus_computes_it():
    counts = [0] * (len(SECONDS) + 1)
    counts[3] = 10  # 0.04 to 0.08 s
    assert quantile_ms(counts, SECONDS, 0.5) == pytest.approx(60)
    assert quantile_ms([0] * (len(SECONDS) + 1), SECONDS, 0.5) is None
    counts[-1] = 90
    assert quantile_ms(counts, SECONDS, 0.99) == SECONDS[-1] * 1000


def test_counting_a_request_costs_a_few_microseconds():
    metrics, one, tracer = Metrics(), row(), sys.gettrace()
    sys.settrace(None)  # what measures coverage takes longer than what is measured
    try:
        seconds = min(timeit.repeat(lambda: metrics.observe(one), number=5000, repeat=5)) / 5000
    finally:
        sys.settrace(tracer)
    assert seconds < 15e-6  # 1.7 µs on a quiet machine
