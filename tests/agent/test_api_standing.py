"""AI APIs in the progress report and the service levels: every figure from requests that were counted."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import ai_usage_rig
from ai_usage_rig import NOW, at
from datareeve.agent import standing
from datareeve.agent.report import report
from datareeve.core import clock
from datareeve.interfaces import cli, console
from datareeve.systems.gateway_store import Instance


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOW)
    with ai_usage_rig.estate(tmp_path) as made:
        made.store.heartbeat(Instance(id="gw-1", host="elsewhere", address="10.0.0.1:4141"))
        yield made


def levels(world):
    app = world.app
    return standing.objectives(
        app.estate, app.ledger, standing.levels(app.estate, app.catalogue, app.preview)
    )


def status(world):
    (told,) = standing.api_status(world.app.estate, world.app.catalogue, world.app.preview)
    return told


def test_the_report_has_the_lines_of_the_roles_own_format(world):
    world.requests(
        {"at": at(23, 11.9), "times": 99, "total_ms": 200.0},
        {"at": at(23, 11.9), "status": "broken", "total_ms": 200.0},
    )
    text = status(world).markdown()
    assert (
        "- API Status: up: openai up (99 % answered), claude idle; 99 % of requests answered in 30 days"
        in text
    )
    assert "  * Availability: up (99 % of requests answered in 30 days)" in text
    assert (
        "  * Rate Limits: not measured (no provider in estate.yaml says what a key may have a minute)" in text
    )
    assert "  * Response Time: 200.0 ms on average" in text
    assert "  * Cost: " in text
    assert "<b>Availability</b>up" in status(world).html()


def test_without_ai_apis_the_report_is_as_it_was(tmp_path):
    assert report(None, None).api == "not configured in this estate"
    assert report(None, None).api_lines == ()
    with ai_usage_rig.estate(tmp_path, gateway=None) as bare:
        assert standing.api_status(bare.app.estate, bare.app.catalogue, bare.app.preview) == ()
        assert levels(bare) == ()


def test_uptime_is_more_than_its_target_or_missed(world):
    world.requests({"at": at(20), "times": 1000, "every": 2})
    kept = {one.target: one for one in levels(world)}
    assert (
        kept["api_uptime_percent"].latest,
        kept["api_uptime_percent"].kept,
        kept["api_uptime_percent"].measured,
    ) == (100.0, True, 1000)
    world.requests({"at": at(21), "status": "error", "http_status": 500})
    missed = next(one for one in levels(world) if one.target == "api_uptime_percent")
    assert (missed.latest, missed.kept, missed.within) == (99.9001, True, 1000)
    world.requests(
        {"at": at(21), "times": 2, "status": "broken", "error": "upstream.cut"},
        # No provider's fault: ours, or that the client left. Neither missed, nor answered.
        {"at": at(21), "times": 5, "status": "interrupted", "error": "gateway.interrupted"},
        {"at": at(21), "times": 5, "status": "disconnected", "http_status": 499},
    )
    missed = next(one for one in levels(world) if one.target == "api_uptime_percent")
    assert (missed.latest, missed.kept, round(missed.share, 4)) == (99.7009, False, 0.997)


def test_growth_is_not_taken_for_kept_where_nobody_measured_it(world):
    growth = next(one for one in levels(world) if one.target == "ai_cost_growth_percent")
    assert (growth.latest, growth.kept, growth.limit) == (None, True, 10.0)
    assert "a whole month" in growth.measured_by
    world.requests(
        {"at": at(1, 1, month=10), "cost_microusd": 1_000_000}, {"at": at(2), "cost_microusd": 2_000_000}
    )
    growth = next(one for one in levels(world) if one.target == "ai_cost_growth_percent")
    assert not growth.kept
    assert growth.latest > 100


def test_a_person_sees_the_bound_as_it_is_meant(world):
    world.requests({"at": at(20), "times": 10})
    out = io.StringIO()
    Console(file=out, width=160).print(console.objectives_view(levels(world)))
    assert "more than 99.9" in out.getvalue()
    assert "at most 10" in out.getvalue()


def test_the_commands_tell_them_and_fail_where_one_is_missed(world, capsys):
    world.requests({"at": at(20), "times": 3, "status": "error", "http_status": 500})
    assert cli.main(["slo", "--project", str(world.folder), "--json"]) == 1
    assert '"api_uptime_percent"' in capsys.readouterr().out
    assert cli.main(["status", "--project", str(world.folder)]) == 0
    assert "Status of AI APIs" in capsys.readouterr().out
    world.store.instance_stopped("gw-1", behind=0)
    assert cli.main(["status", "--project", str(world.folder)]) == 1
    assert "Availability: down" in capsys.readouterr().out
