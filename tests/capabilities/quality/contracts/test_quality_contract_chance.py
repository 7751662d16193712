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


TOWNS = "CREATE TABLE shops AS SELECT i AS id, 'town ' || i % 12 AS town, 'land ' || i % 12 // 4 AS land, hash(i) % 4 AS size, 'open' AS state, (i % 90)::decimal(9, 2) AS net, (i % 37 + 1)::decimal(9, 2) AS tax, (i % 90 + i % 37 + 1)::decimal(9, 2) AS gross, 0::decimal(9, 2) AS fee FROM range(1, 1001) r(i)"


def test_what_hangs_together_is_drafted_and_what_only_seems_to_is_not(tmp_path):
    rules, _ = drafted(tmp_path, TOWNS)
    of_kind = {kind: {columns: arguments for one, _, columns in rules if one == kind for arguments in [rules[one, "shops", columns]]} for kind in ("dependency", "condition")}  # fmt: skip
    assert of_kind["dependency"] == {
        ("land",): {"by": ["town"]}
    }  # and no size, and no state, which is one everywhere
    assert of_kind["condition"] == {
        ("gross", "net", "tax"): {"sql": 'abs("gross" - ("net" + "tax")) <= 0.005'}
    }


def test_a_value_that_is_nearly_everywhere_is_decided_by_nothing(tmp_path):
    made = "CREATE TABLE shops AS SELECT i AS id, 'town ' || i % 12 AS town, CASE WHEN i % 200 = 0 THEN 'shut' ELSE 'open' END AS state FROM range(1, 2001) r(i)"
    assert [one for one in drafted(tmp_path, made)[0] if one[0] == "dependency"] == []


def test_few_rows_beside_a_dependency_are_allowed_for(tmp_path):
    wrong = "UPDATE shops SET land = 'elsewhere' WHERE id IN (7, 8)"
    rules, _ = drafted(tmp_path, TOWNS, wrong)
    assert rules["dependency", "shops", ("land",)] == {"by": ["town"]}


def test_a_number_that_has_a_gap_and_a_day_without_rows_make_no_series(tmp_path):
    made = "CREATE TABLE visits AS SELECT i AS id, i % 7 AS n, TIMESTAMP '2025-01-01' + i * INTERVAL 30 MINUTE AS moment FROM range(1, 3001) r(i)"
    whole, _ = drafted(tmp_path, made)
    assert ("gaps", "visits", ("id",)) in whole
    assert whole["continuity", "visits", ("moment",)] == {"every": "1 day"}
    (tmp_path / "again").mkdir()
    less, _ = drafted(tmp_path / "again", made, "DELETE FROM visits WHERE moment::date = '2025-01-20'")
    assert not {"gaps", "continuity"} & {kind for kind, _, _ in less}


def test_a_draft_of_damaged_text_asks_for_none_of_that_damage(tmp_path):
    made = "CREATE TABLE shops AS SELECT i AS id, CASE WHEN i = 1 THEN 'RenÃ© ' WHEN i = 2 THEN 'N/A' ELSE 'shop no. ' || i END AS label FROM range(1, 301) r(i)"
    rules, _ = drafted(tmp_path, made)
    patterns = [
        arguments["regex"]
        for (kind, _, columns), arguments in rules.items()
        if (kind, columns) == ("pattern", ("label",))
    ]
    assert patterns == [r"[\x01-\x08\x0b\x0c\x0e-\x1f\u200b\u2060\ufeff]"]
    assert "missing" not in rules["not-null", "shops", ("label",)]
