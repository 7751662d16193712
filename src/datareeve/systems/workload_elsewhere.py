"""What an application asks of MariaDB, MySQL, SQLite or DuckDB: the same recording as PostgreSQL's, with each engine's own lexical rules.

Sources: performance_schema's digests and the slow query log of MariaDB and MySQL; on every engine a trace that an application recorded,
or a file of statements. SQLite and DuckDB count no statements themselves, and that is said where neither is declared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from datareeve.core.errors import BadInput
from datareeve.systems import mysql_text
from datareeve.systems.workload_source import (
    CONTROL,
    MAX_STATEMENTS,
    READS,
    WRITES,
    Family,
    Recording,
    Shape,
    Statement,
    _trace,
)

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.mysql import Mysql
    from datareeve.systems.sqlite import Sqlite

CATALOGS = {"information_schema", "performance_schema", "mysql", "sys"}
CATALOG_TABLES = ("sqlite_", "pragma_", "duckdb_")
MORE_WRITES = WRITES | {"replace", "load"}
MORE_CONTROL = CONTROL | {
    "use",
    "lock",
    "unlock",
    "flush",
    "pragma",
    "attach",
    "detach",
    "checkpoint",
    "analyze",
    "explain",
    "describe",
}

# Standard SQL as SQLite and DuckDB read it: strings in single quotes, names in double ones (SQLite also in brackets and backticks).
STANDARD = re.compile(
    r"""
    (?P<string>[xXeE]?'(?:[^']|'')*(?:'|\Z)|\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z))
  | (?P<name>"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)|\[[A-Za-z_][^\]\n]*\])
  | (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<given>\?\d*|%\(\w+\)s|%s|[$]\w+|(?<![:\w]):[A-Za-z_]\w*|@[A-Za-z_]\w*)
  | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)


def without_values(text: str, dialect: str, known: frozenset[str] | None = None) -> str:
    """A statement with `?` in place of values and parameters.

    `known`: the database's names in lower case. A word in double quotes that names nothing is taken for a string: SQLite does so, and
    whoever wrote it for DuckDB meant one.
    """
    if dialect == "mysql":
        return mysql_text.without_values(text)

    def shown(token: re.Match[str]) -> str:
        if token.lastgroup in {"string", "number", "given"} or (token.lastgroup == "tag"):
            return "? "
        if (
            token.lastgroup == "name"
            and known is not None
            and token[0][:1] == '"'
            and token[0][1:-1].lower() not in known
        ):
            return "? "
        return " " if token.lastgroup == "comment" else token[0]

    bare = re.sub(r"\?(?: \?)+", "?", " ".join(STANDARD.sub(shown, text).split()))
    bare = re.sub(r"\b(in) ?\( ?\?(?: ?, ?\?)* ?\)", r"\1 (?)", bare, flags=re.IGNORECASE)
    return re.sub(r"\b(values ?\([^()]*\))(?: ?, ?\([^()]*\))+", r"\1", bare, flags=re.IGNORECASE).strip(" ;")


def shape_of(text: str, dialect: str, known: frozenset[str] | None = None) -> Shape:
    """The shape of a statement in its engine's own spelling; what sqlglot cannot parse is known by its text without values."""
    bare = without_values(text, dialect, known)
    word = bare.lstrip("( ").partition(" ")[0].lower()
    kind = (
        "read"
        if word in READS
        else "write"
        if word in MORE_WRITES
        else "control"
        if word in MORE_CONTROL
        else "other"
    )
    sql, parsed = bare, False
    tables: tuple[str, ...] = ()
    if kind in {"read", "write"}:
        sql, parsed, tables, kind = _canonical(bare, dialect, kind)
    return Shape(
        hashlib.sha256(sql.encode(errors="replace")).hexdigest()[:12], sql, bare, kind, parsed, tables
    )


def _canonical(bare: str, dialect: str, kind: str) -> tuple[str, bool, tuple[str, ...], str]:
    import sqlglot  # noqa: PLC0415 - heavy, and needed only where a workload is read
    from sqlglot import exp  # noqa: PLC0415

    try:
        tree = sqlglot.parse_one(bare, read=dialect)
        text = tree.sql(dialect=dialect, comments=False)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return bare, False, (), kind
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    found = [t for t in tree.find_all(exp.Table) if t.name and t.name not in ctes]
    if found and all(t.db.lower() in CATALOGS or t.name.lower().startswith(CATALOG_TABLES) for t in found):
        return text, True, (), "other"
    if tree.find(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Lock) is not None:
        kind = "write"
    return text, True, tuple(sorted({t.name for t in found})), kind


@dataclass
class Elsewhere(Recording):
    """A recording of another engine's statements. `p95`: by fingerprint, where the engine itself tells it."""

    dialect: str = "mysql"
    known: frozenset[str] | None = None
    p95: dict[str, float] = field(default_factory=dict)

    def fold(self, statements: Iterator[Statement]) -> Elsewhere:
        """Take in every statement; gives itself."""
        shapes: dict[str, Shape] = {}
        for statement in statements:
            if self.counts["statements"] >= MAX_STATEMENTS:
                self.counts["truncated"] = 1
                break
            self.counts["statements"] += 1
            shape = shapes.get(statement.text)
            if shape is None:
                shape = shapes[statement.text] = shape_of(statement.text, self.dialect, self.known)
            self._take(statement, shape)
        return self

    def summary(self) -> dict[str, Any]:
        """As `Recording.summary`, with the dialect that the statements are in."""
        made = super().summary()
        made["source"]["dialect"] = self.dialect
        for family in made["families"]:
            if family["p95_ms"] is None:
                family["p95_ms"] = self.p95.get(family["fingerprint"])
        return made


# -- where they come from ----------------------------------------------------------------------------------------------------------------

NOT_COUNTED = (
    "{product} does not count statements: give systems.{name}.workload in estate.yaml, a trace that the application records "
    "(JSON lines with sql, parameters, ms, session) or a file of statements"
)


def of_file(system: Sqlite | Duckdb, dialect: str) -> Elsewhere:
    """The declared trace or file of statements of an SQLite or DuckDB system; empty, with the reason, where none is."""
    source = system.entry.workload
    if source is None or source.path is None or source.kind not in {"trace", "sql"}:
        product = {"sqlite": "SQLite", "duckdb": "DuckDB"}[dialect]
        return Elsewhere(
            "none",
            "nowhere",
            dialect=dialect,
            why_empty=NOT_COUNTED.format(product=product, name=system.name),
        )
    known = frozenset(system.query(NAMES_SQL[dialect], shape="column"))
    return _recorded(source.kind, system.project / source.path, source.path, dialect, "", known=known)


NAMES_SQL = {
    "sqlite": """
SELECT lower(name) AS name FROM sqlite_master UNION
SELECT lower(c.name) FROM pragma_table_list AS l, pragma_table_xinfo(l.name) AS c WHERE l.schema = 'main'
""",
    "duckdb": """
SELECT lower(schema_name) AS name FROM duckdb_schemas() UNION SELECT lower(table_name) FROM duckdb_tables()
 UNION SELECT lower(view_name) FROM duckdb_views() UNION SELECT lower(column_name) FROM duckdb_columns()
""",
}


def of_mysql(system: Mysql) -> Elsewhere:
    """The declared workload of a MariaDB or MySQL database; where none is declared, performance_schema's digests."""
    source = system.entry.workload
    if source is None or source.path is None or source.kind == "pg_stat_statements":
        return _digests(system)
    database = unquote(urlsplit(system.entry.url).path.strip("/"))
    return _recorded(source.kind, system.project / source.path, source.path, "mysql", database, known=None)


DIGESTS_SQL = """
SELECT d.digest_text AS text, d.count_star AS calls, d.sum_timer_wait / 1e9 AS total_ms, d.sum_rows_sent AS row_count,
       d.max_timer_wait / 1e9 AS max_ms{quantile}
  FROM performance_schema.events_statements_summary_by_digest d
 WHERE d.schema_name = DATABASE() AND d.digest_text IS NOT NULL
 ORDER BY d.sum_timer_wait DESC LIMIT 5000
"""
OFF = (
    "performance_schema is off: start the server with performance_schema = ON, or give systems.{name}.workload in estate.yaml "
    "(log: the slow query log, a trace, or a file of statements)"
)
OWN = "Datareeve's own reads of the tables, as databases.review-schema makes them, are among them: digests do not tell who asked"


def _digests(system: Mysql) -> Elsewhere:
    found = Elsewhere("digests", "performance_schema", notes=[OWN])
    server = system.server()
    if not server["statistics"]:
        found.kind, found.place, found.notes = "none", "nowhere", []
        found.why_empty = OFF.format(name=system.name)
        return found
    quantile = ", d.quantile_95 / 1e9 AS p95_ms" if server["engine"] == "MySQL" else ""
    for row in system.query(DIGESTS_SQL.format(quantile=quantile)):
        shape = shape_of(str(row["text"]), "mysql")
        calls = int(row["calls"])
        found.counts["statements"] += calls
        if shape.kind not in {"read", "write"}:
            found.counts[shape.kind] += calls
            continue
        family = found.families.setdefault(shape.fingerprint, Family(shape, counts_rows=True))
        family.calls += calls
        family.timed += calls
        family.total_ms += float(row["total_ms"])
        family.max_ms = max(family.max_ms, float(row["max_ms"]))
        family.rows += int(row["row_count"])
        found.counts["unparsed"] += not shape.parsed
        if row.get("p95_ms") is not None:
            found.p95[shape.fingerprint] = max(float(row["p95_ms"]), found.p95.get(shape.fingerprint, 0.0))
    return found


Lines = Callable[[str, "Counter[str]", str], Iterator[Statement]]


def _recorded(  # noqa: PLR0913 - what is known of a file
    kind: str, path: Path, shown: str, dialect: str, database: str, *, known: frozenset[str] | None
) -> Elsewhere:
    """A file of a declared kind. Errors: `BadInput` `workload.missing`, `workload.unreadable`."""
    found = Elsewhere(kind, shown, dialect=dialect, known=known, exact=kind == "trace")
    try:
        if kind == "trace":
            return found.fold(_trace(path, found.counts, ""))
        text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    except FileNotFoundError:
        raise BadInput(
            "workload.missing",
            f"There is no workload file {shown}.",
            "Correct systems.*.workload.path in estate.yaml.",
        ) from None
    except OSError as error:
        raise BadInput(
            "workload.unreadable", f"{shown} cannot be read: {error.strerror}.", "Mend its rights."
        ) from None
    if kind == "log":
        return found.fold(slow_log(text, found.counts, database))
    split = mysql_text.statements(text) if dialect == "mysql" else _statements(text)
    return found.fold(Statement("", part.strip()) for part in split if without_values(part, dialect))


def _statements(text: str) -> Iterator[str]:
    start = 0
    for token in STANDARD.finditer(text):
        if token.lastgroup == "end":
            yield text[start : token.start()]
            start = token.end()
    yield text[start:]


# -- the slow query log ------------------------------------------------------------------------------------------------------------------

HEADS = re.compile(
    r"^# (?:User@Host|Time|Thread_id|Query_time|Rows_affected|Bytes_sent|Full_scan|Schema|Id|InnoDB_\w+|Tmp_\w+|Filesort|Priority|Pages_\w+)\b.*$",
    re.MULTILINE,
)
TIMES = re.compile(r"Query_time: (?P<seconds>[\d.]+)\s+Lock_time: [\d.]+\s+Rows_sent: (?P<rows>\d+)")


def slow_log(text: str, counts: Counter[str], database: str) -> Iterator[Statement]:
    """The statements of a slow query log of MariaDB or MySQL.

    See https://mariadb.com/kb/en/slow-query-log-overview/. A statement belongs to the database of its `Schema:` (MariaDB), else of the last `use` of its thread; others' are left out.
    """
    current = ""
    for entry in re.split(r"^(?=# User@Host:)", text, flags=re.MULTILINE)[1:]:
        timed = TIMES.search(entry)
        body = HEADS.sub("", entry).strip()
        if used := re.match(r"use `?([^`;\s]+)`?;\s*", body, re.IGNORECASE):
            current, body = used[1], body[used.end() :]
        at = re.match(r"SET timestamp=(\d+);\s*", body, re.IGNORECASE)
        body = body[at.end() :] if at else body
        schema = re.search(r"\bSchema: (\S+)", entry)
        if timed is None or body.startswith("# administrator command"):
            counts["skipped"] += 1
            continue
        if database and (schema[1] if schema else current) not in {"", database}:
            counts["skipped"] += 1
            continue
        thread = re.search(r"\b(?:Thread_id|Id): +(\d+)", entry)
        moment = datetime.fromtimestamp(int(at[1]), UTC).isoformat() if at else ""
        yield Statement(
            thread[1] if thread else "",
            body.strip().rstrip(";"),
            None,
            1000 * float(timed["seconds"]),
            int(timed["rows"]),
            moment,
        )
