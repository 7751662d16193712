"""Plans, regressions and rewrites on Debian's PostgreSQL 15 with pg_stat_statements, which keeps no values; and over a role that may only look."""

from pathlib import Path

import psycopg
import pytest

import servers
from datareeve.app import App
from datareeve.capabilities.databases.operations.advise_rewrites import AdviseRewrites
from datareeve.capabilities.databases.operations.explain_query import ExplainQuery
from datareeve.capabilities.databases.operations.find_plan_regressions import FindPlanRegressions
from datareeve.capabilities.databases.operations.find_slow_queries import FindSlowQueries
from datareeve.capabilities.databases.operations.record_plans import RecordPlans
from datareeve.systems.pg_copy import copy_of

pytestmark = pytest.mark.system
DEBIAN = Path("/usr/lib/postgresql/15/bin")
SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE calls (id int PRIMARY KEY, who text, n int NOT NULL, at timestamptz NOT NULL)",
    "INSERT INTO calls SELECT g, 'w' || g % 3000, g % 500, timestamptz '2026-01-01' + g * interval '1 min' FROM generate_series(1, 50000) g",
    "CREATE INDEX calls_who ON calls (who)",
    "CREATE INDEX calls_at ON calls (at)",
    "ANALYZE",
    "SELECT pg_stat_statements_reset()",
)
ESTATE = "version: 1\nsystems:\n  app: {{kind: postgresql, url: {url}}}\nauthority:\n  rules:\n    - {{decision: allow}}\n"
BY_WHO = "SELECT id FROM calls WHERE who = %s"
DAY = "SELECT count(*) FROM calls WHERE date_trunc('day', at) = %s"


@pytest.fixture
def app(tmp_path):
    if not DEBIAN.is_dir():
        pytest.skip("Debian's PostgreSQL 15 is not installed")
    with (
        servers.server(binaries=DEBIAN, shared_preload_libraries="pg_stat_statements") as server,
        server.database(*SCHEMA) as url,
    ):
        (tmp_path / "estate.yaml").write_text(ESTATE.format(url=url))
        opened = App.open(tmp_path)
        yield opened
        opened.close()


def ask(app, sql, *values):
    with psycopg.connect(app.systems["app"].entry.url, autocommit=True) as connection:
        for value in values:
            connection.execute(sql, (value,), prepare=True).fetchall()


def test_a_regression_is_found_by_plan_and_time_from_counters_alone(app, tmp_path):
    ask(app, BY_WHO, *(f"w{n}" for n in range(40)))
    assert app.apply(app.preview(RecordPlans(system="app")), by="test").status == "done"
    with psycopg.connect(app.systems["app"].entry.url, autocommit=True) as owner:
        owner.execute("DROP INDEX calls_who")
    ask(app, BY_WHO, *(f"w{n}" for n in range(40)))
    [finding] = [f for f in app.preview(FindPlanRegressions(system="app")).findings if "who" in f.what]
    assert finding.rule == "plan-regression"
    assert finding.why.startswith("What changed: index calls_who on public.calls is gone")
    assert finding.figures["ms_after"] > 2 * finding.figures["ms_before"]
    slow = app.preview(FindSlowQueries(system="app")).figures["by_family"]
    assert any(row["recorded_plan"] for row in slow)


def test_a_rewrite_is_proved_for_a_single_statement(app, tmp_path):
    operation = AdviseRewrites(system="app", sql=DAY.replace("%s", "'2026-01-09'"))
    facts = operation.observe(app.systems)
    with copy_of(app.systems["app"], tmp_path / "copy") as copy:
        plan = operation.plan(operation.rehearse(facts, copy))
    [finding] = plan.findings
    assert (finding.rule, finding.figures["verdict"]) == ("moment-to-range", "proposed")


def test_a_plan_is_run_and_read_on_15(app):
    plan = app.preview(
        ExplainQuery(system="app", sql=DAY.replace("%s", "'2026-01-09'"), analyze=True, on_source=True)
    )
    assert plan.figures["actual_rows"] == 1
    assert "Seq Scan on public.calls" in plan.figures["tree"]
