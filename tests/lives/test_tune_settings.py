"""Settings are tuned, reloaded, restarted and given back, on servers of their own."""

from pathlib import Path

import pytest

import servers
from datareeve.capabilities.databases.operations.tune_settings import TuneSettings
from datareeve.core.errors import Failed
from datareeve.core.operation import examine
from datareeve.systems.adapter import Adapter, reads

GIB = 1024**3
HOST = {"memory_bytes": 2 * GIB, "cores": 4, "storage": "ssd"}
RUNNING = "SELECT name, setting, pending_restart FROM pg_settings WHERE source NOT IN ('client', 'override', 'session') ORDER BY name"


class NoHistory(Adapter):
    """A ledger without samples."""

    kind = "ledger"

    @reads
    def samples(self, system, name=None, since=None, limit=None):
        return []


@pytest.fixture(scope="module")
def own_server():
    with servers.server() as server:
        yield server


def estate(folder: Path, server, *, control: bool = True, url: str | None = None):
    text = (
        "version: 1\nsystems:\n  app:\n    kind: postgresql\n    url: postgresql://x@localhost/x\n    host:\n"
    )
    (folder / "estate.yaml").write_text(
        text + "".join(f"      {key}: {value}\n" for key, value in HOST.items())
    )
    systems = servers.registry(folder, url or server.url, server.local if control else None)
    systems.add(NoHistory("ledger"))
    return systems


@pytest.fixture
def systems(tmp_path, own_server):
    registry = estate(tmp_path, own_server)
    yield registry
    registry.close()


def plan_of(operation, systems):
    return operation.plan(operation.observe(systems))


def holds(claim, systems):
    return examine(claim, systems).verdict == "holds"


def carry_out(plan, systems):
    for leaf in plan.leaves():
        assert all(holds(claim, systems) for claim in leaf.requirements)
        for step in leaf.steps:
            assert not holds(step.probe, systems)
            systems[step.call.system].perform(step.call.action, run="r1", **step.call.arguments)
            assert holds(step.probe, systems)


def undo(plan, systems):
    for step in reversed(list(plan.all_steps())):
        for call in step.undo:
            systems[call.system].perform(call.action, run="r1", **call.arguments)


def running(systems):
    return systems["app"].read("query", sql=RUNNING)


def test_settings_take_effect_are_quiet_the_second_time_and_are_given_back(systems):
    before = running(systems)
    operation = TuneSettings(system="app")
    plan = plan_of(operation, systems)
    assert [part.part_id for part in plan.parts] == ["1", "2"]
    assert [step.restarts for step in plan.parts[1].steps] == [False, True]
    assert plan.fingerprint == plan_of(operation, systems).fingerprint
    carry_out(plan, systems)
    assert all(holds(claim, systems) for part in plan.parts for claim in part.checks)
    shown = {row["name"]: row["setting"] for row in running(systems)}
    assert shown["shared_buffers"] == "65536"  # 512 MB in blocks of 8 kB
    assert shown["effective_cache_size"] == "196608"  # 1.5 GB
    assert shown["random_page_cost"] == "1.1"
    again = plan_of(operation, systems)
    assert again.nothing_to_do.endswith("as advised, or as the owner chose (fsync, full_page_writes).")
    undo(plan, systems)
    assert running(systems) == before
    assert systems["app"].read("setting_on_file", name="work_mem") is None


def test_a_value_stored_before_is_given_back(systems):
    systems["app"].perform("alter_system", run="r0", name="random_page_cost", value="2")
    systems["app"].perform("reload", run="r0")
    plan = plan_of(TuneSettings(system="app", override=True, only=("random_page_cost",)), systems)
    carry_out(plan, systems)
    undo(plan, systems)
    assert systems["app"].read("setting_on_file", name="random_page_cost") == "2"
    assert [row["setting"] for row in running(systems) if row["name"] == "random_page_cost"] == ["2"]
    systems["app"].perform("alter_system", run="r0", name="random_page_cost", value=None)
    systems["app"].perform("reload", run="r0")


def test_without_control_of_the_server_restart_settings_are_stored_and_wait(tmp_path, own_server):
    systems = estate(tmp_path, own_server, control=False)
    try:
        operation = TuneSettings(system="app", only=("shared_buffers",))
        plan = plan_of(operation, systems)
        carry_out(plan, systems)
        assert [finding.rule for finding in plan.findings] == ["setting-waits-for-restart"]
        assert f"pg_ctl restart -m fast -D {own_server.local.data}" in plan.findings[0].instead
        again = plan_of(operation, systems)
        assert again.nothing_to_do
        assert [finding.rule for finding in again.findings] == ["setting-waits-for-restart"]
        undo(plan, systems)
        assert systems["app"].read("setting_on_file", name="shared_buffers") is None
    finally:
        systems.close()


def test_what_is_stored_and_waits_is_brought_into_effect_by_a_restart(systems):
    systems["app"].perform("alter_system", run="r0", name="shared_buffers", value="512MB")
    plan = plan_of(TuneSettings(system="app", only=("shared_buffers",)), systems)
    assert [step.id for step in plan.all_steps()] == ["restart"]
    carry_out(plan, systems)
    systems["app"].perform("alter_system", run="r0", name="shared_buffers", value=None)
    systems["app"].perform("restart", run="r0")


def test_a_server_that_does_not_come_up_is_revived_with_its_former_settings(systems):
    before = running(systems)
    plan = plan_of(TuneSettings(system="app", only=("shared_buffers",)), systems)
    systems["app"].perform("alter_system", run="r1", name="shared_buffers", value="7000GB")
    with pytest.raises(Failed) as failure:
        systems["app"].perform("restart", run="r1")
    assert failure.value.code == "postgres.restart"
    undo(plan, systems)
    assert running(systems) == before


def test_a_role_without_rights_is_told_the_grants_and_they_suffice(tmp_path, own_server):
    with own_server.connect() as admin:
        admin.execute("CREATE ROLE tuner LOGIN")
    systems = estate(tmp_path, own_server, control=False, url=own_server.url.replace("postgres@", "tuner@"))
    try:
        operation = TuneSettings(system="app", only=("work_mem", "log_lock_waits"))
        blocked = plan_of(operation, systems)
        assert blocked.parts == ()
        statements = blocked.blockers[0].partition("Let a superuser run: ")[2]
        with own_server.connect() as admin:
            for statement in statements.rstrip(";").split(";"):
                admin.execute(statement)
        plan = plan_of(operation, systems)
        assert plan.blockers == ()
        carry_out(plan, systems)
        assert plan_of(operation, systems).nothing_to_do
        undo(plan, systems)
    finally:
        systems.close()


@pytest.mark.system
def test_settings_are_tuned_on_version_15(tmp_path):
    with servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server:
        systems = estate(tmp_path, server)
        try:
            before = running(systems)
            plan = plan_of(TuneSettings(system="app"), systems)
            carry_out(plan, systems)
            stored = {
                step.call.arguments.get("name"): step.call.arguments.get("value") for step in plan.all_steps()
            }
            assert stored["wal_compression"] == "lz4"
            assert stored["effective_io_concurrency"] == "200"
            undo(plan, systems)
            assert running(systems) == before
        finally:
            systems.close()
