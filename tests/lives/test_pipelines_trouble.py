"""What goes wrong around a pipeline: others at the same work, servers and files that are away, disks that are full, a world that changes meanwhile."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from datareeve.app import App
from datareeve.core.errors import DatareeveError
from datareeve.systems import destination_duckdb
from pipelines_flow_rig import CANARY, Project, into, said, source, target

EXAMPLES = Path(__file__).parents[2] / "examples" / "etl"
SCHEMA = """CREATE TABLE t (id int PRIMARY KEY, v text, seen timestamptz NOT NULL);
INSERT INTO t SELECT g, 'v' || g, '2026-01-01'::timestamptz + g * interval '1 min' FROM generate_series(1, 50) g"""
DEADLINE = 60  # seconds
OURS = "the test itself"
both = pytest.mark.parametrize("kind", ["duckdb", "postgresql"])


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source of fifty rows, an empty target, and a project whose pipeline `p` upserts the one into the other."""
    with pg18.database(*SCHEMA.split(";\n")) as url, pg18.database() as there:
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source = url
            project.pipeline(loads={"t": load()})
            yield project


def load(**more):
    return {
        "source": {"system": "app", "table": "t"},
        "mode": "upsert",
        "keys": ["id"],
        "cursor": "seen",
        **more,
    }


def truth(project):
    with psycopg.connect(project.source, options="-c TimeZone=UTC") as connection:
        return sorted(connection.execute("SELECT id, v FROM t").fetchall())


def there(project, table="t"):
    return sorted(project.rows(f"SELECT id, v FROM {table}"))


def news(project, hours=1, v="new"):
    """Ten rows change and ten come, all after those before."""
    moment = f"timestamptz '2026-02-01' + {hours} * interval '1 hour' + id * interval '1 s'"
    source(
        project.source,
        f"UPDATE t SET v = '{v}', seen = {moment} WHERE id % 5 = 0",
        f"INSERT INTO t SELECT id, '{v}', {moment} FROM generate_series({1000 * hours}, {1000 * hours + 9}) AS id",
    )


@contextmanager
def held_up(project, plan):
    """A run in a thread of its own that stands still before it reads the source, until the block ends; gives what it comes to."""
    came_to = []

    def run():
        app = App.open(project.folder)
        try:
            came_to.append(app.apply(plan, by="first", approved=True))
        except DatareeveError as error:
            came_to.append(error)
        finally:
            app.close()

    thread = threading.Thread(target=run)
    with (
        psycopg.connect(project.source, autocommit=True, application_name=OURS) as watcher,
        psycopg.connect(project.source, application_name=OURS) as holder,
    ):
        holder.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        thread.start()
        waits = (
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        until(lambda: watcher.execute(waits).fetchone() or came_to)
        try:
            yield came_to
        finally:
            holder.rollback()
            thread.join(DEADLINE)
    assert not thread.is_alive()


def until(holds):
    end = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- others at the same work -----------------------------------------------------------------------------------------------------------------


@both
def test_of_two_runs_of_one_pipeline_one_is_told_that_the_other_is_at_it(world):
    world.done()
    news(world)
    plan, other = world.plan(), world.plan()
    with held_up(world, plan) as came_to:
        try:
            second = said(world.app.apply(other, by="second", approved=True))
        except DatareeveError as error:
            second = f"{error.code}: {error.what}"
        assert "lease.held" in second
    assert came_to[0].status == "done", said(came_to[0])
    assert there(world) == truth(world)
    world.done()
    assert there(world) == truth(world)


@both
def test_two_pipelines_do_not_publish_one_table(world):
    world.done()
    before = there(world)
    world.pipeline("q", loads={"other": load(to="T")})
    told = world.refused("q")
    assert "is published by the pipeline p too" in told
    assert there(world) == before


def test_a_duckdb_file_that_another_process_has_open_is_waited_for_and_then_told(tmp_path, pg18, monkeypatch):
    monkeypatch.setattr(destination_duckdb, "WAIT_SECONDS", 0.3)
    with (
        pg18.database(*SCHEMA.split(";\n")) as url,
        Project(tmp_path, {"app": {"kind": "postgresql", "url": url}, "there": target("duckdb")}) as world,
    ):
        world.source = url
        world.pipeline(loads={"t": load()})
        world.done()
        news(world)
        before = there(world)
        plan = world.plan()
        holder = (
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", holder, str(tmp_path / "there.duckdb")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as other:
            assert other.stdout.readline() == b"open\n"
            outcome = world.app.apply(plan, by="test", approved=True)
            assert outcome.status != "done"
            assert "pipelines.locked" in said(outcome)
            other.stdin.close()
            other.wait(DEADLINE)
        assert there(world) == before
        world.done()
        assert there(world) == truth(world)


# -- servers that are away -------------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("which", ["app", "there"])
def test_a_server_that_is_away_or_lets_nobody_in_is_told_without_its_password(
    world, which, kind, monkeypatch
):
    if which == "there" and kind == "duckdb":
        pytest.skip("a file has no server")
    world.done()
    before = there(world)
    monkeypatch.setenv("PASSWORD_OF_TESTS", CANARY)
    right = world.systems[which]
    parts = urlsplit(right["url"])
    away = f"postgresql://{parts.username}@127.0.0.1:1{parts.path}"
    stranger = f"postgresql://nobody_at_all@{parts.netloc.rpartition('@')[2]}{parts.path}"
    for wrong, codes in (
        (away, ("postgres.unreachable", "pipelines.connection-lost")),
        (stranger, ("pipelines.login", "postgres.database", "postgres.login")),
    ):
        world.systems[which] = {**right, "url": wrong, "password": "env:PASSWORD_OF_TESTS"}
        world.estate()
        with closing_app(world.folder) as app:
            told = refused(app)
        assert any(code in told for code in codes), told
        assert CANARY not in told
    world.systems[which] = right
    world.estate()
    assert there(world) == before
    assert not world.files_with(CANARY)


@contextmanager
def closing_app(folder):
    app = App.open(folder)
    try:
        yield app
    finally:
        app.close()


def refused(app):
    try:
        plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "p"}))
        outcome = None if plan.blockers else app.apply(plan, by="test", approved=True)
    except DatareeveError as error:
        return f"{error.code}: {error.what}"
    assert outcome is None or outcome.status != "done"
    return "; ".join(plan.blockers) if outcome is None else said(outcome)


@pytest.mark.parametrize("kind", ["postgresql"])
@pytest.mark.parametrize("which", ["app", "there"])
def test_connections_that_are_cut_in_the_middle_cost_a_run_and_no_row(world, which):
    world.done()
    news(world)
    before = there(world)
    with held_up(world, world.plan()) as came_to:
        url = world.source if which == "app" else world.systems["there"]["url"]
        with psycopg.connect(url, autocommit=True) as admin:
            cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> '{OURS}'"
            assert admin.execute(cut).fetchone()[0] > 0
    failed = came_to[0]
    told = f"{failed.code}: {failed.what}" if isinstance(failed, DatareeveError) else said(failed)
    assert "pipelines.connection-lost" in told or "postgres.lost" in told or "postgres.57" in told
    assert "v1" not in told
    assert there(world) == before
    with closing_app(world.folder) as app:  # as the next one does who runs it
        app.apply(
            app.preview(app.catalogue.make("pipelines.run", {"pipeline": "p"})), by="test", approved=True
        )
    assert there(world) == truth(world)


# -- cursors ---------------------------------------------------------------------------------------------------------------------------------


@both
def test_a_cursor_that_goes_backwards_is_told_and_what_is_published_stays(world):
    world.done()
    before = there(world)
    source(
        world.source,
        "DELETE FROM t WHERE id > 10",
        "UPDATE t SET v = 'older', seen = seen - interval '1 day'",
    )
    plan = world.plan()
    assert any("went backwards" in finding.what for part in (plan, *plan.parts) for finding in part.findings)
    outcome = world.done()
    assert "went backwards" in said(outcome)
    assert there(world) == before
    news(world)
    world.done()
    assert dict(there(world))[10] == "new"
    assert len(there(world)) == 60


@both
def test_rows_that_come_late_are_taken_within_the_lag_and_never_doubled(world):
    lagging = load(cursor={"column": "seen", "lag": "1h"})
    world.pipeline(loads={"t": lagging, "h": {**lagging, "mode": "scd2"}})
    world.done()
    source(
        world.source,
        "INSERT INTO t SELECT 100, 'late', max(seen) - interval '30 min' FROM t",
        "INSERT INTO t SELECT 101, 'too late', max(seen) - interval '2 h' FROM t",
    )
    world.done()
    expected = [row for row in truth(world) if row[0] != 101]
    assert there(world) == there(world, "h") == expected
    world.done()
    assert there(world) == there(world, "h") == expected


# -- what is written of other things -----------------------------------------------------------------------------------------------------------


@both
def test_a_contract_of_no_table_of_the_pipeline_is_refused_by_name(world, kind):
    into(world, "CREATE TABLE planes (tailnum text, seats int)")
    (world.folder / "contracts").mkdir()
    text = (EXAMPLES / "planes.contract.yaml").read_text().replace("server: warehouse", "server: there")
    if kind == "postgresql":
        text = text.replace(
            "type: duckdb, database: warehouse",
            "type: postgresql, host: h, port: 1, database: d, schema: public",
        )
    (world.folder / "contracts/planes.yaml").write_text(text)
    world.pipeline(loads={"t": load()}, contract="planes")
    told = world.refused()
    assert "pipelines.contract-elsewhere" in told
    assert "planes" in told
    assert "t" not in world.tables()
    world.pipeline(loads={"planes": load()}, contract="planes")
    assert "pipelines.contract-elsewhere" not in world.refused()


@both
def test_an_environment_publishes_beside_the_others_and_neither_moves_the_others_cursor(world, kind):
    into(world, "CREATE SCHEMA dev")
    environments = {"dev": {"schema": "dev"}, "test": {"system": "app", "schema": "staging"}}
    world.pipeline(loads={"t": load()}, environments=environments)
    source(world.source, "CREATE SCHEMA staging")
    world.done(environment="dev")
    assert there(world, "dev.t") == truth(world)
    assert "t" not in world.tables()
    world.done()
    news(world)
    world.done(environment="dev")
    assert there(world, "dev.t") == truth(world) != there(world)
    world.done()
    assert there(world) == truth(world)
    world.done(environment="test")
    assert world.rows("SELECT count(*) FROM staging.t", "app") == [(60,)]
    told = world.refused(environment="prod")
    assert "pipelines.environment" in told
    assert "dev, test" in told


# -- a world that changes between plan and run -----------------------------------------------------------------------------------------------


@both
def test_a_source_that_changes_between_plan_and_run_is_loaded_as_it_is_or_refused(world):
    world.done()
    news(world)
    plan = world.plan()
    news(world, hours=2)
    outcome = world.app.apply(plan, by="test", approved=True)
    assert outcome.status == "done", said(outcome)
    assert there(world) == truth(world)
    before = there(world)
    for change, code in (
        ("ALTER TABLE t DROP COLUMN v", "pipelines.missing-column"),
        ("ALTER TABLE t RENAME TO t2", "pipelines."),
    ):
        plan = world.plan()
        source(world.source, change)
        outcome = world.app.apply(plan, by="test", approved=True)
        assert outcome.status != "done"
        assert code in said(outcome)
        assert there(world) == before
        if "DROP" in change:
            source(world.source, "ALTER TABLE t ADD COLUMN v text")
