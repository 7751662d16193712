"""Airflow driven by Datareeve: a DAG triggered by an operation and by a delegation, on the double and on a real Airflow; a pipeline exported and run there."""

import re
import subprocess

import duckdb
import pytest

import ai_rig
import airflow_rig
from airflow_rig import CANARY
from datareeve.agent import inputs
from datareeve.app import App
from datareeve.core.errors import BadInput, LeaseLost

ESTATE = """version: 1
systems:
  airflow: {{kind: airflow, url: "{url}", user: admin, password: "file:airflow.password"}}
authority:
  rules: [{{decision: allow}}]
"""
DELEGATION = """**Data Engineer Agent**: Refresh the shop's data

**Task**: Run the nightly pipeline by hand
- airflow dags trigger {dag}

**Authority**: You may trigger DAGs
**Expected Results**: The DAG has run
"""


class Died(BaseException):
    """The worker is gone."""


def project(folder, rig, boundary=None):
    (folder / "estate.yaml").write_text(ESTATE.format(url=rig.url))
    (folder / "airflow.password").write_text(rig.users["admin"])
    return App.open(folder, boundary=boundary)


@pytest.fixture(scope="module")
def real_rig():
    if not airflow_rig.installed():
        pytest.skip("there is no Airflow in .venv-airflow: python tests/airflow_rig.py makes it")
    with airflow_rig.real() as rig:
        yield rig


@pytest.fixture
def world(tmp_path):
    """An app on the double, and the double."""
    with airflow_rig.double() as (rig, double):
        app = project(tmp_path, rig)
        app.systems["airflow"]._pause = lambda _seconds: None
        yield app, double
        app.close()


def planned(app, **inputs):
    return app.preview(app.catalogue.make("pipelines.trigger-dag", {"system": "airflow", **inputs}))


def everything_told(app):
    return "\n".join(entry.model_dump_json() for entry in app.ledger.entries())


def test_a_plan_says_how_the_dag_ran_before_and_changes_nothing(world):
    app, double = world
    double.runs["etl_pipeline", "old"] = {"dag_run_id": "old", "dag_id": "etl_pipeline", "logical_date": None, "state": "success", "run_type": "manual", "start_date": "2026-05-01T03:00:00Z", "end_date": None, "duration": 42.5}  # fmt: skip
    plan = planned(app, dag="etl_pipeline")
    assert (
        plan.summary
        == "Trigger etl_pipeline on airflow, scheduled Never, external triggers only, last run success after 42.5 s."
    )
    assert [step.predicted.seconds for step in plan.all_steps()] == [42.5, 42.5]
    assert plan.fingerprint == planned(app, dag="etl_pipeline").fingerprint
    assert list(double.runs) == [("etl_pipeline", "old")]


def test_a_dag_is_triggered_and_watched(world):
    app, double = world
    outcome = app.apply(planned(app, dag="etl_pipeline", conf={"day": "2026-05-01"}), by="test")
    assert outcome.status == "done"
    ((_, name),) = double.runs
    assert name.startswith(f"datareeve__{outcome.run}__")
    assert outcome.parts[1].figures["tasks_ok"] == 2
    assert all(check.verdict == "holds" for check in app.recheck(outcome.run))


def test_a_paused_dag_is_not_triggered(world):
    app, double = world
    plan = planned(app, dag="nightly")
    assert "airflow dags unpause nightly" in plan.blockers[0]
    double.paused["nightly"] = False
    plan = planned(app, dag="nightly")
    double.paused["nightly"] = True
    assert app.apply(plan, by="test").status == "failed"  # it was paused after it had been planned
    assert not double.runs


def test_a_dag_that_fails_is_told_and_its_run_is_not_taken_back(world):
    app, double = world
    outcome = app.apply(planned(app, dag="failing_pipeline"), by="test")
    assert outcome.status == "partly done"
    triggered, watched = outcome.parts
    assert (triggered.status, watched.status) == ("done", "failed")
    (finding,) = watched.findings
    assert finding.what.startswith("Task breaks failed at try 1: ValueError at rig.py:")
    assert CANARY not in everything_told(app) + outcome.model_dump_json()
    assert app.undo(outcome.run, by="test").status == "undone"
    assert [run["state"] for run in double.runs.values()] == ["failed"]


def test_one_that_goes_on_is_left_alone_and_looked_at_again_later(world):
    app, double = world
    outcome = app.apply(planned(app, dag="slow_pipeline", wait_seconds=0.01), by="test")
    assert outcome.parts[1].reason.startswith("the check failed: the run of slow_pipeline ended with success")
    (run,) = double.runs.values()
    assert run["state"] in ("queued", "running")
    run |= {"state": "success", "dag_id": "etl_pipeline"}
    double.runs["slow_pipeline", run["dag_run_id"]] = run
    assert [check.verdict for check in app.recheck(outcome.run)] == ["holds", "holds"]


def test_not_waiting_is_one_part(world):
    app, _ = world
    plan = planned(app, dag="slow_pipeline", wait_seconds=0)
    assert len(plan.parts) == 1
    assert app.apply(plan, by="test").status == "done"


def test_a_date_that_has_run_is_not_run_twice(world):
    app, double = world
    plan = planned(app, dag="etl_pipeline", logical_date="2026-05-01")
    assert app.apply(plan, by="test").status == "done"
    again = planned(app, dag="etl_pipeline", logical_date="2026-05-01T02:00:00+02:00")
    assert "has a run for 2026-05-01T00:00:00+00:00 already" in again.nothing_to_do
    for run in double.runs.values():
        run["state"] = "failed"
    assert "Clear it in Airflow" in planned(app, dag="etl_pipeline", logical_date="2026-05-01").blockers[0]


@pytest.mark.parametrize(
    "when",
    [
        "before effect of 1/trigger",
        "after effect of 1/trigger",
        "before effect of 2/watch",
        "after effect of 2/watch",
    ],
)
def test_a_worker_that_dies_leaves_one_run_which_the_next_watches(tmp_path, when):
    def dies(name):
        if name.startswith(when):
            raise Died

    with airflow_rig.double() as (rig, double):
        app = project(tmp_path, rig, boundary=dies)
        app.systems["airflow"]._pause = lambda _seconds: None
        with pytest.raises(Died):
            app.apply(planned(app, dag="etl_pipeline"), by="test")
        run = app.runs()[-1].run
        app.close()
        other = project(tmp_path, rig)
        try:
            outcome = other.resume(run, by="test")
        except LeaseLost:  # the dead worker's lease has not run out
            pytest.fail("the lease of a worker that is gone is free")
        assert outcome.status == "done"
        assert len(double.runs) == 1
        other.close()


@pytest.mark.parametrize(
    "words",
    [
        "airflow dags trigger etl_pipeline",
        "Run `airflow dags trigger etl_pipeline`",
        "Trigger the Airflow DAG etl_pipeline",
    ],
)
def test_a_delegation_triggers_a_dag(world, words):
    app, double = world
    task = app.plan_task(
        DELEGATION.format(dag="etl_pipeline").replace("airflow dags trigger etl_pipeline", words)
    )
    assert task.questions == ()
    outcome = app.apply(task.plan, by="test", approved=True)
    assert outcome.status == "done"
    assert [dag for dag, _ in double.runs] == ["etl_pipeline"]


@pytest.mark.parametrize(
    ("words", "stated"),
    [
        ("""airflow dags trigger etl --conf '{"a": 1}'""", {"dag": "etl", "conf": {"a": 1}}),
        ("""airflow dags trigger --conf '{"a": 1}' etl""", {"dag": "etl", "conf": {"a": 1}}),
        (
            "airflow dags trigger -e 2026-05-01 etl",
            {"dag": "etl", "logical_date": "2026-05-01T00:00:00+00:00"},
        ),
        ("Trigger the nightly-load DAG", {"dag": "nightly-load"}),
        ("airflow dags trigger etl -r mine", None),
        ("airflow dags trigger etl --conf {bad", None),
        ("Trigger the DAG now.", None),
    ],
)
def test_what_a_command_says_is_taken_whole_or_refused(world, words, stated):
    app, _ = world
    given = {"system": "airflow", **inputs.said(app.catalogue.get("pipelines.trigger-dag"), words)}
    if stated is None:
        with pytest.raises(BadInput):
            app.catalogue.make("pipelines.trigger-dag", given)
    else:
        made = app.catalogue.make("pipelines.trigger-dag", given)
        assert made.model_dump(exclude_defaults=True) == {"system": "airflow", **stated}


def test_a_delegation_that_names_an_unknown_dag_is_asked_back(world):
    app, double = world
    task = app.plan_task(DELEGATION.format(dag="etl_pipelin"))
    assert "Did you mean 'etl_pipeline'" in task.plan.model_dump_json()
    assert not double.runs


# -- a real Airflow ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.airflow
def test_a_delegation_drives_a_real_airflow(real_rig, tmp_path):
    app = project(tmp_path, real_rig)
    outcome = app.apply(app.plan_task(DELEGATION.format(dag="etl_pipeline")).plan, by="test", approved=True)
    assert outcome.status == "done"
    assert outcome.parts[-1].figures["tasks_ok"] == 2
    failed = app.apply(planned(app, dag="failing_pipeline"), by="test")
    assert failed.parts[-1].findings[0].figures["error"] == "ValueError"
    assert CANARY not in everything_told(app)
    app.close()


SPEC = """version: 1
target: warehouse
owner: data team
loads:
  orders: {source: {files: orders.csv}}
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin, skip_days: [Sun], retries: 0, after: [customers]}
"""


@pytest.mark.airflow
def test_an_exported_pipeline_runs_in_a_real_airflow(tmp_path):
    if not airflow_rig.installed():
        pytest.skip("there is no Airflow in .venv-airflow: python tests/airflow_rig.py makes it")
    (tmp_path / "estate.yaml").write_text(
        "version: 1\nsystems:\n  warehouse: {kind: duckdb, path: warehouse.duckdb}\nauthority: {rules: [{decision: allow}]}\n"
    )
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "orders.yaml").write_text(SPEC)
    (tmp_path / "etl" / "customers.yaml").write_text(
        SPEC.replace("orders", "customers").replace(", after: [customers]", "")
    )
    for name in ("orders", "customers"):
        (tmp_path / f"{name}.csv").write_text("id\n1\n")
    app = App.open(tmp_path)
    for name in ("orders", "customers"):
        assert (
            app.apply(
                app.preview(app.catalogue.make("pipelines.export-dag", {"pipeline": name})), by="test"
            ).status
            == "done"
        )
    app.close()
    program = (
        tmp_path / "bin" / "datareeve"
    )  # the real one, which is told to wait for a person where there is a file `held`
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ -e {tmp_path}/held ] && exit 4\nexec {ai_rig.DATAREEVE} "$@"\n'
    )
    program.chmod(0o755)
    with airflow_rig.home() as (folder, environment):
        environment |= {
            "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "etl" / "dags"),
            "DATAREEVE": str(program),
        }
        said = airflow_rig.airflow(folder, "dags", "test", "datareeve_orders", environment=environment)
        assert re.search(
            r"state[=: ]+'?success|marked success|DagRun Finished.*success", said, re.IGNORECASE | re.DOTALL
        ), said[-2000:]
        calls = (tmp_path / "calls").read_text().splitlines()
        assert calls == [
            f"run pipelines.{part} --pipeline orders --project {tmp_path}" for part in ("build", "publish")
        ]
        with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
            assert connection.execute("SELECT * FROM orders").fetchall() == [(1,)]
        (tmp_path / "held").touch()
        command = [str(airflow_rig.ENVIRONMENT / "bin" / "airflow"), "dags", "test", "datareeve_orders"]
        held = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert "it waits for a person's approval" in held.stdout + held.stderr
        assert (tmp_path / "calls").read_text().splitlines()[2:] == calls[
            :1
        ]  # nothing is published after a build that did not end well
