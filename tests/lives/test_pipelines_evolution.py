"""A source whose columns are no longer those that are published: what each setting of `evolution` does, and that nothing published is harmed."""

from datetime import datetime
from decimal import Decimal

import pytest

from pipelines_flow_rig import CANARY, Project, into, said, source, target

pytestmark = pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
SCHEMA = """CREATE TABLE t (id int PRIMARY KEY, v text, n int, seen timestamptz NOT NULL);
INSERT INTO t SELECT g, 'v' || g, g, '2026-01-01'::timestamptz + g * interval '1 min' FROM generate_series(1, 20) g"""
LATER = "timestamptz '2026-02-01' + id * interval '1 s'"


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source of twenty rows, an empty target, and a project."""
    with pg18.database(*SCHEMA.split(";\n")) as url, pg18.database() as there:
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source = url
            yield project


MODES = ("full", "append", "upsert", "scd2", "snapshot")


def load(mode="upsert", **more):
    given = {"source": {"system": "app", "table": "t"}, "mode": mode, **more}
    if mode != "append":
        given["keys"] = ["id"]
    if mode in ("append", "upsert", "scd2"):
        given.setdefault("cursor", "seen")
    return given


def every_mode(project, **more):
    project.pipeline(loads={mode: load(mode, **more) for mode in MODES})


def types(project, table):
    found = project.rows(
        f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{table}' AND table_schema IN ('main', 'public')"
    )
    return {name: kind.lower() for name, kind in found}


def published(project, *tables):
    return [(types(project, one), project.bag(f'"{one}"')) for one in tables or ("t",)]


# -- new columns ---------------------------------------------------------------------------------------------------------------------------


def test_a_new_column_is_added_to_every_mode_and_an_undo_takes_it_out_again(world):
    every_mode(world)
    world.done()
    before = published(world, *MODES)
    source(
        world.source,
        "ALTER TABLE t ADD COLUMN extra numeric(6,2)",
        f"UPDATE t SET extra = 1.25, seen = {LATER} WHERE id = 7",
        f"INSERT INTO t SELECT id, 'new', 1, {LATER}, 2.50 FROM (SELECT 21 AS id) AS one",
    )
    outcome = world.done()
    for mode, rows in {"full": 21, "append": 22, "upsert": 21, "scd2": 22, "snapshot": 41}.items():
        found = world.rows(f'SELECT id, extra FROM "{mode}" WHERE extra IS NOT NULL ORDER BY 1')
        assert found == [(7, Decimal("1.25")), (21, Decimal("2.50"))], mode
        assert world.rows(f'SELECT count(*) FROM "{mode}"') == [(rows,)]
    world.undo(outcome)
    assert published(world, *MODES) == before


def test_a_new_column_is_ignored_or_refused_by_name_as_the_pipeline_says(world):
    world.pipeline(loads={"t": load(evolution={"new_column": "ignore"})})
    world.done()
    before = types(world, "t")
    news = f"UPDATE t SET extra = '{CANARY}', v = 'x', seen = {LATER} WHERE id = 7"
    source(world.source, "ALTER TABLE t ADD COLUMN extra text", news)
    world.done()
    assert types(world, "t") == before
    assert world.rows("SELECT id FROM t WHERE v = 'x'") == [(7,)]

    now = published(world)
    world.pipeline(loads={"t": load(evolution={"new_column": "refuse"})})
    told = world.refused()
    assert "pipelines.new-column" in told
    assert "extra" in told
    assert CANARY not in told
    assert published(world) == now


# -- columns that are gone -----------------------------------------------------------------------------------------------------------------


def test_a_column_that_is_gone_is_refused_by_name_unless_it_may_have_no_value(world):
    every_mode(world)
    world.done()
    before = published(world, *MODES)
    source(
        world.source,
        "ALTER TABLE t DROP COLUMN n",
        f"UPDATE t SET v = 'changed', seen = {LATER} WHERE id = 7",
    )
    told = world.refused()
    assert "pipelines.missing-column: Columns that are published are no longer at the source: n." in told
    assert published(world, *MODES) == before

    every_mode(world, evolution={"missing_column": "null"})
    world.done(operation="pipelines.build")
    audited = [world.bag(f"{mode}__next", "id, v, n") for mode in MODES]
    outcome = world.done(operation="pipelines.publish")
    whole, rest = [(g, f"v{g}", g) for g in range(1, 21)], [(g, f"v{g}") for g in range(1, 21) if g != 7]
    expected = {
        "full": [*[(*one, None) for one in rest], (7, "changed", None)],
        "append": [*whole, (7, "changed", None)],
        "upsert": [*[(*one, one[0]) for one in rest], (7, "changed", 7)],  # what it had stays
        "scd2": [*whole, (7, "changed", None)],
        "snapshot": [*whole, *[(*one, None) for one in rest], (7, "changed", None)],
    }
    for mode, rows in zip(MODES, audited, strict=True):
        assert world.bag(f'"{mode}"', "id, v, n") == sorted(expected[mode], key=repr), mode
        assert rows == sorted(expected[mode], key=repr), mode
    world.undo(outcome)
    assert published(world, *MODES) == before


def test_a_column_with_another_name_is_refused_until_the_pipeline_says_so(world):
    world.pipeline(loads={"t": load()})
    world.done()
    before = types(world, "t")
    source(
        world.source,
        "ALTER TABLE t RENAME COLUMN n TO number",
        f"UPDATE t SET number = 99, seen = {LATER} WHERE id = 7",
    )
    assert "pipelines.missing-column" in world.refused()
    world.pipeline(loads={"t": load(columns={"n": {"source": "number"}})})
    world.done()
    assert types(world, "t") == before
    assert world.rows("SELECT n FROM t WHERE id = 7") == [(99,)]


# -- other types ---------------------------------------------------------------------------------------------------------------------------

WIDER = {  # before: after, a value that only the wider one takes
    "int": ("bigint", 9_000_000_000),
    "numeric(6,2)": ("numeric(10,4)", Decimal("123456.1234")),
    "smallint": ("numeric(12,2)", Decimal("1.25")),
    "real": ("double precision", 0.1),
    "varchar(3)": ("varchar(9)", "longer"),
    "varchar(4)": ("text", "longer"),
    "numeric(5,1)": ("numeric", Decimal("123456.1234")),
    "date": ("timestamp", datetime(2026, 1, 1, 10, 20, 30)),  # noqa: DTZ001 - it has no time zone
    "timestamp(0)": ("timestamp(6)", datetime(2026, 1, 1, 10, 20, 30, 123456)),  # noqa: DTZ001 - as above
}


def test_a_wider_type_is_widened_and_every_value_is_exact(world):
    firsts = [
        f"'{CANARY[:2]}'" if "varchar" in one else "'2025-12-31'" if one in ("date", "timestamp(0)") else "1"
        for one in WIDER
    ]
    source(world.source, *[f"ALTER TABLE t ADD COLUMN c{n} {one}" for n, one in enumerate(WIDER)],
           "UPDATE t SET " + ", ".join(f"c{n} = {one}" for n, one in enumerate(firsts)))  # fmt: skip
    world.pipeline(loads={"t": load(evolution={"wider_type": "refuse"})})
    world.done()
    before = published(world)
    source(world.source, *[f"ALTER TABLE t ALTER COLUMN c{n} TYPE {one}" for n, (one, _) in enumerate(WIDER.values())],
           "UPDATE t SET " + ", ".join(f"c{n} = '{one}'" for n, (_, one) in enumerate(WIDER.values())) + f", seen = {LATER} WHERE id = 7")  # fmt: skip
    told = world.refused()
    assert "pipelines.type" in told
    assert published(world) == before

    world.pipeline(loads={"t": load()})
    outcome = world.done()
    columns = ", ".join(f"c{n}" for n in range(len(WIDER)))
    assert world.rows(f"SELECT {columns} FROM t WHERE id = 7") == [
        tuple(value for _, value in WIDER.values())
    ]
    assert world.rows("SELECT count(c0) FROM t") == [(20,)]
    world.undo(outcome)  # types stay wide; what they hold is as it was
    assert world.bag("t", "id, v, n, seen, c0, c1, c4, c5") == sorted(
        [tuple(row[at] for at in (0, 1, 2, 3, 4, 5, 8, 9)) for row in before[0][1]], key=repr
    )
    assert world.rows("SELECT count(*) FROM t WHERE c0 = 1 AND c2 = 1 AND c3 = 1") == [(20,)]


def test_a_number_without_digits_of_its_own_takes_numbers_that_have_them(world):
    source(world.source, "ALTER TABLE t ADD COLUMN x numeric", "UPDATE t SET x = 0.0000000001 * id")
    world.pipeline(loads={"t": load()})
    world.done()
    exact = Decimal("1234567890123456789.0123456789")
    source(
        world.source,
        "ALTER TABLE t ALTER COLUMN x TYPE numeric(30,10)",
        f"UPDATE t SET x = {exact}, seen = {LATER} WHERE id = 7",
    )
    world.done()
    assert world.rows("SELECT x FROM t WHERE id = 7") == [(exact,)]
    assert world.rows("SELECT x FROM t WHERE id = 8") == [(Decimal("0.0000000008"),)]


def test_of_another_type_what_fits_exactly_is_taken_and_the_rest_is_put_in_quarantine(world):
    source(world.source, "ALTER TABLE t ADD COLUMN d date DEFAULT '2026-01-01'")
    world.pipeline(loads={"t": load()})
    world.done()
    before = published(world)
    source(
        world.source,
        "ALTER TABLE t ALTER COLUMN n TYPE text",
        "ALTER TABLE t ALTER COLUMN d DROP DEFAULT, ALTER COLUMN d TYPE text",
        f"UPDATE t SET n = CASE id WHEN 1 THEN '0101' WHEN 2 THEN '1.5e0' WHEN 3 THEN '{CANARY}' WHEN 4 THEN '1.5' WHEN 5 THEN '2.0' ELSE n END, seen = {LATER}",
        "UPDATE t SET d = '2026-02-03 10:20:30' WHERE id = 6",
    )
    told = world.refused()
    assert "pipelines.too-many-rejects" in told
    assert "n cannot be INTEGER" in told
    assert CANARY not in told
    assert published(world) == before

    world.pipeline(loads={"t": load(evolution={"wider_type": "quarantine"}, rejects={"at_most_rows": 4})})
    outcome = world.done()
    assert types(world, "t") == before[0][0]
    assert world.rows("SELECT id, n FROM t WHERE id <= 6 ORDER BY id") == [
        (1, 101),
        (2, 2),
        (3, 3),
        (4, 4),
        (5, 2),
        (6, 6),
    ]
    # The four are as they were before, and each has its reason.
    assert world.rows("SELECT id FROM t WHERE seen < '2026-02-01' ORDER BY id") == [(2,), (3,), (4,), (6,)]
    reasons = sorted(reason for (reason,) in world.rows("SELECT reason FROM datareeve.rejected"))
    assert reasons == [
        "d would lose something as DATE",
        "n cannot be INTEGER",
        "n would lose something as INTEGER",
        "n would lose something as INTEGER",
    ]
    assert CANARY not in said(outcome)
    assert not world.files_with(CANARY)


def test_moments_with_and_without_a_time_zone_are_not_mixed_up(world):
    source(world.source, "ALTER TABLE t ADD COLUMN at timestamp DEFAULT '2026-07-01 12:00'")
    world.pipeline(loads={"t": load()})
    world.done()
    before = published(world)
    source(
        world.source,
        "SET TimeZone = 'Europe/Berlin'",
        "ALTER TABLE t ALTER COLUMN at DROP DEFAULT, ALTER COLUMN at TYPE timestamptz",
        f"UPDATE t SET seen = {LATER} WHERE id = 7",
    )
    told = world.refused()
    assert "pipelines.type" in told
    assert "time zone" in told
    assert published(world) == before


def test_what_rests_on_a_column_is_told_where_its_type_cannot_be_widened(world):
    world.pipeline(loads={"t": load()})
    world.done()
    into(
        world,
        "CREATE INDEX mine ON t (n)"
        if world.systems["there"]["kind"] == "duckdb"
        else "CREATE VIEW mine AS SELECT n FROM t",
    )
    before = published(world)
    source(
        world.source,
        "ALTER TABLE t ALTER COLUMN n TYPE bigint",
        f"UPDATE t SET n = 9000000000, seen = {LATER} WHERE id = 7",
    )
    told = world.refused()
    assert "pipelines.rests-upon" in told
    assert published(world) == before
    into(world, "DROP INDEX mine" if world.systems["there"]["kind"] == "duckdb" else "DROP VIEW mine")
    world.done()
    assert world.rows("SELECT n FROM t WHERE id = 7") == [(9_000_000_000,)]
