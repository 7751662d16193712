"""What each mode leaves in its target, round by round, compared with what the source had; and what an undo puts back."""

import subprocess

import pytest

import pipelines_flow_rig as rig
import servers
from pipelines_flow_rig import Project, into, source, target

pytestmark = pytest.mark.parametrize("kind", ["duckdb", "postgresql", "folder"])
SCHEMA = """CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), seen timestamptz NOT NULL);
INSERT INTO t SELECT g, 'v' || g, g * 1.25, '2026-01-01'::timestamptz + g * interval '1 min' FROM generate_series(1, 1000) g"""
ALL = "id, v, n, extract(epoch FROM seen)::bigint"
MODES = ("full", "append", "upsert", "scd2", "snapshot")


def load(mode, **more):
    given = {"source": {"system": "app", "table": "t"}, "mode": mode, "batch_rows": 300, **more}
    if mode != "append":
        given["keys"] = ["id"]
    if mode in ("append", "upsert", "scd2"):
        given.setdefault("cursor", "seen")
    return given


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source with a thousand rows, an empty target, and a project."""
    with pg18.database(*SCHEMA.split(";\n")) as url, pg18.database() as there:
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source = url
            yield project


def at_source(project):
    with servers.psycopg.connect(project.source) as connection:
        return sorted(connection.execute(f"SELECT {ALL} FROM t").fetchall())


def change(project, day, *more):
    """Ten rows change, five come; each with a newer moment than any before."""
    at = f"timestamptz '2026-02-01' + interval '{day} day'"
    source(
        project.source,
        f"UPDATE t SET v = 'day {day}', n = NULL, seen = {at} + id * interval '1 s' WHERE id % 100 = {day}",
        f"INSERT INTO t SELECT {2000 + 10 * day} + g, 'new', g, {at} + interval '2 h' + g * interval '1 s' FROM generate_series(1, 5) g",
        *more,
    )


def bag(project, table, columns=ALL):
    return sorted(project.rows(f"SELECT {columns} FROM {table}"), key=repr)


def test_after_several_rounds_each_mode_has_exactly_the_rows_it_promises(world):
    world.pipeline(loads={f"t_{mode}": load(mode) for mode in MODES})
    appended, snapshots, versions = [], [], {}
    last = None
    for day in range(4):
        if day:
            change(world, day) if day != 3 else None  # the last round has no news
        outcome = world.done()
        now = at_source(world)
        appended += [row for row in now if last is None or row[3] > last]
        last = max(row[3] for row in now)
        snapshots += now
        for row in now:
            if not versions.get(row[0]) or versions[row[0]][-1] != row:
                versions.setdefault(row[0], []).append(row)
        every = sorted(now, key=repr)
        assert bag(world, "t_full") == every, day
        assert bag(world, "t_upsert") == every, day
        assert bag(world, "t_append") == sorted(appended, key=repr), day
        assert bag(world, "t_snapshot") == sorted(snapshots, key=repr), day
        assert bag(world, "t_scd2") == sorted((one for of in versions.values() for one in of), key=repr), day
        assert sorted(world.rows(f"SELECT {ALL} FROM t_scd2 WHERE is_current"), key=repr) == every
        assert len(world.rows("SELECT DISTINCT snapshot_at FROM t_snapshot")) == day + 1
        # A version ends where the next begins, and only the last is open.
        broken = """SELECT count(*) FROM (SELECT *, lead(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS following FROM t_scd2) AS h
                     WHERE valid_to IS DISTINCT FROM following OR is_current <> (valid_to IS NULL)"""
        assert world.rows(broken) == [(0,)]
        left = [
            name
            for name in world.tables()
            if name.rpartition("__")[2] in ("next", "incoming", "came", "gone", "keys", "one")
        ]
        assert not left, left
    assert rig.said(outcome)


def state(project, binaries):
    """All that can be seen of a target: rows, and in PostgreSQL the schema with keys, indexes, rights, owners and comments."""
    kept = [name for name in project.tables() if "__" not in name]
    rows = {name: sorted(map(repr, project.rows(f"SELECT * FROM {name}"))) for name in kept}
    if project.systems["there"]["kind"] == "folder":
        return rows, project.rows(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
        )
    if project.systems["there"]["kind"] == "duckdb":
        indexes = project.rows(
            "SELECT table_name, index_name, sql FROM duckdb_indexes() WHERE table_name NOT LIKE '%\\_\\_%' ESCAPE '\\' ORDER BY ALL"
        )
        columns = project.rows(
            "SELECT table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' AND table_name NOT LIKE '%\\_\\_%' ESCAPE '\\' ORDER BY ALL"
        )
        constraints = project.rows(
            "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints() WHERE schema_name = 'main' AND table_name NOT LIKE '%\\_\\_%' ESCAPE '\\' ORDER BY ALL"
        )
        return rows, sorted(map(repr, (*indexes, *columns, *constraints)))
    dump = subprocess.run([str(binaries / "pg_dump"), "--schema-only", "--schema=public", "--exclude-table=*\\_\\_*", project.systems["there"]["url"]],
                          capture_output=True, text=True, check=True).stdout  # fmt: skip
    return rows, sorted(line for line in dump.splitlines() if line and not line.startswith(("\\", "--")))


def different(one, other):
    """What only one of two schemas has."""
    return sorted(set(one[1]) ^ set(other[1]))


def surround(project, table):
    """What people put around a published table; nothing stands around files."""
    if project.systems["there"]["kind"] == "folder":
        return
    into(
        project,
        f"CREATE INDEX {table}_v ON {table} (v)",
        f"COMMENT ON TABLE {table} IS 'it''s ours'",
        f"COMMENT ON COLUMN {table}.v IS 'the \"v\"'",
    )
    if project.systems["there"]["kind"] == "postgresql":
        into(
            project,
            "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"GRANT SELECT ON {table} TO reader WITH GRANT OPTION",
            f"GRANT SELECT (id, v) ON {table} TO PUBLIC",
            f"CREATE UNIQUE INDEX {table}_part ON {table} (id) WHERE n > 0 AND v = 'nobody'",
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_check CHECK (id > 0)",
            f"ALTER TABLE {table} ALTER COLUMN seen SET NOT NULL",
            "DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            f"ALTER TABLE {table} OWNER TO keeper",
            f"ALTER TABLE {table} ALTER COLUMN v SET DEFAULT 'none'",
            f"ALTER TABLE {table} SET (fillfactor = 70)",
        )


def test_undo_puts_back_rows_and_all_that_stands_around_them_as_often_as_wanted(world, pg18):
    binaries = pg18.local.bin
    world.pipeline(loads={f"t_{mode}": load(mode) for mode in MODES})
    empty = world.tables() if world.systems["there"]["kind"] == "postgresql" else []
    first = world.done()
    world.undo(first)
    assert world.tables() == empty
    world.done()
    for mode in MODES:
        surround(world, f"t_{mode}")
    if world.systems["there"]["kind"] == "postgresql":
        into(world, "ALTER TABLE t_full ADD PRIMARY KEY (id)", "ALTER TABLE t_upsert ADD PRIMARY KEY (id)")
    before = state(world, binaries)
    for day in (1, 2, 3):
        change(world, day, f"DELETE FROM t WHERE id = {day}")
        outcome = world.done()
        after = state(world, binaries)
        assert after[0] != before[0]
        assert different(after, before) == []
        world.undo(outcome)
        assert different(state(world, binaries), before) == []
        assert state(world, binaries) == before
        again = world.done()  # the cursor went back too: the same news come again
        assert state(world, binaries)[0]["t_full"] == after[0]["t_full"]
        assert state(world, binaries)[0]["t_append"] == after[0]["t_append"]
        assert different(state(world, binaries), before) == []
        before = state(world, binaries)
    assert rig.said(again)
