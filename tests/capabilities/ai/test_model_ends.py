"""The catalogue of ends, and the migration it leads to: planned, done, undone."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai_usage_rig
from ai_usage_rig import NOW, at
from datareeve.capabilities.ai import model_ends
from datareeve.capabilities.ai.declared import CHAT_MODELS
from datareeve.capabilities.ai.gateway.prices import PriceBook
from datareeve.capabilities.ai.operations.set_fallback import SMALLER
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Severity

TODAY = date(2026, 11, 23)
CATALOGUE = model_ends.shipped()
OWN = """version: 2026-11-20
pages:
  - source: https://example.com/ours
    provider: openai
    seen: 2026-11-20
    models:
      gpt-4.1-mini: {ends: 2026-12-01, replacement: gpt-6.1-terra}
"""


def test_the_seeds_own_model_is_retired_and_mapped():
    found = CATALOGUE.end_of("anthropic", "claude-3-sonnet")
    assert (found.model, found.ends, found.told) == (
        "claude-3-sonnet-20240229",
        date(2025, 7, 21),
        date(2025, 1, 21),
    )
    assert found.source == "https://platform.claude.com/docs/en/about-claude/model-deprecations"
    assert CATALOGUE.replacement_of("anthropic", "claude-3-sonnet", TODAY) == "claude-sonnet-4-6"


def test_every_entry_has_a_source_and_dates_in_their_order():
    for one in CATALOGUE.models:
        assert one.source.startswith("https://"), one.model
        assert one.seen <= TODAY
        assert bool(one.ends) != bool(one.not_before), one.model
        assert one.told is None or one.told < one.ends, one.model
        assert one.model not in one.aliases


def test_no_name_is_claimed_twice():
    names = [(one.maker, name) for one in CATALOGUE.models for name in (one.model, *one.aliases)]
    assert len(names) == len(set(names))


def test_replacements_lead_to_a_model_without_an_announced_end_that_has_a_price():
    book = PriceBook()
    for one in CATALOGUE.models:
        if one.ends and one.replacement:
            found = CATALOGUE.replacement_of(one.maker, one.model, TODAY)
            end = CATALOGUE.end_of(one.maker, found)
            assert end is None or end.ends is None, (one.model, found)
            if not any(word in one.model for word in ("image", "codex-mini", "transcribe", "whisper")):
                assert book.of(one.maker, "", found) is not None, (one.model, found)


def test_a_chain_of_replacements_is_followed():
    assert CATALOGUE.end_of("openai", "gpt-4-32k").replacement == "gpt-4o"
    assert CATALOGUE.replacement_of("openai", "gpt-4-32k", TODAY) == "gpt-6-luna"


def test_a_tuned_model_ends_with_its_base_and_has_no_ready_replacement():
    tuned = CATALOGUE.end_of("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc")
    assert (tuned.ends, tuned.replacement) == (date(2027, 1, 14), "")
    assert CATALOGUE.replacement_of("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc", TODAY) == ""
    assert CATALOGUE.end_of("openai", "ft:") is None
    assert CATALOGUE.end_of("openai", "ft") is None


def test_a_circle_of_replacements_ends():
    text = OWN.replace(
        "gpt-4.1-mini: {ends: 2026-12-01, replacement: gpt-6.1-terra}",
        "a: {ends: 2026-01-01, replacement: b}\n      b: {ends: 2026-01-01, replacement: a}",
    )
    assert model_ends.parsed(text, "own").replacement_of("openai", "a", TODAY) in ("a", "b", "")


def test_a_projects_own_catalogue_comes_first_and_a_providers_word_before_it():
    own = model_ends.catalogue(OWN)
    assert own.end_of("openai", "gpt-4.1-mini").ends == date(2026, 12, 1)
    assert own.end_of("openai", "gpt-4").ends == date(2026, 10, 23)
    listed = own.with_dates(
        "openai", {"gpt-4.1-mini": "2026-12-24", "gpt-9": "2027-01-01", "broken": "2027-99-99"}
    )
    assert listed.end_of("openai", "gpt-4.1-mini").ends == date(2026, 12, 24)
    assert listed.end_of("openai", "gpt-4.1-mini").replacement == "gpt-6.1-terra"
    assert listed.end_of("openai", "gpt-9").source == model_ends.PROVIDERS_LIST
    assert listed.end_of("openai", "broken") is None


@given(
    st.one_of(
        st.text(max_size=200),
        st.sampled_from(
            [
                "version: 1",
                OWN.replace("2026-12-01", "soon"),
                OWN.replace("models:", "modells:"),
                "pages: [",
                "- a",
            ]
        ),
    )
)
def test_what_is_no_catalogue_is_refused_without_a_traceback(text):
    with pytest.raises(BadInput) as refused:
        model_ends.parsed(text, "ai-models.yaml")
    assert refused.value.code == "models.file"


@pytest.mark.parametrize(
    ("entry", "maker"),
    [
        ({"kind": "openai"}, "openai"),
        ({"kind": "openai", "base_url": "https://api.openai.com/v1"}, "openai"),
        ({"kind": "openai", "base_url": "https://ours.openai.azure.com/openai"}, ""),
        ({"kind": "openai", "base_url": "http://127.0.0.1:8000/v1"}, ""),
        ({"kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "prices_as": "openai"}, "openai"),
        ({"kind": "anthropic"}, "anthropic"),
    ],
)
def test_dates_hold_for_the_makers_own_api_only(entry, maker):
    assert model_ends.maker_of(entry) == maker


def test_what_set_up_proposes_first_has_no_announced_end_and_a_price():
    book = PriceBook()
    for maker, names in CHAT_MODELS.items():
        for name in (names[0], SMALLER[names[0]]):
            end = CATALOGUE.end_of(maker, name)
            assert end is None or end.ends is None, name
            assert book.of(maker, "", name) is not None, name


# -- the migration ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


ROUTES = {
    "chat": {"targets": ["claude/claude-sonnet-4-5", "openai/gpt-4o"], "retries": 1},
    "fine": {"targets": ["claude/claude-sonnet-5"]},
}
BUDGETS = {"old": {"usd": 10, "model": "claude/claude-sonnet-4-5"}, "all": {"usd": 100}}


def world(folder, **gateway):
    return ai_usage_rig.estate(folder, gateway={"models": ROUTES, "budgets": BUDGETS, **gateway})


def test_routes_and_budgets_are_moved_before_the_end_with_the_difference_in_price(tmp_path, now):
    with world(tmp_path) as estate:
        estate.requests(
            {
                "at": at(20),
                "times": 10,
                "provider": "claude",
                "model": "claude-sonnet-4-5",
                "input": 100_000,
                "output": 10_000,
                "cost_microusd": 450_000,
            }
        )
        plan = estate.plan("plan-model-migration", ask=False)
        assert [step.id for step in plan.steps] == ["route chat", "budget old"]
        row = next(one for one in plan.figures["migration"] if one["model"] == "claude/claude-sonnet-4-5")
        assert (row["ends"], row["replacement"], row["usd_30_days"]) == (
            "2026-11-30",
            "claude/claude-sonnet-5-5",
            4.5,
        )
        assert row["price"] == {"input": 3.0, "output": 15.0}
        assert row["price_then"] == {"input": 2.0, "output": 10.0}
        assert (row["usd_30_days_then"], row["change_percent"]) == (3.0, -33.3)
        critical = [one for one in plan.findings if one.severity is Severity.CRITICAL]
        assert [one.subject for one in critical] == ["claude/claude-sonnet-4-5"]
        assert any(one.rule == "replacement-differs" and "temperature" in one.what for one in plan.findings)


def test_it_is_done_quiet_the_second_time_and_undone(tmp_path, now):
    with world(tmp_path) as estate:
        before = (tmp_path / "estate.yaml").read_text()
        plan = estate.plan("plan-model-migration", ask=False)
        outcome = estate.app.apply(plan, by="test")
        assert outcome.status == "done", [part.reason for part in outcome.parts]
        routes = estate.app.systems["estate"].read("get", where=["gateway", "models"])
        assert routes["chat"] == {"targets": ["claude/claude-sonnet-5-5", "openai/gpt-6-luna"], "retries": 1}
        assert (
            estate.app.systems["estate"].read("get", where=["gateway", "budgets", "old", "model"])
            == "claude/claude-sonnet-5-5"
        )
        again = estate.plan("plan-model-migration", ask=False)
        assert not again.steps
        assert "No route or request names a model that ends within 90 days" in again.nothing_to_do
        assert estate.app.undo(outcome.run, by="test").status == "undone"
        assert (
            json.loads(json.dumps(estate.app.systems["estate"].read("get", where=["gateway"])))
            == json.loads(before)["gateway"]
        )


def test_a_retired_name_that_applications_ask_for_answers_again_under_its_name(tmp_path, now):
    with world(tmp_path) as estate:
        plan = estate.plan("plan-model-migration", model="claude-3-sonnet", ask=False)
        assert plan.summary == "claude-3-sonnet (was retired on 2025-07-21) → claude/claude-sonnet-4-6."
        outcome = estate.app.apply(plan, by="test")
        assert outcome.status == "done"
        assert estate.app.systems["estate"].read("get", where=["gateway", "models", "claude-3-sonnet"]) == {
            "targets": ["claude/claude-sonnet-4-6"]
        }
        assert estate.plan("plan-model-migration", model="claude-3-sonnet", ask=False).nothing_to_do
        assert estate.app.undo(outcome.run, by="test").status == "undone"
        assert (
            estate.app.systems["estate"].read("get", where=["gateway", "models", "claude-3-sonnet"]) is None
        )


def test_what_is_asked_for_lately_is_seen_without_being_named(tmp_path, now):
    with world(tmp_path) as estate:
        estate.requests(
            {
                "at": at(22),
                "times": 3,
                "asked_model": "gpt-4",
                "provider": "openai",
                "model": "gpt-4",
                "status": "error",
                "http_status": 404,
            }
        )
        plan = estate.plan("plan-model-migration", ask=False)
        assert "name gpt-4" in [step.id for step in plan.steps]
        silent = estate.plan("plan-model-migration", ask=False, aliases=False, model="gpt-4")
        assert not silent.steps
        assert "--no-aliases" in silent.nothing_to_do


def test_ends_further_ahead_are_told_and_nothing_is_changed_yet(tmp_path, now):
    with ai_usage_rig.estate(
        tmp_path, gateway={"models": {"chat": {"targets": ["openai/gpt-4.1"]}}}
    ) as estate:
        plan = estate.plan("plan-model-migration", ask=False, days=30)
        assert not plan.steps
        (ahead,) = plan.findings
        assert (ahead.rule, ahead.figures["days"]) == ("model-ends-later", 52)


def test_a_projects_own_dates_are_used(tmp_path, now):
    with ai_usage_rig.estate(tmp_path) as estate:
        (tmp_path / "ai-models.yaml").write_text(OWN)
        (row,) = estate.plan("plan-model-migration", ask=False, days=10).figures["migration"]
        assert (row["ends"], row["replacement"], row["source"]) == (
            "2026-12-01",
            "openai/gpt-6.1-terra",
            "https://example.com/ours",
        )
        (tmp_path / "ai-models.yaml").write_text("nonsense")
        with pytest.raises(BadInput, match=r"ai-models\.yaml is no catalogue"):
            estate.plan("plan-model-migration", ask=False)


def test_a_price_of_ones_own_is_not_silently_lost(tmp_path, now):
    with world(tmp_path, prices={"claude/claude-sonnet-4-5": {"input": 1, "output": 2}}) as estate:
        plan = estate.plan("plan-model-migration", ask=False, days=10)
        assert [one.subject for one in plan.findings if one.rule == "own-price-left"] == [
            "claude/claude-sonnet-5-5"
        ]


AZURE = {"azure": {"kind": "openai", "base_url": "https://ours.openai.azure.com/openai"}}
THEIRS = """version: 2026-11-20
pages:
  - source: https://example.com/azure
    provider: azure
    seen: 2026-11-20
    models:
      gpt-4: {ends: 2026-12-10, replacement: gpt-6}
"""


def on_azure(folder, model="gpt-4", **more):
    entry = {"azure": {**AZURE["azure"], **more}}
    return ai_usage_rig.estate(
        folder, systems=entry, gateway={"models": {"chat": {"targets": [f"azure/{model}"]}}}
    )


def test_requests_for_a_file_or_a_batch_name_no_model_that_might_end(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with on_azure(tmp_path) as estate:
        estate.requests({"at": at(23), "provider": "azure", "model": "-", "asked_model": "", "times": 3})
        plan = estate.plan("plan-model-migration", ask=False)
        assert plan.figures["models_not_known"] == 1  # the route's
        assert "azure/-" not in plan.summary


@pytest.mark.parametrize("inputs", [{}, {"model": "chat"}, {"model": "azure/gpt-4"}, {"model": "gpt-4"}])
def test_of_another_servers_models_it_says_that_their_end_is_not_known(tmp_path, now, inputs):
    with on_azure(tmp_path) as estate:
        plan = estate.plan("plan-model-migration", ask=False, **inputs)
        assert not plan.steps
        said = "When azure/gpt-4 ends is not known here: azure is at ours.openai.azure.com"
        assert plan.nothing_to_do.startswith(said)
        assert "No model" not in plan.nothing_to_do
        assert "No end" not in plan.nothing_to_do
        (found,) = [one for one in plan.findings if one.rule == "model-end-not-known"]
        assert found.severity is Severity.WARNING
        assert "At openai's own API gpt-4-0613 was retired on 2026-10-23" in found.what
        assert "systems.azure.prices_as: openai" in found.instead
        assert plan.figures["models_not_known"] == 1


def test_a_server_that_only_passes_on_is_judged_by_the_dates_that_it_is_said_to_follow(tmp_path, now):
    with on_azure(tmp_path, prices_as="openai") as estate:
        plan = estate.plan("plan-model-migration", ask=False)
        assert [step.id for step in plan.steps] == ["route chat"]
        assert plan.figures["models_not_known"] == 0


def test_another_servers_own_dates_are_used_where_a_project_gives_them(tmp_path, now):
    with on_azure(tmp_path) as estate:
        (tmp_path / "ai-models.yaml").write_text(THEIRS)
        plan = estate.plan("plan-model-migration", ask=False)
        (row,) = plan.figures["migration"]
        assert (row["ends"], row["replacement"]) == ("2026-12-10", "azure/gpt-6")
        assert not [one for one in plan.findings if one.rule == "model-end-not-known"]


def test_what_was_only_asked_for_is_left_open_as_well(tmp_path, now):
    with ai_usage_rig.estate(tmp_path, systems=AZURE, gateway={}) as estate:
        estate.requests(
            {"at": at(20), "times": 2, "asked_model": "ours", "provider": "azure", "model": "ours"}
        )
        plan = estate.plan("plan-model-migration", ask=False)
        assert "When azure/ours ends is not known here" in plan.nothing_to_do
        assert "No route or request names another model" in plan.nothing_to_do
        (found,) = plan.findings
        assert (found.severity, found.figures["requests"]) == (Severity.INFO, 2)


def test_without_a_gateway_the_end_is_said_all_the_same(tmp_path, now):
    with ai_usage_rig.estate(tmp_path, gateway=None) as estate:
        plan = estate.plan("plan-model-migration", model="claude-3-sonnet", ask=False)
        assert plan.summary.startswith(
            "claude-3-sonnet (was retired on 2025-07-21) → claude/claude-sonnet-4-6"
        )
        assert "There is no gateway" in plan.nothing_to_do
