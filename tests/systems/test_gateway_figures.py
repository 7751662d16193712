"""What the gateway's store says of traffic and money: the figures that alerts and budgets are judged by."""

from datetime import UTC, datetime

import pytest

from datareeve.core import clock
from datareeve.systems.gateway_process import GatewayProcess
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_table import COLUMNS, Move, write_usage

NOW = datetime(2026, 11, 16, tzinfo=UTC)  # half of November is over
PLAIN = dict.fromkeys(COLUMNS, "") | {
    "virtual_key": "k", "key_name": "app", "team": "shop", "endpoint": "/v1/chat/completions", "asked_model": "chat", "provider": "openai",
    "model": "gpt-4.1", "status": "ok", "http_status": 200, "attempts": 1, "stream": False, "cached": False, "input": 10, "output": 5,
    "cache_read": 0, "cache_write": 0, "cache_write_1h": 0, "reasoning": 0, "estimated": False, "first_ms": 20.0, "total_ms": 100.0,
    "cost_microusd": 1_000_000, "saved_microusd": 0, "price_version": "1", "prefix_tokens": 0, "requests": 1,
}  # fmt: skip


@pytest.fixture
def process(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    (tmp_path / "estate.yaml").write_text(
        "version: 1\ngateway:\n  budgets:\n    all: {usd: 10}\n    each: {usd: 4, key: '*', period: day}\n    gpt: {usd: 100, model: openai/gpt-4.1}\n    team: {usd: 8, team: shop}\n"
    )
    return GatewayProcess(tmp_path)


def used(process, *rows):
    store = GatewayStore.open(process.project / ".datareeve" / "gateway.sqlite")
    made = [tuple({**PLAIN, "id": f"r{n}", **row}[name] for name in COLUMNS) for n, row in enumerate(rows)]
    write_usage(store, made, Move(spool="test", after=0, frame=1))
    store.close()


def ago(**span):
    return NOW.timestamp() - (
        span.get("seconds", 0) + 3600 * span.get("hours", 0) + 86400 * span.get("days", 0)
    )


def test_without_a_store_nothing_was_counted_and_none_is_made(process):
    found = process.read("figures")
    assert found["traffic"]["requests"] == 0
    assert found["spending"]["usd_month"] == 0
    assert process.read("last_month_usd") is None
    assert not (process.project / ".datareeve").exists()


def test_traffic_of_the_last_minutes(process):
    used(
        process,
        *({"at": ago(seconds=10), "total_ms": float(ms)} for ms in range(100, 200)),
        {"at": ago(seconds=20), "status": "error", "http_status": 502},
        {
            "at": ago(seconds=20),
            "status": "refused",
            "http_status": 429,
            "provider": "",
            "error": "gateway.rate-limit",
        },
        {"at": ago(seconds=20), "cached": True, "total_ms": 0.4},
        {"at": ago(seconds=20), "price_version": ""},
        {"at": ago(hours=2), "status": "error"},
    )
    traffic = process.read("figures", seconds=60)["traffic"]
    assert (traffic["requests"], traffic["failed"], traffic["refused"], traffic["throttled"]) == (
        104,
        1,
        1,
        1,
    )
    assert (traffic["cached"], traffic["unpriced"], traffic["requests_per_minute"]) == (1, 1, 104)
    assert traffic["error_percent"] == pytest.approx(100 / 103, abs=0.01)
    assert 145 <= traffic["latency_ms_p50"] <= 150
    assert 193 <= traffic["latency_ms_p95"] <= 196


def test_money_of_the_day_and_the_month_with_its_forecast(process):
    used(
        process,
        {"at": ago(days=3)},
        {"at": ago(days=10), "key_name": "other", "team": "lab"},
        {"at": ago(days=3), "cached": True, "cost_microusd": 0, "saved_microusd": 500_000},
        {"at": ago(days=40), "cost_microusd": 8_000_000},
        {"at": ago(days=46), "cost_microusd": 0},
    )
    spending = process.read("figures")["spending"]
    assert spending["usd_month"] == 2
    assert spending["usd_month_forecast"] == 4  # half of the month is over
    assert spending["usd_last_month"] == process.read("last_month_usd") == 8
    assert spending["saved_usd_month"] == 0.5


def test_a_month_that_was_served_in_part_says_nothing_about_growth(process):
    used(process, {"at": ago(days=20)})
    assert process.read("last_month_usd") is None


def test_each_budget_counts_what_it_is_for(process):
    used(
        process,
        {"at": ago(days=1)},
        {"at": NOW.timestamp() + 60, "key_name": "app", "cost_microusd": 3_000_000},
        {
            "at": NOW.timestamp() + 60,
            "key_name": "other",
            "team": "lab",
            "model": "gpt-4o",
            "cost_microusd": 1_000_000,
        },
    )
    budgets = process.read("figures")["budgets"]
    assert {name: budget["spent_usd"] for name, budget in budgets.items()} == {
        "all": 5,
        "each": 3,
        "gpt": 4,
        "team": 4,
    }
    assert budgets["all"]["percent"] == 50
    assert budgets["all"]["forecast_percent"] == 100
