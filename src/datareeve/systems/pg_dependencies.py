"""Columns that depend on one another, found on the rows themselves, and what the planner makes of that.

The planner takes conditions on two columns for independent and multiplies their shares. Where a city decides the country, it expects far
too few rows. `CREATE STATISTICS (dependencies, mcv)` mends it (PostgreSQL manual, 14.2.2). Values stay in this module: what leaves it
are names of columns, counts and factors.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres

COLUMNS_MOST = 24  # of one table: pairs grow with the square
DEPENDENT = 0.9  # of the sampled rows lie in groups where the first column decides the second
FEWEST_VALUES = 2
GROUP_ROWS = 3.0  # an average group below it is a key, and a key decides everything
COMBINATIONS_TRIED = 5
ROWS_WORTH = 100  # a wrong estimate below it changes no plan

COLUMNS_SQL = """
SELECT a.attname AS name
  FROM pg_attribute a
  JOIN pg_stats s ON s.schemaname = %(schema)s AND s.tablename = %(table)s AND s.attname = a.attname AND NOT s.inherited
 WHERE a.attrelid = to_regclass(%(qualified)s) AND a.attnum > 0 AND NOT a.attisdropped
   AND (s.n_distinct >= 2 OR s.n_distinct BETWEEN -0.3 AND -0.000001)
   AND EXISTS (SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod AND m.amname = 'btree'
                WHERE o.opcintype = a.atttypid AND o.opcdefault
               UNION ALL SELECT FROM pg_type t WHERE t.oid = a.atttypid AND t.typname IN ('varchar', 'bpchar'))
 ORDER BY a.attnum
 LIMIT {most}
"""


def dependencies(system: Postgres, schema: str, table: str, sample_rows: int) -> list[dict[str, Any]]:
    """Pairs of columns where one decides the other: [{columns, degree, factor}], the worst estimate first.

    `degree`: the share of sampled rows whose group of the first column has one value of the second. `factor`: by how much the planner is
    wrong about the commonest pairs of values (1: right).
    """
    qualified = sql.Identifier(schema, table)
    known = {"schema": schema, "table": table}
    with system.reading(None) as cursor:
        text = sql.SQL(COLUMNS_SQL).format(most=sql.Literal(COLUMNS_MOST))
        cursor.execute(text, {**known, "qualified": qualified.as_string(cursor.connection)})
        names = [row["name"] for row in cursor.fetchall()]
        if len(names) < 2:  # noqa: PLR2004 - a pair
            return []
        cursor.execute(_degrees(qualified, names, sample_rows))
        row = cursor.fetchone() or {}
        found: list[dict[str, Any]] = [
            {"columns": [first, second], "degree": round(float(row[f"d{n}"]), 3)}
            for n, (first, second) in enumerate(_ordered_pairs(names))
            if (row.get(f"d{n}") or 0) >= DEPENDENT
        ]
    for one in found:
        one["factor"] = misestimate(system, schema, table, one["columns"])
    return sorted(found, key=lambda one: -(one["factor"] or 0))


def _ordered_pairs(names: list[str]) -> list[tuple[str, str]]:
    return [pair for a, b in combinations(names, 2) for pair in ((a, b), (b, a))]


def _degrees(qualified: sql.Identifier, names: list[str], sample_rows: int) -> sql.Composed:
    """One statement for all pairs: in the sample, what share of rows lies in groups of `first` with a single `second`."""
    degree = sql.SQL(
        "(SELECT sum(n) FILTER (WHERE single) / nullif(sum(n), 0) FROM (SELECT count(*) AS n, min({second}::text) = max({second}::text) AS single"
        " FROM sample WHERE {first} IS NOT NULL AND {second} IS NOT NULL GROUP BY {first}) AS g"
        " HAVING count(*) >= {values} AND avg(n) >= {rows}) AS {name}"
    )
    parts = [
        degree.format(
            first=sql.Identifier(first),
            second=sql.Identifier(second),
            values=sql.Literal(FEWEST_VALUES),
            rows=sql.Literal(GROUP_ROWS),
            name=sql.Identifier(f"d{n}"),
        )
        for n, (first, second) in enumerate(_ordered_pairs(names))
    ]
    return sql.SQL("WITH sample AS MATERIALIZED (SELECT {columns} FROM {table} LIMIT {limit}) SELECT {parts}").format(
        columns=sql.SQL(", ").join(map(sql.Identifier, names)),
        table=qualified,
        limit=sql.Literal(sample_rows),
        parts=sql.SQL(", ").join(parts),
    )  # fmt: skip


def misestimate(system: Postgres, schema: str, table: str, columns: list[str]) -> float | None:
    """By which factor the planner is wrong, at worst, about the commonest values of `columns` together; None where there are no rows."""
    keys = sql.SQL(", ").join(map(sql.Identifier, columns))
    qualified = sql.Identifier(schema, table)
    with system.reading(None) as cursor:
        cursor.execute(
            sql.SQL("SELECT {keys}, count(*) AS {n} FROM {table} WHERE num_nulls({keys}) = 0 GROUP BY {keys} ORDER BY count(*) DESC LIMIT {most}").format(
                keys=keys, n=sql.Identifier("datareeve n"), table=qualified, most=sql.Literal(COMBINATIONS_TRIED)
            )
        )  # fmt: skip
        factors = []
        for row in cursor.fetchall():
            actual = int(row["datareeve n"])
            conditions = sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(row[name])) for name in columns
            )
            cursor.execute(
                sql.SQL("EXPLAIN (FORMAT JSON) SELECT * FROM {} WHERE {}").format(qualified, conditions)
            )
            plan = next(iter((cursor.fetchone() or {}).values()))
            estimated = max(int(plan[0]["Plan"]["Plan Rows"]), 1)
            if max(actual, estimated) >= ROWS_WORTH:
                factors.append(max(actual / estimated, estimated / actual))
    return round(max(factors), 2) if factors else None
