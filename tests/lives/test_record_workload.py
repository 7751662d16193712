"""The history of a workload on a real pg_stat_statements: recorded, shown, held against its target, forgotten."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import servers
from datareeve.app import App
from datareeve.capabilities.databases import workload_history
from datareeve.core import clock

pytestmark = pytest.mark.system
ESTATE = """version: 1
systems:
  app: {{kind: postgresql, url: {url}}}
targets: {{query_ms_p95: {target}}}
authority: {{rules: [{{decision: allow}}]}}
"""
SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE t AS SELECT n, 'canary7f3a ' || n AS name FROM generate_series(1, 5000) n",
    "ANALYZE t",
)


@pytest.fixture(scope="module")
def pg15():
    with servers.server(
        binaries=Path("/usr/lib/postgresql/15/bin"), shared_preload_libraries="pg_stat_statements"
    ) as server:
        yield server


class World:
    def __init__(self, folder, url, application):
        self.folder, self.url, self.application = folder, url, application
        self.aim(100)
        self.app = App.open(folder)

    def aim(self, target):
        (self.folder / "estate.yaml").write_text(ESTATE.format(url=self.url, target=target))

    def ask(self, times, seconds=0.0):
        for n in range(times):
            self.application.execute(f"SELECT count(*) FROM t WHERE n = {n}")
            if seconds:
                self.application.execute(f"SELECT pg_sleep({seconds}), name FROM t WHERE n = {n + 1}")

    def preview(self, name, **inputs):
        return self.app.preview(self.app.catalogue.make(name, {"system": "app", **inputs}))

    def record(self):
        outcome = self.app.apply(self.preview("databases.record-workload", least_seconds=0), by="test")
        assert outcome.status == "done"
        return outcome


@pytest.fixture
def world(pg15, tmp_path):
    with pg15.database(*SCHEMA) as url, pg15.connect(url.rsplit("/", 1)[1]) as application:
        made = World(tmp_path, url, application)
        yield made
        made.app.close()


def test_two_snapshots_are_a_window_and_undo_forgets(world):
    world.ask(5)
    world.record()
    world.ask(40)
    second = world.record()
    plan = world.preview("databases.show-workload", since="1h")
    (row,) = [row for row in plan.figures["by_family"] if row["sql"] == "SELECT COUNT(*) FROM t WHERE n = $1"]
    assert (row["calls"], row["rows"]) == (40, 40)
    assert row["mean_ms"] <= row["p95_at_most_ms"] <= row["max_ms"] + 0.001
    assert row["trend"]["calls_per_second"][0] > 0
    assert plan.findings == ()
    window = workload_history.window(world.app.systems, "app", "1h")
    assert {family.sql: family.calls for family in window.families}[
        "SELECT COUNT(*) FROM t WHERE n = $1"
    ] == 40
    assert world.app.undo(second.run, by="test").status == "undone"
    assert "needs two" in world.preview("databases.show-workload").summary
    assert "canary7f3a" not in "".join(entry.model_dump_json() for entry in world.app.ledger.entries())
    assert world.app.verify_ledger()["entries"] > 0


def test_a_second_snapshot_at_once_is_not_needed(world):
    world.record()
    plan = world.preview("databases.record-workload")
    assert (plan.steps, plan.nothing_to_do) == ((), "The last snapshot of app is younger than 60 s.")


def test_a_reset_between_two_snapshots_is_said(world):
    world.ask(50)
    world.record()
    world.application.execute("SELECT pg_stat_statements_reset()")
    world.ask(7)
    world.record()
    plan = world.preview("databases.show-workload")
    assert "began anew" in plan.summary
    assert [row["calls"] for row in plan.figures["by_family"] if "COUNT(*)" in row["sql"]] == [7]


def test_a_seeded_slow_family_is_found_and_named_and_a_clean_one_is_not(world):
    world.ask(100)
    world.record()
    world.ask(100)
    world.record()
    clean = world.preview("databases.check-slo")
    assert (clean.figures["slo_verdict"], clean.findings) == ("met", ())
    world.app.close()
    world.aim(5)
    world.app = App.open(world.folder)
    world.ask(60, seconds=0.02)
    world.record()
    plan = world.preview("databases.check-slo")
    assert plan.figures["slo_verdict"] == "missed"
    (finding,) = [finding for finding in plan.findings if finding.rule == "slo-missed"]
    assert "PG_SLEEP" in finding.what.upper()
    assert plan.figures["slo_budget"]["left_calls_at_most"] < 0


def test_a_log_of_slow_statements_gets_its_total_from_the_counters(world):
    """Only what took 5 ms and more is logged: how many were too slow is exact, of how many the server's counters tell."""
    world.application.execute("ALTER SYSTEM SET log_min_duration_statement = 5")
    world.application.execute("SELECT pg_reload_conf()")
    try:
        early = {
            "timestamp": "2026-01-01 00:00:00.000 UTC",
            "message": "duration: 9.0 ms  statement: SELECT name FROM t",
        }
        slow = [
            {
                "timestamp": clock.stamp(clock.now() + timedelta(seconds=n)),
                "message": "duration: 250.0 ms  statement: SELECT name FROM t",
            }
            for n in range(3)
        ]
        world.ask(200)
        (world.folder / "log.json").write_text("".join(json.dumps(one) + "\n" for one in (early, *slow)))
        estate = world.folder / "estate.yaml"
        estate.write_text(
            estate.read_text().replace(
                f"url: {world.url}", f"url: {world.url}, workload: {{kind: log, path: log.json}}"
            )
        )
        world.app.close()
        world.app = App.open(world.folder)
        figures = world.preview("databases.check-slo").figures
    finally:
        world.application.execute("ALTER SYSTEM RESET log_min_duration_statement")
        world.application.execute("SELECT pg_reload_conf()")
    assert figures["slo_basis"] == "slow calls"
    assert (figures["slo_budget"]["over_at_least"], figures["slo_budget"]["over_at_most"]) == (3, 3)
    assert figures["slo_budget"]["calls"] >= 200
    assert figures["slo_verdict"] == "met"


def test_the_command_shows_target_actual_budget_and_families(world):
    world.ask(30)
    world.record()
    world.ask(30)
    world.record()
    command = [Path(sys.executable).with_name("datareeve"), "slo", "--project", str(world.folder)]
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    (found,) = [one for one in json.loads(told.stdout) if one["target"] == "query_ms_p95"]
    assert found["queries"]["slo_verdict"] == "met"
    assert found["queries"]["slo_budget"]["left_share_at_least"] > 0
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "error budget is left" in " ".join(shown.split())


def test_a_snapshot_of_200_families_is_a_few_kilobytes(world):
    for k in range(260):
        columns = ", ".join(["n"] * (1 + k % 20))
        world.application.execute(f"SELECT {columns} FROM t WHERE {' + '.join(['n'] * (1 + k // 20))} = 1")
    world.record()
    outcome = world.record()
    figures = outcome.parts[0].steps[0].result
    assert 180 <= figures["families"] <= 400
    assert figures["bytes"] < 16_000
