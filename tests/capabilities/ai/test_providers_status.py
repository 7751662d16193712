"""ai.providers-status: states, uptime with its error budget, limits, growth, and models that end."""

from __future__ import annotations

import json

import pytest

import ai_usage_rig
from ai_usage_rig import NOW, at
from datareeve.capabilities.ai.declared import Answered
from datareeve.capabilities.ai.operations import providers_status
from datareeve.core import clock
from datareeve.core.operation import Severity
from datareeve.systems.gateway_store import Instance

SYSTEMS = {
    "openai": {"kind": "openai", "requests_per_minute": 100, "tokens_per_minute": 1_000_000},
    "claude": {"kind": "anthropic"},
}


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    store = request.getfixturevalue("database") if request.param == "postgresql" else None
    with ai_usage_rig.estate(tmp_path, store, systems=SYSTEMS) as made:
        made.store.heartbeat(Instance(id="gw-1", host="elsewhere", address="10.0.0.1:4141"))
        yield made


def rules(plan):
    return {(one.rule, one.subject) for one in plan.findings}


def test_states_uptime_and_the_error_budget_are_counted(world):
    world.requests(
        {"at": at(23, 11.9), "times": 990, "every": 0.1},
        {"at": at(23, 11.9), "times": 10, "status": "error", "http_status": 503},
        {"at": at(23, 11.9), "times": 500, "every": 0.1, "status": "error", "http_status": 400},  # the caller's own
        {"at": at(23, 11.9), "times": 70, "status": "refused", "http_status": 429, "provider": "", "model": ""},
        {"at": at(23, 11.8), "times": 5, "provider": "claude", "model": "claude-sonnet-5", "status": "broken", "cost_microusd": 0},
    )  # fmt: skip
    plan = world.plan("providers-status")
    told = {one["provider"]: one for one in plan.figures["providers"]}
    assert (told["openai"]["state"], told["openai"]["unanswered"], told["openai"]["requests"]) == (
        "up",
        10,
        1500,
    )
    assert (told["claude"]["state"], told["claude"]["answered_percent"]) == ("down", 0.0)
    assert plan.figures["api_availability"] == "degraded"
    assert plan.figures["api_uptime_percent"] == round(100 * 1490 / 1505, 4)
    assert (plan.figures["api_errors"], plan.figures["api_errors_allowed"]) == (15, 1.5)
    assert {("provider-down", "claude"), ("uptime-missed", "gateway")} <= rules(plan)
    assert next(one for one in plan.findings if one.rule == "provider-down").severity is Severity.CRITICAL


HEARD = at(23, 11.5)


def told(*limits, **sharing):
    row = {
        "model": "gpt-4.1",
        "kind": "requests",
        "left": 50,
        "limit": 1000,
        "full_in": 3.5,
        "heard_at": HEARD,
    }
    detail = {"limits": [{**row, **one} for one in limits], "sharing": [{"instances": 2, "alone_since": None, "trouble": "", **sharing}]}  # fmt: skip
    return json.dumps(detail)


def test_what_providers_say_of_their_own_limits_is_shown_with_the_time(world):
    earlier = {"key": "openai:pk_openai_1", "left": 900, "heard_at": HEARD - 60}
    world.store.heartbeat(Instance(id="gw-1", host="elsewhere", detail=told({"key": "openai:pk_openai_1"})))
    world.store.heartbeat(Instance(id="gw-2", host="elsewhere", detail=told(earlier)))
    plan = world.plan("providers-status")
    assert plan.figures["provider_limits"] == [
        {
            "provider": "openai",
            "key": "pk_openai_1",
            "model": "gpt-4.1",
            "kind": "requests",
            "left": 50,
            "limit": 1000,
            "full_in_seconds": 3.5,
            "heard_at": "2026-11-23T11:30:00Z",
            "used_percent": 95.0,
        }
    ]
    assert plan.figures["api_limit_used_percent"] == 95.0
    (near,) = [one for one in plan.findings if one.rule == "near-rate-limit"]
    assert "pk_openai_1 for gpt-4.1 is used (2026-11-23T11:30:00Z)" in near.what
    assert plan.figures["limits_shared"] == "by 2 processes"


def test_who_is_alone_with_its_limits_is_told(world):
    alone = told(alone_since=HEARD, trouble="lease.unreachable")
    world.store.heartbeat(Instance(id="gw-1", host="elsewhere", detail=alone))
    plan = world.plan("providers-status")
    assert plan.figures["limits_shared"].startswith("1 of 1 alone since 2026-11-23T11:30:00Z")
    assert ("limits-not-shared", "gateway") in rules(plan)


def test_a_gateway_that_was_killed_makes_no_provider_look_down_and_is_told_itself(world):
    world.requests(
        {"at": at(23, 11.9), "times": 5, "status": "interrupted", "http_status": 0, "error": "gateway.interrupted"},
        {"at": at(23, 11.9), "times": 5, "status": "disconnected", "http_status": 499},
        {"at": at(23, 11.9), "times": 10},
    )  # fmt: skip
    plan = world.plan("providers-status")
    (told,) = [one for one in plan.figures["providers"] if one["provider"] == "openai"]
    assert (told["state"], told["requests"], told["unanswered"], told["answered_percent"]) == ("up", 10, 0, 100.0)  # fmt: skip
    assert (plan.figures["api_uptime_percent"], plan.figures["api_requests"]) == (100.0, 10)
    assert plan.figures["api_gateway_faults"] == 5
    assert rules(plan) == {("gateway-faults", "gateway")}


def test_how_near_the_limits_the_busiest_minute_came(world):
    world.requests({"at": at(23, 11.9), "times": 90, "every": 0.1})
    plan = world.plan("providers-status")
    assert plan.figures["api_limit_used_percent"] == 90.0  # of requests; of tokens 10.8
    assert ("near-rate-limit", "openai") in rules(plan)
    assert plan.figures["api_response_ms"] == 400.0


def test_growth_is_beside_the_last_whole_month_and_not_known_without_it(world):
    world.requests(
        {"at": at(1, 1, month=10), "cost_microusd": 10_000_000}, {"at": at(2), "cost_microusd": 30_000_000}
    )
    plan = world.plan("providers-status")
    share = (NOW.timestamp() - at(1, 0)) / (30 * 86_400)
    assert plan.figures["ai_cost_growth_percent"] == pytest.approx(100 * (30 / share / 10 - 1), abs=0.1)
    assert ("cost-grows", "gateway") in rules(plan)


def test_models_in_use_that_end_soon_are_named(world):
    world.requests({"at": at(22), "provider": "claude", "model": "claude-sonnet-4-5", "times": 2})
    plan = world.plan("providers-status")
    (ending,) = [one for one in plan.findings if one.rule == "model-ends"]
    assert (ending.subject, ending.severity, ending.figures["days"]) == (
        "claude-sonnet-4-5-20250929",
        Severity.CRITICAL,
        7,
    )
    assert ending.mended_by == "ai.plan-model-migration"
    assert plan.figures["model_days_left"] == 7


def test_idle_providers_are_not_called_up_and_nothing_is_made_up(world):
    plan = world.plan("providers-status")
    assert {one["state"] for one in plan.figures["providers"]} == {"idle"}
    assert not {"api_uptime_percent", "api_response_ms", "ai_cost_growth_percent"} & plan.figures.keys()
    assert plan.figures["api_availability"] == "up"
    world.store.instance_stopped("gw-1", behind=0)
    assert world.plan("providers-status").figures["api_availability"] == "down"


@pytest.mark.parametrize(
    ("verdict", "state"), [("not well", "down"), ("unreachable", "down"), ("throttled", "up")]
)
def test_a_provider_that_is_ill_now_is_not_called_up_for_what_it_answered_before(
    world, monkeypatch, verdict, state
):
    world.requests({"at": at(23, 11.9), "times": 100, "every": 0.1})
    monkeypatch.setattr(providers_status, "answered", lambda _systems, _name: Answered(verdict=verdict))
    plan = world.plan("providers-status", probe=True)
    assert next(one for one in plan.figures["providers"] if one["provider"] == "openai")["state"] == state
    assert (("provider-down", "openai") in rules(plan)) is (state == "down")


def test_without_a_gateway_it_says_so(tmp_path):
    with ai_usage_rig.estate(tmp_path, gateway=None) as world:
        plan = world.plan("providers-status")
        assert plan.figures["api_availability"] == "not configured"
        assert plan.findings == ()
