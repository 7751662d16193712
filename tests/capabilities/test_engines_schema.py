"""Review and documents of a schema on MariaDB, SQLite and DuckDB: the same trouble seeded in each, found and named; a clean one silent."""

from __future__ import annotations

import contextlib
import sqlite3

import duckdb
import pytest

import servers
from datareeve.capabilities.databases.document import render
from datareeve.capabilities.databases.engines.duckdb_schema import schema as duckdb_schema
from datareeve.capabilities.databases.engines.sqlite_schema import canonical
from datareeve.capabilities.databases.operations.review_schema import ReviewSchema
from datareeve.core.errors import BadInput

CANARY = "canary7f3a"
CLEAN = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), placed DATE)",
    "CREATE INDEX orders_customer ON orders (customer_id)",
    f"INSERT INTO customers VALUES (1, 'a@{CANARY}'), (2, 'b@{CANARY}')",
    "INSERT INTO orders VALUES (1, 1, '2026-01-05'), (2, 2, '2026-01-06')",
)
TROUBLE = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, email VARCHAR(80))",
    "CREATE TABLE orders (id INTEGER, customer_id INTEGER, note VARCHAR(40), placed VARCHAR(20), total DOUBLE PRECISION)",
    "CREATE INDEX by_note ON orders (note)",
    "CREATE INDEX by_note_and_day ON orders (note, placed)",
    "CREATE VIEW newest AS SELECT id FROM orders",
)
ROWS = [(n, 1 + n % 53, f"{CANARY} {n}", f"2026-01-{1 + n % 28:02}", n * 1.5) for n in range(1, 301)]


def mysql(tmp_path, mariadb, stack, statements, rows=()):
    url = stack.enter_context(mariadb.database(*statements))
    with (
        contextlib.closing(mariadb.connect(url.rsplit("/", 1)[1])) as connection,
        connection.cursor() as cursor,
    ):
        if rows:
            cursor.executemany("INSERT INTO customers VALUES (%s, NULL)", [(n,) for n in range(1, 51)])
            cursor.executemany("INSERT INTO orders VALUES (%s, %s, %s, %s, %s)", rows)
    return {"kind": "mysql", "url": url}


def sqlite(tmp_path, mariadb, stack, statements, rows=()):
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.executemany("INSERT INTO customers VALUES (?, NULL)", [(n,) for n in range(1, 51)])
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
    return {"kind": "sqlite", "path": "shop.db"}


def duck(tmp_path, mariadb, stack, statements, rows=()):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)
        if rows:
            connection.executemany("INSERT INTO customers VALUES (?, NULL)", [(n,) for n in range(1, 51)])
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", rows)
    return {"kind": "duckdb", "path": "shop.duckdb"}


@pytest.fixture(
    params=[pytest.param(mysql, marks=pytest.mark.system), sqlite, duck], ids=["mysql", "sqlite", "duckdb"]
)
def engine(request, tmp_path):
    """Gives a function that makes a database of that engine with some statements and opens it as `shop`."""
    mariadb = request.getfixturevalue("mariadb") if request.param is mysql else None
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    with contextlib.ExitStack() as stack:

        def make(*statements, rows=()):
            systems = servers.elsewhere(
                tmp_path, shop=request.param(tmp_path, mariadb, stack, statements, rows)
            )
            stack.callback(systems.close)
            return systems

        yield make


def review(systems):
    operation = ReviewSchema(system="shop")
    return operation.plan(operation.observe(systems))


def test_a_clean_schema_is_not_talked_about(engine):
    assert review(engine(*CLEAN)).findings == ()


def test_seeded_trouble_is_found_and_named(engine):
    systems = engine(*TROUBLE, rows=ROWS)
    found = {
        (finding.rule, finding.subject.partition(".")[2]): finding for finding in review(systems).findings
    }
    assert set(found) == {
        ("missing-primary-key", "orders"),
        ("orphans", "orders (customer_id)"),
        ("duplicate-index", "orders (note)"),
        ("inexact-money", "orders (total)"),
        *({("narrower-type", "orders (placed)")} if systems["shop"].kind != "sqlite" else ()),
    }
    orphans = found["orphans", "orders (customer_id)"]
    assert (orphans.figures["orphan_rows"], orphans.figures["orphan_keys_count"]) == (
        sum(row[1] > 50 for row in ROWS),
        len({row[1] for row in ROWS if row[1] > 50}),
    )
    assert "by_note" in found["duplicate-index", "orders (note)"].instead
    assert all(finding.mended_by == "" for finding in found.values())


def test_no_value_of_a_row_is_told(engine):
    systems = engine(*TROUBLE, rows=ROWS)
    told = review(systems).model_dump_json() + "".join(render(systems, "shop").values())
    assert CANARY not in told
    assert 'orphan_keys"' not in told


def test_a_would_be_key_with_repeats_is_told_with_counts(engine):
    rows = [*ROWS, ROWS[-1]]
    plan = review(engine(*TROUBLE, rows=rows))
    (keyless,) = (finding for finding in plan.findings if finding.rule == "missing-primary-key")
    assert keyless.figures == {"columns": ["id"], "rows": 301, "repeated": 1, "nulls": 0}


def test_the_documents_hold_every_table_its_relations_and_a_drawing(engine):
    documents = render(engine(*CLEAN, "CREATE VIEW newest AS SELECT id FROM orders"), "shop")
    markdown, page = documents["data/shop-schema.md"], documents["data/shop-schema.html"]
    assert "2 tables, 5 columns, 1 foreign keys" in markdown
    assert "REFERENCES customers" in markdown
    for name in ("customers", "orders", "newest", "email", "placed"):
        assert name in markdown
        assert name in page
    assert "<svg" in page


def test_the_documents_are_the_same_when_made_again(engine):
    systems = engine(*CLEAN)
    assert render(systems, "shop") == render(systems, "shop")


def test_an_empty_database_is_reviewed_and_documented(engine):
    systems = engine()
    assert review(systems).findings == ()
    assert "0 tables" in render(systems, "shop")["data/shop-schema.md"]


def test_names_that_need_quoting_are_quoted(engine):
    systems = engine()
    kind = systems["shop"].kind
    quote = "`" if kind == "mysql" else '"'
    odd = f"{quote}select from; -- ' 日本{quote}"
    systems = engine(
        f"CREATE TABLE {odd} ({quote}order{quote} INTEGER, {quote}it's{quote} VARCHAR(20))",
        f"INSERT INTO {odd} VALUES (1, 'x')",
    )
    (finding,) = (f for f in review(systems).findings if f.rule == "missing-primary-key")
    assert "select from; -- ' 日本" in finding.subject


@pytest.mark.system
def test_rows_that_break_a_declared_key_of_mariadb_are_counted(tmp_path, mariadb):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    broken = (
        "SET foreign_key_checks = 0",
        "INSERT INTO orders VALUES (3, 77, NULL)",
        "SET foreign_key_checks = 1",
    )
    with mariadb.database(*CLEAN, *broken) as url:
        systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})
        (finding,) = review(systems).findings
        systems.close()
    assert (finding.rule, finding.figures["orphan_rows"]) == ("orphans", 1)
    assert "foreign_key_checks" in finding.why


@pytest.mark.system
def test_tables_of_mariadb_whose_text_does_not_compare_do_not_stop_the_review(tmp_path, mariadb):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    statements = (
        "CREATE TABLE products (code VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY)",
        "CREATE TABLE sales (id INT PRIMARY KEY, product_code VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_german2_ci)",
        "INSERT INTO products VALUES ('a')",
        "INSERT INTO sales VALUES (1, 'a')",
    )
    with mariadb.database(*statements) as url:
        systems = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})
        assert review(systems).figures["tables"] == 2
        systems.close()


def test_values_of_another_kind_in_a_column_of_sqlite_are_counted(tmp_path):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    sqlite(tmp_path, None, None, (*CLEAN, f"INSERT INTO orders VALUES (3, '{CANARY}', NULL)"))
    systems = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})
    found = {finding.rule: finding for finding in review(systems).findings}
    assert set(found) == {"mixed-types", "orphans"}
    assert found["mixed-types"].subject == "main.orders (customer_id)"
    assert found["mixed-types"].figures == {"rows": 1}


@pytest.mark.parametrize(
    ("declared", "word"),
    [
        ("INT", "bigint"),
        ("VARCHAR(20)", "text"),
        ("", "any"),
        ("DATETIME", "datetime"),
        ("DECIMAL(10,2)", "numeric"),
        ("FLOAT", "double precision"),
        ("BOOLEAN", "boolean"),
        ("BLOB", "blob"),
    ],
)
def test_a_declared_type_of_sqlite_has_an_affinity(declared, word):
    assert canonical(declared) == word


def test_sqlite_has_one_schema_and_another_is_refused(tmp_path):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    sqlite(tmp_path, None, None, CLEAN)
    systems = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "shop.db"})
    with pytest.raises(BadInput, match="no schema 'public'"):
        ReviewSchema(system="shop", schema_name="public").observe(systems)


def test_schemas_of_a_duckdb_file_are_told_apart(tmp_path):
    (tmp_path / "estate.yaml").write_text("version: 1\n")
    duck(tmp_path, None, None, ("CREATE SCHEMA raw", "CREATE TABLE raw.t (x INT)", "CREATE TABLE t (x INT)"))
    systems = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "shop.duckdb"})
    assert [t.full_name for t in duckdb_schema(systems, "shop").tables] == ["main.t", "raw.t"]
    assert [t.full_name for t in duckdb_schema(systems, "shop", "raw").tables] == ["raw.t"]


def test_two_indexes_that_are_the_same_are_told_once(engine):
    systems = engine(*CLEAN, "CREATE INDEX again ON orders (customer_id)")
    doubled = [f for f in review(systems).findings if f.rule == "duplicate-index"]
    assert len(doubled) == 1
