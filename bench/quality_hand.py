"""The 40 checks as someone would write them by hand who knows the engine well: several plans for each, of which the best counts.

Every statement gives columns that are called as the checks are: how many rows break each, or the metric. Run as a script, a plan's answers and
seconds are printed: `quality_hand.py ENGINE WHERE PLAN` (WHERE: the DuckDB file, a folder of Parquet, or PostgreSQL's URL).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

STATUS = "'new', 'paid', 'sent', 'returned', 'cancelled'"
COUNTRY = "'AT', 'BE', 'CH', 'DE', 'DK', 'ES', 'FR', 'GB', 'IT', 'NL', 'PL', 'SE'"
EMAIL = r"^[a-z0-9._]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}$"

NOT_NULL = {
    f"not-null-{name}": f"count(*) - count({name})"
    for name in "order_id reference customer_id ordered_on updated_at price status email".split()
}
# What breaks each rule about one row, as plain as it can be said: NULL breaks none of them.
BREAKS = {
    "range-order_id": "order_id < 1",
    "range-customer_id": "customer_id < 1",
    "range-product_id": "product_id NOT BETWEEN 1 AND 1000000",
    "range-ordered_on": "ordered_on NOT BETWEEN DATE '2025-12-31' AND DATE '2026-12-31'",
    "range-updated_at": "updated_at NOT BETWEEN TIMESTAMP '2025-12-01 00:00:00' AND TIMESTAMP '2026-12-31 23:59:59'",
    "range-price": "price NOT BETWEEN 0 AND 10000",
    "range-weight": "NOT (weight >= 0 AND weight <= 100)",
    "set-status": f"status NOT IN ({STATUS})",
    "set-country": f"country NOT IN ({COUNTRY})",
    "set-no-test-status": "status IN ('test', 'unknown', 'n/a')",
    "set-no-placeholder-country": "country IN ('XX', 'ZZ', 'AA')",
    "pattern-status": f"status NOT IN ({STATUS})",
    "pattern-email-at": "email NOT LIKE '%@%'",
    "length-reference": "length(reference) <> 11",
    "updated-after-ordered": "ordered_on > CAST(updated_at AS DATE)",
    "cancelled-with-note": "note IS NULL AND status = 'cancelled'",
    "price-of-weight": "price < weight * 0.01",
}
METRICS = {
    "mean-price": "avg(price)",
    "weight-missing": "100.0 * (count(*) - count(weight)) / count(*)",
    "row-count": "count(*)",
}
OF_VALUES = {  # columns of few values
    "status": ("set-status", "set-no-test-status", "pattern-status"),
    "country": ("set-country", "set-no-placeholder-country", "pattern-country"),
}
DUCKDB = {
    "pattern-reference": f"NOT (reference GLOB '[A-Z][A-Z]-{'[0-9]' * 8}')",
    "pattern-country": "NOT (country GLOB '[A-Z][A-Z]')",
    "pattern-email": f"NOT regexp_matches(email, '{EMAIL}')",
    "pattern-no-card": "regexp_matches(note, '[0-9]{13}')",
    "length-email": "NOT (length(email) >= 6 AND (strlen(email) <= 254 OR length(email) <= 254))",
    "length-note": "strlen(note) > 200 AND length(note) > 200",
}
DUCKDB_LISTS = {
    "set-status": f"NOT list_contains([{STATUS}], status)",
    "pattern-status": f"NOT list_contains([{STATUS}], status)",
    "set-country": f"NOT list_contains([{COUNTRY}], country)",
    "set-no-test-status": "list_contains(['test', 'unknown', 'n/a'], status)",
    "set-no-placeholder-country": "list_contains(['XX', 'ZZ', 'AA'], country)",
}
POSTGRES = {
    "pattern-reference": "reference COLLATE \"C\" !~ '^[A-Z]{2}-[0-9]{8}$'",
    "pattern-country": "NOT (translate(country, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') = '' AND length(country) = 2)",
    "pattern-email": f"email COLLATE \"C\" !~ '{EMAIL}'",
    "pattern-no-card": "note COLLATE \"C\" ~ '[0-9]{13}'",
    "length-email": "NOT (length(email) >= 6 AND (octet_length(email) <= 254 OR length(email) <= 254))",
    "length-note": "octet_length(note) > 200 AND length(note) > 200",
}


def listed(columns: dict[str, str]) -> str:
    """Expressions under their names."""
    return ", ".join(f'{expression} AS "{name}"' for name, expression in columns.items())


def filtered(breaks: dict[str, str]) -> dict[str, str]:
    """Counted by FILTER."""
    return {name: f"count(*) FILTER (WHERE {condition})" for name, condition in breaks.items()}


def grouped(breaks: dict[str, str], columns: tuple[str, ...]) -> str:
    """The rules about columns of few values, asked of their values."""
    wanted = {
        name: f"coalesce(sum(n) FILTER (WHERE {breaks[name]}), 0)"
        for column in columns
        for name in OF_VALUES[column]
    }
    by = ", ".join(columns)
    return f"SELECT {listed(wanted)} FROM (SELECT {by}, count(*) AS n FROM orders GROUP BY {by}) AS by_value"


def rest(breaks: dict[str, str]) -> dict[str, str]:
    """Those that are not about a column of few values alone."""
    taken = {name for names in OF_VALUES.values() for name in names}
    return {name: one for name, one in breaks.items() if name not in taken}


def duckdb_plans(rows: int) -> dict[str, list[str]]:
    """By name."""
    breaks = {**BREAKS, **DUCKDB}
    lists = {**breaks, **DUCKDB_LISTS}
    metrics = {**NOT_NULL, **METRICS, "fresh": "epoch(now() AT TIME ZONE 'UTC') - epoch(max(updated_at))"}
    count_if = {name: f"count_if({one})" for name, one in lists.items()}
    anti = [
        f'SELECT count(*) AS "foreign-key-{name}" FROM orders AS o ANTI JOIN {name}s AS p ON p.{name}_id = o.{name}_id WHERE o.{name}_id IS NOT NULL'
        for name in ("customer", "product")
    ]
    distinct = [
        'SELECT count(order_id) - count(DISTINCT order_id) AS "unique-order_id" FROM orders',
        'SELECT count(reference) - count(DISTINCT reference) AS "unique-reference" FROM orders',
        'SELECT count(*) - count(DISTINCT (customer_id, ordered_on)) AS "unique-customer-day" FROM orders WHERE customer_id IS NOT NULL AND ordered_on IS NOT NULL',
    ]
    groups = [
        f'SELECT coalesce(sum(n - 1), 0) AS "{name}" FROM (SELECT count(*) AS n FROM orders WHERE {first} IS NOT NULL GROUP BY {columns} HAVING count(*) > 1)'
        for name, first, columns in (
            ("unique-order_id", "order_id", "order_id"), ("unique-reference", "reference", "reference"),
            ("unique-customer-day", "customer_id", "customer_id, ordered_on"),
        )
    ]  # fmt: skip
    # A bit for each number between the least and the greatest: who knows the columns knows that they are dense.
    bits = [
        f'SELECT count(order_id) - bit_count(bitstring_agg(order_id, 0, {rows})) AS "unique-order_id" FROM orders',
        distinct[1],
        (
            f"SELECT count(*) - bit_count(bitstring_agg(customer_id::BIGINT * 64 + (ordered_on - DATE '2025-12-31'), 0, {64 * (rows // 50 + 20_000)})) AS \"unique-customer-day\""
            " FROM orders WHERE customer_id IS NOT NULL AND ordered_on IS NOT NULL"
        ),
    ]
    by_column: dict[str, dict[str, str]] = {}
    for name, one in {**metrics, **count_if}.items():
        column = next((c for c in ("reference", "email", "note", "status", "country") if c in one), "numbers")
        by_column.setdefault(column, {})[name] = one
    return {
        "one pass, groups": [f"SELECT {listed({**metrics, **filtered(breaks)})} FROM orders", *groups, *anti],
        "one pass, distinct": [f"SELECT {listed({**metrics, **count_if})} FROM orders", *distinct, *anti],
        "one pass, bits": [f"SELECT {listed({**metrics, **count_if})} FROM orders", *bits, *anti],
        "a pass a column, bits": [*(f"SELECT {listed(some)} FROM orders" for some in by_column.values()), *bits, *anti],
        "by value, bits": [
            f"SELECT {listed({**metrics, **rest(count_if)})} FROM orders", grouped(lists, ("status",)), grouped(lists, ("country",)), *bits, *anti,
        ],
    }  # fmt: skip


def postgres_plans(rows: int) -> dict[str, list[str]]:
    """By name."""
    del rows
    breaks = {**BREAKS, **POSTGRES}
    metrics = {
        **NOT_NULL,
        **METRICS,
        "fresh": "extract(epoch FROM (now() AT TIME ZONE 'UTC') - max(updated_at))::float8",
    }
    one_pass = f"SELECT {listed({**metrics, **filtered(breaks)})} FROM orders"
    anti = [
        f'SELECT count(*) AS "foreign-key-{name}" FROM orders AS o WHERE o.{name}_id IS NOT NULL AND NOT EXISTS (SELECT FROM {name}s AS p WHERE p.{name}_id = o.{name}_id)'
        for name in ("customer", "product")
    ]
    joined = (
        'SELECT count(*) FILTER (WHERE o.customer_id IS NOT NULL AND c.customer_id IS NULL) AS "foreign-key-customer",'
        ' count(*) FILTER (WHERE o.product_id IS NOT NULL AND p.product_id IS NULL) AS "foreign-key-product"'
        " FROM orders AS o LEFT JOIN customers AS c USING (customer_id) LEFT JOIN products AS p USING (product_id)"
    )
    groups = [
        f'SELECT coalesce(sum(n - 1), 0) AS "{name}" FROM (SELECT count(*) AS n FROM orders WHERE {first} IS NOT NULL GROUP BY {columns} HAVING count(*) > 1) AS g'
        for name, first, columns in (
            ("unique-order_id", "order_id", "order_id"), ("unique-reference", "reference", 'reference COLLATE "C"'),
            ("unique-customer-day", "customer_id", "customer_id, ordered_on"),
        )
    ]  # fmt: skip
    distinct = [
        'SELECT count(order_id) - count(DISTINCT order_id) AS "unique-order_id" FROM orders',
        'SELECT count(reference) - count(DISTINCT reference COLLATE "C") AS "unique-reference" FROM orders',
        (
            "SELECT count(*) - count(DISTINCT (customer_id::bigint << 32) + (ordered_on - DATE '2000-01-01')) AS \"unique-customer-day\""
            " FROM orders WHERE customer_id IS NOT NULL AND ordered_on IS NOT NULL"
        ),
    ]
    by_value = [
        f"SELECT {listed({**metrics, **filtered(rest(breaks))})} FROM orders",
        grouped(breaks, ("status", "country")),
    ]
    return {
        "one pass, groups": [one_pass, *groups, *anti],
        "one pass, distinct": [one_pass, *distinct, *anti],
        "one pass, distinct, both references at once": [one_pass, *distinct, joined],
        "by value, distinct": [*by_value, *distinct, *anti],
        "by value, distinct, 64 MB": ["SET work_mem = '64MB'", "SET jit = off", *by_value, *distinct, *anti],
    }


PLANS = {"duckdb": duckdb_plans, "parquet": duckdb_plans, "postgres": postgres_plans}


def connected(engine: str, where: str) -> Any:
    """A function that runs one statement and gives its row by name."""
    if engine == "postgres":
        import psycopg  # noqa: PLC0415 - only one of the two is wanted
        from psycopg.rows import dict_row  # noqa: PLC0415

        connection: Any = psycopg.connect(where, autocommit=True, row_factory=dict_row)
        return lambda sql: (cursor := connection.execute(sql.encode())).description and cursor.fetchone()
    import duckdb  # noqa: PLC0415

    if engine == "duckdb":
        connection = duckdb.connect(where, read_only=True)
    else:
        connection = duckdb.connect()
        for file in Path(where).glob("*.parquet"):
            connection.execute(f"CREATE VIEW {file.stem} AS FROM read_parquet('{file}')")

    def row(sql: str) -> dict[str, Any]:
        cursor = connection.execute(sql)
        return dict(zip([column[0] for column in cursor.description], cursor.fetchone(), strict=True))

    return row


def main() -> None:
    """Run one plan and print its answers."""
    engine, where, rows, plan = sys.argv[1:5]
    ask = connected(engine, where)
    began, answers = time.perf_counter(), {}
    for sql in PLANS[engine](int(rows))[plan]:
        answers |= ask(sql) or {}
    seconds = time.perf_counter() - began
    print(
        json.dumps({"seconds": seconds, "answers": {name: float(value) for name, value in answers.items()}})
    )


if __name__ == "__main__":
    main()
