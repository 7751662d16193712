"""A contract's own SQL in the words of an engine: parsed, one expression or one query that only reads, and written out again.

Parsing is what keeps a contract's text within the place that it is put in: what is not one whole condition does not parse as one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.capabilities.quality.engines.dialect import Dialect

LONGEST = 20_000
NO_EXPRESSIONS = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.Command,
    exp.Set,
    exp.Into,
    exp.Lock,
    exp.ReadCSV,
    exp.ReadParquet,
    exp.SessionParameter,
    exp.Parameter,
    exp.PropertyEQ,
)
# Functions that wait, write, reach outside or run text as SQL: a read-only snapshot stops some of them, and not all.
NO_FUNCTIONS = re.compile(
    r"^(pg_sleep\w*|lo_\w+|pg_(read|ls|stat_file|terminate|cancel|reload|rotate|advisory|try_advisory|switch|create|drop|promote|logical|replication)\w*"
    r"|set_?config|setval|nextval|dblink\w*|query_to_\w+|cursor_to_\w+|table_to_\w+|database_to_\w+|schema_to_\w+|ts_stat|pg_notify|pg_file_\w+"
    r"|load_file|sleep|benchmark|(get|release|is_free)_lock\w*|load_extension|readfile|writefile|edit|fts3_tokenizer"
    r"|read_\w+|parquet_\w+|glob|sniff_csv|getenv|\w+_scan|\w+_query|query|query_table|\w+_attach|\w+_execute|reflect|try_reflect|java_method)$",
    re.IGNORECASE,
)


def condition_sql(text: str, written_for: str, dialect: Dialect) -> str:
    """One condition. Errors: `BadInput` `rule.sql`."""
    return f"({_written(text, written_for, dialect.sqlglot, whole=False)})"


def query_sql(text: str, written_for: str, dialect: Dialect) -> str:
    """One query of one row. Errors: `BadInput` `rule.sql`."""
    return _written(text.strip().rstrip(";"), written_for, dialect.sqlglot, whole=True)


@lru_cache(maxsize=2048)
def _written(text: str, written_for: str, engine: str, *, whole: bool) -> str:
    what = "query" if whole else "condition"
    if not text.strip() or len(text) > LONGEST:
        raise BadInput(
            "rule.sql",
            f"A rule's {what} is {'empty' if not text.strip() else 'too long'}.",
            "Correct the contract.",
        )
    try:
        tree = _parsed(text if whole else f"SELECT 1 WHERE ({text}\n)", written_for, engine)
        if not isinstance(tree, exp.Query) or any(map(_does_more, tree.walk())):
            raise BadInput(
                "rule.sql", f"A rule's {what} does more than read.", "Give one SELECT, or one condition."
            )
        if engine == "sqlite" and tree.find(exp.AtTimeZone):
            said = f", though it is written for {written_for}" if written_for else ""
            raise BadInput(
                "rule.sql", f"A rule's {what} asks for a time zone, and SQLite knows none{said}.", "Let quality.learn-expectations write the rule again, or give SQLite one of its own."
            )  # fmt: skip
        made = tree if whole else _only_condition(tree)
        return made.sql(dialect=engine, comments=False)
    except (SqlglotError, ValueError, RecursionError):
        raise BadInput(
            "rule.sql",
            f"A rule's {what} is not SQL{f' of {written_for}' if written_for else ''}.",
            "Correct the contract.",
        ) from None


def _parsed(asked: str, written_for: str, engine: str) -> exp.Expr | None:
    """SQL that is said to be of no engine means the same on all; where it is no standard SQL, it is the engine's own."""
    try:
        (tree,) = sqlglot.parse(asked, read=written_for)
    except SqlglotError:
        if written_for:
            raise
        (tree,) = sqlglot.parse(asked, read=engine)
    return tree


def _does_more(node: exp.Expr) -> bool:
    """Whether it does more than read tables."""
    if isinstance(node, exp.Func):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()
        return isinstance(node, NO_EXPRESSIONS) or bool(NO_FUNCTIONS.match(name))
    return isinstance(node, NO_EXPRESSIONS)


def _only_condition(tree: exp.Query) -> exp.Expr:
    """The condition, if the query is nothing but the `SELECT 1 WHERE (...)` that was put around it."""
    where = tree.args.get("where")
    others = {
        key for key, value in tree.args.items() if value and key not in ("expressions", "where", "kind")
    }
    if (
        not isinstance(tree, exp.Select)
        or not isinstance(where, exp.Where)
        or others
        or not isinstance(where.this, exp.Paren)
    ):
        raise BadInput(
            "rule.sql",
            "A rule's condition is more than one condition.",
            "Give one condition; a whole query is a rule of kind sql.",
        )
    condition: exp.Expr = where.this.this
    return condition
