"""Settings tried on a copy: what is proposed because of it, what is left out, and the arithmetic of memory."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import servers
from datareeve.app import App
from datareeve.capabilities.databases import settings as s
from datareeve.capabilities.databases import settings_measured as m
from datareeve.capabilities.databases import settings_told as told
from datareeve.capabilities.databases.operations.tune_settings import TuneSettings, TuneSettingsFacts
from datareeve.capabilities.databases.rules.settings import RULES
from datareeve.systems.pg_copy import copy_of

GIB, MIB = 1024**3, 1024**2
CANARY = "canary7f3a"


# -- judging ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("with_it", "without", "verdict"),
    [
        ([12.0, 12.1, 12.2], [10.0, 10.1, 10.2], "worse"),
        ([10.8, 10.9, 10.85], [10.0, 10.1, 10.2], ""),  # less than a tenth
        ([10.0, 14.0, 15.0], [9.0, 10.5, 12.0], ""),  # their rounds lie among each other
        ([5.0, 5.1, 5.2], [10.0, 10.1, 10.2], "better"),
        ([0.030, 0.031, 0.032], [0.020, 0.021, 0.022], ""),  # a hundredth of a millisecond is noise
        ([], [1.0], ""),
    ],
)
def test_a_change_is_clear_when_it_is_a_tenth_above_noise_and_its_rounds_are_apart(with_it, without, verdict):
    assert m.clearly(with_it, without) == verdict


costs = st.lists(st.floats(0.1, 1e6), min_size=1, max_size=7)


@given(costs, costs)
def test_what_is_worse_one_way_is_never_worse_the_other_way(one, other):
    assert not (m.clearly(one, other) == "worse" and m.clearly(other, one) == "worse")
    assert m.clearly(one, one) == ""


def need(needs_bytes, operations=1):
    return m.Need(
        fingerprint="f", sql="SELECT", temp_bytes=48 * MIB, needs_bytes=needs_bytes, operations=operations
    )


def test_the_work_mem_that_fits_is_the_largest_that_all_sessions_may_take_at_once():
    room = m.Room(memory_bytes=16 * GIB, sessions=8)
    assert (
        m.fitting_work_mem([need(64 * MIB, 2), need(16 * MIB), need(None), need(2 * GIB)], room) == 64 * MIB
    )
    assert m.fitting_work_mem([need(2 * GIB)], room) is None
    assert need(64 * MIB, 2).arithmetic(room) == (
        "48 MB go through temporary files; work_mem 64 MB avoids it: x 2 sorts or hashes x 8 sessions = 1 GB of 4 GB"
        " (a quarter of the memory): fits"
    )
    assert need(2 * GIB).arithmetic(room).endswith("= 16 GB of 4 GB (a quarter of the memory): does not fit")


@given(
    st.lists(st.tuples(st.integers(22, 34), st.integers(1, 9)), max_size=6),
    st.integers(1, 500),
    st.integers(2**28, 2**40),
)
def test_a_proposed_work_mem_never_takes_more_than_the_room(wanted, sessions, memory):
    room = m.Room(memory_bytes=memory, sessions=sessions)
    needs = [need(2**power, operations) for power, operations in wanted]
    found = m.fitting_work_mem(needs, room)
    if found is not None:
        assert any(n.needs_bytes == found and found * n.operations * sessions <= memory // 4 for n in needs)


# -- plans ------------------------------------------------------------------------------------------------------------------------


def setting(name, value, unit=None, vartype="integer", context="user"):
    return s.Setting(
        name=name,
        setting=value,
        unit=unit,
        vartype=vartype,
        context=context,
        source="default",
        boot_val=value,
    )


SETTINGS = {
    "random_page_cost": setting("random_page_cost", "4", vartype="real"),
    "work_mem": setting("work_mem", "4096", "kB"),
    "shared_buffers": setting("shared_buffers", "16384", "8kB", context="postmaster"),
}
MAY = s.Rights(reader="o", actor="o", may_look=True, may_reload=True, may_alter=tuple(SETTINGS))


def facts(**changes):
    usual = {
        "version_num": 180004,
        "local_control": True,
        "data_directory": "/srv/pg",
        "host": s.HostFacts(memory_bytes=16 * GIB, cores=8, storage="ssd"),
        "activity": s.Activity(max_connections=100),
        "settings": SETTINGS,
        "files": {},
        "rights": MAY,
    }
    return TuneSettingsFacts(**{**usual, **changes})


def effect(name, verdict, ratio, **more):
    clear = verdict if verdict in {"better", "worse"} else ""
    change = m.Change(fingerprint="f1", sql="SELECT a FROM t", ratio=ratio, clear=clear)
    about = {"name": name, "former": "4", "advised": "1.1", "verdict": verdict, "why": "As it was."}
    return m.SettingEffect(**{**about, "families": (change,), **more})


def stored(plan):
    steps = [step for step in plan.all_steps() if step.call.action == "alter_system"]
    return {step.call.arguments["name"]: step.call.arguments["value"] for step in steps}


def test_a_setting_that_is_slower_on_the_copy_is_left_out_told_and_remembered():
    trial = m.SettingsTrial(settings=(effect("random_page_cost", "worse", 1.4, percent=12.0),))
    plan = TuneSettings(system="app", only=("random_page_cost", "work_mem")).plan(facts(trial=trial))
    assert stored(plan) == {"work_mem": "32MB"}
    (finding,) = [f for f in plan.findings if f.rule == "setting-slower"]
    assert finding.what == (
        "random_page_cost = 1.1 is left out: 1 of 1 families that it touches are clearly slower with it."
    )
    assert finding.figures == {"workload_percent": 12.0, "slower": {"f1": 1.4}, "faster": {}}
    assert [step.id for step in plan.parts[-1].steps] == ["remember random_page_cost"]
    assert plan.parts[-1].steps[0].call.arguments["labels"] == {"value": "1.1"}


def test_what_was_slower_lately_is_not_proposed_again_and_another_value_is():
    only = TuneSettings(system="app", only=("random_page_cost",))
    known = {"random_page_cost": s.Remembered(value="1.1", at="2026-01-05T12:00:00+00:00")}
    quiet = only.plan(facts(remembered=known))
    assert quiet.nothing_to_do == (
        "1 settings looked at: as advised, or left out as slower on a copy (random_page_cost)."
    )
    assert [f.rule for f in quiet.findings] == ["setting-slower"]
    assert "on 2026-01-05" in quiet.findings[0].what
    other = {"random_page_cost": s.Remembered(value="2", at="2026-01-05T12:00:00+00:00")}
    assert stored(only.plan(facts(remembered=other))) == {"random_page_cost": "1.1"}


def test_a_measured_need_of_memory_takes_the_rules_place_with_its_arithmetic():
    room = m.Room(memory_bytes=16 * GIB, sessions=8)
    trial = m.SettingsTrial(needs=(need(64 * MIB, 2),), room=room, work_mem_bytes=64 * MIB)
    plan = TuneSettings(system="app", only=("work_mem",)).plan(facts(trial=trial))
    assert stored(plan) == {"work_mem": "64MB"}
    assert "x 2 sorts or hashes x 8 sessions = 1 GB of 4 GB" in next(iter(plan.all_steps())).why


def test_a_sort_that_does_not_fit_for_all_is_told_with_what_one_transaction_may_take():
    room = m.Room(memory_bytes=16 * GIB, sessions=40)
    trial = m.SettingsTrial(needs=(need(512 * MIB),), room=room)
    plan = TuneSettings(system="app", only=("work_mem",)).plan(facts(trial=trial))
    (finding,) = [f for f in plan.findings if f.rule == "sort-spills"]
    assert finding.instead.startswith("SET LOCAL work_mem = '512MB'")


def test_a_family_that_goes_on_spilling_is_told_unless_a_copy_showed_that_it_is_faster_so():
    room = m.Room(memory_bytes=16 * GIB, sessions=8)
    trial = m.SettingsTrial(needs=(need(64 * MIB),), room=room, work_mem_after=4 * MIB)
    assert [f.rule for f in told.of_trial(trial, "app") if f.rule == "sort-spills"] == ["sort-spills"]
    slower = trial.model_copy(update={"settings": (effect("work_mem", "worse", 1.5),)})
    assert [f.rule for f in told.of_trial(slower, "app") if f.rule == "sort-spills"] == []
    raised = trial.model_copy(update={"work_mem_after": 64 * MIB})
    assert told.of_trial(raised, "app") == ()


def test_each_settings_own_effect_stands_with_its_step_and_what_cannot_be_measured_says_why():
    better = effect("random_page_cost", "better", 0.5, why="50 % less time with it on a copy: SELECT a")
    blind = effect("shared_buffers", "not measured", 1.0, why="The database fits in both.")
    operation = TuneSettings(system="app", only=("random_page_cost", "shared_buffers"))
    plan = operation.plan(facts(trial=m.SettingsTrial(settings=(better, blind))))
    whys = {step.call.arguments.get("name"): step.why for step in plan.all_steps()}
    assert whys["random_page_cost"].endswith(" Measured: 50 % less time with it on a copy: SELECT a.")
    assert whys["shared_buffers"].endswith(" Not measured: The database fits in both.")


def test_the_fingerprint_is_the_same_however_fast_the_copy_was():
    only = TuneSettings(system="app", only=("random_page_cost",))
    fast = m.SettingsTrial(settings=(effect("random_page_cost", "better", 0.5),))
    faster = m.SettingsTrial(settings=(effect("random_page_cost", "better", 0.4),))
    assert only.plan(facts(trial=fast)).fingerprint == only.plan(facts(trial=faster)).fingerprint


@pytest.mark.parametrize(
    ("sign", "where"),
    [
        ("rds", "DB parameter group"),
        ("cloudsql", "database flags"),
        ("alloydb", "database flags"),
        ("azure", "server parameters"),
    ],
)
def test_a_managed_server_is_told_what_to_set_and_where_in_its_own_units(sign, where):
    managed = s.managed_by({sign: True})
    none = MAY.model_copy(update={"may_alter": ()})
    plan = TuneSettings(system="app").plan(facts(managed=managed, rights=none, local_control=False))
    assert plan.parts == ()
    (blocker,) = plan.blockers
    assert "refuses ALTER SYSTEM" in blocker
    assert where in blocker
    assert "work_mem = 32768 (32MB)" in blocker
    assert "shared_buffers = 524288 (4GB), needs a restart" in blocker


def test_a_server_of_ones_own_is_not_taken_for_a_managed_one():
    assert s.managed_by({"rds": False, "cloudsql": False, "alloydb": False, "azure": False}) == ""
    assert set(told.WHERE) == set(s.MANAGED.values())


def test_every_setting_that_is_advised_is_either_tried_or_says_why_not():
    assert [r.setting for r in RULES if r.setting not in m.TRIED and r.setting not in m.NOT_MEASURED] == []


# -- a life -----------------------------------------------------------------------------------------------------------------------

SCHEMA = (
    "CREATE TABLE item (id int PRIMARY KEY, word text, pad text)",
    f"INSERT INTO item SELECT n, md5(n::text), '{CANARY}' || repeat('x', 80) FROM generate_series(1, 80000) AS n",
    "CREATE TABLE basket (item int, day int)",
    "INSERT INTO basket SELECT (n::bigint * 7919) % 80000, n % 100 FROM generate_series(1, 60000) AS n",
    "CREATE INDEX basket_day ON basket (day)",
    "VACUUM ANALYZE item",
    "VACUUM ANALYZE basket",
)
JOIN = "SELECT sum(length(i.pad)) FROM basket b JOIN item i ON i.id = b.item WHERE b.day = %s"
SORT = "SELECT * FROM item ORDER BY word, pad"
LOOKUP = "SELECT * FROM item WHERE id = %s"
WRITE = "UPDATE item SET pad = %s WHERE id = %s"
SOURCE = "    workload: {kind: trace, path: data/trace.jsonl}\n"
ESTATE = """version: 1
systems:
  app:
    kind: postgresql
    url: URL
    host: {memory_bytes: 17179869184, cores: 4}
SOURCEauthority:
  rules: [{decision: allow}]
"""
STATE = "SELECT md5(string_agg(pad, '' ORDER BY id)), current_setting('shared_buffers') AS shared, current_setting('random_page_cost') FROM item"
OPERATIONS = {
    "planner": TuneSettings(system="app", only=("random_page_cost", "effective_cache_size", "max_wal_size")),
    "memory": TuneSettings(system="app", only=("work_mem",), memory_share=0.2),
    "restart": TuneSettings(system="app", only=("shared_buffers",), memory_share=0.05),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, pg18):
    folder = tmp_path_factory.mktemp("settings")
    (folder / "data").mkdir()
    asked = [(JOIN, [7]), (JOIN, [9]), (SORT, []), (LOOKUP, [11]), (WRITE, [CANARY, 12])]
    lines = (
        json.dumps({"sql": sql, "parameters": values, "ms": 5, "session": "s"}) for sql, values in asked * 4
    )
    (folder / "data/trace.jsonl").write_text("\n".join(lines))
    with pg18.database(*SCHEMA) as url:
        (folder / "estate.yaml").write_text(ESTATE.replace("URL", url).replace("SOURCE", SOURCE))
        yield folder


@pytest.fixture(scope="module")
def rehearsed(project):
    """Plan and rehearsed facts of each operation, all on one copy."""
    app = App.open(project)
    found = {}
    try:
        with copy_of(app.systems["app"], project / "copies") as copy:
            before = copy.read("query", sql=STATE, shape="row")
            for name, operation in OPERATIONS.items():
                seen = operation.observe(app.systems)
                found[name] = operation.plan(seen), operation.rehearse(seen, copy)
            assert copy.read("query", sql=STATE, shape="row") == before, "something stayed on the copy"
    finally:
        app.close()
    return found


def test_each_planner_setting_is_measured_and_only_what_may_differ_is_run(rehearsed):
    trial = rehearsed["planner"][1].trial
    cost = trial.effect("random_page_cost")
    assert cost.verdict == "better", cost
    assert [c.clear for c in cost.families if "JOIN" in c.sql] == ["better"]
    executed = {f.sql for f in trial.families if f.executed}
    assert [sql for sql in executed if "JOIN" in sql]
    assert not [sql for sql in executed if "UPDATE" in sql], "its plan is the same under all settings"
    assert {f.is_write for f in trial.families} == {True, False}
    assert trial.total("ms", "after") < trial.total("ms", "before")


def test_the_plan_shows_the_figures_and_no_value_of_a_row(rehearsed):
    for name, (_, found) in rehearsed.items():
        plan = OPERATIONS[name].plan(found)
        assert plan.figures["by_family"]
        assert "On a copy the workload takes" in plan.summary
        assert CANARY not in plan.model_dump_json()
        assert CANARY not in found.model_dump_json()


def test_a_preview_knows_nothing_of_a_copy(rehearsed):
    plan, _ = rehearsed["planner"]
    assert "by_family" not in plan.figures
    assert "settings-measured" not in [f.rule for f in plan.findings]


def test_a_sort_that_spills_is_found_with_the_memory_that_avoids_it(rehearsed):
    trial = rehearsed["memory"][1].trial
    (found,) = trial.needs
    assert found.sql.startswith("SELECT * FROM item ORDER BY")
    assert found.temp_bytes > 5 * MIB
    assert found.needs_bytes in {16 * MIB, 32 * MIB}
    assert "sessions" in found.arithmetic(trial.room)


def test_what_needs_a_restart_is_not_measured_where_the_database_fits_in_both(rehearsed):
    shared = rehearsed["restart"][1].trial.effect("shared_buffers")
    assert shared.verdict == "not measured"
    assert "fit in both" in shared.why


def test_a_restart_on_the_copy_measures_what_needs_one_and_gives_the_copy_back(project):
    app = App.open(project)
    try:
        with copy_of(app.systems["app"], project / "copies") as copy:
            trying = m.Trying(
                copy=copy,
                proposals=(),
                work_mem=None,
                may_raise=False,
                room=None,
                restart=m.Proposal(name="shared_buffers", former="1MB", advised="128MB"),
                machine_bytes=16 * GIB,
                deadline=m.deadline(40),
            )
            on_file = copy.read("setting_on_file", name="shared_buffers")
            before = copy.read("query", sql=STATE, shape="row")
            trial = trying.run()
            assert copy.read("query", sql=STATE, shape="row") == before
            assert copy.read("setting_on_file", name="shared_buffers") == on_file
    finally:
        app.close()
    shared = trial.effect("shared_buffers")
    assert shared.restarted
    assert shared.verdict in {"better", "no difference"}
    assert len(shared.families) == len(trial.families)


def test_without_a_workload_nothing_is_measured_and_the_rules_stand(tmp_path, pg18):
    with pg18.database() as url:
        (tmp_path / "estate.yaml").write_text(ESTATE.replace("URL", url).replace("SOURCE", ""))
        app = App.open(tmp_path)
        try:
            operation = TuneSettings(system="app", only=("random_page_cost",))
            with copy_of(app.systems["app"], tmp_path / "copies") as copy:
                found = operation.rehearse(operation.observe(app.systems), copy)
        finally:
            app.close()
    plan = operation.plan(found)
    assert stored(plan) == {"random_page_cost": "1.1"}
    (finding,) = [f for f in plan.findings if f.rule == "settings-not-measured"]
    assert "pg_stat_statements" in finding.what


def test_what_was_slower_is_remembered_by_the_ledger_and_the_second_plan_is_quiet(project):
    app = App.open(project)
    try:
        operation = TuneSettings(system="app", only=("random_page_cost",))
        slower = m.SettingsTrial(settings=(effect("random_page_cost", "worse", 1.4, percent=9.0),))
        plan = operation.plan(operation.observe(app.systems).model_copy(update={"trial": slower}))
        assert app.apply(plan, by="test").status == "done"
        again = app.preview(operation)
        assert again.nothing_to_do
        assert [f.rule for f in again.findings] == ["setting-slower"]
    finally:
        app.close()


@pytest.mark.system
def test_on_version_15_compilation_is_measured_and_a_workload_without_parameters_is_invented(tmp_path):
    binaries = Path("/usr/lib/postgresql/15/bin")
    with (
        servers.server(binaries=binaries, shared_preload_libraries="pg_stat_statements") as server,
        server.database(*SCHEMA, "CREATE EXTENSION pg_stat_statements") as url,
    ):
        with server.connect(url.rsplit("/", 1)[1]) as connection:
            for day in range(5):
                connection.execute(JOIN, (day,), prepare=True)
                connection.execute(LOOKUP, (day,), prepare=True)
        (tmp_path / "estate.yaml").write_text(ESTATE.replace("URL", url).replace("SOURCE", ""))
        app = App.open(tmp_path)
        try:
            operation = TuneSettings(system="app", only=("random_page_cost", "jit_above_cost"))
            with copy_of(app.systems["app"], tmp_path / "copies") as copy:
                trial = operation.rehearse(operation.observe(app.systems), copy).trial
        finally:
            app.close()
    assert {"random_page_cost", "jit_above_cost"} <= {one.name for one in trial.settings}
    assert [f.sql for f in trial.families if "basket" in f.sql], trial
    assert all(f.cpu_ms_before is not None for f in trial.families)
