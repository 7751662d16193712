"""Columns as the planner knows them: which values a column has and how often, for parameters that are invented from statistics.

A column of a view is the table's that it shows under the same name; a partition's parent answers with a partition's statistics where it has
none of its own. The values are personal data: they leave this module only to be bound.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.systems.postgres import Postgres

FAR_BEYOND = 1_000_000  # a new key is this far above the greatest known one
SMALLINT = 21
INTEGERS = {SMALLINT, 23, 20}

COLUMNS_SQL = """
WITH RECURSIVE asked AS (
    SELECT c.oid, c.relname::text AS name, c.oid AS base, c.relkind, 0 AS depth
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
    UNION
    SELECT a.oid, a.name, d.refobjid, b.relkind, a.depth + 1
      FROM asked a JOIN pg_rewrite r ON r.ev_class = a.base AND a.relkind = 'v'
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                      AND d.refobjid <> a.base
      JOIN pg_class b ON b.oid = d.refobjid
     WHERE a.depth < 4)
SELECT DISTINCT ON (a.name, t.attname) a.name AS relation, t.attname::text AS name, t.attrelid::int AS base, t.attnum,
       t.atttypid::int AS type_oid, coalesce(nullif(y.typbasetype, 0), y.oid)::int AS plain_oid, y.typcategory AS category,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.attrelid AND i.indisunique AND i.indnkeyatts = 1 AND t.attnum = i.indkey[0]) AS is_unique
  FROM asked a JOIN pg_attribute t ON t.attrelid = a.base AND t.attnum > 0 AND NOT t.attisdropped
  JOIN pg_type y ON y.oid = t.atttypid
 WHERE a.relkind <> 'v'
 ORDER BY a.name, t.attname, pg_table_is_visible(a.oid) DESC, a.depth, a.base
"""
STATISTICS_SQL = """
SELECT s.most_common_vals::text::text[] AS common, s.most_common_freqs AS frequencies, s.histogram_bounds::text::text[] AS bounds,
       s.null_frac AS nulls
  FROM (SELECT c.oid, 0 AS place FROM pg_class c WHERE c.oid = %(base)s
         UNION ALL SELECT inhrelid, 1 FROM pg_inherits WHERE inhparent = %(base)s) o
  JOIN pg_class c ON c.oid = o.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = %(column)s
 ORDER BY o.place, s.inherited DESC LIMIT 1
"""
ANY_COLUMN_SQL = """
SELECT c.relname::text AS relation, t.attname::text AS name, t.attrelid::int AS base, t.atttypid::int AS type_oid, t.atttypid::int AS plain_oid,
       y.typcategory AS category
  FROM pg_attribute t JOIN pg_type y ON y.oid = t.atttypid JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE t.atttypid = %(oid)s AND t.attnum > 0 AND NOT t.attisdropped AND c.relkind = 'r' AND c.reltuples > 0
   AND n.nspname NOT IN ('pg_catalog', 'information_schema')
 ORDER BY c.relname = ANY(%(names)s) DESC, c.reltuples DESC LIMIT 1
"""


RELATIONS_SQL = """
WITH RECURSIVE asked AS (
    SELECT c.relname::text AS name, c.oid AS base, c.relkind, 0 AS depth
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relname = ANY(%(names)s) AND (c.relkind = 'v' OR c.relispartition)
       AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    UNION
    SELECT a.name, d.refobjid, b.relkind, a.depth + 1
      FROM asked a JOIN pg_rewrite r ON r.ev_class = a.base AND a.relkind = 'v'
      JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                      AND d.refobjid <> a.base
      JOIN pg_class b ON b.oid = d.refobjid
     WHERE a.depth < 8)
SELECT a.name, array_agg(DISTINCT coalesce(root.relname, b.relname)::text) AS tables
  FROM asked a JOIN pg_class b ON b.oid = a.base LEFT JOIN pg_class root ON root.oid = pg_partition_root(a.base)
 WHERE a.relkind <> 'v' GROUP BY a.name
"""


def base_tables(system: Postgres, names: Sequence[str]) -> dict[str, list[str]]:
    """For each name that is a view or a partition: the tables that the view reads, the table that the partition is a part of."""
    rows = system.query(RELATIONS_SQL, {"names": list(names)}) if names else []
    return {row["name"]: row["tables"] for row in rows}


@dataclass
class Column:
    """A column and, read when it is first asked for, its statistics."""

    system: Postgres = field(repr=False)
    relation: str
    name: str
    base: int
    type_oid: int
    category: str
    is_unique: bool = False

    @property
    def key(self) -> tuple[int, str]:
        """What tells it from others."""
        return self.base, self.name

    @cached_property
    def _statistics(self) -> dict[str, Any]:
        row = self.system.query(STATISTICS_SQL, {"base": self.base, "column": self.name}, shape="row") or {}
        common = row.get("common") or []
        frequencies = list(accumulate(row.get("frequencies") or []))
        bounds = row.get("bounds") or []
        return {"common": common, "upto": frequencies, "bounds": bounds, "nulls": row.get("nulls") or 0.0}

    def at(self, share: float) -> str | None:
        """The value below which that share of the column lies, common ones weighing as much as they occur; None where none is known."""
        known = self._statistics
        often = known["upto"][-1] if known["upto"] else 0.0
        seldom = max(0.0, 1 - often - known["nulls"]) if known["bounds"] else 0.0
        place = share * (often + seldom)
        if known["common"] and (place < often or not known["bounds"]):
            return str(known["common"][min(bisect_right(known["upto"], place), len(known["common"]) - 1)])
        if not known["bounds"]:
            return None
        within = (place - often) / seldom if seldom else share
        return str(known["bounds"][min(int(within * len(known["bounds"])), len(known["bounds"]) - 1)])

    def ordered(self, share: float) -> str | None:
        """The value at that place of the column's order, as far as it is known."""
        values = self._in_order
        return values[min(int(share * len(values)), len(values) - 1)] if values else None

    @cached_property
    def _in_order(self) -> list[str]:
        known = self._statistics
        if len(known["bounds"]) > 1:
            return [str(value) for value in known["bounds"]]  # the server's own order
        values = [str(value) for value in known["common"]]
        try:
            return sorted(values, key=float) if self.category == "N" else sorted(values)
        except ValueError:
            return values

    def width(self, share: float) -> str | None:
        """How far apart the ends of that share of the column are: a number, or an interval for dates; None where it has no distances."""
        low, high = self.ordered(0.0), self.ordered(0.999)
        if low is None or high is None:
            return None
        try:
            if self.category == "N":
                return f"{abs(float(high) - float(low)) * share:.6g}"
            apart = datetime.fromisoformat(high) - datetime.fromisoformat(low)
        except ValueError:
            return None
        return f"{max(1, round(abs(apart.days) * share))} days"

    def unused(self, n: int) -> str | None:
        """A value that the column surely does not have: the n-th above its greatest; None where that cannot be made."""
        greatest = self.ordered(0.999)
        if self.type_oid in INTEGERS and greatest is not None:
            return str(int(greatest) + (FAR_BEYOND if self.type_oid != SMALLINT else 1) + n)
        return f"{greatest or 'a'}-{n}" if self.category == "S" else None

    def json_key(self) -> str | None:
        """A key that stands in a JSON column's objects; None where none is known."""
        known = self._statistics
        for text in (*known["common"], *known["bounds"]):
            try:
                value = json.loads(text)
            except ValueError:
                continue
            if isinstance(value, dict) and value:
                return str(next(iter(value)))
        return None


class Catalog:
    """The columns of some relations by (relation, column), and by column alone where only one has it."""

    def __init__(self, system: Postgres, names: Sequence[str], columns: Sequence[Column]) -> None:
        self._system = system
        self._names = list(names)
        self._columns = {(column.relation, column.name): column for column in columns}
        self._by_type: dict[int, Column | None] = {}

    def column(self, relation: str | None, name: str) -> Column | None:
        """The column; where no relation is given, that of the only relation that has one of that name."""
        if relation is not None:
            return self._columns.get((relation, name))
        found = [column for (_, own), column in self._columns.items() if own == name]
        return found[0] if found else None

    def nth(self, relation: str, place: int, named: Sequence[str]) -> Column | None:
        """The column that the `place`-th value of an INSERT goes into: of the list it names, else of the table's own order."""
        if place < len(named):
            return self.column(relation, named[place])
        own = [column for (table, _), column in self._columns.items() if table == relation]
        return own[place] if not named and place < len(own) else None

    def any_of(self, oid: int) -> Column | None:
        """A column of a type, of these relations if there is one, else of any."""
        if oid not in self._by_type:
            row = self._system.query(ANY_COLUMN_SQL, {"oid": oid, "names": self._names}, shape="row")
            self._by_type[oid] = (
                None
                if row is None
                else Column(self._system, row["relation"], row["name"], row["base"], oid, row["category"])
            )
        return self._by_type[oid]


def columns_of(system: Postgres, names: Sequence[str]) -> Catalog:
    """The columns of relations by their bare names; of several of one name that on the search path."""
    rows = system.query(COLUMNS_SQL, {"names": list(names)}) if names else []
    ordered = sorted(rows, key=lambda row: (row["relation"], row["attnum"]))
    columns = [
        Column(system, row["relation"], row["name"], row["base"], row["plain_oid"], row["category"], row["is_unique"])
        for row in ordered
    ]  # fmt: skip
    return Catalog(system, names, columns)
