"""What one thing broke is one incident, called by what was measured; what two things broke is two. On real tables, with everyday contracts."""

import shutil

import duckdb
import pytest

import quality_defects
import quality_rig as rig
import servers
from datareeve.capabilities.quality.incidents import Seen, incidents
from datareeve.capabilities.quality.rule import Rule, Table

NOW = "2026-11-23T10:00:00+00:00"
PAIRS = Rule(
    id="adds-up",
    kind="condition",
    table="sales",
    columns=("total", "price", "quantity"),
    arguments={"sql": "abs(total - price * quantity) < 0.01"},
)
RULES = (
    Rule(id="sale-key", kind="unique", table="sales", columns=("id",)),
    Rule(id="price", kind="range", table="sales", columns=("price",), arguments={"at_least": 0, "at_most": 60}),
    Rule(id="total", kind="range", table="sales", columns=("total",), arguments={"at_least": 0, "at_most": 300}),
    Rule(id="quantity", kind="range", table="sales", columns=("quantity",), arguments={"at_least": 1, "at_most": 6}),
    Rule(id="total-mean", kind="aggregate", table="sales", columns=("total",), arguments={"function": "mean"}, bounds={"at_most": 150}, unit="value"),
    Rule(id="status", kind="set", table="sales", columns=("status",), arguments={"values": ["open", "paid"]}),
    Rule(id="status-there", kind="not-null", table="sales", columns=("status",)),
    Rule(id="sale-person", kind="foreign-key", table="sales", columns=("person",), arguments={"table": "people", "columns": ["id"]}),
    Rule(id="first", kind="pattern", table="people", columns=("first",), arguments={"regex": "^F"}),
    Rule(id="last", kind="pattern", table="people", columns=("last",), arguments={"regex": "^L"}),
    Rule(id="email", kind="format", table="people", columns=("email",), arguments={"format": "email"}),
    Rule(id="email-once", kind="unique", table="people", columns=("email",)),
    Rule(id="name-length", kind="length", table="people", columns=("full_name",), arguments={"at_most": 9}),
)  # fmt: skip
PEOPLE = Table(
    name="people", physical_name="people", key=("id",), personal={"email": "email", "full_name": "name"}
)
SALES = Table(name="sales", physical_name="sales", key=("id",))
TABLES = (
    "CREATE TABLE people AS SELECT n AS id, 'F' || n AS first, 'L' || n AS last, 'p' || n || '@example.org' AS email, 'F' || n % 150 AS full_name FROM range(1, 201) AS r(n)",
    "CREATE TABLE sales AS SELECT n AS id, 1 + n % 200 AS person, 1 + n % 5 AS quantity, 5.25 + n % 53 AS price, (1 + n % 5) * (5.25 + n % 53) AS total, 'paid' AS status FROM range(1, 2001) AS r(n)",
)
CASES = {
    "nothing": ((), {}),
    "another unit in a price, of which a total is made": (
        ("UPDATE sales SET price = price * 100, total = total * 100 WHERE id > 1800",),
        {"sales (price, total) holds values out of range and has another mean than is asked": {"price", "total", "total-mean"}},
    ),
    "another unit in a price only": (
        ("UPDATE sales SET price = price * 100 WHERE id > 1800",),
        {"sales (price, total, quantity) holds values out of range and breaks a condition": {"price", "adds-up"}},
    ),
    "two numbers swapped, of which a condition tells more": (
        ("UPDATE sales SET quantity = floor(price), price = quantity WHERE id > 1900",),
        {"sales (quantity, total, price) holds values out of range and breaks a condition": {"quantity", "adds-up"}},
    ),
    "first and last name swapped": (
        ("UPDATE people SET first = last, last = first WHERE id % 20 = 0",),
        {"people (first, last) holds values without the pattern": {"first", "last"}},
    ),
    "name and e-mail address swapped": (
        ("UPDATE people SET full_name = email, email = full_name WHERE id % 5 = 0",),
        {"people (email, full_name) holds values that are no email, values more than once and values that are too short or too long": {"email", "email-once", "name-length"}},
    ),
    "NULL": (("UPDATE sales SET status = NULL WHERE id <= 30",), {"sales.status holds NULL": {"status-there"}}),
    "an enumeration": (("UPDATE sales SET status = 'void' WHERE id <= 30",), {"sales.status holds values outside its set": {"status"}}),
    "a parent that is missing and totals that are negative": (
        ("DROP TABLE people", "UPDATE sales SET total = -total, price = -price WHERE id <= 9"),
        {"people is not there": {"sale-person", "first", "last", "email", "email-once", "name-length"}, "sales (price, total) holds values out of range": {"price", "total"}},
    ),
    "two columns in other rows": (
        ("UPDATE sales SET status = 'void' WHERE id <= 8", "UPDATE sales SET price = -1, total = -quantity WHERE id BETWEEN 50 AND 57"),
        {"sales.status holds values outside its set": {"status"}, "sales (price, total) holds values out of range": {"price", "total"}},
    ),
    "a batch that came twice": (
        ("INSERT INTO sales SELECT * FROM sales WHERE id <= 300",),
        {"sales was loaded twice, or in part twice": {"sale-key"}},
    ),
}  # fmt: skip


def told(system, wanted):
    checked = rig.check(system, wanted)
    tables = {table.name: table.physical_name for table in wanted.tables}
    return incidents(wanted, "shop", list(checked.verdicts.values()), Seen(at=NOW, tables=tables))


def broken(folder, statements, rules):
    with duckdb.connect(str(folder / "shop.duckdb")) as db:
        for statement in (*TABLES, *statements):
            db.execute(statement)
    return seen(folder, rig.of_rules(*rules, tables=(PEOPLE, SALES)))


def seen(folder, wanted):
    registry = servers.elsewhere(folder, shop={"kind": "duckdb", "path": str(folder / "shop.duckdb")})
    try:
        return told(registry["shop"], wanted)
    finally:
        registry.close()


@pytest.mark.parametrize(("statements", "expected"), CASES.values(), ids=CASES)
def test_one_cause_is_one_incident_named_by_what_was_measured(statements, expected, tmp_path):
    found = broken(tmp_path, statements, (*RULES, PAIRS))
    assert {one.words.rpartition(":")[0]: set(one.rules) for one in found} == expected


@pytest.mark.parametrize("case", ["another unit in a price, of which a total is made", "two columns in other rows", "first and last name swapped"])  # fmt: skip
def test_the_rows_tell_it_where_the_contract_does_not_say_what_belongs_together(case, tmp_path):
    statements, expected = CASES[case]
    assert {one.words.rpartition(":")[0] for one in broken(tmp_path, statements, RULES)} == set(expected)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    tables = quality_defects.shop(folder)
    return rig.into_duckdb(tables, folder / "clean.duckdb")


@pytest.mark.parametrize("defect", quality_defects.DEFECTS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_defect_is_one_incident_that_has_its_rule(defect, clean, tmp_path):
    shutil.copy(clean, tmp_path / "shop.duckdb")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as db:
        for statement in defect.statements("duckdb"):
            db.execute(statement)
    found = seen(tmp_path, rig.contract("shop"))
    assert len(found) == 1, [one.words for one in found]
    assert defect.rule in found[0].rules
