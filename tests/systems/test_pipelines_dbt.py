"""dbt's adapter: its artifacts as a real dbt wrote them, and a program that stands in for dbt where it is interrupted, fails or is slow."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dbt_rig
from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.core.estate_orchestration import DbtSystem
from datareeve.systems import dbt_artifacts, dbt_process
from datareeve.systems.dbt import Dbt
from datareeve.systems.dbt_findings import findings
from dbt_rig import CANARY, SECRET

TESTS = Path(__file__).parents[1]
MANIFEST = dbt_artifacts.manifest(dbt_rig.recorded("manifest"))
RESULTS = dbt_artifacts.results(dbt_rig.recorded("run_results"))
BUILT = [
    "stg_orders", "accepted_values_stg_orders_status__paid__open", "not_null_stg_orders_id", "unique_stg_orders_id", "order_log", "orders_by_day",
]  # fmt: skip


# -- artifacts ---------------------------------------------------------------------------------------------------------------------------


def test_a_manifest_tells_what_each_node_is_and_rests_on():
    log, day = MANIFEST.nodes["model.shop.order_log"], MANIFEST.nodes["model.shop.orders_by_day"]
    assert (MANIFEST.project, MANIFEST.adapter) == ("shop", "duckdb")
    assert (log.materialized, log.appends, log.writes, log.needs) == (
        "incremental",
        True,
        True,
        ("model.shop.stg_orders",),
    )
    assert (day.relation, day.appends, day.columns) == (
        '"shop"."main"."orders_by_day"',
        False,
        {"day": "date", "revenue": "decimal"},
    )
    assert not any(
        node.writes for node in MANIFEST.nodes.values() if node.kind in ("test", "source", "exposure")
    )


def test_lineage_is_plain_data():
    told = dbt_artifacts.lineage(MANIFEST)
    assert told["edges"] == [
        ["model.shop.orders_by_day", "exposure.shop.revenue_board"],
        ["model.shop.stg_orders", "model.shop.order_log"],
        ["model.shop.stg_orders", "model.shop.orders_by_day"],
        ["source.shop.raw.orders", "model.shop.stg_orders"],
    ]
    assert json.loads(json.dumps(told)) == told


def test_nodes_are_ordered_as_dbt_does_them():
    run = [id_ for id_, node in MANIFEST.nodes.items() if node.kind in ("model", "test")]
    assert [MANIFEST.nodes[id_].name for id_ in dbt_artifacts.in_order(MANIFEST, run, gated=True)] == BUILT
    ungated = [MANIFEST.nodes[id_].name for id_ in dbt_artifacts.in_order(MANIFEST, run[::-1])]
    assert ungated.index("stg_orders") < ungated.index("orders_by_day")


def test_what_is_downstream_is_found_at_any_distance():
    assert dbt_artifacts.downstream(MANIFEST, ["model.shop.stg_orders"], ("exposure",)) == [
        "exposure.shop.revenue_board"
    ]
    assert dbt_artifacts.downstream(MANIFEST, ["model.shop.stg_orders"], ("model",)) == [
        "model.shop.order_log",
        "model.shop.orders_by_day",
    ]
    assert dbt_artifacts.downstream(MANIFEST, [], ("model",)) == []


def test_results_count_and_do_not_quote():
    assert (RESULTS.run, RESULTS.key) == ("run1", "key1")
    assert RESULTS.count("success", "pass") == 3
    assert RESULTS.count("fail") == 1
    assert RESULTS.count("skipped") == 2  # the exposure is no node that is run
    (told,) = findings("shop", RESULTS, MANIFEST)
    assert (
        told["what"]
        == "The test accepted_values_stg_orders_status__paid__open (models/schema.yml) failed: 1 failure, as dbt counts them."
    )


def test_the_log_tells_what_had_finished():
    told = dbt_artifacts.logged((dbt_rig.RECORDED / "events.jsonl").read_text().splitlines())
    assert told.finished["model.shop.stg_orders"] == "success"
    assert sorted(told.finished.values()) == [
        "fail",
        "pass",
        "pass",
        "skipped",
        "skipped",
        "skipped",
        "success",
    ]
    assert "model.shop.order_log" not in told.begun
    cut = (dbt_rig.RECORDED / "events.jsonl").read_text()[:9000].splitlines()
    assert set(dbt_artifacts.logged(cut).finished) < set(told.finished)


@pytest.mark.parametrize(
    ("message", "error", "code"),
    [
        ('Database Error in model a (models/a.sql)\n  duplicate key value violates unique constraint "k"\n  DETAIL: Key (email)=(canary7f3a)', "Database Error", "23505"),
        ('Database Error in model a (models/a.sql)\n  invalid input syntax for type integer: "canary7f3a"\n  LINE 8', "Database Error", "22P02"),
        ('Runtime Error in model a (models/a.sql)\n  Conversion Error: Could not convert string "canary7f3a" to INT32', "Runtime Error", "Conversion Error"),
        ("Database Error in model a\n  001003 (42000): SQL compilation error: canary7f3a", "Database Error", "42000"),
        ("Compilation Error in model a (models/a.sql)\n  canary7f3a", "Compilation Error", ""),
        ("canary7f3a", "", ""),
    ],
)  # fmt: skip
def test_of_an_error_its_class_and_code_are_kept(message, error, code):
    data = json.loads(dbt_rig.recorded("run_results"))
    data["results"] = [
        {"unique_id": "model.shop.a", "status": "error", "message": message, "execution_time": 1.0}
    ]
    found = dbt_artifacts.results(json.dumps(data))
    assert (found.nodes[0].error, found.nodes[0].code) == (error, code if error else "")
    assert CANARY not in found.model_dump_json() + str(findings("shop", found, MANIFEST))


@pytest.mark.parametrize("version", [4, 9, 13, 99])
def test_a_manifest_of_another_schema_is_refused_by_name(version):
    text = dbt_rig.recorded("manifest").replace("manifest/v12.json", f"manifest/v{version}.json")
    with pytest.raises(Failed, match=f"schema v{version}; known are v10 to v12"):
        dbt_artifacts.manifest(text)


@pytest.mark.parametrize("version", [10, 11, 12])
def test_known_schemas_are_read(version):
    text = dbt_rig.recorded("manifest").replace("manifest/v12.json", f"manifest/v{version}.json")
    assert dbt_artifacts.manifest(text).nodes == MANIFEST.nodes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{",
        '{"metadata": 7}',
        "[" * 100_000,
        '{"metadata": {"dbt_schema_version": "x"}}',
    ],
)
def test_what_is_no_artifact_is_told(text):
    for read in (dbt_artifacts.manifest, dbt_artifacts.results):
        with pytest.raises(Failed, match="no JSON document"):
            read(text)


wild = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.sampled_from("unique_id resource_type config depends_on nodes columns checksum fqn metadata results status message adapter_response failures info data name msg level node_info env".split()), inner, max_size=4), max_leaves=20)  # fmt: skip


@given(wild, wild)
def test_no_artifact_is_a_traceback(one, other):
    for part in (
        {"nodes": {"a": one}, "sources": other},
        {"nodes": one, "exposures": {"b": other}},
        {"results": [one, other]},
        {"results": one},
    ):
        for what, read in (
            ("manifest/v12", dbt_artifacts.manifest),
            ("run-results/v6", dbt_artifacts.results),
        ):
            told = {"metadata": {"dbt_schema_version": f"https://schemas.getdbt.com/dbt/{what}.json"}, **part}
            read(json.dumps(told))
    dbt_artifacts.logged(
        [
            json.dumps(one),
            json.dumps({"info": one, "data": other}),
            json.dumps({"info": {"level": "error", "msg": str(other)}, "data": one}),
        ]
    )


# -- a program in dbt's place ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project whose dbt is the double."""
    made = dbt_rig.Project(tmp_path, tmp_path / "dbt")
    made.write(**dbt_rig.FILES, **{"recorded.json": dbt_rig.recorded("manifest")})
    program = tmp_path / "dbt-double"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {TESTS / "dbt_double.py"} "$@"\n')
    program.chmod(0o755)
    return made


def system(project, **more):
    return project.system(executable=str(project.folder / "dbt-double"), **more)


def behave(project, **how):
    (project.dbt / "double.json").write_text(json.dumps(how))


def calls(project):
    path = project.dbt / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def carried_out(project):
    """The commands that were run, without those that only read the project."""
    return [one["argv"] for one in calls(project) if one["argv"][0] != "ls"]


def built(dbt, run="r1", **more):
    return dbt.perform("command", run=run, key="k", asked=dbt_rig.asked(**more))


def test_what_a_command_would_do_is_what_dbt_says(project):
    told = system(project).read("selection", **dbt_rig.asked("build"))
    assert [node["name"] for node in told["nodes"]] == BUILT
    assert told["exposures"] == ["revenue_board"]
    assert told["seconds"] is None
    only = system(project).read("selection", **dbt_rig.asked("run", select=["stg_orders"]))
    assert [node["name"] for node in only["nodes"]] == ["stg_orders"]
    assert only["downstream"] == ["order_log", "orders_by_day"]
    assert only["digest"] != told["digest"]


def test_a_command_is_run_once_however_often_it_is_asked(project):
    dbt = system(project)
    assert not dbt.read("ran", run="r1", key="k")
    built(dbt)
    built(dbt)
    built(system(project))
    assert len(carried_out(project)) == 1
    assert dbt.read("ran", run="r1", key="k")
    assert dbt.read("not_good", run="r1", key="k") == 0
    assert dbt.read("not_good", run="r2", key="k") is None
    told = dbt.perform("told", run="r1", key="k")
    assert (told["nodes_ok"], told["nodes_failed"], told["rows_affected"], told["dbt_seconds"]) == (
        6,
        0,
        42,
        1.5,
    )
    assert dbt.read("selection", **dbt_rig.asked())["seconds"] == 1.5  # known from now on


def test_a_node_that_fails_is_told_without_what_dbt_quotes(project):
    behave(project, fails=["orders_by_day"])
    dbt = system(project)
    dbt.read("selection", **dbt_rig.asked())
    built(dbt)
    told = dbt.perform("told", run="r1", key="k")
    assert (
        told["findings"][0]["what"]
        == "The model orders_by_day (models/orders_by_day.sql) failed: Database Error, 23505."
    )
    assert dbt.read("not_good", run="r1", key="k") == 1
    kept = "".join(path.read_text() for path in (project.folder / ".datareeve").rglob("*") if path.is_file())
    assert CANARY not in str(told) + kept


def test_a_dbt_that_cannot_begin_is_told_by_the_class_of_its_error(project):
    behave(project, breaks=True)
    for ask in (lambda: system(project).read("selection", **dbt_rig.asked()), lambda: built(system(project))):
        with pytest.raises(
            Failed, match=r"Compilation Error in model stg_orders \(models/stg_orders.sql\), line 3"
        ) as refused:
            ask()
        assert CANARY not in str(refused.value)


def test_results_of_an_earlier_command_are_not_taken_for_those_of_one_that_could_not_begin(project):
    built(system(project), run="r0")
    behave(project, breaks=True)
    with pytest.raises(Failed, match="could not begin"):
        built(system(project))


def test_secrets_go_by_the_environment_and_ours_stay_here(project, monkeypatch):
    (project.folder / "password").write_text(SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "ours-canary")
    built(system(project, environment={"DBT_ENV_SECRET_PASSWORD": "file:password"}))
    call = calls(project)[0]
    assert call["environ"]["DBT_ENV_SECRET_PASSWORD"] == SECRET
    assert call["environ"]["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "0"
    assert "OPENAI_API_KEY" not in call["environ"]
    assert SECRET not in str(call["argv"])
    kept = "".join(path.read_text() for path in (project.folder / ".datareeve").rglob("*") if path.is_file())
    assert SECRET not in kept


@pytest.mark.parametrize("words", [["--profiles-dir", "/tmp"], ["-x"], [""], ["a\nb"], ["a\x00b"], [" --x"]])  # noqa: S108 - refused
def test_a_selection_that_would_be_an_option_is_refused(project, words):
    for where in ("select", "exclude"):
        with pytest.raises(BadInput, match="A selection is words") as refused:
            system(project).read("selection", **dbt_rig.asked(**{where: words}))
        assert refused.value.code == "dbt.selection"
    assert calls(project) == []


def test_a_dbt_that_takes_too_long_is_ended(project):
    behave(project, hang_at="order_log")
    with pytest.raises(Failed, match="longer than 1 s") as refused:
        built(system(project, timeout_seconds=1))
    assert refused.value.code == "dbt.timeout"
    assert dbt_process.of_run("r1") == []


def test_what_is_not_there_is_told(project, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="There is no dbt at nowhere"):
        project.system(executable="nowhere").read("selection", **dbt_rig.asked())
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInput, match="no dbt on PATH"):
        project.system(executable=None).read("selection", **dbt_rig.asked())
    with pytest.raises(BadInput, match=r"no dbt_project.yml in empty"):
        Dbt("x", DbtSystem(kind="dbt", project="empty"), tmp_path).read("selection", **dbt_rig.asked())
    (project.folder / "text").write_text("no program")
    (project.folder / "text").chmod(0o755)
    with pytest.raises(Failed, match="cannot be started"):
        project.system(executable="text").read("selection", **dbt_rig.asked())


def test_lineage_is_had_from_the_project_where_there_is_no_dbt(project, monkeypatch):
    project.write(**{"target/manifest.json": dbt_rig.recorded("manifest")})
    told = project.system(executable="nowhere").read("lineage")
    assert len(told["edges"]) == 4


# -- interrupted -------------------------------------------------------------------------------------------------------------------------

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import dbt_rig
project = dbt_rig.Project(Path({folder!r}), Path({folder!r}) / "dbt")
project.system(executable={program!r}).perform("command", run="r1", key="k", asked=dbt_rig.asked())
"""


def killed_at(project, node):
    """A worker that was killed while its dbt was at that node; dbt itself goes on."""
    behave(project, hang_at=node)
    code = WORKER.format(
        tests=str(TESTS), folder=str(project.folder), program=str(project.folder / "dbt-double")
    )
    worker = subprocess.Popen([sys.executable, "-c", code])
    until((project.dbt / "hanging").exists)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    behave(project)
    assert dbt_process.of_run("r1") != []


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_after_a_kill_only_what_had_not_finished_is_run(project):
    killed_at(project, "orders_by_day")
    dbt = system(project)
    dbt.settle("r1")
    assert dbt_process.of_run("r1") == []
    assert not dbt.read("ran", run="r1", key="k")  # what an interrupted dbt leaves behind is no end
    built(dbt)
    _, second = carried_out(project)
    assert second[second.index("--select") + 1 :] == ["fqn:shop.orders_by_day"]
    told = dbt.perform("told", run="r1", key="k")
    assert (told["nodes_ok"], told["nodes_finished_before"]) == (6, 5)


def test_an_append_that_was_under_way_is_not_done_again_by_itself(project):
    killed_at(project, "order_log")
    dbt = system(project)
    dbt.settle("r1")
    with pytest.raises(Failed, match="whether order_log has this run's rows") as refused:
        built(dbt)
    assert refused.value.code == "dbt.in-doubt"
    assert len(carried_out(project)) == 1
    dbt.perform(
        "command", run="r1", key="k", asked=dbt_rig.asked(), full_refresh=True
    )  # made anew: nothing stands twice
    assert len(carried_out(project)) == 2


def test_a_dbt_that_ended_after_its_worker_died_is_found_and_not_run_again(project):
    killed_at(project, "orders_by_day")
    dbt = system(project)
    assert not dbt.read("ran", run="r1", key="k")  # it still goes on
    for process in dbt_process.of_run("r1"):
        process.send_signal(signal.SIGINT)  # the double writes its results, as if it were through
        psutil.wait_procs([process], timeout=10)
    dbt.settle("r1")
    assert dbt.read("ran", run="r1", key="k")
    built(dbt)
    assert len(carried_out(project)) == 1


def test_only_processes_of_the_run_are_ended(project):
    killed_at(project, "orders_by_day")
    dbt = system(project)
    dbt.settle("another")
    assert len(dbt_process.of_run("r1")) == 1
    dbt.settle("r1")


def test_events_are_the_owners_alone_and_gone_at_the_end(project):
    killed_at(project, "orders_by_day")
    (log,) = (project.folder / ".datareeve").rglob("events.jsonl")
    assert log.stat().st_mode & 0o777 == 0o600
    dbt = system(project)
    dbt.settle("r1")
    built(dbt)
    assert list((project.folder / ".datareeve").rglob("*.jsonl")) == []


# -- a real dbt --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def real(tmp_path):
    if not dbt_rig.installed():
        pytest.skip("there is no dbt in .venv-dbt: python tests/dbt_rig.py makes it")
    return dbt_rig.on_duckdb(tmp_path)


@pytest.mark.dbt
def test_a_real_dbt_selects_runs_and_is_told(real):
    dbt = real.system()
    told = dbt.read("selection", **dbt_rig.asked("build"))
    assert [node["name"] for node in told["nodes"]] == BUILT
    assert not real.rows(
        "SELECT 1 FROM information_schema.tables WHERE table_name = 'stg_orders'"
    )  # looking made nothing
    assert not (real.dbt / "target").exists()
    built(dbt)
    figures = dbt.perform("told", run="r1", key="k")
    assert (figures["nodes_ok"], figures["nodes_failed"], figures["nodes_skipped"]) == (3, 1, 2)
    assert CANARY not in str(figures)
    assert not dbt.read("selection", **dbt_rig.asked("build", select=["nothing_of_that_name"]))["nodes"]
    real.write(
        **{"models/stg_orders.sql": "select 1 as id, 'paid' as status, 1 as amount, current_date as day"}
    )
    assert dbt.read("digest", **dbt_rig.asked("build")) != told["digest"]


@pytest.mark.dbt
def test_a_real_dbt_on_postgresql_is_told_by_sqlstate_and_gets_its_password_by_reference(tmp_path, database):
    if not dbt_rig.installed():
        pytest.skip("there is no dbt in .venv-dbt: python tests/dbt_rig.py makes it")
    (tmp_path / "password").write_text(SECRET)
    project = dbt_rig.on_postgres(tmp_path, database, **{"models/stg_orders.sql": f"select cast('{CANARY}' || n as int) as id, 'paid' as status, 1 as amount, current_date as day from generate_series(1, 3) as t (n)", "models/order_log.sql": "{{ config(materialized='table') }} select n as id from generate_series(1, 3) as t (n)", "models/orders_by_day.sql": "{{ config(materialized='table') }} select id from {{ ref('stg_orders') }}"})  # fmt: skip
    dbt = project.system(environment={"DBT_ENV_SECRET_PASSWORD": "file:password"})
    built(dbt, command="run")
    told = dbt.perform("told", run="r1", key="k")
    (finding,) = told["findings"]
    assert (
        finding["what"] == "The model orders_by_day (models/orders_by_day.sql) failed: Database Error, 22P02."
    )
    assert told["rows_affected"] == 3
    assert CANARY not in str(told)
    kept = "".join(
        path.read_text(errors="replace")
        for path in (tmp_path / ".datareeve" / "dbt" / "shop" / "runs").rglob("*")
        if path.is_file()
    )
    assert SECRET not in kept
    assert CANARY not in kept


@pytest.mark.dbt
def test_a_real_dbt_that_cannot_parse_is_told_by_the_file(real):
    real.write(**{"models/stg_orders.sql": "select * from {{ ref('nowhere') }}"})
    with pytest.raises(DatareeveError, match="Compilation Error"):
        real.system().read("selection", **dbt_rig.asked())


SLOW = "{{ config(materialized='table') }} select count(*) as n, min(day) as day, 1 as revenue from {{ ref('stg_orders') }}, range(3000000000) as t (k) where k % 7 = id"


@pytest.mark.dbt
def test_a_real_dbt_is_ended_with_its_run_and_the_rest_is_run_by_the_next_worker(tmp_path, monkeypatch):
    if not dbt_rig.installed():
        pytest.skip("there is no dbt in .venv-dbt: python tests/dbt_rig.py makes it")
    project = dbt_rig.on_duckdb(tmp_path, bad=False, **{"models/orders_by_day.sql": SLOW})
    code = WORKER.format(tests=str(TESTS), folder=str(tmp_path), program=str(dbt_rig.PROGRAM)).replace(
        "executable=", 'profiles="dbt", executable='
    )
    worker = subprocess.Popen([sys.executable, "-c", code], env={**os.environ})
    events = tmp_path / ".datareeve/dbt/shop/runs/r1-k/events.jsonl"
    until(
        lambda: (
            events.exists()
            and "model.shop.orders_by_day" in dbt_artifacts.logged(events.read_text().splitlines()).begun
        ),
        60,
    )
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    dbt = project.system()
    monkeypatch.setattr(dbt_process, "POLITE_SECONDS", 1.0)  # DuckDB does not let itself be cancelled
    dbt.settle("r1")
    assert dbt_process.of_run("r1") == []
    assert not dbt.read("ran", run="r1", key="k")
    project.write(**{"models/orders_by_day.sql": SLOW.replace("3000000000", "3")})
    built(dbt)
    told = dbt.perform("told", run="r1", key="k")
    assert (told["nodes_ok"], told["nodes_finished_before"], told["findings"]) == (6, 5, [])
    assert project.rows("SELECT count(*) FROM order_log") == [(20,)]  # appended once
