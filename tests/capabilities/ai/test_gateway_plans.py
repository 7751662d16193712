"""Plans for the gateway: facts in, steps out. Nothing is read and nothing is asked."""

from copy import deepcopy
from datetime import date

import pytest

from datareeve.agent.watch import beyond, ended
from datareeve.capabilities.ai.declared import Answered, Declared, chat_model, embedding_model, proposed
from datareeve.capabilities.ai.keys import Key
from datareeve.capabilities.ai.operations.check_gateway import CheckGateway, CheckGatewayFacts
from datareeve.capabilities.ai.operations.drill_gateway import (
    NAMES,
    SENTENCES,
    DrillGateway,
    DrillGatewayFacts,
)
from datareeve.capabilities.ai.operations.providers_status import ProvidersStatus, ProvidersStatusFacts
from datareeve.capabilities.ai.operations.set_budget import SetBudget
from datareeve.capabilities.ai.operations.set_cache import SetCache
from datareeve.capabilities.ai.operations.set_fallback import SetFallback
from datareeve.capabilities.ai.operations.set_limits import SetLimits
from datareeve.capabilities.ai.operations.set_up_gateway import SetUpGateway, SetUpGatewayFacts
from datareeve.capabilities.ai.operations.watch_gateway import WatchGateway, WatchGatewayFacts
from datareeve.capabilities.ai.setting import SettingFacts
from datareeve.core.errors import BadInput
from datareeve.core.estate import AlertRule, Estate, Targets

OPENAI = {"kind": "openai", "keys": ["env:OPENAI_API_KEY"]}
CLAUDE = {"kind": "anthropic", "keys": ["env:ANTHROPIC_API_KEY"]}
ANSWERS = {
    "openai": Answered(ok=True, verdict="works", status=200, models=("gpt-4.1", "gpt-4.1-mini", "text-embedding-3-small", "whisper-1")),
    "anthropic": Answered(ok=True, verdict="works", status=200, models=("claude-haiku-4-5-20251001", "claude-sonnet-4-5-20250929")),
}  # fmt: skip
BOTH = Declared(
    providers={"openai": OPENAI, "anthropic": CLAUDE},
    gateway={"listen": "127.0.0.1:4141", "models": {"chat": {"targets": ["openai/gpt-4.1"]}}},
)
SET = SettingFacts(declared=BOTH, running=True, answers=ANSWERS)
FRESH = SetUpGatewayFacts(
    declared=Declared(), proposed={"openai": OPENAI, "anthropic": CLAUDE}, answers=ANSWERS
)


def with_gateway(**changed):
    return SET.model_copy(
        update={"declared": BOTH.model_copy(update={"gateway": {**BOTH.gateway, **changed}})}
    )


def called(plan):
    """What each step would set."""
    found = {}
    for step in plan.all_steps():
        arguments = step.call.arguments
        found[step.id] = arguments.get("values", arguments.get("value"))
    return found


# -- set-up-gateway ----------------------------------------------------------------------------------------------------------------


def test_providers_are_proposed_by_their_usual_variables_and_their_keys_stay_there():
    found = proposed(
        {"OPENAI_API_KEY": True, "ANTHROPIC_API_KEY": False}, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    )
    assert found == {"openai": {**OPENAI, "base_url": "http://127.0.0.1:9/v1"}}


def test_set_up_declares_providers_names_and_starts():
    plan = SetUpGateway().plan(FRESH)
    assert [step.id for step in plan.steps] == ["provider openai", "provider anthropic", "gateway", "start"]
    assert called(plan)["gateway"] == {
        "listen": "127.0.0.1:4141",
        "models": {
            "chat": {"targets": ["openai/gpt-4.1"]},
            "embeddings": {"targets": ["openai/text-embedding-3-small"]},
        },
    }
    assert all(step.undo for step in plan.steps)
    assert plan.fingerprint == SetUpGateway().plan(FRESH).fingerprint
    Estate.model_validate(
        {"systems": SetUpGateway().after(FRESH).providers, "gateway": called(plan)["gateway"]}
    )


def test_without_provider_and_variable_the_plan_says_what_to_paste():
    plan = SetUpGateway().plan(SetUpGatewayFacts(declared=Declared()))
    assert plan.steps == ()
    assert "systems: {openai: {kind: openai, keys: [env:OPENAI_API_KEY]}}" in plan.blockers[0]
    for operation in (SetLimits(), SetFallback(), SetCache(), SetBudget()):
        blocked = operation.plan(
            SettingFacts(declared=Declared(), set_up=SetUpGatewayFacts(declared=Declared()))
        )
        assert blocked.operation == operation.name
        assert blocked.blockers == plan.blockers


def test_where_every_key_is_refused_the_plan_stops():
    refused = {name: Answered(ok=False, verdict="refused", status=401) for name in ANSWERS}
    plan = SetUpGateway().plan(FRESH.model_copy(update={"answers": refused}))
    assert plan.steps == ()
    assert plan.blockers[0] == (
        "openai does not take its key (refused, status 401): put a valid one at env:OPENAI_API_KEY, "
        "then again: `datareeve run ai.set-up-gateway`"
    )


def test_a_variable_with_an_old_key_keeps_nothing_from_being_set_up():
    answers = {**ANSWERS, "anthropic": Answered(ok=False, verdict="refused", status=401)}
    plan = SetUpGateway().plan(FRESH.model_copy(update={"answers": answers}))
    assert [step.id for step in plan.steps] == ["provider openai", "gateway", "start"]
    (found,) = [f for f in plan.findings if f.rule == "key-refused"]
    assert found.what.endswith("it is left out.")
    assert found.instead == (
        "Put a valid one at env:ANTHROPIC_API_KEY, then: "
        "`datareeve run ai.add-provider --kind anthropic --key env:ANTHROPIC_API_KEY`"
    )


def test_a_model_that_nobody_has_is_a_blocker():
    assert "No provider has a model 'gpt-99'" in SetUpGateway(model="gpt-99").plan(FRESH).blockers[0]
    given = SetUpGateway(model="openai/gpt-99").plan(
        FRESH
    )  # named with its provider: it may be one that is not listed
    assert called(given)["gateway"]["models"]["chat"] == {"targets": ["openai/gpt-99"]}


def test_a_gateway_without_names_gets_some_and_keeps_the_rest():
    own = Declared(providers={"openai": OPENAI}, gateway={"listen": "127.0.0.1:7000", "max_body_mb": 8})
    facts = SetUpGatewayFacts(declared=own, answers=ANSWERS, running=True, current=True)
    plan = SetUpGateway().plan(facts)
    assert called(plan)["gateway"] == {
        "models": {
            "chat": {"targets": ["openai/gpt-4.1"]},
            "embeddings": {"targets": ["openai/text-embedding-3-small"]},
        }
    }
    assert SetUpGateway().after(facts).gateway["max_body_mb"] == 8


def test_a_provider_that_cannot_be_asked_is_told_and_taken():
    unknown = {name: Answered(verdict="unreachable") for name in ANSWERS}
    plan = SetUpGateway().plan(FRESH.model_copy(update={"answers": unknown}))
    assert {finding.rule for finding in plan.findings} == {"provider-not-tried", "not-a-service"}
    assert called(plan)["gateway"]["models"]["chat"] == {"targets": ["openai/gpt-5.4"]}


def test_set_up_twice_is_quiet_and_starts_what_does_not_run():
    stands = SetUpGatewayFacts(declared=BOTH, answers=ANSWERS, running=True, current=True)
    assert SetUpGateway().plan(stands).nothing_to_do
    assert [step.id for step in SetUpGateway().plan(stands.model_copy(update={"running": False})).steps] == [
        "start"
    ]


def test_an_owner_s_gateway_is_left_as_it_is_but_for_what_is_asked():
    stands = SetUpGatewayFacts(declared=BOTH, answers=ANSWERS)
    plan = SetUpGateway(model="anthropic/claude-haiku-4-5-20251001").plan(stands)
    models = called(plan)["gateway"]["models"]
    assert models["chat"] == {"targets": ["anthropic/claude-haiku-4-5-20251001"]}


def test_an_address_that_is_taken_is_a_blocker():
    plan = SetUpGateway().plan(FRESH.model_copy(update={"free_port": None}))
    assert "Another program listens" in plan.blockers[0]
    running = SetUpGatewayFacts(declared=BOTH, answers=ANSWERS, running=True)
    assert "stop it before" in SetUpGateway(listen="127.0.0.1:9999").plan(running).blockers[0]


@pytest.mark.parametrize(
    ("kind", "models", "wanted"),
    [
        ("openai", ("gpt-4o", "gpt-4.1-2025-04-14"), "gpt-4.1-2025-04-14"),
        ("openai", ("smollm2",), "smollm2"),
        ("openai", ("nomic-embed-text", "llama3"), "llama3"),
        ("openai", (), "gpt-5.4"),
        ("anthropic", ("claude-sonnet-4-5-20250929", "claude-opus-9"), "claude-sonnet-4-5-20250929"),
    ],
)
def test_the_model_behind_chat_is_one_that_the_provider_has(kind, models, wanted):
    assert chat_model({"kind": kind}, models) == wanted


def test_of_a_server_that_lists_nothing_no_model_is_guessed():
    entry = {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}
    assert chat_model(entry, ()) == embedding_model(entry, ()) == ""
    plan = SetUpGateway().plan(
        SetUpGatewayFacts(declared=Declared(), proposed={"openai": {**OPENAI, **entry}})
    )
    assert "models" not in called(plan)["gateway"]
    assert "no-route" in {finding.rule for finding in plan.findings}


# -- what is set upon it -----------------------------------------------------------------------------------------------------------


def test_limits_give_each_route_what_it_lacks_and_leave_what_it_has():
    facts = with_gateway(models={"chat": {"targets": ["openai/gpt-4.1"], "retries": 5}})
    assert called(SetLimits().plan(facts))["limits of chat"] == {
        "requests_per_minute": 600, "tokens_per_minute": 2_000_000, "retries": 5, "deadline_seconds": 120.0, "queue_seconds": 10.0,
    }  # fmt: skip


def test_limits_of_a_provider_s_keys_and_of_the_breaker():
    plan = SetLimits(provider="openai", tokens_per_minute=30_000, failures=3).plan(SET)
    assert called(plan)["limits of openai"] == {"tokens_per_minute": 30_000}
    assert called(plan)["breaker"] == {"failures": 3}


@pytest.mark.parametrize(
    "operation",
    [SetLimits(model="nope"), SetFallback(model="nope"), SetCache(model="nope"), SetLimits(provider="nope")],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(operation):
    with pytest.raises(BadInput, match="has no"):
        operation.plan(SET)


@pytest.mark.parametrize(
    "operation",
    [
        SetLimits(),
        SetFallback(),
        SetCache(),
        SetBudget(usd=5),
        SetLimits(provider="openai", requests_per_minute=9),
    ],
)
def test_each_is_quiet_where_it_is_so_already(operation):
    gateway, providers, alerts = deepcopy(BOTH.gateway), deepcopy(BOTH.providers), {}
    for change in operation.changes(SET):
        place = {"gateway": gateway, "systems": providers, "alerts": alerts}
        for key in change.where[:-1]:
            place = place.setdefault(key, {})
        standing = place.setdefault(change.where[-1], {})
        standing.update({key: value for key, value in change.after.items() if value is not None})
    stands = {"declared": Declared(providers=providers, gateway=gateway), "alerts": alerts}
    plan = operation.plan(SET.model_copy(update=stands))
    assert plan.steps == ()
    assert plan.nothing_to_do


def test_what_two_operations_set_on_one_route_does_not_meet():
    fields = [
        set(called(operation.plan(SET))[f"{word} of chat"])
        for operation, word in ((SetLimits(), "limits"), (SetFallback(), "fallback"))
    ]
    assert not fields[0] & fields[1]


def test_a_fallback_is_a_model_of_every_other_provider():
    assert called(SetFallback().plan(SET))["fallback of chat"] == {
        "targets": ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5-20250929"]
    }


def test_with_one_provider_a_smaller_model_stands_behind_and_that_is_told():
    alone = SET.model_copy(update={"declared": BOTH.model_copy(update={"providers": {"openai": OPENAI}})})
    plan = SetFallback().plan(alone)
    assert called(plan)["fallback of chat"] == {"targets": ["openai/gpt-4.1", "openai/gpt-4.1-mini"]}
    assert plan.findings[0].rule == "one-provider"


def test_embeddings_get_no_fallback():
    facts = with_gateway(models={"embeddings": {"targets": ["openai/text-embedding-3-small"]}})
    plan = SetFallback().plan(facts)
    assert plan.nothing_to_do
    assert plan.findings == ()


def test_a_route_that_has_several_targets_keeps_them_unless_others_are_given():
    facts = with_gateway(models={"chat": {"targets": ["anthropic/a", "openai/b"]}})
    assert SetFallback().plan(facts).nothing_to_do
    given = SetFallback(targets=("openai/b", "anthropic/a")).plan(facts)
    assert called(given)["fallback of chat"]["targets"] == ["openai/b", "anthropic/a"]


def test_a_cache_keeps_what_should_not_vary_and_one_route_can_be_set_alone():
    assert called(SetCache().plan(SET))["cache"] == {"seconds": 3600.0, "only_deterministic": True}
    assert called(SetCache(model="chat", seconds=60).plan(SET))["cache of chat"] == {"cache_seconds": 60.0}
    assert "needs gateway.shared" in SetCache(where="redis").plan(SET).blockers[0]


@pytest.mark.parametrize(
    ("inputs", "spent", "wanted"),
    [
        ({}, None, {"usd": 100.0, "hard": False}),
        ({}, 40.0, {"usd": 44.0, "hard": False}),
        ({"usd": 200}, 40.0, {"usd": 200.0, "hard": True}),
        ({"usd": 200, "hard": False}, None, {"usd": 200.0, "hard": False}),
    ],
)
def test_a_budget_nobody_named_only_tells(inputs, spent, wanted):
    plan = SetBudget(**inputs).plan(SET.model_copy(update={"spent_usd": spent}))
    found = called(plan)["budget all-month"]
    assert wanted.items() <= found.items()
    assert bool(plan.findings) == (not inputs)


@pytest.mark.parametrize(
    ("inputs", "name"),
    [({"key": "*"}, "key-each-month"), ({"team": "shop", "period": "day"}, "team-shop-day"), ({"model": "openai/gpt-4.1"}, "model-openai-gpt-4.1-month"), ({"budget": "mine"}, "mine")],
)  # fmt: skip
def test_a_budget_s_name_says_what_it_is_for(inputs, name):
    assert f"budget {name}" in called(SetBudget(usd=1, **inputs).plan(SET))


THERE = SET.model_copy(
    update={"there_are": {"key": ("web", "checkout"), "team": ("shop",), "model": ("old",)}}
)


def test_a_budget_for_a_key_that_nobody_has_is_refused_with_those_that_are():
    plan = SetBudget(usd=5, key="chekout").plan(THERE)
    assert plan.steps == ()
    (blocker,) = plan.blockers
    assert "There is no virtual key named 'chekout': there are checkout, web." in blocker
    assert "`datareeve run ai.issue-virtual-key --for-name chekout --usd-per-month 5`" in blocker
    assert SetBudget(usd=5, key="checkout").plan(THERE).steps
    assert SetBudget(usd=5, key="*").plan(THERE).steps


@pytest.mark.parametrize(
    "model", ["chat", "old", "gpt-4.1-mini", "openai/gpt-4.1", "anthropic/claude-haiku-4-5-20251001"]
)
def test_a_budget_is_for_a_route_a_model_of_a_provider_or_what_was_asked_for(model):
    plan = SetBudget(usd=5, model=model).plan(THERE)
    assert plan.steps
    assert plan.findings == ()


@pytest.mark.parametrize("model", ["gpt-9", "openai/gpt-9", "other/gpt-4.1"])
def test_a_budget_for_a_model_that_is_not_there_is_refused(model):
    plan = SetBudget(usd=5, model=model).plan(THERE)
    assert plan.steps == ()
    assert f"has a model {model!r}: the routes are chat" in plan.blockers[0]


def test_where_a_provider_lists_nothing_a_model_of_it_is_taken_and_that_is_told():
    facts = THERE.model_copy(update={"answers": {"openai": ANSWERS["openai"]}})
    plan = SetBudget(usd=5, model="anthropic/own").plan(facts)
    assert plan.steps
    assert [finding.rule for finding in plan.findings] == ["model-not-known"]


def test_a_budget_for_a_team_that_no_key_has_is_set_and_told():
    plan = SetBudget(usd=5, team="shopp").plan(THERE)
    assert plan.steps
    (found,) = plan.findings
    assert (found.rule, found.what.endswith("the teams are shop.")) == ("team-not-known", True)
    assert SetBudget(usd=5, team="shop").plan(THERE).findings == ()


def test_of_a_budget_that_is_there_only_what_was_said_changes():
    standing = {"usd": 5, "period": "day", "team": "shop", "hard": True, "alert_percent": [90]}
    facts = with_gateway(budgets={"small": standing})
    plan = SetBudget(budget="small", usd=9).plan(facts)
    assert called(plan)["budget small"] == {**standing, "usd": 9}


def test_each_is_waited_for_and_asked_of_the_gateway_where_one_runs():
    plan = SetCache().plan(SET)
    assert [step.id for step in plan.steps] == ["cache", "gateways follow: the estate"]
    assert {check.call.action for check in plan.checks} == {"has", "behind", "works_by_the_estate"}
    stopped = SetCache().plan(SET.model_copy(update={"running": False}))
    assert [step.id for step in stopped.steps] == ["cache"]
    assert {check.call.action for check in stopped.checks} == {"has"}


def test_where_there_is_no_gateway_yet_it_is_set_up_first():
    plan = SetCache().plan(SettingFacts(declared=Declared(), set_up=FRESH))
    assert [(part.part_id, part.operation, part.needs) for part in plan.parts] == [
        ("1", "ai.set-up-gateway", ()),
        ("2", "ai.set-cache", ("1",)),
    ]
    assert plan.parts[1].requirements == ()  # it rests on what the first part makes


# -- drill, watch, check -----------------------------------------------------------------------------------------------------------


def test_every_case_of_a_drill_is_a_check_in_every_protocol():
    plan = DrillGateway().plan(DrillGatewayFacts(setting=SET))
    assert len(plan.checks) == 2 * len(NAMES)
    assert set(SENTENCES) == set(NAMES)
    assert plan.steps[0].undo[0].arguments == {"by_run": "{run}"}


def test_a_drill_is_not_repeated_while_it_is_young_and_held():
    record = {"at": "2026-11-20T10:00:00+00:00", "held": 2, "cases": [{"held": True}] * 2}
    facts = DrillGatewayFacts(setting=SET, record=record, record_age_hours=3)
    assert "all 2 cases held" in DrillGateway().plan(facts).nothing_to_do
    assert DrillGateway(even_if_current=True).plan(facts).steps  # other parts of a task change what it drills
    assert DrillGateway().plan(facts.model_copy(update={"record_age_hours": 500.0})).steps
    failed = {
        "case": "slow",
        "protocol": "openai",
        "held": False,
        "done": "d",
        "expected": "e",
        "saw": "s",
        "figures": {},
    }
    broken = {**record, "held": 1, "cases": [{"held": True}, failed]}
    plan = DrillGateway().plan(facts.model_copy(update={"record": broken}))
    assert plan.steps
    assert plan.findings[0].subject == "slow (openai)"


def watching(**changed):
    return WatchGatewayFacts(setting=SET, targets=Targets(), **changed)


def test_watching_puts_rules_a_schedule_and_a_first_sample():
    plan = WatchGateway().plan(watching())
    ids = [step.id for step in plan.steps]
    assert ids[-3:] == ["schedule watch-gateway", "schedule watch-providers", "first sample"]
    assert {"alert outage", "alert budget", "alert cost-growth", "alert key-expiry", "alert no-data"} <= set(
        ids
    )
    assert {"alert uptime", "alert model-ends"} <= set(ids)
    for step in plan.steps[:-3]:
        AlertRule(**step.call.arguments["value"])
    assert (
        WatchGateway(thresholds={"budget": 60}).plan(watching()).steps[5].call.arguments["value"]["above"]
        == 60
    )
    with pytest.raises(BadInput, match="no alert 'nope'"):
        WatchGateway(thresholds={"nope": 1}).plan(watching())


def test_every_rule_is_judged_on_a_figure_that_one_of_the_looks_gives():
    plan = WatchGateway().plan(watching())
    wanted = {step.call.arguments["value"]["sample"] for step in plan.steps[:-3]}
    looks = [step.call.arguments["value"]["operation"] for step in plan.steps[-3:-1]]
    assert looks == [CheckGateway.name, ProvidersStatus.name]
    seen = ProvidersStatusFacts(declared=BOTH, up=True, answered=99, unanswered=1, today=date(2026, 11, 23))
    given = {**CheckGateway().plan(checked()).figures, **ProvidersStatus().plan(seen).figures}
    assert wanted <= given.keys()
    assert (given["api_uptime_percent"], given["model_days_left"]) == (99.0, 3650)


def test_an_alert_on_a_model_that_ends_is_over_when_another_is_in_its_place():
    (rule,) = [
        AlertRule(**step.call.arguments["value"])
        for step in WatchGateway().plan(watching()).steps
        if step.id == "alert model-ends"
    ]
    assert beyond(rule, 12)
    assert ended(rule, 3650)


def test_watching_twice_is_quiet_and_an_owner_s_rule_stays():
    plan = WatchGateway().plan(watching())
    rules = {step.call.arguments["value"]["name"]: step.call.arguments["value"] for step in plan.steps[:-3]}
    schedules = {step.call.arguments["where"][1]: step.call.arguments["value"] for step in plan.steps[-3:-1]}
    rules["gateway-errors"] = {**rules["gateway-errors"], "above": 20}
    again = WatchGateway().plan(watching(alerts=rules, schedules=schedules, sampled=True))
    assert again.nothing_to_do


TRAFFIC = {"requests": 100, "failed": 7, "refused": 0, "throttled": 2, "cached": 10, "unpriced": 3, "answered": 83, "requests_per_minute": 20.0,
           "error_percent": 7.0, "cache_hit_percent": 10.0, "latency_ms_p50": 300.0, "latency_ms_p95": 900.0}  # fmt: skip
SPENDING = {
    "usd_today": 1.0,
    "usd_month": 50.0,
    "usd_month_forecast": 60.0,
    "usd_last_month": 50.0,
    "saved_usd_month": 2.0,
}
BUDGET = {"usd": 50.0, "spent_usd": 50.0, "percent": 100.0, "forecast_percent": 120.0, "hard": True}


def checked(**changed):
    plain = {
        "declared": BOTH,
        "gateways": 1,
        "answers": True,
        "traffic": TRAFFIC,
        "spending": SPENDING,
        "budgets": {"all": BUDGET},
        "unwatched": ("all",),
        "key_days_left": 2.5,
        "ending": Key(id="pk_openai_1", provider="openai", expires_at=1.0),
    }
    return CheckGatewayFacts(**{**plain, **changed})


def test_a_look_gives_findings_with_what_to_do_and_figures():
    plan = CheckGateway().plan(checked())
    assert {finding.rule for finding in plan.findings} == {
        "requests-fail",
        "no-price",
        "budget-used",
        "cost-grows",
        "key-ends",
    }
    assert (
        "datareeve run ai.rotate-key --provider openai --old pk_openai_1 --new env:NAME"
        in next(finding for finding in plan.findings if finding.rule == "key-ends").instead
    )
    assert all(finding.instead for finding in plan.findings)
    assert plan.figures["usd_growth_percent"] == 20.0
    assert plan.figures["budget_percent_most"] == plan.figures["budget_unwatched_percent_most"] == 100.0
    own = CheckGateway().plan(checked(unwatched=())).figures
    assert (own["budget_percent_most"], own.get("budget_unwatched_percent_most")) == (100.0, None)
    assert plan.figures["api_status"].startswith("up: 20 requests a minute, 7 % errors")


def test_prompts_that_are_to_be_kept_and_cannot_be_sealed_are_told():
    plan = CheckGateway().plan(checked(not_kept="secret.missing: there is no file"))
    (found,) = [finding for finding in plan.findings if finding.rule == "prompts-not-kept"]
    assert "secret.missing: there is no file" in found.what
    assert "`datareeve run ai.set-up-keys`" in found.instead


def test_a_gateway_that_is_down_is_critical():
    plan = CheckGateway().plan(checked(gateways=0, answers=False))
    assert plan.figures["up"] == 0
    assert plan.findings[0].rule == "gateway-down"


def test_what_is_not_known_is_no_figure():
    plan = CheckGateway().plan(
        checked(spending={**SPENDING, "usd_last_month": None}, budgets={}, unwatched=(), key_days_left=None)
    )
    assert (
        not {"usd_growth_percent", "budget_percent_most", "key_days_left", "usd_last_month"}
        & plan.figures.keys()
    )
