"""Advice on cost: each finding's figure is what the recorded requests would have cost less, worked out by hand here."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai_usage_rig
from ai_usage_rig import NOW, at
from datareeve.capabilities.ai.pricing import Pricing
from datareeve.capabilities.ai.rules.cost import cheaper_model, duplicate_calls
from datareeve.core import clock
from datareeve.core.operation import Severity
from datareeve.systems.gateway_store import StoredVirtualKey

A_MONTH = 365.25 / 12 / 7


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with ai_usage_rig.estate(tmp_path) as made:
        yield made


def found(world, rule, **inputs):
    plan = world.plan("advise-cost", **inputs)
    assert not plan.steps
    return [one for one in plan.findings if one.rule == rule]


def shown_again(world, finding):
    """What the finding's own command gives: the rows of its query."""
    sql = re.fullmatch(r'datareeve run ai\.usage --sql "(.*)"', finding.figures["proof"])[1]
    return world.plan("usage", sql=sql).figures["rows"]


def test_nothing_is_advised_where_nothing_is_wasted(world):
    world.requests(
        *(
            {"at": at(20), "digest": f"d{n}", "model": "gpt-6-luna", "cost_microusd": 1_000_000}
            for n in range(5)
        )
    )
    plan = world.plan("advise-cost")
    assert plan.findings == ()
    assert plan.summary == "5.00 USD in the last 7 days: 0 findings."


# -- duplicates ------------------------------------------------------------------------------------------------------------------


def test_equal_questions_are_counted_by_replaying_the_cache(world):
    world.requests(
        {"at": at(20), "times": 11, "every": 20, "digest": "d1", "cost_microusd": 1_000_000},
        {"at": at(21), "times": 2, "every": 60, "digest": "d2", "cost_microusd": 500_000, "team": "a"},
        {"at": at(21), "digest": "d2", "cost_microusd": 500_000, "team": "b"},
    )  # fmt: skip
    (finding,) = found(world, "duplicate-calls")
    assert (finding.figures["usd"], finding.figures["hits"], finding.figures["seconds"]) == (10.5, 11, 300.0)
    assert finding.figures["usd_month"] == round(10.5 * A_MONTH, 4)
    rows = shown_again(world, finding)
    assert [row[2:] for row in rows] == [[11, 10_000_000], [2, 500_000]]
    assert finding.instead.startswith("`datareeve run ai.set-cache --model chat --seconds 300`")


def test_a_longer_time_is_proposed_where_it_saves_more(world):
    world.requests({"at": at(20), "times": 11, "every": 350, "digest": "d1", "cost_microusd": 1_000_000})
    (finding,) = found(world, "duplicate-calls")
    assert (finding.figures["seconds"], finding.figures["usd"]) == (3600.0, 10.0)


asked = st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.integers(0, 1000)), max_size=20).map(
    sorted
)


@given(st.lists(asked, max_size=5), st.floats(0, 1e5))
def test_a_cache_saves_no_more_than_all_but_the_first_and_a_longer_one_no_less(questions, seconds):
    hits, saved = duplicate_calls.replayed(questions, seconds)
    assert hits <= sum(max(len(one) - 1, 0) for one in questions)
    assert saved <= sum(cost for one in questions for _, _, cost in one[1:])
    assert duplicate_calls.replayed(questions, 1e9)[0] >= hits


# -- prefixes --------------------------------------------------------------------------------------------------------------------


def test_a_prefix_that_is_not_cached_is_priced_with_its_writes(world):
    # claude-sonnet-4-5: 3 USD a million, 0.30 from the cache, 3.75 to write to it. 100 requests, a minute apart: written once.
    row = {
        "provider": "claude",
        "model": "claude-sonnet-4-5",
        "prefix": "p1",
        "prefix_tokens": 10_000,
        "input": 11_000,
        "cost_microusd": 40_000,
    }
    world.requests({**row, "at": at(20), "times": 100, "every": 60})
    (finding,) = found(world, "cacheable-prefix")
    now, then = 100 * 10_000 * 3, 10_000 * (3.75 + 99 * 0.3)
    assert finding.figures["usd"] == pytest.approx((now - then) / 1e6, abs=1e-6)
    assert finding.figures["writes"] == 1
    assert "cache_control" in finding.instead
    assert shown_again(world, finding)[0][:2] == [100, 10_000]


def test_silences_longer_than_the_cache_keeps_are_writes_and_may_cost_more_than_they_save(world):
    row = {
        "provider": "claude",
        "model": "claude-sonnet-4-5",
        "prefix": "p1",
        "prefix_tokens": 10_000,
        "input": 11_000,
        "cost_microusd": 40_000,
    }
    world.requests({**row, "at": at(18), "times": 100, "every": 600})
    assert found(world, "cacheable-prefix") == []
    world.requests(*({**row, "prefix": "p2", "at": at(20) + after} for after in (0, 100, 401, 402, 1000)))
    (seen,) = world.control.read("prefixes", since=at(19), until=at(21))
    assert (seen["prefix"], seen["requests"], seen["writes"]) == ("p2", 5, 3)


def test_what_is_cached_already_or_too_short_to_be_is_left_alone(world):
    row = {
        "provider": "claude",
        "model": "claude-sonnet-4-5",
        "prefix_tokens": 10_000,
        "input": 11_000,
        "cost_microusd": 40_000,
        "at": at(20),
        "times": 100,
    }
    world.requests(
        {**row, "prefix": "p1", "cache_read": 10_000},
        {**row, "prefix": "p2", "prefix_tokens": 900},
        {**row, "prefix": "p3", "model": "claude-opus-4-5", "prefix_tokens": 3000},
    )  # fmt: skip
    assert found(world, "cacheable-prefix") == []


def test_openai_caches_by_itself_so_that_the_advice_is_another(world):
    row = {
        "model": "gpt-4.1",
        "prefix": "p1",
        "prefix_tokens": 20_000,
        "input": 21_000,
        "cost_microusd": 42_000,
    }
    world.requests({**row, "at": at(20), "times": 50, "every": 30})
    (finding,) = found(world, "cacheable-prefix")
    assert "prompt_cache_key" in finding.instead
    assert finding.figures["usd"] == pytest.approx(
        (50 * 20_000 * 2 - 20_000 * (2 + 49 * 0.5)) / 1e6, abs=1e-6
    )


# -- batches, loops, failures ----------------------------------------------------------------------------------------------------


def test_crowds_that_nobody_waits_for_are_half_price_in_a_batch(world):
    world.requests(
        {"at": at(20), "times": 120, "every": 1, "key_name": "nightly", "cost_microusd": 50_000},
        {"at": at(20), "times": 120, "every": 1, "key_name": "people", "cost_microusd": 50_000, "stream": True},
        {"at": at(20), "times": 100, "every": 10, "key_name": "slow", "cost_microusd": 50_000},
    )  # fmt: skip
    (finding,) = found(world, "batchable")
    assert (finding.subject, finding.figures["usd"], finding.figures["batch_share"]) == (
        "nightly openai/gpt-4.1-mini",
        3.0,
        0.5,
    )
    assert sum(row[1] for row in shown_again(world, finding)) == 120


def test_a_loop_is_told_with_its_key_and_when(world):
    world.requests({"at": at(20), "times": 300, "every": 1, "digest": "d1", "cost_microusd": 10_000})
    (finding,) = found(world, "runaway-loop")
    assert finding.severity is Severity.CRITICAL
    assert (
        "checkout sent one and the same question to chat 300 times within ten minutes from 2026-11-20 12:00 UTC"
        in finding.what
    )
    assert finding.figures["usd"] == 3.0
    assert len(shown_again(world, finding)) == 100  # as many as are shown


def test_hours_far_beyond_the_usual_are_told(world):
    usual = [{"at": at(18, hour), "times": 20, "cost_microusd": 1000} for hour in range(20)]
    world.requests(*usual, {"at": at(19, 3), "times": 1000, "every": 3, "cost_microusd": 1000})
    (finding,) = found(world, "excessive-calls")
    assert (finding.figures["usual"], finding.figures["requests"], finding.figures["usd"]) == (20, 1000, 0.98)
    assert shown_again(world, finding)[0][1] == 1000


def test_requests_that_cannot_succeed_and_many_attempts_are_told(world):
    world.requests(
        {"at": at(20), "times": 15, "digest": "bad", "status": "error", "http_status": 400, "error": "provider.invalid", "cost_microusd": 0},
        {"at": at(20), "times": 100, "attempts": 2, "model": "gpt-4.1"},
    )  # fmt: skip
    (again,) = found(world, "failing-again")
    assert again.figures["requests"] == 15
    assert len(shown_again(world, again)) == 15
    (retries,) = found(world, "failing-retries")
    assert (retries.subject, retries.figures["attempts"], retries.figures["requests"]) == (
        "openai/gpt-4.1",
        200,
        100,
    )
    assert shown_again(world, retries) == [["ok", 100, 200]]


def test_keys_that_nobody_uses_are_told(world):
    for name, added in (("old", at(1, month=9)), ("new", at(22)), ("used", at(1, month=9))):
        world.store.add_virtual_key(
            StoredVirtualKey(id=f"id-{name}", digest=name.encode() * 8, name=name, added_at=added)
        )
    world.requests({"at": at(22), "virtual_key": "id-used"})
    assert [one.subject for one in found(world, "idle-key")] == ["id-old"]


# -- cheaper models --------------------------------------------------------------------------------------------------------------

GOOD = {"prompts": 50, "answered": 50, "errors": {}, "exact_percent": 40.0, "same_form_percent": 100.0, "schema_before_percent": 100.0,
        "schema_now_percent": 100.0, "empty_percent": 0.0, "usd_before": 1.0, "usd": 0.25, "usd_change_percent": -75.0}  # fmt: skip


def record(world, **changes):
    folder = world.folder / ".datareeve" / "gateway" / "replays"
    folder.mkdir(parents=True, exist_ok=True)
    told = {
        "at": "2026-11-22T10:00:00+00:00",
        "run": "r1",
        "target": "openai/gpt-6-luna",
        "asked": "chat",
        "models": ["chat", "openai/gpt-4.1"],
    }
    (folder / "r.json").write_text(json.dumps({**told, "figures": {**GOOD, **changes}}))


def test_a_cheaper_model_is_a_question_until_it_was_replayed_and_then_a_figure(world):
    world.requests(
        {
            "at": at(20),
            "times": 100,
            "model": "gpt-4.1",
            "input": 100_000,
            "output": 10_000,
            "cost_microusd": 280_000,
        }
    )
    (untried,) = found(world, "cheaper-model-untried")
    assert untried.severity is Severity.INFO
    assert "ai.replay --model openai/gpt-6-luna --asked chat" in untried.instead
    assert "not proved" in untried.figures["computed"]
    record(world)
    assert found(world, "cheaper-model-untried") == []
    (proved,) = found(world, "cheaper-model")
    assert proved.figures["usd"] == 21.0
    assert proved.figures["replay_exact_percent"] == 40.0


@pytest.mark.parametrize(
    "worse",
    [
        {"answered": 49}, {"schema_now_percent": 90.0}, {"empty_percent": 2.0}, {"usd_change_percent": -5.0}, {"prompts": 10, "answered": 10},
        {"same_form_percent": 80.0}, {"same_tools_percent": 50.0},
    ],
)  # fmt: skip
def test_a_model_that_does_worse_in_anything_measured_is_not_advised(world, worse):
    world.requests(
        {
            "at": at(20),
            "times": 100,
            "model": "gpt-4.1",
            "input": 100_000,
            "output": 10_000,
            "cost_microusd": 280_000,
        }
    )
    record(world, **worse)
    assert found(world, "cheaper-model") == []
    assert not cheaper_model.as_good({**GOOD, **worse})


# -- as a whole ------------------------------------------------------------------------------------------------------------------


def test_names_that_look_like_sql_or_shell_stay_names(world):
    name = "o'x\"; `rm` $(x) -- "
    world.requests(
        {
            "at": at(20),
            "times": 30,
            "digest": "d1",
            "asked_model": name,
            "cost_microusd": 1_000_000,
            "key_name": name,
        }
    )
    for finding in world.plan("advise-cost").findings:
        proof = finding.figures["proof"]
        assert not re.search(r"[`$\\]", proof)
        if "--sql" in proof:
            shown_again(world, finding)


def test_small_requests_are_priced_without_rounding_each(world):
    pricing = Pricing(world.app.preview(world.app.catalogue.make("ai.advise-cost", {})) and declared(world))
    assert pricing.microusd(
        "openai/gpt-4.1-mini", {"requests": 1_000_000, "input": 1_000_000, "output": 0}
    ) == pytest.approx(400_000, rel=1e-3)
    assert pricing.microusd(
        "openai/gpt-4.1-mini", {"requests": 10, "input": 2_000_000, "output": 1000}, batch=True
    ) == pytest.approx(400_800, rel=1e-3)
    assert pricing.microusd("nowhere/x", {"requests": 1, "input": 1}) is None


def declared(world):
    from datareeve.capabilities.ai import declared as declaring  # noqa: PLC0415 - only here

    return declaring.declared(world.app.systems)
