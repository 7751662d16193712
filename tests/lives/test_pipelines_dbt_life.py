"""dbt driven by Datareeve: planned, approved, run once, told; by an operation and by a delegation, with a double and with a real dbt."""

import json
import sys
from pathlib import Path

import pytest

import dbt_rig
from datareeve.agent import inputs
from datareeve.app import App
from datareeve.core.errors import BadInput
from dbt_rig import CANARY

TESTS = Path(__file__).parents[1]
DELEGATION = """**Data Engineer Agent**: Refresh the shop's models

**Task**: The models are stale
- {words}

**Authority**: You may run dbt
"""


class Died(BaseException):
    """The worker is gone."""


def opened(project, executable, boundary=None):
    entry = f"{{kind: dbt, project: dbt, profiles: dbt, executable: '{executable}'}}"
    (project.folder / "estate.yaml").write_text(
        f"version: 1\nsystems:\n  shop: {entry}\nauthority: {{rules: [{{decision: allow}}]}}\n"
    )
    return App.open(project.folder, boundary=boundary)


@pytest.fixture
def project(tmp_path):
    """A project whose dbt is the double."""
    made = dbt_rig.Project(tmp_path, tmp_path / "dbt")
    made.write(dbt_rig.FILES, {"recorded.json": dbt_rig.recorded("manifest")})
    program = tmp_path / "dbt-double"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {TESTS / "dbt_double.py"} "$@"\n')
    program.chmod(0o755)
    return made


@pytest.fixture
def app(project):
    made = opened(project, project.folder / "dbt-double")
    yield made
    made.close()


def planned(app, **inputs):
    return app.preview(app.catalogue.make("pipelines.run-dbt", {"system": "shop", **inputs}))


def carried_out(project):
    path = project.dbt / "calls.jsonl"
    every = [json.loads(line)["argv"] for line in path.read_text().splitlines()] if path.exists() else []
    return [argv for argv in every if argv[0] != "ls"]


def everything_told(app):
    return "\n".join(entry.model_dump_json() for entry in app.ledger.entries())


def test_a_plan_names_what_is_written_in_order_and_what_is_downstream(app, project):
    plan = planned(app)
    run, told = plan.parts
    (step,) = run.steps
    assert step.shown[0] == 'model stg_orders: view "shop"."main"."stg_orders"'
    assert step.shown[-1] == 'model orders_by_day: table "shop"."main"."orders_by_day"'
    assert step.schemas == ("main",)
    assert (plan.figures["relations_written"], plan.figures["exposures"]) == (3, ["revenue_board"])
    assert (step.effect, step.undo, bool(step.no_undo)) == ("irreversible", (), True)
    assert [finding.rule for finding in plan.findings] == ["dbt-appends"]
    assert told.needs == ("1",)
    assert plan.fingerprint == planned(app).fingerprint
    assert carried_out(project) == []


def test_tests_only_look(app):
    plan = planned(app, command="test")
    assert plan.effect == "read"
    assert plan.findings == ()


def test_it_is_run_and_told(app, project):
    outcome = app.apply(planned(app), by="test")
    assert outcome.status == "done"
    assert outcome.parts[1].figures["nodes_ok"] == 6
    assert len(carried_out(project)) == 1
    assert all(check.verdict == "holds" for check in app.recheck(outcome.run))
    assert planned(app).parts[0].steps[0].predicted.seconds == 1.5


def test_a_failing_node_fails_the_run_and_keeps_its_finding(app, project):
    (project.dbt / "double.json").write_text(json.dumps({"fails": ["order_log"]}))
    outcome = app.apply(planned(app), by="test")
    assert outcome.status == "partly done"
    assert outcome.parts[1].status == "failed"
    assert [finding.what for finding in outcome.parts[1].findings] == [
        "The model order_log (models/order_log.sql) failed: Database Error, 23505."
    ]
    assert CANARY not in everything_told(app) + outcome.model_dump_json()


def test_a_project_that_was_changed_is_planned_anew(app, project):
    plan = planned(app)
    recorded = json.loads((project.dbt / "recorded.json").read_text())
    recorded["nodes"]["model.shop.stg_orders"]["checksum"]["checksum"] = "another"
    (project.dbt / "recorded.json").write_text(json.dumps(recorded))
    outcome = app.apply(plan, by="test")
    assert outcome.status == "failed"
    assert "is as it was planned" in outcome.parts[0].reason
    assert carried_out(project) == []


def test_a_selection_of_nothing_is_a_blocker(app):
    assert "selects nothing" in planned(app, select=("nothing",)).blockers[0]


@pytest.mark.parametrize("given", [{"db_password": "x"}, {"API_KEY": "x"}, {"day": "env:SECRET"}])
def test_secrets_are_no_vars(app, given):
    with pytest.raises(BadInput, match="looks like a secret"):
        planned(app, vars=given)


@pytest.mark.parametrize(
    "when",
    [
        "before effect of 1/dbt-build",
        "after effect of 1/dbt-build",
        "before effect of 2/",
        "after effect of 2/",
    ],
)
def test_a_worker_that_dies_has_its_run_carried_on_and_dbt_run_once(project, when):
    def dies(name):
        if name.startswith(when):
            raise Died

    app = opened(project, project.folder / "dbt-double", boundary=dies)
    with pytest.raises(Died):
        app.apply(planned(app), by="test")
    run = app.runs()[-1].run
    app.close()
    other = opened(project, project.folder / "dbt-double")
    outcome = other.resume(run, by="test")
    assert outcome.status == "done"
    assert len(carried_out(project)) == 1
    other.close()


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        ("dbt run", ["run"]),
        ("Run `dbt run --select orders_by_day`", ["run", "--select", "orders_by_day"]),
        ("dbt build --full-refresh", ["build", "--full-refresh"]),
        ("dbt test", ["test"]),
        ("dbt run --select=stg_orders,order_log", "blocked"),  # what both select is nothing, and not either
        ("dbt run --select 'a b'", "blocked"),
        ("dbt run --target prod", "blocked"),
        ("dbt run -t prod --select stg_orders", "blocked"),
        ("Run the dbt models", ["build"]),
    ],
)
def test_a_delegation_runs_dbt(app, project, words, argv):
    task = app.plan_task(DELEGATION.format(words=words))
    if argv == "blocked":
        assert not any(task.plan.all_steps())
        assert task.questions or task.plan.parts[0].blockers or task.plan.blockers
        return
    assert task.questions == ()
    outcome = app.apply(task.plan, by="test", approved=True)
    assert outcome.status == "done"
    (called,) = carried_out(project)
    assert called[0] == argv[0]
    assert called[7:] == argv[1:]


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        ("dbt run --exclude a b c and tell me", {"exclude": "a b c"}),
        ("dbt run --select +orders+ tag:nightly,tag:eu --exclude x.y.", {"select": "+orders+ tag:nightly,tag:eu", "exclude": "x.y"}),
        ("dbt run --select=tag:a,tag:b", {"select": "tag:a,tag:b"}),
    ],
)  # fmt: skip
def test_a_selection_is_taken_as_it_was_said(app, words, stated):
    assert inputs.said(app.catalogue.get("pipelines.run-dbt"), words) == {"command": "run", **stated}


@pytest.mark.dbt
def test_a_delegation_runs_a_real_dbt(tmp_path):
    if not dbt_rig.installed():
        pytest.skip("there is no dbt in .venv-dbt: python tests/dbt_rig.py makes it")
    project = dbt_rig.on_duckdb(tmp_path)
    app = opened(project, dbt_rig.PROGRAM)
    outcome = app.apply(app.plan_task(DELEGATION.format(words="dbt run")).plan, by="test", approved=True)
    assert outcome.status == "done"
    assert project.rows("SELECT count(*), sum(revenue) FROM orders_by_day") == [(3, 285.0)]
    tested = app.apply(planned(app, command="test"), by="test")
    assert tested.parts[-1].status == "failed"
    assert tested.parts[-1].findings[0].figures["failures"] == 1
    assert CANARY not in everything_told(app)
    app.close()
