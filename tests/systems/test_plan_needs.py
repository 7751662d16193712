"""What plans of a real server ask of tables; every name is resolved by the server itself."""

import psycopg
import pytest

import servers
from datareeve.core.estate import WorkloadSource
from datareeve.systems.plan_needs import needs

SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, email varchar(80), country text, vip boolean, phone char(12), "Odd Name" int);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, placed timestamptz, due date, sent date, total numeric, state text, doc jsonb, tags text[]);
CREATE TABLE events (at date NOT NULL, kind text, payload text) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
SET enable_indexscan = off; SET enable_bitmapscan = off;
"""


@pytest.fixture(scope="module")
def connection(pg18):
    with pg18.database() as url, psycopg.connect(url, autocommit=True) as made:
        made.execute(SCHEMA)
        yield made


def asked(connection, sql):
    plan = connection.execute("EXPLAIN (VERBOSE, FORMAT JSON) " + sql).fetchone()[0][0]["Plan"]
    return {scan["alias"]: scan for scan in needs(plan)}


def conditions(scan):
    return {(c["key"], c["kind"], *c["joined"]) for c in scan["conditions"]}


@pytest.mark.parametrize(
    ("sql", "alias", "expected"),
    [
        ("SELECT 1 FROM orders WHERE state = 'x' AND total > 5", "orders", {("state", "equal"), ("total", "range")}),
        ("SELECT 1 FROM orders o WHERE 5 < total AND state IN ('a', 'b')", "o", {("state", "any"), ("total", "range")}),
        ("SELECT 1 FROM customers WHERE lower(email) = 'x'", "customers", {("(lower((email)::text))", "equal")}),
        ("SELECT 1 FROM customers WHERE email = 'x'", "customers", {("email", "equal")}),
        ("SELECT 1 FROM customers WHERE vip", "customers", {("vip", "true")}),
        ("SELECT 1 FROM customers WHERE NOT vip AND country IS NULL", "customers", {("vip", "false"), ("country", "null")}),
        ('SELECT 1 FROM customers WHERE "Odd Name" = 1', "customers", {("Odd Name", "equal")}),
        ("SELECT 1 FROM orders WHERE doc @> '{\"a\": 1}'", "orders", {("doc", "contains")}),
        ("SELECT 1 FROM orders WHERE doc ->> 'status' = 'x'", "orders", {("(doc ->> 'status'::text)", "equal")}),
        ("SELECT 1 FROM orders WHERE doc ? 'status'", "orders", {("doc", "has_key")}),
        ("SELECT 1 FROM orders WHERE tags @> ARRAY['x']", "orders", {("tags", "contains")}),
        ("SELECT 1 FROM orders WHERE 'x' = ANY (tags)", "orders", {("tags", "contains")}),
        ("SELECT 1 FROM orders WHERE date_trunc('month', due) = '2024-01-01'", "orders", {("(date_trunc('month'::text, (due)::timestamp with time zone))", "equal")}),
        ("SELECT 1 FROM orders WHERE total * 3 > 5", "orders", set()),  # 3 may be a value: it is in no index
        ("SELECT 1 FROM orders WHERE sent > due", "orders", {("sent > due", "within")}),
        ("SELECT 1 FROM open_orders WHERE total = 5", "orders", {("state", "equal"), ("total", "equal")}),
        ("WITH c AS MATERIALIZED (SELECT * FROM orders WHERE total = 5) SELECT 1 FROM c", "orders", {("total", "equal")}),
        ("SELECT 1 FROM events WHERE at >= '2024-05-01' AND kind = 'x'", "events_1", {("at", "range"), ("kind", "equal")}),
        (
            "SELECT 1 FROM customers c JOIN orders o ON o.customer = c.id WHERE c.country = 'x'",
            "o",
            {("customer", "equal", "c")},
        ),
        (
            "SELECT 1 FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer = c.id AND o.state = 'x')",
            "o",
            {("customer", "equal", "c"), ("state", "equal")},
        ),
        (
            "SELECT (SELECT max(total) FROM orders o WHERE o.customer = c.id) FROM customers c",
            "o",
            {("customer", "equal", "c")},
        ),
    ],
)  # fmt: skip
def test_every_condition_is_seen_from_its_table(connection, sql, alias, expected):
    assert conditions(asked(connection, sql)[alias]) == expected


@pytest.mark.parametrize(
    ("pattern", "kind"), [("abc%", "prefix"), ("%abc", "infix"), ("a_c", "prefix"), ("abc", "exact")]
)
def test_of_a_pattern_only_the_place_of_its_wildcards_is_told(connection, pattern, kind):
    scan = asked(connection, f"SELECT 1 FROM orders WHERE state LIKE '{pattern}'")["orders"]
    assert {c["pattern"] for c in scan["conditions"] if c["kind"] in {"like", "equal"}} <= {kind, ""}


def test_either_of_two_conditions_is_told_as_arms(connection):
    scan = asked(connection, "SELECT 1 FROM orders WHERE state = 'x' OR total = 5")["orders"]
    assert [[c["key"] for c in arm] for arm in scan["arms"][0]] == [["state"], ["total"]]
    assert conditions(scan) == set()


def test_orders_groups_and_the_columns_that_are_really_needed_are_told(connection):
    sql = "SELECT state, sum(total) FROM orders WHERE due = '2024-01-01' GROUP BY state ORDER BY state DESC LIMIT 3"
    scan = asked(connection, sql)["orders"]
    assert [[(k["key"], k["direction"]) for k in order] for order in scan["orders"]] == [[("state", "DESC")]]
    assert [[k["key"] for k in group] for group in scan["groups"]] == [["state"]]
    assert scan["limited"]
    assert set(scan["needed"]) & {"id", "customer", "due", "state", "total", "doc"} == {
        "due",
        "state",
        "total",
    }


def test_the_end_of_an_index_serves_a_maximum(connection):
    scan = asked(connection, "SELECT max(placed) FROM orders WHERE customer = 3")["orders"]
    assert [[k["key"] for k in order] for order in scan["orders"]] == [["placed"]]


def test_no_value_leaves_but_a_constant_that_never_changes(tmp_path, pg18):
    with pg18.database() as url:
        with psycopg.connect(url, autocommit=True) as made:
            made.execute(SCHEMA)
        lines = [
            f'{{"sql": "SELECT total FROM orders WHERE state = \'open\' AND customer = %s", "parameters": [{n}99817], "ms": 1}}\n'
            for n in range(1, 9)
        ]
        (tmp_path / "trace.jsonl").write_text("".join(lines))
        registry = servers.registry(tmp_path, url, workload=WorkloadSource(kind="trace", path="trace.jsonl"))
        try:
            (found,) = registry["app"].read("needs")
        finally:
            registry.close()
    (scan,) = found["scans"]
    assert {c["key"]: c["fixed"] for c in scan["conditions"]} == {"state": "'open'::text", "customer": ""}
    assert "99817" not in str(found)
    assert "literal" not in str(found)


def test_what_is_asked_above_the_members_of_a_partitioned_table_is_asked_of_them(connection):
    scans = asked(connection, "SELECT payload FROM events e WHERE kind = 'e.at' ORDER BY at DESC LIMIT 5")
    (ordered,) = [scan for scan in scans.values() if scan["orders"]]
    assert ordered["table"] in {"events_2024", "events_2025"}
    assert ordered["orders"] == [[{"key": "at", "direction": "DESC"}]]
    assert ordered["needed"] == ["at", "kind", "payload"]
    assert {c["literal"] for c in ordered["conditions"]} == {"'e.at'::text"}
