"""The same requests in PostgreSQL tell the same as in SQLite; and what a provider lists of its models' ends is used."""

from __future__ import annotations

import json

import pytest

import ai_answers
import ai_usage_rig
from ai_double import FaultDouble
from ai_usage_rig import NOW, at
from datareeve.core import clock

TRAFFIC = (
    {"at": at(1, 1, month=10), "times": 20, "every": 60, "cost_microusd": 200_000},
    {"at": at(20), "times": 40, "every": 1, "digest": "d1", "cost_microusd": 100_000},
    {"at": at(21), "times": 60, "every": 30, "model": "gpt-4.1", "input": 20_000, "prefix": "p1", "prefix_tokens": 15_000,
     "cost_microusd": 42_000, "team": "search", "key_name": "crawler"},
    {"at": at(22), "times": 12, "digest": "bad", "status": "error", "http_status": 400, "error": "provider.invalid", "cost_microusd": 0},
    {"at": at(22, 20), "times": 30, "attempts": 2, "provider": "claude", "model": "claude-sonnet-4-5", "cost_microusd": 9000},
    {"at": at(23, 11.9), "times": 3, "status": "broken", "estimated": True, "provider": "claude", "model": "claude-sonnet-4-5"},
    {"at": at(23, 11.9), "times": 2, "model": "our-own", "price_version": "", "cost_microusd": 0},
)  # fmt: skip
OPERATIONS = {
    "usage": {"by": ["day", "team"]},
    "explain-bill": {},
    "advise-cost": {},
    "providers-status": {},
    "plan-model-migration": {"ask": False},
    "replay": {"model": "openai/gpt-5.4"},
}


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)


def told(folder, store):
    folder.mkdir()
    with ai_usage_rig.estate(folder, store) as world:
        world.requests(*TRAFFIC)
        plans = {name: world.plan(name, **inputs) for name, inputs in OPERATIONS.items()}
        proofs = [f.figures["proof"] for f in plans["advise-cost"].findings if "--sql" in f.figures["proof"]]
        rows = [world.plan("usage", sql=proof.split('"')[1]).figures["rows"] for proof in proofs]
    return {
        name: (plan.summary, plan.figures, [f.model_dump() for f in plan.findings], plan.blockers)
        for name, plan in plans.items()
    }, rows


def test_both_stores_tell_the_same(tmp_path, database):
    here, shown_here = told(tmp_path / "sqlite", None)
    there, shown_there = told(tmp_path / "postgresql", database)
    for name in OPERATIONS:
        assert json.dumps(here[name], default=str) == json.dumps(there[name], default=str), name
    assert {one["rule"] for one in here["advise-cost"][2]} >= {
        "runaway-loop",
        "duplicate-calls",
        "cacheable-prefix",
        "failing-again",
        "failing-retries",
    }
    assert [[list(map(_number, row)) for row in rows] for rows in shown_here] == [
        [list(map(_number, row)) for row in rows] for rows in shown_there
    ]


def _number(value):
    return float(value) if isinstance(value, (int, float)) else value


def test_the_ends_that_a_provider_lists_go_before_the_catalogue(tmp_path, monkeypatch):
    def listed(models):
        return {
            "object": "list",
            "data": [
                {
                    "id": name,
                    "object": "model",
                    "shutdown_date": {"steady": None, "leaving": "2026-12-24"}.get(name),
                }
                for name in models
            ],
        }

    monkeypatch.setattr(ai_answers, "openai_models", listed)
    with FaultDouble(keys={"sk-1"}, models=("steady", "leaving", "odd")) as double:
        (tmp_path / "key").write_text("sk-1\n")
        systems = {
            "openai": {
                "kind": "openai",
                "base_url": double.openai_url,
                "prices_as": "openai",
                "keys": ["file:key"],
            }
        }
        routes = {"chat": {"targets": ["openai/leaving", "openai/steady"]}}
        with ai_usage_rig.estate(tmp_path, systems=systems, gateway={"models": routes}) as world:
            plan = world.plan("plan-model-migration", to="steady")
            (row,) = plan.figures["migration"]
            assert (row["ends"], row["source"], row["replacement"]) == (
                "2026-12-24",
                "the provider's own list of models",
                "openai/steady",
            )
            assert [step.call.arguments["values"] for step in plan.steps] == [{"targets": ["openai/steady"]}]
            silent = world.plan("plan-model-migration")
            assert silent.nothing_to_do == "No replacement is known: give one with --to provider/model."
