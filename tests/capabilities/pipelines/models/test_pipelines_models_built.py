"""Models built by interval and by key, their unit tests, their columns and where these come from."""

from __future__ import annotations

import datetime  # noqa: ICN001
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipelines_models_rig as rig
from datareeve.capabilities.pipelines.models import dry_run, graph, incremental, lineage, unit_tests, writing
from datareeve.capabilities.pipelines.spec import Incremental, Model, UnitTest
from datareeve.core.errors import BadInput

MOMENTS = st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2100, 1, 1))  # noqa: DTZ001 - a column without a zone
INTERVALS = st.sampled_from(["hour", "day", "week", "month"])


@pytest.fixture(scope="module")
def duck():
    made = rig.Duck(1)
    yield made
    made.connection.close()


@pytest.fixture(scope="module")
def post(pg18):
    with pg18.database() as url:
        made = rig.Post(url, 1)
        yield made
        made.connection.close()


# -- by time and by key ------------------------------------------------------------------------------------------------------------------


@given(MOMENTS, INTERVALS, st.integers(0, 40))
def test_every_moment_is_in_the_interval_that_begins_at_its_floor(moment, interval, back):
    start = incremental.floor(moment, interval)
    assert start <= moment < incremental.after(start, interval)
    at = start
    for _ in range(back):
        at = incremental.before(at, interval, 1)
    assert at == incremental.before(start, interval, back)


@given(MOMENTS, st.integers(1, 400), INTERVALS)
def test_a_backfill_is_exactly_the_intervals_that_it_touches(start, hours, interval):
    end = start + datetime.timedelta(hours=hours)
    found = incremental.between(start, end, interval)
    assert found[0].start <= start < found[0].end
    assert found[-1].start < end <= found[-1].end
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
    assert len({one.id for one in found}) == len(found)
    assert incremental.runs(found) == [incremental.Interval(found[0].start, found[-1].end)]


def day(text):
    return datetime.date.fromisoformat(text)


def test_what_arrived_and_the_lag_are_built_again():
    how = Incremental(by="time", column="day", lag=2, start="2026-01-01")
    arrived = [(day("2026-01-20"), day("2026-01-21")), (day("2025-12-30"), day("2026-01-03"))]
    found = incremental.to_replace(how, day("2026-01-19"), arrived)
    assert [one.id for one in found] == [
        "2026-01-01",
        "2026-01-02",
        "2026-01-03",
        "2026-01-17",
        "2026-01-18",
        "2026-01-19",
        "2026-01-20",
        "2026-01-21",
    ]
    assert [
        one.id for one in incremental.to_replace(how, None, [(day("2026-01-03"), day("2026-01-03"))])
    ] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert incremental.to_replace(how.model_copy(update={"lag": 0}), day("2026-01-19"), []) == []


def test_an_interval_that_is_none_is_refused():
    for start, end in (
        ("2026-02-01", "2026-02-01"),
        ("2026-02-02", "2026-02-01"),
        ("0001-01-01", "9999-01-01"),
    ):
        with pytest.raises(BadInput, match=r"pipelines\.interval"):
            incremental.between(day(start), day(end), "hour")
    one = incremental.between(day("2026-01-01"), day("2026-01-02"), "hour")[0]
    with pytest.raises(BadInput, match=r"pipelines\.interval"):
        incremental.condition("d", "DATE", one, "duckdb")
    with pytest.raises(BadInput, match=r"pipelines\.interval"):
        incremental.condition("t", "VARCHAR", one, "duckdb")


@pytest.mark.parametrize(
    ("column", "told"), [("day", "DATE"), ("seen", "TIMESTAMP"), ("moment", "TIMESTAMP WITH TIME ZONE")]
)
@pytest.mark.parametrize("interval", ["day", "week", "month"])
def test_the_intervals_together_are_the_whole(duck, post, column, told, interval):
    query = f"SELECT id, {column}, sum(d) OVER (PARTITION BY grp) AS s FROM facts WHERE {column} >= '2024-01-01{'' if told != 'TIMESTAMP WITH TIME ZONE' else ' 00:00:00Z'}'"
    parsed = graph.parse("m", query, "duckdb")
    for engine, asked in (("duckdb", duck), ("postgres", post)):
        select = writing.select_for(parsed, engine, {"facts": "facts"}, rig.COLUMNS, rig.KEYS)
        names, whole = asked.ask(select)
        pieces = []
        values = [row[names.index(column)] for row in whole]
        intervals = incremental.between(min(values), max(values) + datetime.timedelta(days=1), interval)
        for one in intervals[:3] + incremental.runs(intervals[3:]):
            pieces += asked.ask(incremental.of_interval(select, column, told, one, engine))[1]
        assert len(intervals) > 3
        assert rig.multiset(names, pieces) == rig.multiset(names, whole)


def test_by_key_only_the_changed_keys_are_built(duck, post):
    parsed = graph.parse("m", "SELECT grp, t, count(*) AS n FROM facts GROUP BY grp, t", "duckdb")
    for engine, asked in (("duckdb", duck), ("postgres", post)):
        select = writing.select_for(parsed, engine, {"facts": "facts"}, rig.COLUMNS, rig.KEYS)
        changed = "(SELECT 2 AS grp, CAST(NULL AS VARCHAR) AS t UNION ALL SELECT 3, 'a')"
        names, found = asked.ask(incremental.of_keys(select, ("grp", "t"), changed, engine))
        whole = asked.ask(select)[1]
        assert sorted(found, key=str) == sorted(
            (row for row in whole if row[:2] in ((2, None), (3, "a"))), key=str
        )
        assert found
        assert list(names) == ["grp", "t", "n"]


# -- unit tests --------------------------------------------------------------------------------------------------------------------------

QUERY = "SELECT t, count(*) AS n, sum(d) AS s, max(day) AS last FROM facts JOIN dims ON grp = k GROUP BY t"
GIVEN = {"facts": ({"t": "it's", "d": 1.5, "grp": 1, "day": "2026-01-31"}, {"t": None, "d": 2, "grp": 1}, {"T": "it's", "d": "0.25", "grp": 1}), "dims": ({"k": 1},)}  # fmt: skip
RIGHT = (
    {"t": "it's", "n": 2, "s": 1.75, "last": datetime.date(2026, 1, 31)},
    {"t": None, "n": 1, "s": 2, "last": None},
)


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
@pytest.mark.parametrize(
    ("expect", "counts"),
    [
        (RIGHT, (0, 0)),
        (RIGHT[:1], (0, 1)),
        ((*RIGHT, RIGHT[1]), (1, 0)),
        ((RIGHT[0], {**RIGHT[1], "n": 2}), (1, 1)),
        (({"t": "it's"}, {"t": None}), (0, 0)),
        ((), (0, 2)),
    ],
)
def test_a_unit_test_counts_what_is_missing_and_what_is_besides(duck, post, dialect, expect, counts):
    parsed = graph.parse("m", QUERY, dialect)
    columns = dry_run.columns(parsed, rig.COLUMNS)
    test = UnitTest(name="sums", given=GIVEN, expect=expect)
    for engine, asked in (("duckdb", duck), ("postgres", post)):
        names, found = asked.ask(unit_tests.statement(parsed, test, engine, rig.COLUMNS, columns))
        assert (list(names), [tuple(map(int, row)) for row in found]) == (["missing", "unexpected"], [counts])


def test_a_unit_test_of_what_is_not_there_is_told():
    parsed = graph.parse("m", QUERY, "duckdb")
    columns = dry_run.columns(parsed, rig.COLUMNS)
    for rows, expect in (({"gone": ()}, ()), ({"facts": ({"gone": 1},)}, ()), ({}, ({"gone": 1},))):
        with pytest.raises(BadInput, match=r"pipelines\.unit-test"):
            unit_tests.statement(
                parsed, UnitTest(name="x", given=rows, expect=expect), "duckdb", rig.COLUMNS, columns
            )


# -- columns and lineage -----------------------------------------------------------------------------------------------------------------


def test_the_columns_are_known_without_asking_and_are_those_of_every_engine(duck, post):
    for query, code in rig.DUCKDB:
        parsed = graph.parse("m", query, "duckdb")
        told = dry_run.columns(parsed, rig.COLUMNS, rig.KEYS)
        if code:
            assert told is None
            continue
        select = writing.select_for(
            parsed, "duckdb", {name: name for name in parsed.reads}, rig.COLUMNS, rig.KEYS
        )
        found = dict(
            duck.connection.execute(
                f"SELECT column_name, column_type FROM (DESCRIBE {dry_run.columns_statement(select, 'duckdb')})"
            ).fetchall()
        )
        assert {
            name: one.replace(", ", ",").replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
            for name, one in told.items()
        } == found, query


def test_every_engine_explains(duck, post):
    parsed = graph.parse("m", QUERY, "duckdb")
    for engine, asked in (("duckdb", duck.connection), ("postgres", post.connection)):
        select = writing.select_for(parsed, engine, {"facts": "facts", "dims": "dims"}, rig.COLUMNS, rig.KEYS)
        assert (
            "Plan" in str(asked.execute(dry_run.explain_statement(select, engine)).fetchall())
            or engine == "duckdb"
        )


def test_lineage_goes_through_models_ctes_stars_and_set_operations():
    queries = {
        "base": "SELECT o.id, o.amount * c.rate AS eur, o.note FROM raw.orders AS o JOIN cur AS c ON o.cur = c.code",
        "day": "WITH x AS (SELECT *, eur * 2 AS twice FROM base) SELECT id, sum(twice) AS s, (SELECT max(name) FROM cur WHERE code = id) AS best, count(*) AS n FROM x GROUP BY id UNION ALL SELECT id, amount, 'x', 1 FROM orders",
    }
    models = {name: Model(query=text) for name, text in queries.items()}
    parsed = graph.order(models, queries, {"orders": "raw.orders"})
    known = {"raw.orders": {"id": "INTEGER", "Amount": "DECIMAL(10,2)", "cur": "VARCHAR", "note": "VARCHAR"}, "cur": {"code": "VARCHAR", "rate": "DOUBLE", "name": "VARCHAR"}}  # fmt: skip
    assert lineage.columns(parsed, known) == {
        "base": {"id": [("raw.orders", "id")], "eur": [("raw.orders", "Amount"), ("cur", "rate")], "note": [("raw.orders", "note")]},
        "day": {"id": [("base", "id"), ("raw.orders", "id")], "s": [("base", "eur"), ("raw.orders", "Amount")], "best": [("cur", "name")], "n": []},
    }  # fmt: skip
    assert lineage.columns(parsed, {})["base"]["eur"] == [("raw.orders", "amount"), ("cur", "rate")]


def test_lineage_of_every_query_is_told_without_an_error():
    for query, _ in rig.DUCKDB:
        parsed = graph.parse("m", query, "duckdb")
        assert isinstance(
            lineage.of_model(parsed, {name: list(columns) for name, columns in rig.COLUMNS.items()}), dict
        )
        assert isinstance(lineage.of_model(parsed, {}), dict)
