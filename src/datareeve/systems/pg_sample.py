"""A key-consistent part of a database's rows: every row of it that refers to another finds it there.

Small tables come whole. Of each large one a fixed share is taken (TABLESAMPLE with a seed, so that the same rows come again), then the rows
that these refer to by foreign keys, and those that these refer to, until none is missing. One READ ONLY transaction of the original gives
all of it, over one connection; the rows that are referred to are looked up by their keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as pgsql

from datareeve.core.errors import Failed
from datareeve.systems.pg_source import LOCK_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.systems.pg_dumping import Deadline
    from datareeve.systems.postgres import Postgres

SEED = 20_240_229
WHOLE_BYTES = 2**20  # tables up to this size always come whole
PART_OF_ROOM = 0.35  # of the room, for what is sampled: the rows it refers to need the rest
ROWS_OF_ROOM = 0.75  # indexes come later
SMALLER = (
    1.0,
    0.4,
    0.1,
)  # what is tried of that, where the rows that are referred to turn out to be too many
LEAST_SHARE = 0.0001
BY_PAGES = 1000  # tables of more pages are sampled by pages, which reads only those; smaller ones by rows
KEYS_AT_ONCE = 5000
MOST_ROUNDS = 50

# Sizes without the maps of free space and visibility: autovacuum makes those whenever it comes, and the same rows shall come again.
TABLES_SQL = """
SELECT n.nspname AS schema, c.relname AS name, s.bytes, c.relpages AS pages, greatest(c.reltuples, 0) AS rows,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (
        SELECT coalesce(sum(pg_relation_size(part)), 0)::bigint AS bytes
          FROM (SELECT c.oid UNION ALL SELECT nullif(c.reltoastrelid, 0)
                UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid IN (c.oid, nullif(c.reltoastrelid, 0))) AS parts(part)) s
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
   AND NOT CASE WHEN c.relrowsecurity THEN row_security_active(c.oid) ELSE false END
   AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
 ORDER BY s.bytes, 1, 2
"""
# Keys of a partitioned table are told once, for the whole of it.
KEYS_SQL = """
SELECT cn.nspname AS child_schema, cc.relname AS child, pn.nspname AS parent_schema, pc.relname AS parent,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.conkey) WITH ORDINALITY k(num, n)
          JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num) AS child_columns,
       (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY k(num, n)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num) AS parent_columns,
       (SELECT array_agg(format_type(a.atttypid, NULL) ORDER BY k.n) FROM unnest(f.confkey) WITH ORDINALITY k(num, n)
          JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num) AS types,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = f.confrelid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
  FROM pg_constraint f
  JOIN pg_class cc ON cc.oid = f.conrelid JOIN pg_namespace cn ON cn.oid = cc.relnamespace
  JOIN pg_class pc ON pc.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
 WHERE f.contype = 'f' AND f.conparentid = 0
"""
SEQUENCES_SQL = "SELECT schemaname AS schema, sequencename AS name, last_value AS value FROM pg_sequences WHERE last_value IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the original that may be read."""

    schema: str
    name: str
    bytes: int
    pages: int
    rows: float
    columns: list[str] | None

    @property
    def quoted(self) -> pgsql.Identifier:
        """Its name in SQL."""
        return pgsql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Key:
    """A foreign key: which columns of which table refer to which of another; the types and all columns of the latter."""

    child_schema: str
    child: str
    parent_schema: str
    parent: str
    child_columns: list[str]
    parent_columns: list[str]
    types: list[str]
    columns: list[str]


def shares(tables: Sequence[Table], room: int) -> dict[tuple[str, str], float]:
    """Which share of each table is taken so that all fit in `room` bytes; the smallest come whole.

    Errors: `Failed` `copy.too-large` where hardly a row would be left.
    """
    left = room * PART_OF_ROOM
    whole: dict[tuple[str, str], float] = {}
    large: list[Table] = []
    for table in sorted(tables, key=lambda t: (t.bytes, t.schema, t.name)):
        if not large and table.bytes <= max(WHOLE_BYTES, room / 100) and table.bytes <= left / 2:
            whole[table.schema, table.name] = 1.0
            left -= table.bytes
        else:
            large.append(table)
    share = min(left / max(sum(t.bytes for t in large), 1), 1.0)
    if share < LEAST_SHARE:
        raise Failed(
            "copy.too-large",
            f"Less than {LEAST_SHARE:.2%} of the rows would fit in {room / 1e9:.2f} GB.",
            "Give systems.*.copies.max_gb more, or name a folder with more space.",
        )
    return whole | {(t.schema, t.name): share for t in large}


def fill(system: Postgres, copy: Postgres, room: int, deadline: Deadline) -> dict[str, float]:
    """Bring a part of the rows into a copy that has the tables but no keys yet. Gives the share of each table that came, by name.

    Errors: `Failed` `copy.too-large`, `copy.too-slow`, `copy.locked`.
    """
    with (
        system.connect(application_name="datareeve/copy") as source,
        copy.connect(application_name="datareeve/copy") as target,
        system.translated(),
    ):
        work = _Sampling(source, target, room, deadline)
        with source.transaction():
            work.begin()
            for smaller in SMALLER:
                try:
                    work.take(smaller)
                    work.complete()
                    break
                except Failed as error:
                    if error.code != "copy.too-large" or smaller == SMALLER[-1]:
                        raise
                    work.empty()
            work.sequences()
        return work.came()


class _Sampling:
    """The rows' way from the original's connection to the copy's."""

    def __init__(
        self,
        source: psycopg.Connection[dict[str, Any]],
        target: psycopg.Connection[dict[str, Any]],
        room: int,
        deadline: Deadline,
    ) -> None:
        self.source, self.target, self.deadline = source, target, deadline
        self.room, self.most = room, int(room * ROWS_OF_ROOM)
        self.tables: list[Table] = []
        self.keys: list[Key] = []
        self.wanted: dict[tuple[str, str], float] = {}

    def begin(self) -> None:
        """One snapshot, nothing written, no long wait; then what is there."""
        encoding = (self.source.execute("SHOW server_encoding").fetchone() or {})["server_encoding"]
        self.source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self.source.execute(f"SET LOCAL lock_timeout = {LOCK_MS}")
        self._bounded()
        for connection in (self.source, self.target):
            # Rows pass through as they are, in whatever encoding that is.
            connection.execute(pgsql.SQL("SET client_encoding = {}").format(encoding))
            connection.execute("SET DateStyle = 'ISO'")
            connection.execute("SET IntervalStyle = 'postgres'")
            connection.execute("SET extra_float_digits = 3")
        self.target.execute("SET work_mem = '256MB'")
        there = {(r["schema"], r["name"]) for r in self.target.execute(HERE_SQL)}
        self.tables = [
            t
            for t in (Table(**r) for r in self.source.execute(TABLES_SQL))
            if t.columns and (t.schema, t.name) in there
        ]
        readable = self._readable(there)
        self.keys = [
            key
            for key in (Key(**r) for r in self.source.execute(KEYS_SQL))
            if {(key.child_schema, key.child), (key.parent_schema, key.parent)} <= readable
        ]
        self.wanted = shares(self.tables, self.room)

    def _readable(self, there: set[tuple[str, str]]) -> set[tuple[str, str]]:
        """Tables, partitioned ones included, that are here and may be read there."""
        rows = self.source.execute(READABLE_SQL).fetchall()
        return {(r["schema"], r["name"]) for r in rows} & there

    def empty(self) -> None:
        """Away with what came."""
        if self.tables:
            names = pgsql.SQL(", ").join(table.quoted for table in self.tables)
            self.target.execute(pgsql.SQL("TRUNCATE {}").format(names))

    def take(self, smaller: float = 1.0) -> None:
        """Small tables whole, and the share of the large ones."""
        for table in self.tables:
            share = self.wanted[table.schema, table.name]
            share = share * smaller if share < 1 else share
            sample = pgsql.SQL("")
            if share < 1:
                method = "SYSTEM" if table.pages > BY_PAGES else "BERNOULLI"
                sample = pgsql.SQL(f"TABLESAMPLE {method} ({share * 100:.6f}) REPEATABLE ({SEED})")
            columns = _columns(table.columns or [])
            self._pass(
                pgsql.SQL("SELECT {} FROM ONLY {} {}").format(columns, table.quoted, sample),
                table.quoted,
                columns,
            )

    def complete(self) -> None:
        """Rows that are referred to and not there, until none is missing, or none is left to be found."""
        for _ in range(MOST_ROUNDS):
            if not sum(self._fetch_missing(key) for key in self.keys):
                return

    def _fetch_missing(self, key: Key) -> int:
        """Bring the rows that this key's columns refer to and that are missing; how many came."""
        parent = pgsql.Identifier(key.parent_schema, key.parent)
        columns = _columns(key.columns)
        came = 0
        for missing in self._missing(key):
            came += self._pass(_rows_of(key, missing), parent, columns)
        return came

    def _missing(self, key: Key) -> Iterator[list[tuple[str, ...]]]:
        pairs = list(zip(key.parent_columns, key.child_columns, strict=True))
        statement = pgsql.SQL(
            "SELECT DISTINCT {} FROM {} c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} p WHERE {})"
        ).format(
            pgsql.SQL(", ").join(
                pgsql.SQL("c.{}::text").format(pgsql.Identifier(c)) for c in key.child_columns
            ),
            pgsql.Identifier(key.child_schema, key.child),
            pgsql.SQL(" AND ").join(
                pgsql.SQL("c.{} IS NOT NULL").format(pgsql.Identifier(c)) for c in key.child_columns
            ),
            pgsql.Identifier(key.parent_schema, key.parent),
            pgsql.SQL(" AND ").join(
                pgsql.SQL("p.{} = c.{}").format(pgsql.Identifier(p), pgsql.Identifier(c)) for p, c in pairs
            ),
        )
        with self.target.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
            found = cursor.execute(statement).fetchall()
        for start in range(0, len(found), KEYS_AT_ONCE):
            yield found[start : start + KEYS_AT_ONCE]

    def _pass(self, query: pgsql.Composed, table: pgsql.Identifier, columns: pgsql.Composed) -> int:
        """Stream the rows of a query into a table of the copy; how many. Stops at the deadline and where the room ends."""
        self._bounded()
        give = pgsql.SQL("COPY ({}) TO STDOUT").format(query)
        take = pgsql.SQL("COPY {} ({}) FROM STDIN").format(table, columns)
        with self.source.cursor() as reading, self.target.cursor() as writing:
            with reading.copy(give) as rows, writing.copy(take) as into:
                passed = 0
                for piece in rows:
                    into.write(piece)
                    passed += len(piece)
                    if passed > self.most:
                        raise self._too_large()
            came = writing.rowcount
        size = self.target.execute("SELECT pg_database_size(current_database()) AS bytes").fetchone() or {}
        if size["bytes"] > self.most:
            raise self._too_large()
        return came

    def _too_large(self) -> Failed:
        return Failed(
            "copy.too-large",
            f"The rows that a sample refers to do not fit in {self.room / 1e9:.2f} GB.",
            "Give systems.*.copies.max_gb more.",
        )

    def _bounded(self) -> None:
        self.source.execute(f"SET LOCAL statement_timeout = {max(int(self.deadline.left * 1000), 1)}")

    def sequences(self) -> None:
        """Sequences go on where the original's are."""
        for row in self.source.execute(SEQUENCES_SQL).fetchall():
            name = pgsql.Identifier(row["schema"], row["name"]).as_string(self.target)
            self.target.execute(
                "SELECT setval(to_regclass(%s), %s) WHERE to_regclass(%s) IS NOT NULL",
                (name, row["value"], name),
            )

    def came(self) -> dict[str, float]:
        """The share of each sampled table's rows that is there now, by name; tables that came whole are left out."""
        result = {}
        for table in self.tables:
            if self.wanted[table.schema, table.name] >= 1 or not table.rows:
                continue
            counted = self.target.execute(
                pgsql.SQL("SELECT count(*) AS rows FROM ONLY {}").format(table.quoted)
            ).fetchone() or {"rows": 0}
            result[f"{table.schema}.{table.name}"] = min(counted["rows"] / table.rows, 1.0)
        return result


HERE_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
"""
READABLE_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
   AND NOT CASE WHEN c.relrowsecurity THEN row_security_active(c.oid) ELSE false END
"""


def _columns(names: Sequence[str]) -> pgsql.Composed:
    return pgsql.SQL(", ").join(pgsql.Identifier(name) for name in names)


def _rows_of(key: Key, values: list[tuple[str, ...]]) -> pgsql.Composed:
    """The query for the rows that have these keys. Keys are unique there, so each is found once, by its index."""
    names = [f"k{n}" for n in range(len(key.parent_columns))]
    arrays = [
        pgsql.SQL("{}::text[]").format(pgsql.Literal([v[n] for v in values])) for n in range(len(names))
    ]
    matches = [
        pgsql.SQL("p.{} = k.{}::{}").format(pgsql.Identifier(column), pgsql.Identifier(name), pgsql.SQL(kind))
        for column, name, kind in zip(key.parent_columns, names, key.types, strict=True)
    ]
    return pgsql.SQL("SELECT {} FROM unnest({}) k({}) JOIN {} p ON {}").format(
        pgsql.SQL(", ").join(pgsql.SQL("p.{}").format(pgsql.Identifier(c)) for c in key.columns),
        pgsql.SQL(", ").join(arrays),
        _columns(names),
        pgsql.Identifier(key.parent_schema, key.parent),
        pgsql.SQL(" AND ").join(matches),
    )
