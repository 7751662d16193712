"""What holds by chance, or only until tomorrow, is not drafted as a rule."""

from __future__ import annotations

import duckdb
import pytest

import servers
from datareeve.capabilities.quality import engines, profile
from datareeve.capabilities.quality.contracts import proposing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.core import clock


def drafted(folder, *statements, tables=()):
    """The rules that are drafted of these tables: (kind, table, columns) -> arguments; and the keys."""
    with duckdb.connect(str(folder / "shop.duckdb")) as made:
        for statement in statements:
            made.execute(statement)
    systems = servers.elsewhere(folder, shop={"kind": "duckdb", "path": "shop.duckdb"})
    try:
        reader = systems["shop"]
        names = list(tables) or [".".join(place) for place in engines.tables_of(reader)]
        found = profile.profile(reader, engines.catalog_of(reader, names), engines.dialect_of("duckdb"))
    finally:
        systems.close()
    contract = read(proposing.propose("shop", found, system="shop", now=clock.now()), "shop")
    return {(one.kind, one.table, one.columns): one.arguments for one in contract.rules}, {one.name: one.key for one in contract.tables}  # fmt: skip


ORDERS = "CREATE TABLE orders AS SELECT i AS id, 1 + i * 7 % 300 AS customer_id, 1 + i % 40 AS batch_no, i % 50 AS weight, TIMESTAMP '2025-01-01' + i * INTERVAL '61.7' SECOND AS created_at FROM range(1000) r(i)"
CUSTOMERS = "CREATE TABLE customers AS SELECT i AS id, 'c' || i AS code FROM range(1, 301) r(i)"


def test_moments_that_differ_by_chance_are_no_key(tmp_path):
    rules, keys = drafted(tmp_path, ORDERS)
    assert keys["orders"] == ("id",)
    assert ("unique", "orders", ("created_at",)) not in rules
    assert ("range", "orders", ("created_at",)) in rules


def test_moments_alone_are_no_key_and_make_none_of_others(tmp_path):
    made = "CREATE TABLE log AS SELECT i % 9 AS level, 'x' AS what, TIMESTAMP '2025-01-01' + i * i * INTERVAL '0.37' SECOND AS at FROM range(1000) r(i)"
    rules, keys = drafted(tmp_path, made)
    assert keys["log"] == ()
    assert [one for one in rules if one[0] == "unique"] == []


@pytest.mark.parametrize("step", ["1 HOUR", "1 DAY"])
def test_moments_that_each_have_their_row_are_a_key(tmp_path, step):
    made = f"CREATE TABLE weather AS SELECT TIMESTAMP '2025-01-01' + i * INTERVAL {step} AS at, i % 31 AS wind FROM range(500) r(i)"
    assert drafted(tmp_path, made)[1]["weather"] == ("at",)


def test_a_unique_moment_that_the_engine_keeps_stays_a_key(tmp_path):
    made = "CREATE TABLE log (moment timestamp PRIMARY KEY, level integer)"
    fill = "INSERT INTO log SELECT TIMESTAMP '2025-01-01' + i * i * INTERVAL '0.37' SECOND, i % 9 FROM range(1000) r(i)"
    assert drafted(tmp_path, made, fill)[1]["log"] == ("moment",)


def test_what_refers_to_another_table_has_no_range(tmp_path):
    rules, _ = drafted(tmp_path, ORDERS, CUSTOMERS)
    assert ("foreign-key", "orders", ("customer_id",)) in rules
    assert ("range", "orders", ("customer_id",)) not in rules
    assert rules["range", "orders", ("weight",)] == {"at_least": 0, "at_most": 54}


def test_numbers_that_are_given_out_have_no_upper_bound(tmp_path):
    rules, _ = drafted(tmp_path, ORDERS)
    assert rules["range", "orders", ("customer_id",)] == {"at_least": 0}
    assert rules["range", "orders", ("batch_no",)] == {"at_least": 0}


def test_references_that_the_engine_keeps_need_no_range_where_the_other_table_is_left_out(tmp_path):
    made = (
        "CREATE TABLE customers (id integer PRIMARY KEY)",
        "INSERT INTO customers SELECT i FROM range(1, 301) r(i)",
        "CREATE TABLE orders (id integer PRIMARY KEY, buyer integer REFERENCES customers)",
        "INSERT INTO orders SELECT i, 1 + i * 7 % 300 FROM range(1000) r(i)",
    )
    rules, _ = drafted(tmp_path, *made, tables=["orders"])
    assert ("range", "orders", ("buyer",)) not in rules


def test_tables_of_one_name_in_two_schemas_are_two_tables(tmp_path):
    rules, keys = drafted(tmp_path, CUSTOMERS, "CREATE SCHEMA old", CUSTOMERS.replace("customers", "old.customers"))  # fmt: skip
    assert set(keys) == {"main.customers", "old.customers"}
    assert {table for _, table, _ in rules} == set(keys)
