"""ai.usage and ai.explain-bill over requests whose sums are known."""

from __future__ import annotations

import json

import pytest

import ai_usage_rig
from ai_usage_rig import NOW, at
from datareeve.capabilities.ai import bills, periods
from datareeve.core import clock
from datareeve.core.errors import BadInput


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with ai_usage_rig.estate(tmp_path) as made:
        yield made


def test_usage_is_told_in_dollars_and_means_and_the_dearest_is_named(world):
    world.requests(
        {"at": at(20), "times": 4, "cost_microusd": 250_000, "total_ms": 100.0},
        {"at": at(21), "model": "gpt-4.1", "cost_microusd": 2_000_000, "total_ms": 300.0, "status": "error", "http_status": 500},
        {"at": at(21), "status": "refused", "model": "", "provider": "", "cost_microusd": 0},
    )  # fmt: skip
    plan = world.plan("usage")
    assert plan.summary == (
        "6 requests and 3.00 USD in the last 30 days; by model: openai/gpt-4.1 2.00 USD, openai/gpt-4.1-mini 1.00 USD, (not sent) 0.00 USD."
    )
    assert not plan.steps
    first = plan.figures["rows"][0]
    assert (first["model"], first["failed"], first["usd"], first["ms_mean"]) == (
        "openai/gpt-4.1",
        1,
        2.0,
        300.0,
    )
    team = world.plan("usage", by=["team", "status"], since="2026-11-20", until="2026-11-20")
    assert [(row["team"], row["requests"]) for row in team.figures["rows"]] == [("shop", 4)]


def test_usage_answers_a_question_in_sql_and_says_when_rows_are_left_out(world):
    world.requests({"at": at(20), "times": 5})
    plan = world.plan("usage", sql="SELECT id, cost_microusd FROM usage", most=2)
    assert plan.figures["columns"] == ["id", "cost_microusd"]
    assert len(plan.figures["rows"]) == 2
    assert "first 2 are shown" in plan.summary


@pytest.mark.parametrize(
    ("field", "value"), [("since", "yesterday"), ("until", "2026-13-45"), ("since", "2027-01-01")]
)
def test_a_time_that_is_none_is_refused_with_an_example(world, field, value):
    with pytest.raises(BadInput) as refused:
        world.plan("usage", **{field: value, **({"until": "2026-11-01"} if value == "2027-01-01" else {})})
    assert refused.value.code == "usage.day"


def test_a_month_is_compared_with_the_same_days_of_the_one_before(world):
    this, that = periods.month(None, NOW)
    assert (this.words, that.words) == ("2026-11 so far", "2026-10 up to the same day")
    assert this.until - this.since == that.until - that.since
    whole, before = periods.month("2026-10", NOW)
    assert (whole.days, before.days) == (31, 30)
    march, february = periods.month("2026-03", NOW)
    assert (march.days, february.days) == (31, 28)
    with pytest.raises(BadInput):
        periods.month("2027-01", NOW)


def test_the_bill_says_what_grew_by_requests_and_by_what_one_costs(world):
    world.requests(
        {"at": at(1, 1, month=10), "times": 100, "every": 60, "cost_microusd": 10_000, "key_name": "checkout"},
        {"at": at(2, 1), "times": 150, "every": 60, "cost_microusd": 20_000, "key_name": "checkout"},
        {"at": at(3, 1), "times": 2, "cost_microusd": 500_000, "key_name": "search", "model": "gpt-4.1"},
    )  # fmt: skip
    plan = world.plan("explain-bill")
    assert plan.figures["usd"] == 4.0
    assert plan.figures["usd_before"] == 1.0
    assert plan.figures["usd_growth_percent_so_far"] == 300.0
    drivers = {one["name"]: one for one in plan.figures["drivers_by_key"]}
    assert (
        drivers["checkout"]["usd"],
        drivers["checkout"]["by_requests"],
        drivers["checkout"]["by_each"],
    ) == (2.0, 0.5, 1.5)
    assert (drivers["search"]["usd"], drivers["search"]["by_requests"], drivers["search"]["by_each"]) == (
        1.0,
        1.0,
        0.0,
    )
    (grew,) = [one for one in plan.findings if one.rule == "bill-grew"]
    assert "300 % more" in grew.what


def test_a_bill_is_made_of_kinds_of_token_and_what_they_do_not_explain_is_said(world):
    # gpt-4.1-mini in November 2026: 0.40 USD a million in, 1.60 out, 0.10 from the cache.
    world.requests(
        {
            "at": at(2),
            "times": 10,
            "input": 1_000_000,
            "cache_read": 500_000,
            "output": 100_000,
            "cost_microusd": 500_000,
        }
    )
    made = world.plan("explain-bill").figures["usd_made_of"]
    assert made == {
        "prompts": 2.0, "answers": 1.6, "prompts read from the provider's cache": 0.5, "long prompts, batches, and what had another price or none": 0.9,
    }  # fmt: skip
    assert sum(made.values()) == pytest.approx(5.0)


def test_requests_without_a_price_and_estimates_are_not_silent(world):
    world.requests(
        {"at": at(2), "times": 3, "model": "our-own", "price_version": "", "cost_microusd": 0},
        {"at": at(2), "times": 2, "estimated": True, "cost_microusd": 5000, "status": "broken"},
        {"at": at(2), "cost_microusd": 10_000},
    )  # fmt: skip
    plan = world.plan("explain-bill")
    assert {one.rule for one in plan.findings} == {"no-price", "bill-estimated", "nothing-before"}
    assert plan.figures["unpriced"] == 3
    assert plan.figures["estimated_percent"] == 50.0
    assert world.plan("explain-bill", provider="claude").figures["estimated_percent"] == 0.0
    assert "our-own" in next(one.what for one in plan.findings if one.rule == "no-price")


OPENAI_COSTS = {"object": "page", "data": [{"object": "bucket", "start_time": int(at(2, 0)), "end_time": int(at(3, 0)), "results": [
    {"object": "organization.costs.result", "amount": {"value": 0.05, "currency": "usd"}, "line_item": None}]}]}  # fmt: skip
OPENAI_USAGE = {"object": "page", "data": [{"object": "bucket", "start_time": int(at(2, 0)), "end_time": int(at(3, 0)), "results": [
    {"input_tokens": 10_000, "output_tokens": 2000, "input_cached_tokens": 0, "num_model_requests": 10, "model": "gpt-4.1-mini"},
    {"input_tokens": 500, "output_tokens": 2, "num_model_requests": 1, "model": "gpt-4.1"}]}]}  # fmt: skip
ANTHROPIC_COST = {"data": [{"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-03T00:00:00Z", "results": [
    {"currency": "USD", "amount": "5.00"}]}], "has_more": False}  # fmt: skip
ANTHROPIC_USAGE = {"data": [{"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-03T00:00:00Z", "results": [
    {"uncached_input_tokens": 8000, "cache_read_input_tokens": 1500, "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 0},
     "output_tokens": 2000, "model": "gpt-4.1-mini"}]}]}  # fmt: skip


@pytest.mark.parametrize("report", [OPENAI_COSTS, ANTHROPIC_COST])
def test_the_providers_invoice_is_held_against_ours(world, report):
    world.requests({"at": at(2), "times": 10, "cost_microusd": 5000}, {"at": at(3), "cost_microusd": 77})
    (world.folder / "count.json").write_text(json.dumps(report))
    plan = world.plan("explain-bill", provider="openai", count="count.json")
    assert plan.figures["reconciled"] == [
        {"model": "all", "of": "usd", "provider": 0.05, "gateway": 0.05, "difference_percent": 0.0}
    ]
    assert not [one for one in plan.findings if one.rule == "count-apart"]


def test_a_difference_to_the_providers_count_is_told_with_its_likely_cause(world):
    world.requests({"at": at(2), "times": 10})
    (world.folder / "count.json").write_text(json.dumps(OPENAI_USAGE))
    plan = world.plan("explain-bill", provider="openai", count="count.json")
    told = {(row["model"], row["of"]): row for row in plan.figures["reconciled"]}
    assert told["gpt-4.1-mini", "input"]["difference_percent"] == 0.0
    assert told["gpt-4.1", "requests"] == {
        "model": "gpt-4.1",
        "of": "requests",
        "provider": 1.0,
        "gateway": 0.0,
        "difference_percent": -100.0,
    }
    apart = [one for one in plan.findings if one.rule == "count-apart"]
    assert {one.subject for one in apart} == {"requests", "input"}
    assert all("beside the gateway" in one.why for one in apart)


def test_anthropics_usage_counts_cached_parts_into_the_prompt():
    count = bills.parsed_count(json.dumps(ANTHROPIC_USAGE), "count.json")
    assert count.models["gpt-4.1-mini"]["input"] == 10_000
    assert count.kinds == ("input", "output", "cache_read", "cache_write")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"data": []}',
        '{"data": [{"results": [{}]}]}',
        '{"data": [1]}',
        "[" * 100_000,
        '{"data": {"a": 1}}',
    ],
)
def test_what_is_no_report_is_refused_by_name(text):
    with pytest.raises(BadInput, match=r"count\.json is no usage or cost report"):
        bills.parsed_count(text, "count.json")


def test_nothing_used_is_said_so(world):
    assert world.plan("explain-bill").summary == "Nothing passed through the gateway in 2026-11 so far."
    assert world.plan("usage").summary == "Nothing passed through the gateway in the last 30 days."


@pytest.mark.parametrize("operation", ["usage", "explain-bill"])
def test_how_many_requests_were_interrupted_is_said_and_that_their_cost_is_estimated(world, operation):
    world.requests(
        {"at": at(20), "times": 10},
        {"at": at(20), "times": 2, "status": "interrupted", "estimated": True, "cost_microusd": 1500},
    )
    (told,) = [one for one in world.plan(operation).findings if one.rule == "interrupted"]
    assert told.what == "2 requests were interrupted, and their cost of 0.003 USD is estimated."
    assert told.figures == {"requests": 2, "usd": 0.003}


def test_a_small_change_of_a_bill_is_told_without_an_exponent(world):
    world.requests(
        {"at": at(1, 0, month=10), "cost_microusd": 900_000}, {"at": at(2), "cost_microusd": 899_998}
    )
    plan = world.plan("explain-bill")
    assert "(-0.000002 USD)" in plan.summary
    assert "e-0" not in plan.summary
