"""A table or query of PostgreSQL as a source, with the types that DuckDB would read wrongly selected as texts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.systems.mover import literal, qualified
from datareeve.systems.mover_errors import Unreadable
from datareeve.systems.row_source import SourceColumn
from datareeve.systems.table_source import ALIAS, TableSource, duckdb_types

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from datareeve.systems.mover import Mover

DIRECT = {
    "smallint": "SMALLINT", "integer": "INTEGER", "bigint": "BIGINT", "boolean": "BOOLEAN", "real": "FLOAT", "double precision": "DOUBLE",
    "text": "VARCHAR", "date": "DATE", "time without time zone": "TIME", "timestamp without time zone": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE", "uuid": "UUID", "bytea": "BLOB", "interval": "INTERVAL",
    "json": "JSON", "jsonb": "JSON", "character varying": "VARCHAR", "time with time zone": "TIME WITH TIME ZONE",
}  # fmt: skip
DIGITS = 38  # of a DECIMAL of DuckDB
NUMERIC = re.compile(r"^numeric(?:\((\d+),(-?\d+)\))?$")
COLUMNS = """SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, coalesce(format_type(nullif(t.typbasetype, 0), t.typtypmod), ''), t.typtype::text
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
SIZE = "SELECT nullif(greatest(reltuples, 0), 0)::bigint, pg_table_size(oid) FROM pg_class WHERE oid = to_regclass({table})"


class PostgresTable(TableSource):
    """A table or query of a PostgreSQL database."""

    kind = "postgresql"

    def __init__(
        self, name: str, conninfo: str, connect: Callable[[], psycopg.Connection[Any]], **given: Any
    ) -> None:
        super().__init__(name, **given)
        self._conninfo = conninfo
        self._connect = connect
        self._holder: psycopg.Connection[Any] | None = None
        self._snapshot = ""

    @property
    def connection(self) -> psycopg.Connection[Any]:
        """A connection whose one transaction sees one moment, which the mover's batches share."""
        if self._holder is None:
            self._holder = self._connect()
            self._holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return self._holder

    def close(self) -> None:
        """See `RowSource`."""
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def attach(self, mover: Mover) -> None:
        """See `TableSource`."""
        if not self._attached:
            mover.load("postgres_scanner")
            mover.execute(f"ATTACH {literal(self._conninfo)} AS {ALIAS} (TYPE postgres, READ_ONLY)")
            self._attached = True
            self._snapshot = self._exported()

    def _exported(self) -> str:
        """The moment that all batches see; '' where the server cannot share one, and each batch sees its own."""
        try:
            found = self.connection.execute("SELECT pg_export_snapshot() AS name").fetchone()
            return str(found["name"]) if found else ""
        except Exception as error:
            if not type(error).__module__.startswith("psycopg"):
                raise
            self.close()
            return ""

    def ask(self, sql: str) -> str:
        """See `TableSource`."""
        return f"postgres_query({literal(ALIAS)}, {literal(sql)})"

    def text_of(self, expression: str) -> str:
        """See `TableSource`."""
        return f"({expression})::text"

    def value_of(self, text: str, column: SourceColumn) -> str:
        """See `TableSource`."""
        return f"{literal(text)}::{column.told}"

    def expression(self, column: SourceColumn) -> str:
        """See `TableSource`."""
        name = self.quote(column.name)
        return (
            name
            if (column.type != "VARCHAR" and not column.type.startswith("DECIMAL(38"))
            or _direct(column.told) == "VARCHAR"
            else f"{name}::text"
        )

    def describe(self, mover: Mover) -> list[SourceColumn]:
        """See `TableSource`."""
        if self._query:
            return duckdb_types(mover, self.ask(f"SELECT * FROM {self.relation_there} LIMIT 0"))
        rows = mover.execute(
            f"SELECT * FROM {self.ask(COLUMNS.format(table=literal(self.relation_there)))}"
        ).fetchall()
        return [
            self._described(mover, str(name), str(told), nullable=not notnull, base=str(base))
            for name, told, notnull, base, _ in rows
        ]

    def _described(self, mover: Mover, name: str, told: str, *, nullable: bool, base: str) -> SourceColumn:
        of = base or told  # a domain is read as what it is made of
        if direct := _direct(of):
            return SourceColumn(name, direct, of, nullable)
        if numeric := NUMERIC.match(of):
            return self._numeric(mover, name, of, numeric, nullable=nullable)
        if of.endswith("[]") and (element := _direct(of[:-2])):
            quoted = self.quote(name)
            (odd,) = self._row(
                mover,
                f"SELECT EXISTS (SELECT 1 FROM {self.relation_there} WHERE array_ndims({quoted}) > 1 OR array_lower({quoted}, 1) <> 1) AS found",
            )
            if odd:
                return SourceColumn(
                    name,
                    "VARCHAR",
                    told,
                    nullable,
                    "its type: it has arrays of several dimensions or with bounds of their own, and is kept as text",
                )
            return SourceColumn(name, f"{element}[]", of, nullable)
        return SourceColumn(
            name, "VARCHAR", told, nullable, f"its type {of}: it is kept as text" if of not in TEXTS else ""
        )

    def _numeric(
        self, mover: Mover, name: str, told: str, found: re.Match[str], *, nullable: bool
    ) -> SourceColumn:
        precision, scale = int(found[1] or 0), int(found[2] or 0)
        if precision and precision <= DIGITS and 0 <= scale <= precision:
            return SourceColumn(name, f"DECIMAL({precision},{scale})", told, nullable)
        quoted = self.quote(name)
        measured = f"SELECT coalesce(max(scale(trim_scale({quoted}))), 0) AS scale, coalesce(max(length(trunc(abs({quoted}))::text)), 1) AS whole FROM {self.relation_there} WHERE {quoted} NOT IN ('NaN', 'Infinity', '-Infinity')"
        if "Infinity" in measured and self._version(mover) < FINITE:
            measured = measured.replace(", 'Infinity', '-Infinity'", "")
        scale, whole = (int(one) for one in self._row(mover, measured))
        if scale + whole > DIGITS:
            return SourceColumn(
                name,
                "VARCHAR",
                told,
                nullable,
                f"its type: it has numbers of {scale + whole} digits, and is kept as text",
            )
        # The digits before the point may grow; those behind it are as many as there are.
        return SourceColumn(name, f"DECIMAL({DIGITS},{scale})", told, nullable)

    def _version(self, mover: Mover) -> int:
        return int(self._row(mover, "SELECT current_setting('server_version_num')::int")[0])

    def estimate(self, mover: Mover) -> tuple[int | None, int | None]:
        """See `TableSource`."""
        if self._query:
            return None, None
        rows = mover.execute(
            f"SELECT * FROM {self.ask(SIZE.format(table=literal(self.relation_there)))}"
        ).fetchall()
        return (rows[0][0] and int(rows[0][0]), int(rows[0][1])) if rows else (None, None)

    def relation(self, mover: Mover, part: Any) -> str:
        """See `RowSource`: a whole table is scanned by several threads, where each column may be read as it is."""
        columns = self.columns(mover)
        self._all_held(mover, part)
        if (
            part.id == "all"
            and not self._query
            and all(self.expression(one) == self.quote(one.name) for one in columns)
        ):
            self.before(mover)
            names = ", ".join(self.quote(one.name) for one in columns)
            return f"(SELECT {names} FROM {qualified(ALIAS, self._schema or 'public', self._table)})"
        return super().relation(mover, part)

    def carefully(self, mover: Mover, part: Any) -> tuple[str, str]:
        """See `RowSource`: what DuckDB might not hold comes as text, to be looked at value by value."""
        columns = self.columns(mover)
        self.before(mover)
        selected = ", ".join(
            f"{(SPAN if one.type == 'INTERVAL' else TEXT).format(self.expression(one)) if _beyond(one) else self.expression(one)} AS {self.quote(one.name)}"
            for one in columns
        )
        where = f" WHERE {part.data['where']}" if part.data.get("where") else ""
        return self.ask(f"SELECT {selected} FROM {self.relation_there}{where}"), ""

    def _all_held(self, mover: Mover, part: Any) -> None:
        """Look for values that DuckDB would read as others, without a word. Errors: `Unreadable`: they are to be read carefully."""
        beyond = " OR ".join(
            test.format(self.quote(one.name)) for one in self.columns(mover) if (test := _beyond(one))
        )
        if not beyond:
            return
        where = f"({part.data['where']}) AND " if part.data.get("where") else ""
        asked = f"SELECT EXISTS (SELECT 1 FROM {self.relation_there} WHERE {where}({beyond})) AS found"
        # By the connection that keeps the moment: a batch's own takes it once, as the first thing of its transaction.
        found = any(row["found"] for row in self.connection.execute(asked))
        if found:
            raise Unreadable(
                "pipelines.unreadable-row",
                f"{self.name}: a row cannot be taken as it is.",
                "Allow rejects, or correct the source.",
            )

    def native(self, part: Any, columns: list[str]) -> str:
        """A part's rows as PostgreSQL's own COPY takes them."""
        selected = ", ".join(map(self.quote, columns))
        where = f" WHERE {part.data['where']}" if part.data.get("where") else ""
        return f"SELECT {selected} FROM {self.relation_there}{where}"

    def before(self, mover: Mover) -> None:
        """Take the exported snapshot, if there is one: the first thing in a batch's transaction."""
        if self._snapshot:
            mover.execute(
                f"CALL postgres_execute({literal(ALIAS)}, {literal(f'SET TRANSACTION SNAPSHOT {literal(self._snapshot)}')})"
            )


BUILT_IN = {"name", "inet", "cidr", "macaddr", "bit", "bit varying", "character", "tsvector", "xml", "point", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"}  # fmt: skip


def is_native(told: str) -> bool:
    """Whether every PostgreSQL has this type, and keeps it the same."""
    bare = re.sub(r"\(\d+(?:,-?\d+)?\)", "", told.removesuffix("[]")).strip()
    return bare in DIRECT or bare in BUILT_IN or bare == "numeric"


# What DuckDB reads as something else, by its type: 0 for NaN, and moments that wrap around.
BEYOND = {"TIMESTAMP": "({0} > '294246-12-31' AND {0} <> 'infinity')", "TIMESTAMP WITH TIME ZONE": "({0} > '294246-12-31' AND {0} <> 'infinity')",
          "INTERVAL": "NOT isfinite({0})"}  # fmt: skip
SPAN = """CASE WHEN isfinite({0}) THEN format('%s months %s days %s microseconds', extract(year FROM {0})::bigint * 12 + extract(month FROM {0})::bigint,
 extract(day FROM {0})::bigint, extract(hour FROM {0})::bigint * 3600000000 + extract(minute FROM {0})::bigint * 60000000 + extract(microseconds FROM {0})::bigint) ELSE {0}::text END"""
TEXT = r"regexp_replace(({0})::text, '^([0-9]+-[0-9]+-[0-9]+)(.*) BC$', '\1 (BC)\2')"  # as DuckDB writes years before the first


def _beyond(column: SourceColumn) -> str:
    """The condition under which DuckDB would read a column's value as another; '' never."""
    if column.type.startswith("DECIMAL") and not column.type.startswith("DECIMAL(38"):
        return "{0} = 'NaN'"
    return BEYOND.get(column.type, "")


TEXTS = {"name", "citext", "bpchar"}
FINITE = 140_000  # since PostgreSQL 14 a numeric may be infinite


def _direct(told: str) -> str:
    """DuckDB's type, where it reads the column as it is."""
    bare = re.sub(r"\(\d+(?:,\d+)?\)", "", told).strip()
    if bare.startswith(("character varying", "varchar")):
        return "VARCHAR"
    return DIRECT.get(bare, "")
