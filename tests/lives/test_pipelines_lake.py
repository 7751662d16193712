"""Pipelines that write to a DuckLake: its catalog in a DuckDB file, in SQLite, in PostgreSQL; run, changed, undone; and two writers of one of them."""

import contextlib

import psycopg
import pytest

from datareeve.app import App
from datareeve.core.errors import LeaseLost, Refused
from datareeve.core.estate import Estate
from datareeve.core.estate_lake import DucklakeSystem
from datareeve.systems.destination import Batch
from datareeve.systems.destination_ducklake import DucklakeDestination
from datareeve.systems.ducklake import Ducklake
from datareeve.systems.mover import Mover

SOURCE = (
    "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), seen timestamptz NOT NULL)",
    "INSERT INTO t SELECT g, 'row ' || g, g / 7.0, timestamptz '2026-01-01' + interval '1 min' * g FROM generate_series(1, 500) g",
)
CHANGED = (
    "UPDATE t SET v = 'changed', seen = '2026-02-01' WHERE id % 100 = 0",
    "INSERT INTO t SELECT g, 'new', 1, timestamptz '2026-02-02' + interval '1 s' * g FROM generate_series(501, 510) g",
)
COLUMNS = "SELECT id, v, CAST(n AS varchar) AS n, CAST(extract(epoch FROM seen) AS bigint) AS seen FROM t ORDER BY id, v"


@pytest.fixture(params=["lake.ducklake", "lake.sqlite", "postgres"])
def catalog(request):
    return request.getfixturevalue("database") if request.param == "postgres" else request.param


@pytest.fixture
def source(pg18):
    with pg18.database(*SOURCE) as url:
        yield url


def project(folder, source, catalog, mode, more=""):
    (folder / "etl").mkdir()
    (folder / "estate.yaml").write_text(
        f'version: 1\nsystems:\n  app: {{kind: postgresql, url: "{source}"}}\n  lake: {{kind: ducklake, catalog: "{catalog}", data: data}}\n'
    )
    (folder / "etl/p.yaml").write_text(
        f"version: 1\ntarget: lake\nloads:\n  t:\n    source: {{system: app, table: t}}\n    mode: {mode}\n    keys: [id]\n    batch_rows: 200\n{more}"
    )
    return contextlib.closing(App.open(folder))


def run(app):
    plan = app.preview(app.catalogue.make("pipelines.run", {"pipeline": "p"}))
    assert not plan.blockers, plan.blockers
    return app.apply(plan, by="test", approved=True)


def change(url):
    with psycopg.connect(url) as connection:
        for statement in CHANGED:
            connection.execute(statement)


def rows(url):
    with psycopg.connect(url) as connection:
        return connection.execute(COLUMNS).fetchall()


def there(app):
    return [tuple(row.values()) for row in app.systems["lake"].read("query", sql=COLUMNS)]


def test_what_is_published_equals_the_source_and_undo_publishes_the_former_one(tmp_path, source, catalog):
    with project(tmp_path, source, catalog, "upsert", "    cursor: seen\n") as app:
        assert run(app).status == "done"
        before = rows(source)
        assert there(app) == before
        change(source)
        second = run(app)
        assert second.status == "done"
        assert there(app) == rows(source)
        assert app.undo(second.run, by="test").status == "undone"
        assert there(app) == before


@pytest.mark.parametrize(("mode", "expected"), [("full", 510), ("scd2", 515), ("snapshot", 1010)])
def test_every_mode_can_be_published_and_undone(tmp_path, source, mode, expected):
    with project(tmp_path, source, "lake.ducklake", mode) as app:
        assert run(app).status == "done"
        change(source)
        second = run(app)
        assert (second.status, len(there(app))) == ("done", expected)
        assert app.undo(second.run, by="test").status == "undone"
        assert len(there(app)) == 500


def test_types_are_kept_exactly(tmp_path, source):
    with project(tmp_path, source, "lake.ducklake", "full") as app:
        run(app)
        found = app.systems["lake"].read("query", sql="SELECT column_name AS c, data_type AS t FROM information_schema.columns WHERE table_name = 't' ORDER BY ordinal_position")  # fmt: skip
        assert [(one["c"], one["t"]) for one in found] == [("id", "INTEGER"), ("v", "VARCHAR"), ("n", "DECIMAL(10,2)"), ("seen", "TIMESTAMP WITH TIME ZONE")]  # fmt: skip


# -- two writers ---------------------------------------------------------------------------------------------------------------------------


class Ten:
    """Ten rows."""

    columns = ("id",)

    def taken(self):
        return "SELECT range AS id FROM range(10)"

    def still(self):
        """Nothing changes while it is read."""

    def rejected(self):
        return ""


def writer(folder, catalog):
    entry = DucklakeSystem(kind="ducklake", catalog=catalog, data="data")
    return DucklakeDestination.attached(
        Ducklake("lake", entry, folder, lambda _: None), Mover(threads=1), lambda: None
    )


def count(destination):
    return destination.run("SELECT count(*) FROM t")[0][0]


@pytest.fixture
def two(tmp_path, database):
    with contextlib.closing(writer(tmp_path, database)) as one, contextlib.closing(writer(tmp_path, database)) as other:  # fmt: skip
        one.run("CREATE TABLE t (id BIGINT)")
        yield one, other


def claim(destination, fence, pipeline="p"):
    return destination.claim(pipeline, ledger="ledger", fence=fence, run=f"run {fence}")


def test_a_writer_whose_pipeline_was_claimed_since_commits_nothing(two):
    one, other = two
    old = claim(one, 1)
    claim(other, 2)
    with pytest.raises(LeaseLost):
        one.insert(old, Batch("b", "t", "1"), "t", Ten())
    assert count(other) == 0
    assert other.batches(old, "b", "t") == {}


def test_a_claim_in_the_middle_of_a_batch_keeps_it_from_committing(two):
    one, other = two
    old = claim(one, 1)
    one._must_hold = lambda: claim(
        other, 2
    )  # the worker sleeps just before its commit, and another takes over
    with pytest.raises(LeaseLost):
        one.insert(old, Batch("b", "t", "1"), "t", Ten())
    assert count(other) == 0


def test_a_later_lease_cannot_be_taken_from_by_an_earlier_one(two):
    one, other = two
    claim(other, 2)
    with pytest.raises(LeaseLost):
        claim(one, 1)


def test_two_pipelines_of_one_lake_do_not_stand_in_one_anothers_way(two):
    one, other = two
    first, second = claim(one, 1, "p"), claim(other, 1, "q")
    other.run("CREATE TABLE u (id BIGINT)")
    one._must_hold = lambda: other.insert(second, Batch("c", "u", "1"), "u", Ten())
    assert one.insert(first, Batch("b", "t", "1"), "t", Ten()) == (10, 0)
    one._must_hold = lambda: None
    assert (count(one), one.run("SELECT count(*) FROM u")[0][0]) == (10, 10)


# -- what is refused -----------------------------------------------------------------------------------------------------------------------


def test_a_catalog_whose_url_holds_a_password_is_refused():
    with pytest.raises(Exception, match="holds a password"):
        Estate.model_validate({"version": 1, "systems": {"lake": {"kind": "ducklake", "catalog": "postgresql://u:p@h/d", "data": "data"}}})  # fmt: skip


def test_iceberg_is_told_to_be_no_target(tmp_path, source):
    with project(tmp_path, source, "lake.ducklake", "full") as app:
        text = (tmp_path / "estate.yaml").read_text().replace('kind: ducklake, catalog: "lake.ducklake", data: data', "kind: iceberg, catalog: http://127.0.0.1:1")  # fmt: skip
    (tmp_path / "estate.yaml").write_text(text)
    refusing = pytest.raises(Refused, match="do not write to Iceberg")
    with contextlib.closing(App.open(tmp_path)) as app, refusing:
        app.preview(app.catalogue.make("pipelines.run", {"pipeline": "p"}))
