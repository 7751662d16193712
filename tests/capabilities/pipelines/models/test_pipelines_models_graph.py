"""Models read: what they are made of, in which order, and what is let through."""

from __future__ import annotations

import time

import pytest

from datareeve.capabilities.pipelines.models import graph, writing
from datareeve.capabilities.pipelines.spec import Model
from datareeve.core.errors import BadInput


def ordered(queries, loads=None, dialect="duckdb"):
    models = {name: Model(query=text, dialect=dialect) for name, text in queries.items()}
    return graph.order(models, queries, loads or {})


def test_dependencies_are_found_wherever_they_stand():
    queries = {
        "last": 'SELECT * FROM first UNION SELECT a FROM "Odd name" WHERE a IN (SELECT a FROM second) AND EXISTS (SELECT 1 FROM raw.orders)',
        "second": "WITH orders AS (SELECT a FROM first) SELECT a FROM orders JOIN (SELECT a FROM other.place) AS p USING (a)",
        "first": "SELECT a, (SELECT max(b) FROM orders) AS b FROM main.flights",
    }
    found = ordered(queries, {"orders": "raw.orders", "flights": "main.flights"})
    assert [one.name for one in found] == ["first", "second", "last"]
    by_name = {one.name: one.depends_on for one in found}
    assert by_name["first"] == graph.DependsOn(("orders", "flights"))
    assert by_name["second"] == graph.DependsOn((), ("first",), ("other.place",))
    assert by_name["last"] == graph.DependsOn(("orders",), ("first", "second"), ("Odd name",))


def test_a_cte_hides_a_table_of_its_name_only_where_it_is_known():
    found = graph.parse(
        "m", "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM b JOIN s.a ON true", "duckdb"
    )
    assert found.depends_on.tables == ("b", "s.a")
    again = graph.parse(
        "m",
        "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a) SELECT * FROM (WITH c AS (SELECT 1) SELECT * FROM c), c",
        "duckdb",
    )
    assert again.depends_on.tables == ("c",)


def test_a_circle_is_told_by_its_path():
    with pytest.raises(BadInput, match=r"b -> c -> d -> b"):
        ordered(
            {"a": "SELECT * FROM b", "b": "SELECT * FROM c", "c": "SELECT * FROM d", "d": "SELECT * FROM b"}
        )
    with pytest.raises(BadInput, match="a -> a"):
        ordered({"a": "SELECT * FROM a"})


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("duckdb", "DELETE FROM t"),
        ("duckdb", "SELECT 1; SELECT 2"),
        ("duckdb", "CREATE TABLE x AS SELECT 1"),
        ("duckdb", "COPY t TO 'x.csv'"),
        ("duckdb", "ATTACH 'x.db'"),
        ("duckdb", "SELECT * FROM read_csv('/etc/passwd')"),
        ("duckdb", "SELECT * FROM '/etc/passwd.csv'"),
        ("duckdb", 'SELECT * FROM "x.parquet"'),
        ("duckdb", "SELECT * FROM postgres_query('a', 'b')"),
        ("duckdb", "SELECT getenv('HOME')"),
        ("duckdb", "SELECT * FROM glob('*')"),
        ("duckdb", "SELECT * FROM query_table('t')"),
        ("duckdb", "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x"),
        ("duckdb", "SELECT $1"),
        ("duckdb", ""),
        ("duckdb", "SELECT 'open"),
        ("duckdb", "SELECT FROM WHERE"),
        ("postgres", "SELECT pg_read_file('/etc/passwd')"),
        ("postgres", "SELECT lo_import('/etc/passwd')"),
        ("postgres", "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)"),
        ("postgres", "SELECT query_to_xml('DELETE FROM t', true, true, '')"),
        ("postgres", "SELECT nextval('s')"),
        ("postgres", "SELECT pg_sleep(9)"),
        ("postgres", "SELECT * FROM t FOR UPDATE"),
        ("postgres", "SELECT * INTO x FROM t"),
        ("spark", "SELECT reflect('java.lang.System', 'exit')"),
        ("spark", "SELECT * FROM parquet.`/data/x`"),
        ("duckdb", "SELECT " + "(" * 5000 + "1" + ")" * 5000),
    ],
)
def test_nothing_but_one_select_over_tables_is_let_through(dialect, text):
    with pytest.raises(BadInput, match=r"pipelines\.model-sql"):
        graph.parse("m", text, dialect)


def test_two_hundred_models_are_read_and_ordered_in_a_second():
    queries = {
        f"m{n}": f"WITH x AS (SELECT * FROM {f'm{n + 1}' if n < 199 else 'raw.t'}) SELECT a, b / c AS r, sum(d) OVER (PARTITION BY e ORDER BY f) AS s FROM x JOIN dim{n} USING (k) WHERE a IN (SELECT a FROM raw.t)"
        for n in range(200)
    }
    best = 9.0
    for _ in range(5):
        graph._parsed.cache_clear()
        start = time.perf_counter()
        assert len(ordered(queries, {"t": "raw.t"})) == 200
        best = min(best, time.perf_counter() - start)
    assert best < 1.0


def test_on_its_own_engine_a_model_that_is_not_shared_stays_as_it_stands():
    text = "SELECT lower(orders.t) AS t, median(o2.a)\nFROM raw.orders, -- here\n Orders AS o2;"
    parsed = ordered({"m": text}, {"orders": "raw.orders"})[0]
    made = writing.select_for(
        parsed, "duckdb", {"raw.orders": '"lake"."x y"'}, {"raw.orders": {"t": "VARCHAR", "a": "INTEGER"}}
    )
    assert (
        made
        == 'SELECT lower(orders.t) AS t, median(o2.a)\nFROM "lake"."x y" AS "orders", -- here\n "lake"."x y" AS o2'
    )
    with pytest.raises(BadInput, match="LOWER"):
        writing.select_for(
            parsed, "postgres", {"raw.orders": '"x"'}, {"raw.orders": {"t": "VARCHAR", "a": "INTEGER"}}
        )


def test_a_table_that_nobody_has_is_told():
    parsed = ordered({"m": "SELECT a FROM gone"})[0]
    with pytest.raises(BadInput, match=r"pipelines\.model-table"):
        writing.select_for(parsed, "duckdb", {}, {"gone": {"a": "INTEGER"}})


def test_a_division_of_divisions_never_fills_the_memory():
    parsed = ordered({"m": "SELECT " + " / ".join(["a"] * 60) + " AS r FROM t"})[0]
    with pytest.raises(BadInput, match="too long"):
        writing.select_for(parsed, "postgres", {"t": "t"}, {"t": {"a": "INTEGER"}})
