"""`quality.reconcile` as a person runs it: planned, run, told, kept; nothing personal anywhere."""

from __future__ import annotations

import json
import sqlite3

import duckdb
import pytest

from datareeve.app import App
from datareeve.capabilities.quality.operations.reconcile import Reconcile
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Verdict

ESTATE = """
systems:
  shop: {kind: sqlite, path: shop.db}
  warehouse: {kind: duckdb, path: warehouse.duckdb}
datasets:
  customers: {system: shop, table: customers, personal: {email: email}}
authority: {default: allow}
"""


@pytest.fixture
def app(tmp_path):
    rows = [(n, f"person{n}@example.com", n / 4) for n in range(1, 1001)]
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE customers (id integer primary key, email text, spent real)")
        shop.executemany("INSERT INTO customers VALUES (?, ?, ?)", rows)
    shop.close()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as warehouse:
        warehouse.execute(
            "CREATE TABLE customers AS SELECT i AS id, 'person' || i || '@example.com' AS email, i / 4.0 AS spent, now() AS loaded FROM range(1, 1001) t(i)"
        )
        warehouse.execute("ALTER TABLE customers ALTER spent TYPE double")
        warehouse.execute("ALTER TABLE customers ALTER id TYPE bigint")
    (tmp_path / "estate.yaml").write_text(ESTATE.replace("authority: {default: allow}\n", ""))
    made = App.open(tmp_path)
    yield made
    made.close()


def change(app, *statements):
    with duckdb.connect(str(app.project / "warehouse.duckdb")) as warehouse:
        for statement in statements:
            warehouse.execute(statement)


def test_equal_tables_are_proved_equal(app):
    plan = app.preview(Reconcile(left="shop", right="warehouse", table="customers"))
    assert plan.effect == Effect.READ
    assert [(one.rule, one.subject[-9:]) for one in plan.findings] == [("column-not-compared", "t loaded)")]
    assert (
        plan.fingerprint
        == app.preview(Reconcile(left="shop", right="warehouse", table="customers")).fingerprint
    )
    outcome = app.apply(plan, by="tester", approved=True)
    assert outcome.status == "done"
    part = outcome.parts[0]
    assert (part.figures["rows_left"], part.figures["rows_right"], part.figures["differing"]) == (
        1000,
        1000,
        0,
    )
    assert [check.verdict for check in part.checks] == [Verdict.HOLDS]


def test_what_is_not_compared_stands_beside_equal(app):
    plan = app.preview(Reconcile(left="shop", right="warehouse", table="customers"))
    assert plan.checks[0].text.endswith("left and right are equal, right loaded not compared")


def test_rows_without_a_moment_are_compared_and_told(app):
    with sqlite3.connect(app.project / "shop.db") as shop:
        shop.execute("CREATE TABLE moved (id integer primary key, came timestamp, n integer)")
        shop.executemany(
            "INSERT INTO moved VALUES (?, ?, ?)", [(1, "2026-01-01 00:00:00", 1), (2, None, 2), (3, None, 3)]
        )
    shop.close()
    change(
        app,
        "CREATE TABLE moved (id bigint primary key, came timestamp, n bigint)",
        "INSERT INTO moved VALUES (1, '2026-01-01', 1), (2, NULL, 2), (3, NULL, 4), (4, '2026-01-02', 5)",
    )
    asked = Reconcile(left="shop", right="warehouse", table="moved", until_column="came")
    outcome = app.apply(app.preview(asked), by="tester", approved=True)
    assert outcome.status != "done"
    told = {finding.rule: finding for finding in outcome.parts[0].findings}
    assert told["rows-differing"].figures["keys"] == [{"id": 3}]
    assert told["rows-without-a-moment"].figures == {"left": 2, "right": 2}
    assert outcome.parts[0].figures["rows_right"] == 3


def test_differences_fail_the_run_and_are_told_by_key_and_column(app):
    change(
        app,
        "UPDATE customers SET spent = spent + 0.25 WHERE id IN (4, 5)",
        "UPDATE customers SET email = 'other@example.com' WHERE id = 6",
        "DELETE FROM customers WHERE id = 1000",
    )
    outcome = app.apply(
        app.preview(Reconcile(left="shop", right="warehouse", table="customers")), by="tester", approved=True
    )
    assert outcome.status != "done"
    part = outcome.parts[0]
    told = {finding.rule: finding for finding in part.findings}
    assert told["rows-only-left"].figures["keys"] == [{"id": 1000}]
    assert told["rows-differing"].figures == {
        "differing": 3,
        "keys": [{"id": 4}, {"id": 5}, {"id": 6}],
        "columns": {"spent": 2, "email": 1},
    }
    assert "spent in 2" in told["rows-differing"].what
    kept = app.systems["quality"].read("documents", kind="reconcile")
    assert kept[0]["told"]["differing"] == 3
    assert "example.com" not in json.dumps([outcome.model_dump(mode="json"), kept])


def test_a_personal_key_is_only_counted(app):
    change(app, "DELETE FROM customers WHERE id = 7")
    outcome = app.apply(
        app.preview(Reconcile(left="shop", right="warehouse", table="customers", key=("email",))),
        by="tester",
        approved=True,
    )
    assert outcome.parts[0].figures["only_left"] == 1
    assert "example.com" not in outcome.model_dump_json()


@pytest.mark.parametrize(
    ("declared", "keys"),
    [("personal: {id: national-id}", None), ("subject: customer, subject_key: id", None), ("personal: {email: email}", [{"id": 7}])],
)  # fmt: skip
def test_keys_of_persons_are_not_told(app, declared, keys):
    change(app, "DELETE FROM customers WHERE id = 7")
    estate = ESTATE.replace("personal: {email: email}", declared).replace("authority: {default: allow}\n", "")  # fmt: skip
    (app.project / "estate.yaml").write_text(estate)
    again = App.open(app.project)
    try:
        plan = again.preview(Reconcile(left="shop", right="warehouse", table="customers"))
        assert any(one.rule == "keys-not-told" for one in plan.findings) == (keys is None)
        part = again.apply(plan, by="tester", approved=True).parts[0]
    finally:
        again.close()
    told = next(one for one in part.findings if one.rule == "rows-only-left")
    assert (part.figures["only_left"], told.figures["keys"]) == (1, keys or [])


def test_equal_is_said_with_the_columns_that_were_not_compared(app):
    wanted = Reconcile(left="shop", right="warehouse", table="customers")
    part = app.apply(app.preview(wanted), by="tester", approved=True).parts[0]
    assert [one.what for one in part.findings if one.rule == "equal-but-for"] == [
        "They are equal but for 1 column that was not compared: right loaded."
    ]
    on_purpose = wanted.model_copy(update={"leave_out": ("loaded",)})
    part = app.apply(app.preview(on_purpose), by="tester", approved=True).parts[0]
    assert part.status == "done"
    assert not any(one.rule == "equal-but-for" for one in part.findings)


def test_what_cannot_be_compared_is_said_before_anything_is_read(app):
    with pytest.raises(BadInput, match="no table 'nowhere'"):
        app.preview(Reconcile(left="shop", right="warehouse", table="nowhere"))
    change(app, "CREATE TABLE other (place int[])")
    plan = app.preview(Reconcile(left="shop", right="warehouse", table="customers", right_table="other"))
    assert plan.steps == ()
    assert plan.blockers == ("The tables have no column that can be compared.",)
    plan = app.preview(Reconcile(left="shop", right="warehouse", table="customers", until_column="email"))
    assert "no moment" in plan.blockers[0]
    with pytest.raises(BadInput, match="works on postgresql"):
        app.preview(Reconcile(left="shop", right="files", table="customers"))
