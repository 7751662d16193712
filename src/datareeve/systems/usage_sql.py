"""A person's own SELECT over usage: three tables, reading only, with an end.

The store also holds sealed keys, digests of virtual keys and sealed prompts, and the role that reads usage may read those too. So the statement is
parsed, and what is run is not the given text but the tree that was checked, spelled anew: nothing that the database would read otherwise
than we did. On SQLite its own authorizer refuses everything else once more; on PostgreSQL the transaction is READ ONLY and the statement
goes by the extended protocol, which takes one.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.store_database import translated

if TYPE_CHECKING:
    from pathlib import Path

    from sqlglot import exp

    from datareeve.systems.gateway_store import GatewayStore

TABLES = ("usage", "usage_hourly", "latency_hourly")
SECONDS = 10.0
LONGEST = 10_000  # characters
STEPS = 10_000  # of SQLite's machine, between two looks at the clock
FUNCTIONS = {  # that sqlglot knows by no class of its own; all else is refused
    "floor", "ceil", "round", "strftime", "datetime", "date", "to_timestamp", "to_char", "date_trunc", "percentile_cont", "percentile_disc",
    "median", "total", "ifnull", "instr", "substr", "printf", "format", "ntile", "unixepoch",
}  # fmt: skip
ACTIONS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, 33)  # 33: SQLITE_RECURSIVE
REMEDY = "Ask as: SELECT model, sum(cost_microusd) FROM usage_hourly GROUP BY model. Tables: usage, usage_hourly, latency_hourly."


def asked(store: GatewayStore, sql: str, most: int) -> dict[str, Any]:
    """The answer, at most `most` rows: {columns, rows, more}. Errors: `BadInput` `usage.sql`; `Failed` `usage.slow`; those of the store."""
    statement = checked(sql, store.dialect)
    path = store.database.path
    rows, columns = _on_sqlite(path, statement, most) if path else _on_postgres(store, statement, most)
    told = [[_plain(value) for value in row] for row in rows[:most]]
    return {"columns": columns, "rows": told, "more": len(rows) > most}


def checked(sql: str, dialect: str) -> str:
    """The statement, spelled anew from what was checked. Errors: `BadInput` `usage.sql`."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only here
    from sqlglot import exp  # noqa: PLC0415

    reading = "postgres" if dialect == "postgresql" else "sqlite"
    try:
        trees = sqlglot.parse(sql[: LONGEST + 1], read=reading) if len(sql) <= LONGEST else []
        tree = trees[0] if len(trees) == 1 else None
        if not isinstance(tree, exp.Query) or not tree.selects:
            raise _bad("It is not one SELECT.")
        _check(tree)
        return tree.sql(dialect=reading, comments=False)
    except (sqlglot.errors.SqlglotError, RecursionError):
        raise _bad("It cannot be read as SQL.") from None


def _check(tree: exp.Query) -> None:
    from sqlglot import exp  # noqa: PLC0415

    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if (
            table.db
            or table.catalog
            or not isinstance(table.this, exp.Identifier)
            or table.name not in {*TABLES, *own}
        ):
            raise _bad("It names another table, or a function in place of one.")
    if own & set(TABLES):
        raise _bad("A part of it has the name of a table.")
    for node in tree.walk():
        if isinstance(node, (exp.Into, exp.Lock, exp.DML, exp.DDL, exp.Command)) and not isinstance(
            node, exp.Query
        ):
            raise _bad("It does not only read.")
        if isinstance(node, exp.Anonymous) and node.name.lower() not in FUNCTIONS:
            raise _bad(f"The function {node.name[:40]} is not known here.")
        if isinstance(node, (exp.Dot, exp.Parameter, exp.Placeholder)):
            raise _bad("It holds a qualified function or a parameter.")


def _bad(why: str) -> BadInput:
    return BadInput("usage.sql", f"This question about usage is not asked. {why}", REMEDY)


def _on_sqlite(path: Path, statement: str, most: int) -> tuple[list[Any], list[str]]:
    until = time.monotonic() + SECONDS
    with (
        translated(),
        closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=SECONDS)) as connection,
    ):
        connection.set_authorizer(_allowed)
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        try:
            cursor = connection.execute(statement)
            return cursor.fetchmany(most + 1), [column[0] for column in cursor.description]
        except sqlite3.OperationalError as error:
            raise _slow() if error.sqlite_errorname == "SQLITE_INTERRUPT" else _refused(str(error)) from None
        except (sqlite3.DatabaseError, sqlite3.ProgrammingError) as error:
            raise _refused(str(error)) from None


def _allowed(
    action: int, first: str | None, second: str | None, _database: str | None, _by: str | None
) -> int:
    if action not in ACTIONS or (action == sqlite3.SQLITE_FUNCTION and second == "load_extension"):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ and first and first not in TABLES:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _on_postgres(store: GatewayStore, statement: str, most: int) -> tuple[list[Any], list[str]]:
    import psycopg  # noqa: PLC0415 - only with PostgreSQL

    with store.reading() as t:
        t.driver.execute(f"SET LOCAL statement_timeout = {int(SECONDS * 1000)}")
        try:
            cursor = t.driver.execute(
                statement, prepare=True
            )  # by the extended protocol, which takes one statement
            return cursor.fetchmany(most + 1), [column.name for column in cursor.description]
        except psycopg.errors.QueryCanceled:
            raise _slow() from None
        except (psycopg.ProgrammingError, psycopg.DataError) as error:
            raise _refused(error.diag.message_primary or "") from None


def _refused(said: str) -> BadInput:
    return BadInput("usage.sql", f"The store does not answer this: {said[:200]}.", REMEDY)


def _slow() -> Failed:
    return Failed(
        "usage.slow",
        f"The question took longer than {SECONDS:g} s and was ended.",
        "Ask for a shorter time, or of usage_hourly.",
    )


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Decimal):  # PostgreSQL's sums of bigints
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
