"""Facts in, settings out: what tune-settings advises, keeps and refuses. No server is asked."""

import pytest

from datareeve.capabilities.databases.operations.tune_settings import TuneSettings, TuneSettingsFacts
from datareeve.capabilities.databases.rules.settings import RULES
from datareeve.capabilities.databases.settings import Activity, HostFacts, OnFile, Rights, Setting

GIB = 1024**3
MIB = 1024**2
# name: (value as pg_settings shows it, unit, vartype, context) of a PostgreSQL 18 as initdb leaves it
FRESH = {
    "autovacuum_analyze_scale_factor": ("0.1", None, "real", "sighup"),
    "autovacuum_vacuum_scale_factor": ("0.2", None, "real", "sighup"),
    "checkpoint_completion_target": ("0.9", None, "real", "sighup"),
    "checkpoint_timeout": ("300", "s", "integer", "sighup"),
    "default_statistics_target": ("100", None, "integer", "user"),
    "effective_cache_size": ("524288", "8kB", "integer", "user"),
    "effective_io_concurrency": ("16", None, "integer", "user"),
    "fsync": ("on", None, "bool", "sighup"),
    "full_page_writes": ("on", None, "bool", "sighup"),
    "idle_in_transaction_session_timeout": ("0", "ms", "integer", "user"),
    "jit_above_cost": ("100000", None, "real", "user"),
    "log_autovacuum_min_duration": ("600000", "ms", "integer", "sighup"),
    "log_checkpoints": ("on", None, "bool", "sighup"),
    "log_lock_waits": ("off", None, "bool", "superuser"),
    "log_min_duration_statement": ("-1", "ms", "integer", "superuser"),
    "log_parameter_max_length": ("-1", "B", "integer", "superuser"),
    "log_temp_files": ("-1", "kB", "integer", "superuser"),
    "maintenance_work_mem": ("65536", "kB", "integer", "user"),
    "max_parallel_maintenance_workers": ("2", None, "integer", "user"),
    "max_parallel_workers": ("8", None, "integer", "user"),
    "max_parallel_workers_per_gather": ("2", None, "integer", "user"),
    "max_wal_size": ("1024", "MB", "integer", "sighup"),
    "max_worker_processes": ("8", None, "integer", "postmaster"),
    "min_wal_size": ("80", "MB", "integer", "sighup"),
    "password_encryption": ("scram-sha-256", None, "enum", "user"),
    "random_page_cost": ("4", None, "real", "user"),
    "shared_buffers": ("16384", "8kB", "integer", "postmaster"),
    "track_io_timing": ("off", None, "bool", "superuser"),
    "wal_compression": ("off", None, "enum", "superuser"),
    "work_mem": ("4096", "kB", "integer", "user"),
}
BIG = HostFacts(memory_bytes=16 * GIB, cores=8, storage="ssd", disk_free_bytes=200 * GIB)
MAY = Rights(reader="owner", actor="owner", may_look=True, may_reload=True, may_alter=tuple(FRESH))


def setting(name, **changes):
    value, unit, vartype, context = FRESH[name]
    methods = ("pglz", "lz4", "zstd", "on", "off") if name == "wal_compression" else None
    made = Setting(
        name=name,
        setting=value,
        unit=unit,
        vartype=vartype,
        context=context,
        source="default",
        boot_val=value,
        enumvals=methods,
    )
    return made.model_copy(update=changes)


def facts(settings=None, **changes):
    given = {
        "version_num": 180004,
        "local_control": True,
        "data_directory": "/srv/pg",
        "host": BIG,
        "activity": Activity(max_connections=100, database_bytes=50 * GIB),
        "settings": {name: setting(name, **(settings or {}).get(name, {})) for name in FRESH},
        "files": {},
        "rights": MAY,
    }
    return TuneSettingsFacts(**{**given, **changes})


def stored(plan):
    """What a plan stores, by setting."""
    steps = [step for step in plan.all_steps() if step.call.action == "alter_system"]
    return {step.call.arguments["name"]: step.call.arguments["value"] for step in steps}


def test_a_fresh_server_on_a_large_host_is_sized_to_it():
    assert stored(TuneSettings(system="app").plan(facts())) == {
        "effective_cache_size": "12GB",
        "work_mem": "32MB",
        "maintenance_work_mem": "1GB",
        "max_wal_size": "4GB",
        "min_wal_size": "1GB",
        "wal_compression": "lz4",
        "random_page_cost": "1.1",
        "max_parallel_maintenance_workers": "4",
        "jit_above_cost": "1000000",
        "idle_in_transaction_session_timeout": "10min",
        "log_min_duration_statement": "500ms",
        "log_parameter_max_length": "0",
        "log_lock_waits": "on",
        "log_autovacuum_min_duration": "10s",
        "log_temp_files": "10MB",
        "track_io_timing": "on",
        "shared_buffers": "4GB",
    }


def test_the_first_step_of_a_part_puts_former_values_into_effect_when_everything_is_undone():
    reloading, restarting = TuneSettings(system="app").plan(facts()).parts
    assert [call.action for call in reloading.steps[0].undo] == ["alter_system", "reload"]
    assert {call.action for step in reloading.steps[1:-1] for call in step.undo} == {"alter_system"}
    assert [call.action for call in restarting.steps[0].undo] == ["alter_system", "restart"]
    assert [step.id for step in restarting.steps if step.restarts] == ["restart"]


def test_a_check_compares_in_the_servers_own_units():
    plan = TuneSettings(system="app", only=("shared_buffers", "jit_above_cost", "log_temp_files")).plan(
        facts()
    )
    expected = {
        row["name"]: row["setting"] for part in plan.parts for check in part.checks for row in check.expected
    }
    assert expected == {"shared_buffers": "524288", "jit_above_cost": "1e+06", "log_temp_files": "10240"}


def test_without_a_known_host_nothing_is_guessed_and_the_rest_is_done():
    plan = TuneSettings(system="app").plan(facts(host=None, local_control=False))
    assert "shared_buffers" not in stored(plan)
    assert "random_page_cost" not in stored(plan)
    assert stored(plan)["log_lock_waits"] == "on"
    assert plan.blockers[0].endswith("give systems.app.host (memory_bytes, cores, storage) in estate.yaml.")


def test_half_of_a_shared_host_is_half_the_memory():
    half = stored(TuneSettings(system="app", memory_share=0.5).plan(facts()))
    assert (half["shared_buffers"], half["effective_cache_size"], half["work_mem"]) == ("2GB", "6GB", "16MB")


@pytest.mark.parametrize("share", [{"memory_share": 0}, {"memory_share": 1.5}])
def test_a_share_of_the_memory_is_above_none_and_at_most_all(share):
    with pytest.raises(ValueError, match="memory_share"):
        TuneSettings(system="app", **share)


def test_what_the_owner_wrote_to_postgresql_conf_is_kept_and_reported():
    chosen = {"work_mem": {"setting": "262144", "source": "configuration file"}}
    plan = TuneSettings(system="app", only=("work_mem",)).plan(
        facts(chosen, files={"work_mem": OnFile(on_file="256MB")})
    )
    assert plan.nothing_to_do == "1 settings looked at: as advised, or as the owner chose (work_mem)."
    assert [(f.rule, f.subject) for f in plan.findings] == [("setting-kept", "work_mem")]
    overriding = TuneSettings(system="app", only=("work_mem",), override=True)
    assert stored(overriding.plan(facts(chosen, files={"work_mem": OnFile(on_file="256MB")}))) == {
        "work_mem": "32MB"
    }


def test_what_initdb_wrote_with_the_built_in_value_is_nobodys_choice():
    written = {"shared_buffers": {"source": "configuration file"}}
    plan = TuneSettings(system="app", only=("shared_buffers",)).plan(
        facts(written, files={"shared_buffers": OnFile(on_file="128MB")})
    )
    assert stored(plan) == {"shared_buffers": "4GB"}


def test_what_the_owner_wrote_and_has_not_loaded_yet_is_kept():
    plan = TuneSettings(system="app", only=("shared_buffers",)).plan(
        facts(files={"shared_buffers": OnFile(on_file="1GB")})
    )
    assert plan.parts == ()
    assert plan.findings[0].what == "shared_buffers is 1GB (default) and is kept: the owner chose it."


@pytest.mark.parametrize("source", ["command line", "database", "user", "database user"])
def test_what_alter_system_cannot_change_is_kept_even_when_overriding(source):
    strong = {"random_page_cost": {"setting": "3", "source": source}}
    plan = TuneSettings(system="app", only=("random_page_cost",), override=True).plan(facts(strong))
    assert plan.parts == ()
    assert "something stronger than ALTER SYSTEM" in plan.findings[0].what


@pytest.mark.parametrize(
    ("value", "kept"), [("419431", False), ("458752", False), ("655360", False), ("262144", True)]
)
def test_a_value_within_a_quarter_of_the_advice_is_as_good(value, kept):
    chosen = {"shared_buffers": {"setting": value, "source": "configuration file"}}
    plan = TuneSettings(system="app", only=("shared_buffers",)).plan(facts(chosen))
    assert bool(plan.findings) is kept
    assert plan.parts == ()


def test_a_server_that_is_not_ours_is_not_restarted():
    for operation, local in (
        (TuneSettings(system="app"), False),
        (TuneSettings(system="app", restart=False), True),
    ):
        plan = operation.plan(facts(local_control=local))
        assert not [step for step in plan.all_steps() if step.restarts]
        assert [f.subject for f in plan.findings if f.rule == "setting-waits-for-restart"] == [
            "shared_buffers"
        ]
        assert "pg_ctl restart -m fast -D /srv/pg" in plan.findings[0].instead


def test_a_role_without_rights_gets_the_grants_to_paste():
    none = Rights(reader="reader", actor="App", may_look=False, may_reload=False)
    plan = TuneSettings(system="app", only=("work_mem",)).plan(facts(rights=none))
    assert plan.parts == ()
    assert plan.nothing_to_do == ""
    (blocker,) = plan.blockers
    assert blocker == (
        'App may not store settings (work_mem 4MB -> 32MB). Let a superuser run: GRANT ALTER SYSTEM ON PARAMETER work_mem TO "App";'
        ' GRANT EXECUTE ON FUNCTION pg_reload_conf() TO "App"; GRANT pg_read_all_settings TO reader; GRANT SELECT ON pg_file_settings TO reader;'
        " GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO reader;"
    )


def test_spilled_sorts_raise_work_mem_to_what_fits():
    busy = Activity(max_connections=400, connections=20, temp_files=1000, temp_bytes=1000 * 20 * MIB)
    assert stored(TuneSettings(system="app", only=("work_mem",)).plan(facts(activity=busy))) == {
        "work_mem": "32MB"
    }
    calm = Activity(max_connections=400, connections=20)
    assert stored(TuneSettings(system="app", only=("work_mem",)).plan(facts(activity=calm))) == {
        "work_mem": "8MB"
    }


def test_max_wal_size_follows_what_is_written_and_what_the_disk_holds():
    writing = Activity(
        max_connections=100, wal_bytes_per_second=40 * MIB, checkpoints_requested=90, checkpoints_timed=10
    )
    only = TuneSettings(system="app", only=("max_wal_size",))
    assert stored(only.plan(facts(activity=writing))) == {"max_wal_size": "16GB"}
    small = BIG.model_copy(update={"disk_free_bytes": 20 * GIB})
    assert stored(only.plan(facts(activity=writing, host=small))) == {"max_wal_size": "2GB"}
    unseen = BIG.model_copy(update={"disk_free_bytes": None})
    assert stored(only.plan(facts(activity=Activity(database_bytes=GIB), host=unseen))) == {}


@pytest.mark.parametrize(
    ("version", "storage", "expected"),
    [
        (150000, "ssd", "200"),
        (170000, "network", "200"),
        (180000, "ssd", None),
        (180000, "network", "64"),
        (150000, "disk", None),
    ],
)
def test_reads_ahead_depend_on_version_and_storage(version, storage, expected):
    host = BIG.model_copy(update={"storage": storage})
    plan = TuneSettings(system="app", only=("effective_io_concurrency",)).plan(
        facts(version_num=version, host=host)
    )
    assert stored(plan).get("effective_io_concurrency") == expected


def test_analytics_gets_more_workers_for_a_query_finer_statistics_and_compilation():
    advised = stored(TuneSettings(system="app", workload="analytics").plan(facts()))
    assert (advised["max_parallel_workers_per_gather"], advised["default_statistics_target"]) == ("4", "500")
    assert "jit_above_cost" not in advised


def test_a_large_table_is_vacuumed_before_a_fifth_of_it_is_dead():
    large = Activity(max_connections=100, database_bytes=50 * GIB, largest_table_rows=5_000_000)
    advised = stored(TuneSettings(system="app").plan(facts(activity=large)))
    assert (advised["autovacuum_vacuum_scale_factor"], advised["autovacuum_analyze_scale_factor"]) == (
        "0.05",
        "0.02",
    )


def test_switched_off_fsync_is_critical():
    off = {"fsync": {"setting": "off", "source": "configuration file"}}
    plan = TuneSettings(system="app", only=("fsync",)).plan(facts(off))
    assert [(f.subject, f.severity) for f in plan.findings] == [("fsync", "critical")]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.setting)
def test_every_rule_names_its_source_and_speaks_of_its_file(rule):
    assert rule.source.startswith("PostgreSQL manual, ")
    assert rule.advise.__module__.endswith(f".{rule.setting}")
    assert rule.setting in FRESH


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [("shared_buffers", "16384", 128 * MIB), ("shared_buffers", "128MB", 128 * MIB), ("shared_buffers", "1 GB", GIB),
     ("work_mem", "4096", 4 * MIB), ("checkpoint_timeout", "5min", 300_000), ("log_temp_files", "-1", -1),
     ("jit_above_cost", "1e+06", 1_000_000), ("fsync", "on", "on")],
)  # fmt: skip
def test_amounts_are_read_in_any_unit(name, text, amount):
    assert setting(name).amount(text) == amount
