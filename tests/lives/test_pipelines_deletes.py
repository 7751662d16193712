"""Rows that the source no longer has: kept, removed or marked, back again, and never one of them by mistake."""

import pytest

from pipelines_flow_rig import Project, said, source, target

pytestmark = pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
SCHEMA = """CREATE TABLE t (a int, b text, v text, seen timestamptz NOT NULL, PRIMARY KEY (a, b));
INSERT INTO t SELECT g, x, 'v' || g, '2026-01-01'::timestamptz + g * interval '1 min' FROM generate_series(1, 6) g, unnest(ARRAY['x', 'y']) x"""
LATER = "timestamptz '2026-02-01'"
WAYS = {"kept": {}, "removed": {"deletes": "remove"}, "marked": {"deletes": "mark"},
        "history": {"mode": "scd2", "deletes": "remove"}}  # fmt: skip


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source of twelve rows with a key of two columns, and a load of it for each way with what is gone."""
    with pg18.database(*SCHEMA.split(";\n")) as url, pg18.database() as there:
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source = url
            project.pipeline(loads=loads(cursor="seen"))
            yield project


def loads(**more):
    given = {"source": {"system": "app", "table": "t"}, "mode": "upsert", "keys": ["a", "b"]}
    return {name: {**given, **way, **more} for name, way in WAYS.items()}


def now(project):
    """What each load has of the rows: (a, b, v), and for marked ones and histories whether they are there."""
    return {
        "kept": project.bag("kept", "a, b, v"),
        "removed": project.bag("removed", "a, b, v"),
        "marked": project.bag("marked", "a, b, v, is_deleted"),
        "history": project.bag("history", "a, b, v, is_current"),
    }


def rows(*gone, changed=()):
    """All rows as they came but for those that are gone."""
    every = [(a, b, f"v{a}") for a in range(1, 7) for b in "xy"]
    at = {one[:2]: one for one in changed}
    return [at.get(one[:2], one) for one in every if one[:2] not in gone]


def test_rows_that_are_gone_are_kept_removed_marked_or_ended_and_are_whole_again_after_an_undo(world):
    world.done()
    before = now(world)
    assert before["removed"] == rows()
    gone = {(1, "x"), (2, "y")}
    source(
        world.source,
        "DELETE FROM t WHERE (a, b) IN ((1, 'x'), (2, 'y'))",
        f"UPDATE t SET v = 'new', seen = {LATER} WHERE a = 3",
    )
    world.done()
    changed = [(3, "x", "new"), (3, "y", "new")]
    after = now(world)
    assert after["kept"] == rows(changed=changed)
    assert after["removed"] == rows(*gone, changed=changed)
    assert after["marked"] == [(*one, one[:2] in gone) for one in rows(changed=changed)]
    assert [one[:3] for one in after["history"] if one[3]] == rows(*gone, changed=changed)
    assert [one[:3] for one in after["history"] if not one[3]] == [
        one for one in rows() if one[:2] in gone or one[0] == 3
    ]
    world.done()  # nothing is gone a second time
    assert now(world) == after


def test_an_undo_brings_back_what_was_gone(world):
    world.done()
    before = now(world)
    source(world.source, "DELETE FROM t WHERE a = 4")
    outcome = world.done()
    assert now(world) != before
    world.undo(outcome)
    assert now(world) == before


def test_a_row_that_returns_is_there_again_whether_it_changed_or_not(world):
    world.pipeline(loads=loads())  # without a cursor: all rows are looked at
    world.done()
    before = now(world)
    source(
        world.source,
        "CREATE TABLE aside AS SELECT * FROM t WHERE a IN (1, 2)",
        "DELETE FROM t WHERE a IN (1, 2)",
    )
    world.done()
    assert world.rows("SELECT count(*) FROM marked WHERE is_deleted") == [(4,)]
    source(world.source, "UPDATE aside SET v = 'back' WHERE a = 2", "INSERT INTO t SELECT * FROM aside")
    world.done()
    back = [(2, "x", "back"), (2, "y", "back")]
    after = now(world)
    assert after["kept"] == after["removed"] == rows(changed=back)
    assert after["marked"] == [(*one, False) for one in rows(changed=back)]
    assert [one[:3] for one in after["history"] if one[3]] == rows(changed=back)
    assert len(after["history"]) == len(before["history"]) + 4
    overlaps = """SELECT count(*) FROM history AS p JOIN history AS q ON p.a = q.a AND p.b = q.b AND p.valid_from < q.valid_from
                   WHERE p.valid_to IS NULL OR p.valid_to > q.valid_from"""
    assert world.rows(overlaps) == [(0,)]


def test_a_source_that_is_empty_is_held_by_the_change_budget_before_everything_goes(world):
    world.pipeline(loads=loads(cursor="seen"), change_budget={"removed_percent": 50, "changed_percent": 50})
    world.done()
    before = now(world)
    source(world.source, "DELETE FROM t")
    held = world.run()
    assert held.status == "partly done"
    assert "change budget" in said(held)
    assert now(world) == before


def test_only_half_of_a_key_is_no_key_and_keys_of_other_types_are_compared_as_they_are(world):
    source(world.source, "ALTER TABLE t ALTER COLUMN b TYPE varchar(9)", "INSERT INTO t VALUES (7, 'X', 'v7', '2026-01-02'), (7, 'x ', 'v7', '2026-01-02'), (7, 'x', 'v7', '2026-01-02')")  # fmt: skip
    world.done()
    source(world.source, "DELETE FROM t WHERE b = 'X'", "DELETE FROM t WHERE a = 1 AND b = 'y'")
    world.done()
    assert world.bag("removed", "a, b") == sorted(
        [*[one[:2] for one in rows((1, "y"))], (7, "x"), (7, "x ")], key=repr
    )
    assert world.rows("SELECT a, b FROM marked WHERE is_deleted ORDER BY 1") == [(1, "y"), (7, "X")]


def test_a_source_that_cannot_tell_all_its_keys_is_refused_before_anything_goes(world):
    (world.folder / "etl/rows.py").write_text("def rows(cursor):\n    yield {'a': 1, 'b': 'x', 'v': 'w'}\n")
    source_of = {"python": "etl.rows:rows"}
    world.pipeline(
        "g", loads={"g": {"source": source_of, "mode": "upsert", "keys": ["a", "b"], "deletes": "remove"}}
    )
    told = world.refused("g")
    assert "pipelines.no-deletes" in told
    assert "g" not in world.tables()
