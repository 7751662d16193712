"""Airflow's adapter: what it asks and what it makes of the answers, the same of the double and of a real Airflow 3."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import airflow_rig
from airflow_rig import CANARY
from datareeve.core.errors import BadInput, DatareeveError, Failed, Unreachable
from datareeve.core.estate_orchestration import AirflowSystem
from datareeve.systems import airflow_logs
from datareeve.systems.airflow import Airflow

IDS = itertools.count()


class Clock:
    """A clock that only waiting moves on."""

    def __init__(self):
        self.at = 0.0
        self.pauses = []

    def __call__(self):
        return self.at

    def pause(self, seconds):
        self.pauses.append(seconds)
        self.at += seconds


def adapter(rig, folder, clock=None, user="admin", password=None, **more):
    (folder / f"{user}.password").write_text(password or rig.users[user])
    entry = AirflowSystem(kind="airflow", url=rig.url, user=user, password=f"file:{user}.password", **more)
    timed = {} if clock is None else {"pause": clock.pause, "clock": clock}
    return Airflow("airflow", entry, folder, **timed)


@pytest.fixture(scope="module")
def real_rig():
    if not airflow_rig.installed():
        pytest.skip("there is no Airflow in .venv-airflow: python tests/airflow_rig.py makes it")
    with airflow_rig.real() as rig:
        yield rig


@pytest.fixture(params=["double", pytest.param("real", marks=pytest.mark.airflow)])
def airflow(request, tmp_path):
    if request.param == "real":
        yield adapter(request.getfixturevalue("real_rig"), tmp_path)
        return
    with airflow_rig.double() as (rig, _):
        yield adapter(rig, tmp_path, Clock())


def triggered(airflow, dag, **more):
    name = f"datareeve__test{next(IDS)}"
    airflow.perform("trigger", run="r", dag=dag, dag_run=name, conf={}, **more)
    return name


class TestAnyAirflow:
    """On both."""

    def test_it_is_known_by_its_version(self, airflow):
        assert airflow.read("about")["version"].startswith("3.")

    def test_a_dag_is_told_with_its_schedule_and_whether_it_is_paused(self, airflow):
        told = airflow.read("dag", dag="nightly")
        assert told["paused"]
        assert told["schedule"] == "0 3 * * *"
        assert not airflow.read("takes_runs", dag="nightly")
        assert airflow.read("takes_runs", dag="etl_pipeline")
        assert not airflow.read("dag", dag="etl_pipeline")["import_errors"]

    def test_an_unknown_dag_is_told_with_the_nearest_name(self, airflow):
        for ask in ({"action": "dag"}, {"action": "last_runs"}, {"action": "structure"}):
            with pytest.raises(BadInput, match="Did you mean 'etl_pipeline'") as refused:
                airflow.read(ask["action"], dag="etl_pipelin")
            assert refused.value.code == "airflow.no-dag"
        with pytest.raises(BadInput, match="Did you mean 'etl_pipeline'"):
            triggered(airflow, "etl_pipelin")

    def test_what_its_lineage_is_made_of(self, airflow):
        tasks = {
            one["task"]: one["downstream"] for one in airflow.read("structure", dag="etl_pipeline")["tasks"]
        }
        assert tasks == {"extract": ["load"], "load": []}

    def test_a_triggered_dag_is_watched_until_it_succeeded(self, airflow):
        run = triggered(airflow, "etl_pipeline")
        assert airflow.read("has_run", dag="etl_pipeline", dag_run=run)
        told = airflow.perform("watch", run="r", dag="etl_pipeline", dag_run=run, wait_seconds=120)
        assert (told["state"], told["tasks"], told["tasks_ok"], told["tasks_failed"]) == ("success", 2, 2, 0)
        assert told["findings"] == []
        assert told["dag_seconds"] > 0
        assert airflow.read("state", dag="etl_pipeline", dag_run=run) == "success"
        last = airflow.read("last_runs", dag="etl_pipeline")[0]
        assert (last["dag_run"], last["state"], last["type"]) == (run, "success", "manual")

    def test_triggered_twice_under_one_id_it_is_one_run(self, airflow):
        run = triggered(airflow, "slow_pipeline")
        airflow.perform("trigger", run="r", dag="slow_pipeline", dag_run=run, conf={})
        assert [one["dag_run"] for one in airflow.read("last_runs", dag="slow_pipeline")].count(run) == 1

    def test_a_task_that_failed_is_told_by_class_and_line_and_not_by_what_it_says(self, airflow):
        run = triggered(airflow, "failing_pipeline")
        told = airflow.perform("watch", run="r", dag="failing_pipeline", dag_run=run, wait_seconds=120)
        assert (told["state"], told["tasks_failed"], told["tasks_not_run"]) == ("failed", 1, 1)
        (finding,) = told["findings"]
        line = airflow_rig.DAGS.splitlines().index(f'        raise ValueError("bad row: {CANARY}")') + 1
        assert finding["what"] == f"Task breaks failed at try 1: ValueError at rig.py:{line}."
        assert CANARY not in str(told)

    def test_watching_is_bounded(self, airflow):
        run = triggered(airflow, "slow_pipeline")
        told = airflow.perform("watch", run="r", dag="slow_pipeline", dag_run=run, wait_seconds=2)
        assert told["state"] in ("queued", "running")

    def test_a_date_has_one_run(self, airflow):
        date = f"2026-05-{1 + next(IDS) % 28:02}T03:00:00+00:00"
        run = triggered(airflow, "slow_pipeline", logical_date=date)
        assert airflow.read("run_of_date", dag="slow_pipeline", logical_date=date)["dag_run"] == run
        assert (
            airflow.read("run_of_date", dag="slow_pipeline", logical_date="2020-01-01T00:00:00+00:00") is None
        )
        with pytest.raises(Failed, match="has a run of slow_pipeline of that logical date") as refused:
            triggered(airflow, "slow_pipeline", logical_date=date)
        assert refused.value.code == "airflow.conflict"

    def test_a_run_that_is_not_there_is_none(self, airflow):
        assert airflow.read("dag_run", dag="etl_pipeline", dag_run="nothing/of that?name") is None
        assert airflow.read("state", dag="etl_pipeline", dag_run="nothing") is None

    def test_a_wrong_password_is_told_and_not_shown(self, airflow, tmp_path):
        rig = airflow_rig.Rig(airflow.entry.url)
        with pytest.raises(Unreachable) as refused:
            adapter(rig, tmp_path, password="wrong-canary").read("dag", dag="etl_pipeline")  # noqa: S106 - wrong
        assert refused.value.code == "airflow.login"
        assert "wrong-canary" not in str(refused.value)

    def test_a_user_without_the_right_is_told(self, airflow, tmp_path):
        viewer = adapter(airflow_rig.Rig(airflow.entry.url), tmp_path, user="viewer")
        with pytest.raises(Unreachable, match="does not let viewer do this") as refused:
            triggered(viewer, "etl_pipeline")
        assert refused.value.code == "airflow.forbidden"

    def test_what_airflow_does_not_take_is_told_by_field_and_not_by_value(self, airflow):
        with pytest.raises(BadInput, match="does not take this: conf") as refused:
            airflow.perform("trigger", run="r", dag="etl_pipeline", dag_run="datareeve__wrong", conf=[CANARY])
        assert CANARY not in str(refused.value)


@pytest.fixture
def broken(tmp_path):
    """An adapter and the double, whose faults a test sets."""
    with airflow_rig.double() as (rig, double):
        clock = Clock()
        made = adapter(rig, tmp_path, clock)
        made.read("dag", dag="etl_pipeline")  # logged in
        yield made, double, clock


def test_a_server_that_fails_is_asked_again_and_then_told(broken):
    airflow, double, clock = broken
    double.faults = [503, "drop", 502]
    assert airflow.read("takes_runs", dag="etl_pipeline")
    assert clock.pauses == [0.5, 1.0, 2.0]
    double.faults = [500] * 5
    with pytest.raises(Unreachable, match="HTTP 500, 5 times in a row") as refused:
        airflow.read("dag", dag="etl_pipeline")
    assert CANARY not in str(refused.value)
    double.faults = ["drop"] * 5
    with pytest.raises(Unreachable, match="cannot be reached"):
        airflow.read("dag", dag="etl_pipeline")


def test_a_trigger_whose_answer_was_lost_is_not_done_twice(broken):
    airflow, double, _ = broken
    double.faults = ["lose"]
    run = triggered(airflow, "etl_pipeline")
    assert [name for _, name in double.runs] == [run]
    assert [method for method, target in double.seen if target.endswith("/dagRuns")].count("POST") == 2


def test_a_token_that_expires_while_it_is_watched_is_had_anew(broken):
    airflow, double, _ = broken
    run = triggered(airflow, "etl_pipeline")
    double.tokens.clear()
    assert (
        airflow.perform("watch", run="r", dag="etl_pipeline", dag_run=run, wait_seconds=60)["state"]
        == "success"
    )
    assert double.logins == 2


def test_nobody_is_followed_elsewhere_with_a_token(broken):
    airflow, double, _ = broken
    double.faults = [302]
    with pytest.raises(BadInput, match="redirects elsewhere"):
        airflow.read("dag", dag="etl_pipeline")


@pytest.mark.parametrize(
    "said",
    [
        "<html>",
        "",
        "[1]",
        '"text"',
        "null",
        "{}",
        '{"dag_runs": 7}',
        '{"dag_runs": [3]}',
        '{"owners": 7, "max_active_runs": "x"}',
    ],
)
def test_an_answer_of_another_form_is_no_traceback(broken, said):
    airflow, double, _ = broken
    for ask in (
        lambda: airflow.read("last_runs", dag="nightly"),
        lambda: airflow.read("about"),
        lambda: airflow.read("dag", dag="nightly"),
    ):
        double.faults = [said or " "]
        with contextlib.suppress(DatareeveError):
            ask()


def test_what_is_no_airflow_3_is_told(broken):
    airflow, double, _ = broken
    double.version = "2.10.5"
    with pytest.raises(Failed, match="not an Airflow 3"):
        airflow.read("about")
    double.faults = ["<html>hello</html>"]
    with pytest.raises(Failed, match="not the API of an Airflow 3"):
        airflow.read("about")


def test_a_run_that_goes_on_is_looked_at_ever_less_often(broken):
    airflow, _, clock = broken
    run = triggered(airflow, "slow_pipeline")
    told = airflow.perform("watch", run="r", dag="slow_pipeline", dag_run=run, wait_seconds=3600)
    assert told["state"] == "running"
    assert clock.at == 3600
    assert max(clock.pauses) == 15
    assert len(clock.pauses) < 300


def test_a_run_that_was_deleted_while_it_is_watched_is_told(broken):
    airflow, _, _ = broken
    with pytest.raises(Failed, match="no longer has the run gone"):
        airflow.perform("watch", run="r", dag="etl_pipeline", dag_run="gone", wait_seconds=1)


def test_a_log_that_cannot_be_had_does_not_hide_that_a_task_failed(broken):
    airflow, double, _ = broken
    run = triggered(airflow, "failing_pipeline")
    double.further(double.further(double.runs["failing_pipeline", run]))
    # the run, its tasks, and then the log
    real = double.of_run
    double.of_run = lambda path, query: (
        (403, {"detail": "Forbidden"}) if "logs" in path else real(path, query)
    )
    told = airflow.perform("watch", run="r", dag="failing_pipeline", dag_run=run, wait_seconds=1)
    assert told["findings"][0]["what"] == "Task breaks failed at try 1: its log names no exception."


def test_an_address_with_a_path_is_kept_and_one_with_a_password_is_refused():
    entry = {"kind": "airflow", "user": "u", "password": "env:P"}
    assert AirflowSystem(url="https://host/team/api/v2/", **entry).url == "https://host/team"
    for url in ("https://u:p@host", "ftp://host", "host:8080", "https://host/?token=x"):
        with pytest.raises(ValueError, match="URL"):
            AirflowSystem(url=url, **entry)
    for way in (
        {},
        {"user": "u"},
        {"password": "env:P"},
        {"user": "u", "password": "env:P", "token": "env:T"},
    ):
        with pytest.raises(ValueError, match=r"user.*password.*token"):
            AirflowSystem(kind="airflow", url="https://host", **way)


def test_a_log_of_lines_tells_its_error_and_where_it_was_raised():
    lines = [
        "Traceback (most recent call last):",
        '  File "/usr/lib/python3.11/site-packages/airflow/models.py", line 9, in run',
        '  File "/dags/orders.py", line 42, in load',
        f"psycopg.errors.UniqueViolation: duplicate key {CANARY}",
        f"ValueError: {CANARY}",
        "Bash command failed. The command returned a non-zero exit code 3.",
    ]
    assert airflow_logs.reduced(lines) == {"error": "ValueError", "at": "orders.py:42", "exit_status": 3}
    assert airflow_logs.reduced("\n".join(lines)) == airflow_logs.reduced(lines)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["event", "error_detail", "exc_type", "exc_value", "frames", "filename", "lineno"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(anything)
def test_no_log_is_a_traceback(content):
    assert set(airflow_logs.reduced(content)) <= {"error", "at", "exit_status"}
