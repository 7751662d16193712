"""Tables and queries of a database as a source: PostgreSQL, MariaDB and MySQL, SQLite, DuckDB, attached to the mover for reading only.

All parts of one reading see one moment where the engine can give it (PostgreSQL: an exported snapshot, which every batch's transaction takes).
What is new is a window of the cursor whose upper end is read first; what grows behind it comes with the next run.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.core.intervals import intervals
from datareeve.systems.mover import identifier, literal, qualified
from datareeve.systems.mover_errors import translated
from datareeve.systems.row_source import Part, Reading, RowSource, SourceColumn

if TYPE_CHECKING:
    from datareeve.systems.mover import Mover

ALIAS = "src"


class TableSource(RowSource):
    """What all databases share: windows, ranges, and how they are said."""

    def __init__(  # noqa: PLR0913 - what a source is made of
        self,
        name: str,
        *,
        schema: str | None = None,
        table: str | None = None,
        query: str | None = None,
        keys: tuple[str, ...] = (),
        cursor: str | None = None,
        start: str | None = None,
        lag: str | None = None,
        window: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._schema, self._table, self._query = schema, table, query
        self._keys, self._cursor, self._start, self._lag = keys, cursor, start, lag
        self._intervals = intervals(**window) if window else None
        self._attached = False
        self._columns: list[SourceColumn] = []

    # -- what engines differ in ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def attach(self, mover: Mover) -> None:
        """Attach the database to the mover, once."""

    @abstractmethod
    def ask(self, sql: str) -> str:
        """A SELECT of the engine's own SQL as a relation of the mover."""

    @abstractmethod
    def describe(self, mover: Mover) -> list[SourceColumn]:
        """The columns."""

    def quote(self, name: str) -> str:
        """A name in the engine's own SQL."""
        return identifier(name)

    def text_of(self, expression: str) -> str:
        """A value as text that `value_of` reads again."""
        return f"CAST({expression} AS VARCHAR)"

    def value_of(self, text: str, column: SourceColumn) -> str:
        """A text as a value of the column's type."""
        del column
        return literal(text)

    def behind(self, value: str, lag: str, column: SourceColumn) -> str:
        """A value less a lag."""
        del column
        return f"({value} - INTERVAL {literal(lag)})"

    def expression(self, column: SourceColumn) -> str:
        """A column as it is selected."""
        return self.quote(column.name)

    def estimate(self, mover: Mover) -> tuple[int | None, int | None]:
        """Rows and bytes, as the engine's statistics have them."""
        del mover
        return None, None

    def before(self, mover: Mover) -> None:
        """Called in each batch's transaction before it reads."""

    # -- RowSource -------------------------------------------------------------------------------------------------------------------

    def columns(self, mover: Mover) -> list[SourceColumn]:
        """See `RowSource`."""
        with translated(self.name):
            self.attach(mover)
            self._columns = self._columns or self.describe(mover)
        if not self._columns:
            raise BadInput(
                "pipelines.no-table",
                f"{self.name} has no table {self._said}.",
                "Correct `source.table` in the pipeline.",
            )
        return self._columns

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """See `RowSource`."""
        columns = self.columns(mover)
        with translated(self.name):
            rows, size = self.estimate(mover)
            if self._intervals:
                return self._again(self._column(self._cursor or "", columns), self._intervals)
            if self._cursor:
                return self._window(mover, (position or {}).get("cursor"), batch_rows, size)
            batch_rows = batch_rows or (MANY // 4 if rows and rows > MANY else None)
            ranged = self._keys[0] if self._keys and batch_rows else ""
            if not ranged or self._column(ranged, columns).type in UNORDERED:
                return Reading((Part("all", rows, size, "all rows"),), {}, rows, size)
            parts = self._ranges(mover, ranged, "", batch_rows or 0)
            return Reading(parts, {}, rows, size)

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`."""
        columns = self.columns(mover)
        self.before(mover)
        selected = ", ".join(f"{self.expression(one)} AS {self.quote(one.name)}" for one in columns)
        where = f" WHERE {part.data['where']}" if part.data.get("where") else ""
        return self.ask(f"SELECT {selected} FROM {self.relation_there}{where}")

    def count(self, mover: Mover, part: Part) -> int:
        """How many rows a part has now."""
        self.columns(mover)
        return int(
            self._row(
                mover, f"SELECT count(*) FROM {self.relation_there} WHERE {part.data.get('where') or '1 = 1'}"
            )[0]
        )

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`: a database's rows are readable; what does not fit the target is found by the loader."""
        return self.relation(mover, part), ""

    def keys_relation(self, mover: Mover, keys: tuple[str, ...]) -> str:
        """See `RowSource`."""
        self.columns(mover)
        return self.ask(f"SELECT {', '.join(map(self.quote, keys))} FROM {self.relation_there}")

    def still(self, part: Part) -> None:
        """See `RowSource`: a batch reads one moment."""

    def close(self) -> None:
        """See `RowSource`."""

    # -- windows and ranges ----------------------------------------------------------------------------------------------------------

    @property
    def relation_there(self) -> str:
        """The table or query, in the engine's own SQL."""
        if self._query:
            return f"({self._query.rstrip().rstrip(';')}) AS q"
        return ".".join(self.quote(name) for name in (self._schema, self._table) if name)

    @property
    def _said(self) -> str:
        return ".".join(name for name in (self._schema, self._table) if name) or "that the query names"

    def _column(self, name: str, columns: list[SourceColumn]) -> SourceColumn:
        found = next((one for one in columns if one.name == name), None)
        if found is None:
            raise BadInput(
                "pipelines.no-column",
                f"{self.name}: {self._said} has no column {name!r}.",
                f"It has: {', '.join(one.name for one in columns)[:300]}.",
            )
        return found

    def _window(self, mover: Mover, last: str | None, batch_rows: int | None, size: int | None) -> Reading:
        column = self._column(self._cursor or "", self._columns)
        name = self.quote(column.name)
        (high,) = self._row(mover, f"SELECT {self.text_of(f'max({name})')} FROM {self.relation_there}")
        if high is None:
            return Reading((), {"cursor": last} if last is not None else {})
        warnings = self._backwards(mover, column, last, high)
        where = self._between(column, last, high)
        (count,) = self._row(mover, f"SELECT count(*) FROM {self.relation_there} WHERE {where}")
        position = {"cursor": last if warnings and last is not None else high}
        if not count:
            return Reading((), position, warnings=warnings)
        if batch_rows and int(count) > batch_rows:
            parts = self._ranges(mover, column.name, where, batch_rows)
        else:
            parts = (Part(_id(where), int(count), None, "what is new", {"where": where}),)
        return Reading(parts, position, int(count), size, warnings=warnings)

    def _again(self, column: SourceColumn, wanted: list[tuple[str, str]]) -> Reading:
        """Intervals that are read once more, each of them a part; where the load stands does not change."""
        name = self.quote(column.name)
        parts = []
        for since, until in wanted:
            where = f"({name} >= {self.value_of(since, column)} AND {name} < {self.value_of(until, column)})"
            parts.append(Part(_id(where), None, None, f"{since} to {until}", {"where": where}))
        return Reading(tuple(parts), {})

    def _between(self, column: SourceColumn, last: str | None, high: str) -> str:
        name = self.quote(column.name)
        upper = f"{name} <= {self.value_of(high, column)}"
        if last is None:
            begin = f" AND {name} >= {self.value_of(self._start, column)}" if self._start else ""
            return f"({upper}{begin})" if begin else f"({upper} OR {name} IS NULL)"
        value = self.value_of(last, column)
        lower = f"{name} > {value}" if not self._lag else f"{name} > {self.behind(value, self._lag, column)}"
        return f"({lower} AND {upper})"

    def _backwards(self, mover: Mover, column: SourceColumn, last: str | None, high: str) -> tuple[str, ...]:
        if last is None:
            return ()
        (less,) = self._row(
            mover,
            f"SELECT CASE WHEN {self.value_of(high, column)} < {self.value_of(last, column)} THEN 1 ELSE 0 END",
        )
        return (
            (
                f"the cursor {column.name} went backwards: nothing is read until it has passed where the last load came to",
            )
            if less
            else ()
        )

    def _ranges(self, mover: Mover, name: str, where: str, batch_rows: int) -> tuple[Part, ...]:
        """Ranges of a column with about as many rows each; rows of one value are never parted, and rows without one come first."""
        column, quoted = self._column(name, self._columns), self.quote(name)
        inner = f"SELECT {quoted} AS k, row_number() OVER (ORDER BY {quoted}) AS n FROM {self.relation_there} WHERE {where or f'{quoted} IS NOT NULL'}"
        ends_of = f"SELECT DISTINCT {self.text_of('k')} AS v, k FROM ({inner}) AS r WHERE n % {batch_rows:d} = 0 ORDER BY k"
        found = mover.execute(f"SELECT v FROM {self.ask(ends_of)}").fetchall()
        ends = [str(row[0]) for row in found]
        parts: list[Part] = []
        low = None
        for high in (*ends, None):
            lower = f"{quoted} > {self.value_of(low, column)}" if low is not None else ""
            upper = f"{quoted} <= {self.value_of(high, column)}" if high is not None else ""
            # Unknown keys belong to the first range: they are read once, and are for the loader to reject.
            own = " AND ".join(filter(None, (lower, upper))) or "1 = 1"
            if low is None and not where:
                own = f"({own} OR {quoted} IS NULL)"
            said = " AND ".join(filter(None, (where, own)))
            parts.append(
                Part(
                    _id(said), batch_rows, None, f"part {len(parts) + 1} of {len(ends) + 1}", {"where": said}
                )
            )
            low = high
        return tuple(parts)

    def _row(self, mover: Mover, sql: str) -> tuple[Any, ...]:
        return mover.row(f"SELECT * FROM {self.ask(sql)}")


MANY = 20_000_000  # rows of a table that is not read in one part: less than a minute's work would be lost with it
UNORDERED = {"BLOB", "JSON", "BOOLEAN", "INTERVAL"}


def _id(where: str) -> str:
    # The condition holds values of rows: only its digest is kept.
    return hashlib.sha256(where.encode()).hexdigest()[:24]


def duckdb_types(mover: Mover, relation: str) -> list[SourceColumn]:
    """The columns of a relation as DuckDB sees them."""
    return [
        SourceColumn(str(row[0]), str(row[1]), str(row[1]))
        for row in mover.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    ]


class DuckdbTable(TableSource):
    """A table or query of a DuckDB file."""

    kind = "duckdb"

    def __init__(self, name: str, path: str, **given: Any) -> None:
        super().__init__(name, **given)
        self._path = path

    def attach(self, mover: Mover) -> None:
        """See `TableSource`."""
        if not self._attached:
            mover.execute(f"ATTACH {literal(self._path)} AS {ALIAS} (READ_ONLY)")
            self._attached = True

    def ask(self, sql: str) -> str:
        """See `TableSource`."""
        return f"({sql})"

    @property
    def relation_there(self) -> str:
        """See `TableSource`."""
        return (
            f"({self._query.rstrip().rstrip(';')}) AS q"
            if self._query
            else qualified(ALIAS, self._schema or "main", self._table)
        )

    def describe(self, mover: Mover) -> list[SourceColumn]:
        """See `TableSource`."""
        return duckdb_types(mover, self.relation_there)


class MysqlTable(TableSource):
    """A table or query of a MariaDB or MySQL database."""

    kind = "mysql"

    def __init__(self, name: str, conninfo: str, **given: Any) -> None:
        super().__init__(name, **given)
        self._conninfo = conninfo

    def attach(self, mover: Mover) -> None:
        """See `TableSource`."""
        if not self._attached:
            mover.load("mysql_scanner")
            mover.execute("SET mysql_tinyint1_as_boolean = false")
            mover.execute(f"ATTACH {literal(self._conninfo)} AS {ALIAS} (TYPE mysql, READ_ONLY)")
            self._attached = True

    def ask(self, sql: str) -> str:
        """See `TableSource`."""
        return f"mysql_query({literal(ALIAS)}, {literal(sql)})"

    def quote(self, name: str) -> str:
        """See `TableSource`."""
        return "`" + name.replace("`", "``") + "`"

    def text_of(self, expression: str) -> str:
        """See `TableSource`."""
        return f"CAST({expression} AS CHAR)"

    def value_of(self, text: str, column: SourceColumn) -> str:
        """See `TableSource`."""
        del column
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

    def behind(self, value: str, lag: str, column: SourceColumn) -> str:
        """See `TableSource`."""
        del column
        amount, unit = lag.split()
        return f"({value} - INTERVAL {int(amount):d} {unit.rstrip('s').upper()})"

    def describe(self, mover: Mover) -> list[SourceColumn]:
        """See `TableSource`."""
        if self._query:
            return duckdb_types(mover, self.ask(f"SELECT * FROM {self.relation_there} LIMIT 0"))
        schema = self.value_of(self._schema, ANY) if self._schema else "DATABASE()"
        rows = mover.execute(
            f"SELECT * FROM {self.ask(MYSQL_COLUMNS.format(schema=schema, table=self.value_of(self._table or '', ANY)))}"
        ).fetchall()
        direct = {
            one.name: one.type
            for one in duckdb_types(mover, self.ask(f"SELECT * FROM {self.relation_there} LIMIT 0"))
        }
        return [
            _of_mysql(str(name), str(kind), str(told), direct[str(name)], nullable=nullable == "YES")
            for name, kind, told, nullable in rows
        ]

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`: what DuckDB would read as another value comes as text, and is made what it says there."""
        made = ", ".join(
            f"CAST({identifier(one.name)} AS {one.type}) AS {identifier(one.name)}"
            if _as_text(one)
            else identifier(one.name)
            for one in self.columns(mover)
        )
        return f"(SELECT {made} FROM {super().relation(mover, part)})"

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`: texts as they are, of which the loader finds those that are no values."""
        return super().relation(mover, part), ""

    def expression(self, column: SourceColumn) -> str:
        """See `TableSource`."""
        name = self.quote(column.name)
        return f"CAST({name} AS CHAR)" if _as_text(column) else name


ANY = SourceColumn("", "VARCHAR", "text")
MYSQL_COLUMNS = """SELECT column_name, data_type, column_type, is_nullable FROM information_schema.columns
 WHERE table_schema = {schema} AND table_name = {table} ORDER BY ordinal_position"""
# DuckDB reads a date of zeros as NULL, a time beyond a day and long decimals as others, and these kinds of text as bytes.
AS_TEXT = {
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "timestamp": "TIMESTAMP",
    "time": "TIME",
    "json": "JSON",
    "uuid": "UUID",
    "inet4": "VARCHAR",
    "inet6": "VARCHAR",
}


def _of_mysql(name: str, kind: str, told: str, direct: str, *, nullable: bool) -> SourceColumn:
    if kind == "decimal":
        digits, scale = (int(one) for one in told[told.index("(") + 1 : told.index(")")].split(","))
        if digits > DIGITS:
            return SourceColumn(
                name, "VARCHAR", told, nullable, f"its type: numbers of {digits} digits are kept as text"
            )
        return SourceColumn(name, f"DECIMAL({digits},{scale})", told, nullable)
    return SourceColumn(name, AS_TEXT.get(kind, direct), told, nullable)


def _as_text(column: SourceColumn) -> bool:
    return column.told.partition("(")[0].partition(" ")[0] in {*AS_TEXT, "decimal"}


DIGITS = 38  # of a DECIMAL of DuckDB
