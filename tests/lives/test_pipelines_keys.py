"""Keys that are not what a pipeline was told: twice the same, without a value; and histories whose versions come several at a time, or late."""

from datetime import UTC, datetime

import pytest

from pipelines_flow_rig import CANARY, Project, said, source, target

pytestmark = pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
SCHEMA = "CREATE TABLE t (id int, v text, seen timestamptz)"


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source without a primary key, an empty target, and a project."""
    with pg18.database(SCHEMA) as url, pg18.database() as there:
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source = url
            yield project


def load(mode="upsert", **more):
    return {"source": {"system": "app", "table": "t"}, "mode": mode, "keys": ["id"], **more}


def come(project, *rows):
    """Rows come at the source: id, v, the hour of the day."""
    source(project.source, *[f"INSERT INTO t VALUES ({id_}, '{v}', timestamptz '2026-01-01' + {hour} * interval '1 hour')" for id_, v, hour in rows])  # fmt: skip


# -- twice the same ------------------------------------------------------------------------------------------------------------------------


def test_rows_of_one_key_are_one_where_they_are_equal_and_refused_where_it_is_not_known_which_is_right(world):
    come(world, (1, "a", 1), (1, "a", 1), (2, "b", 1))
    world.pipeline(loads={mode: load(mode) for mode in ("upsert", "scd2")})
    world.done()
    assert world.bag("upsert", "id, v") == world.bag("scd2", "id, v") == [(1, "a"), (2, "b")]
    before = world.bag("upsert"), world.bag("scd2")
    come(world, (2, CANARY, 2), (3, "c", 2))
    told = world.refused()
    assert "pipelines.duplicate-keys" in told
    assert "1 keys have several different rows" in told
    assert CANARY not in told
    assert (world.bag("upsert"), world.bag("scd2")) == before
    assert not world.files_with(CANARY)

    source(world.source, "DELETE FROM t WHERE v = 'b'")
    world.done()
    assert world.bag("upsert", "id, v") == [(1, "a"), (2, CANARY), (3, "c")]


def test_of_several_rows_of_one_key_the_newest_by_the_cursor_counts_and_of_one_moment_none(world):
    come(world, (1, "old", 1), (1, "new", 3), (1, "mid", 2), (2, "b", 1))
    world.pipeline(loads={mode: load(mode, cursor="seen") for mode in ("upsert", "scd2")})
    world.done()
    assert world.bag("upsert", "id, v") == world.bag("scd2", "id, v") == [(1, "new"), (2, "b")]
    come(world, (1, "again", 4), (1, "newest", 5), (2, "b", 6))
    world.done()
    assert world.bag("upsert", "id, v") == [(1, "newest"), (2, "b")]
    assert world.bag("scd2", "id, v, is_current") == [(1, "new", False), (1, "newest", True), (2, "b", True)]
    before = world.bag("upsert"), world.bag("scd2")
    come(world, (1, "x", 7), (1, "y", 7))
    assert "pipelines.duplicate-keys" in world.refused()
    assert (world.bag("upsert"), world.bag("scd2")) == before


# -- without a value -----------------------------------------------------------------------------------------------------------------------


def test_a_row_without_a_key_is_rejected_with_its_reason(world):
    come(world, (1, "a", 1), (2, "b", 1), ("NULL", CANARY, 1))
    world.pipeline(loads={mode: load(mode) for mode in ("upsert", "scd2")})
    told = world.refused()
    assert "pipelines.too-many-rejects" in told
    assert "id, of the key, has no value" in told
    assert CANARY not in told
    assert [one for one in world.tables() if one in ("upsert", "scd2")] == []

    world.pipeline(loads={mode: load(mode, rejects={"at_most_rows": 1}) for mode in ("upsert", "scd2")})
    outcome = world.done()
    assert world.bag("upsert", "id, v") == world.bag("scd2", "id, v") == [(1, "a"), (2, "b")]
    found = world.rows("SELECT load, reason FROM datareeve.rejected ORDER BY 1")
    assert found == [(mode, "id, of the key, has no value") for mode in ("scd2", "upsert")]
    assert CANARY not in said(outcome)
    assert not world.files_with(CANARY)


def test_a_cursor_without_a_value_is_read_by_the_first_load_and_left_out_by_the_next(world):
    come(world, (1, "a", 1), (2, "b", "NULL"))
    world.pipeline(loads={"t": load(cursor="seen")})
    world.done()
    assert world.bag("t", "id, v") == [(1, "a"), (2, "b")]


# -- histories -----------------------------------------------------------------------------------------------------------------------------


def history(project):
    """id: [(v, from hour, to hour)], and that a version ends where the next begins."""
    rows = project.rows("SELECT id, v, valid_from, valid_to, is_current FROM t ORDER BY id, valid_from")
    found = {}
    for id_, v, since, until, current in rows:
        assert current == (until is None)
        found.setdefault(id_, []).append((v, hour(since), hour(until)))
    for versions in found.values():
        assert sum(until is None for _, _, until in versions) <= 1
        assert len({since for _, since, _ in versions}) == len(versions)
    return found


def hour(moment):
    return (
        moment and round((moment.astimezone(UTC) - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds()) // 3600
    )


@pytest.fixture
def versions(world):
    """A history by the moment that rows say, of versions that come as a log: nothing is ever taken from it."""
    world.pipeline(loads={"t": load("scd2", history={"changed_at": "seen", "track": ["v"]})})
    come(world, (1, "a", 1), (1, "c", 5), (2, "x", 3))
    world.done()
    return world


def test_all_versions_that_come_are_kept_each_from_its_own_moment(versions):
    assert history(versions) == {1: [("a", 1, 5), ("c", 5, None)], 2: [("x", 3, None)]}
    come(versions, (1, "d", 6), (1, "d", 7), (1, "e", 8), (2, "x", 9), (3, "n", 2), (3, "m", 1))
    versions.done()
    now = {
        1: [("a", 1, 5), ("c", 5, 6), ("d", 6, 8), ("e", 8, None)],
        2: [("x", 3, None)],
        3: [("m", 1, 2), ("n", 2, None)],
    }
    assert history(versions) == now
    versions.done()
    assert history(versions) == now


def test_a_late_version_takes_its_place_in_the_middle_and_an_undo_takes_it_out(versions):
    before = versions.bag("t")
    come(versions, (1, "b", 3), (1, "zero", 0), (2, "x", 2))
    versions.done(operation="pipelines.build")
    audited = versions.bag("t__next")
    outcome = versions.done(operation="pipelines.publish")
    assert versions.bag("t") == audited
    assert history(versions) == {
        1: [("zero", 0, 1), ("a", 1, 3), ("b", 3, 5), ("c", 5, None)],
        2: [("x", 2, 3), ("x", 3, None)],  # what was published of it stays
    }
    versions.undo(outcome)
    assert versions.bag("t") == before


def test_late_versions_come_by_a_cursor_of_their_own_and_a_correction_of_one_moment_takes_its_place(world):
    source(world.source, "ALTER TABLE t ADD COLUMN number serial")
    given = load("scd2", cursor="number", history={"changed_at": "seen", "track": ["v"]})
    world.pipeline(loads={"t": given})
    for rows in (
        [(1, "a", 1), (1, "c", 5)],
        [(1, "b", 3)],
        [(1, "C", 5)],
        [(1, "C", 5)],
        [(1, "e", 6), (1, "E", 6)],
    ):
        for id_, v, at in rows:
            source(
                world.source,
                f"INSERT INTO t VALUES ({id_}, '{v}', timestamptz '2026-01-01' + {at} * interval '1 hour')",
            )
        world.done()
    assert history(world) == {1: [("a", 1, 3), ("b", 3, 5), ("C", 5, 6), ("E", 6, None)]}


def test_a_row_that_was_gone_and_is_back_has_a_gap_in_its_history(world):
    world.pipeline(
        loads={"t": load("scd2", deletes="remove", history={"changed_at": "seen", "track": ["v"]})}
    )
    come(world, (1, "a", 1), (2, "b", 1))
    world.done()
    source(world.source, "DELETE FROM t WHERE id = 1")
    world.done()
    ((ended,),) = world.rows("SELECT valid_to FROM t WHERE id = 1")
    come(world, (1, "a", 1))  # as if it had never been gone
    world.done()
    rows = world.rows("SELECT v, valid_from, valid_to, is_current FROM t WHERE id = 1 ORDER BY valid_from")
    assert [(row[0], row[2], row[3]) for row in rows] == [("a", ended, False), ("a", None, True)]
    assert rows[1][1] > ended
    world.done()
    assert (
        world.rows("SELECT v, valid_from, valid_to, is_current FROM t WHERE id = 1 ORDER BY valid_from")
        == rows
    )
