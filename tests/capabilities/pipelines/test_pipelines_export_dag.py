"""A pipeline as a DAG of Airflow: the file's text, and the operation that writes it."""

import ast
import os
import sys
import types
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.app import App
from datareeve.capabilities.pipelines.airflow import dag_text
from datareeve.capabilities.pipelines.spec import Pipeline
from datareeve.core.errors import Refused

SPEC = {
    "target": "warehouse",
    "owner": "data team",
    "description": "Orders, by day",
    "loads": {"orders": {"source": {"files": "orders.csv"}}},
    "environments": {"dev": {"system": "warehouse"}},
    "schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "skip_days": ["Sun", "2026-08-24", "holidays:DE"], "after": ["customers"], "timeout": "2h", "pool": "loads", "retries": 2, "retry_seconds": 30},
}  # fmt: skip


def exported(name="orders", **more):
    schedule = {**SPEC["schedule"], **more.pop("schedule", {})}
    given = {**SPEC, **more, "schedule": schedule}
    return dag_text.export(name, Pipeline.model_validate(given), path=f"etl/dags/{name}.py")


def test_it_is_python_and_the_same_each_time():
    made = exported()
    ast.parse(made.text)
    assert exported() == made
    assert made.dag == "datareeve_orders"
    assert '"0 3 * * *"' in made.text.replace("'", '"')
    assert "timedelta(seconds=7200)" in made.text


def test_it_needs_nothing_but_airflow_and_what_python_has():
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in ast.walk(ast.parse(exported().text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
    }
    assert imported - sys.stdlib_module_names == {"airflow"}


def test_what_airflow_cannot_keep_is_told():
    left = " ".join(exported(schedule={"on_file": "in/*.csv", "catch_up": "none"}).left)
    for word in ("in/*.csv", "holidays:DE", "'loads'", "catch_up: none"):
        assert word in left
    assert exported(schedule={"skip_days": [], "pool": None}).left == ()


@given(st.text(max_size=60), st.text(max_size=30))
def test_whatever_people_wrote_it_is_python(description, owner):
    text = exported(description=description, owner=owner).text
    tree = ast.parse(text)
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DAG"
    ]
    (told,) = [word.value for word in calls[0].keywords if word.arg == "description"]
    assert ast.literal_eval(told) == description.strip()[:500]


# -- the file, run beside stand-ins of Airflow's names -----------------------------------------------------------------------------------


class Stopped(Exception):
    """What Airflow's exceptions are here."""


def _kept(name):
    return lambda *given, **more: (name, given, more)


def loaded(path, monkeypatch, **environ):
    """The names of the file, with Airflow's as stand-ins that keep what they are given."""
    names = {
        name: type(name, (Stopped,), {})
        for name in ("AirflowException", "AirflowFailException", "AirflowSkipException")
    }
    given = {}

    class Dag:
        def __init__(self, **more):
            given.update(more)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    class Task:
        def __init__(self, function, outlets=()):
            self.function, self.outlets = function, outlets

        def __call__(self, *arguments):
            return self

        def __rshift__(self, other):
            given["order"] = [self.function.__name__, other.function.__name__]

    def task(function=None, **more):
        return Task(function) if function else lambda one: Task(one, **more)

    kept = {name: _kept(name) for name in ("Asset", "AssetOrTimeSchedule", "CronTriggerTimetable")}
    sdk = types.ModuleType("airflow.sdk")
    vars(sdk).update(DAG=Dag, task=task, **kept)
    exceptions = types.ModuleType("airflow.sdk.exceptions")
    vars(exceptions).update(names)
    for name, module in (
        ("airflow", types.ModuleType("airflow")),
        ("airflow.sdk", sdk),
        ("airflow.sdk.exceptions", exceptions),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    module = {"__name__": "orders", "__file__": str(path)}
    exec(compile(path.read_text(), str(path), "exec"), module)  # noqa: S102 - our own text
    return module, given, names


@pytest.fixture
def dag(tmp_path, monkeypatch):
    """The file where it lies in a project, with a program in Datareeve's place that writes down how it was called and ends as it is told."""
    path = tmp_path / "etl" / "dags" / "orders.py"
    path.parent.mkdir(parents=True)
    path.write_text(exported().text)
    program = tmp_path / "datareeve"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho told\nexit $(cat {tmp_path}/status 2>/dev/null || echo 0)\n'
    )
    program.chmod(0o755)
    module, given, names = loaded(path, monkeypatch, DATAREEVE=str(program))
    return types.SimpleNamespace(folder=tmp_path, module=module, given=given, names=names, path=path)


def test_the_dag_has_the_schedule_the_owner_and_the_order(dag):
    kind, _, schedule = dag.given["schedule"]
    assert kind == "AssetOrTimeSchedule"
    assert schedule["timetable"][1:] == (
        ("0 3 * * *",),
        {"timezone": "Europe/Berlin", "run_immediately": True},
    )
    assert schedule["assets"] == [
        ("Asset", (), {"name": "datareeve customers", "uri": "datareeve://pipelines/customers"})
    ]
    assert dag.given["order"] == ["build", "publish"]
    told = dag.given["default_args"]
    assert (
        told["owner"],
        told["retries"],
        told["retry_delay"].seconds,
        told["retry_exponential_backoff"],
        told["pool"],
    ) == ("data team", 2, 30, 2.0, "loads")
    assert (dag.given["max_active_runs"], dag.given["catchup"]) == (1, False)


def test_a_task_calls_datareeve_and_approves_nothing(dag):
    dag.module["datareeve"]("pipelines.build")
    assert (
        dag.folder / "calls"
    ).read_text() == f"run pipelines.build --pipeline orders --project {dag.folder}\n"


@pytest.mark.parametrize(
    ("status", "error"), [(1, "AirflowException"), (2, "AirflowFailException"), (3, "AirflowFailException"), (4, "AirflowFailException"), (5, "AirflowFailException")]
)  # fmt: skip
def test_only_what_may_pass_by_itself_is_tried_again(dag, status, error):
    (dag.folder / "status").write_text(str(status))
    with pytest.raises(dag.names[error], match="orders"):
        dag.module["datareeve"]("pipelines.publish")


@pytest.mark.parametrize(
    ("moment", "kind", "skipped"),
    [
        (datetime(2026, 8, 22, 23, tzinfo=UTC), "scheduled", True),  # a Sunday in Berlin already
        (datetime(2026, 8, 23, 23, tzinfo=UTC), "scheduled", True),  # the day that is named, there
        (datetime(2026, 8, 25, 1, tzinfo=UTC), "scheduled", False),
        (datetime(2026, 10, 3, 1, tzinfo=UTC), "scheduled", True),  # a holiday
        (datetime(2026, 10, 3, 1, tzinfo=UTC), "manual", False),
        (None, "asset_triggered", False),
    ],
)  # fmt: skip
def test_free_days_are_those_of_the_schedules_own_zone(dag, moment, kind, skipped):
    run = types.SimpleNamespace(logical_date=moment, run_type=types.SimpleNamespace(value=kind))
    if not skipped:
        return dag.module["skip_free_days"](run)
    with pytest.raises(dag.names["AirflowSkipException"], match="left out"):
        dag.module["skip_free_days"](run)
    return None


def test_the_program_is_ended_with_its_task(dag):
    (dag.folder / "datareeve").write_text(
        f"#!/bin/sh\necho $$ > {dag.folder}/pid\necho begun\nexec sleep 600\n"
    )

    def stopped(*words, **_more):
        if words == ("begun",):
            raise KeyboardInterrupt

    dag.module["print"] = stopped
    with pytest.raises(KeyboardInterrupt):
        dag.module["datareeve"]("pipelines.build")
    with pytest.raises(ProcessLookupError):
        os.kill(int((dag.folder / "pid").read_text()), 0)


# -- the operation -----------------------------------------------------------------------------------------------------------------------

ESTATE = """version: 1
systems:
  warehouse: {kind: duckdb, path: warehouse.duckdb}
authority:
  rules: [{decision: allow}]
"""
YAML = """version: 1
target: warehouse
owner: data team
loads:
  orders: {source: {files: orders.csv}}
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
"""


@pytest.fixture
def app(tmp_path):
    (tmp_path / "estate.yaml").write_text(ESTATE)
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "orders.yaml").write_text(YAML)
    (tmp_path / "orders.csv").write_text("id\n1\n")
    made = App.open(tmp_path)
    yield made
    made.close()


def planned(app, **inputs):
    return app.preview(app.catalogue.make("pipelines.export-dag", {"pipeline": "orders", **inputs}))


def test_it_is_written_once_kept_and_taken_back(app):
    plan = planned(app)
    assert plan.fingerprint == planned(app).fingerprint
    outcome = app.apply(plan, by="test")
    path = app.project / "etl" / "dags" / "orders.py"
    assert outcome.status == "done"
    ast.parse(path.read_text())
    assert planned(app).nothing_to_do == "etl/dags/orders.py says this already."
    assert app.undo(outcome.run, by="test").status == "undone"
    assert not path.exists()


def test_another_file_is_not_written_over_unless_that_is_asked_for(app):
    path = app.project / "etl" / "dags" / "orders.py"
    path.parent.mkdir()
    path.write_text("mine = 1\n")
    assert planned(app).blockers == ("etl/dags/orders.py stands already: give another --path, or --replace.",)
    outcome = app.apply(planned(app, replace=True), by="test")
    assert outcome.status == "done"
    app.undo(outcome.run, by="test")
    assert path.read_text() == "mine = 1\n"


def test_since_when_missed_runs_are_made_up_for_is_asked(app):
    spec = app.project / "etl" / "orders.yaml"
    spec.write_text(YAML.replace("timezone:", "catch_up: all, timezone:"))
    assert "--start-date" in planned(app).blockers[0]
    (step,) = planned(app, start_date="2026-05-01").steps
    text = step.call.arguments["text"]
    assert "catchup=True" in text
    assert "2026-05-01" in text


def test_an_unknown_pipeline_or_environment_is_told(app):
    with pytest.raises(Exception, match="orders"):
        planned(app, pipeline="order")
    with pytest.raises(Exception, match="no environment 'dev'"):
        planned(app, environment="dev")


def test_it_goes_only_where_files_may_be_written(app):
    with pytest.raises(Refused, match="leads out of the project"):
        planned(app, path="../orders.py")
    outcome = app.apply(planned(app, path="orders.py"), by="test")
    assert outcome.status == "failed"
    assert "files.not-allowed" in outcome.model_dump_json()
    assert not (app.project / "orders.py").exists()


def test_years_of_free_days_are_whole():
    first, last = date(dag_text.HOLIDAY_YEARS[0], 1, 1), date(dag_text.HOLIDAY_YEARS[-1], 12, 26)
    text = exported(schedule={"skip_days": ["holidays:DE"]}).text
    assert first.isoformat() in text
    assert last.isoformat() in text
    assert Path(dag_text.TEMPLATE).is_file()
