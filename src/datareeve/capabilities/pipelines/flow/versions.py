"""The versions of rows where a column says when each came to be: all that came are kept, and a late one takes its place in the middle.

Published versions and arriving ones of a key are one chain in the order of their moments. A version that says the same as the one before it is
none; of two of one moment the arriving one is right; each ends where the next begins, unless it had ended before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datareeve.systems.mover import identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

CHAIN = """
WITH arriving AS (SELECT {columns}, {at} AS datareeve_at FROM {incoming} AS b),
 known AS (SELECT {published_columns}, p.{since} AS datareeve_at, p.{until} AS datareeve_end FROM {published} AS p
   WHERE EXISTS (SELECT 1 FROM arriving AS b WHERE {equal})),
 ended AS (SELECT {keys}, max(datareeve_end) AS datareeve_end FROM known GROUP BY {keys} HAVING count(*) = count(datareeve_end)),
 newest AS (SELECT {keys}, max(datareeve_at) AS datareeve_at FROM arriving GROUP BY {keys}),
 every AS (SELECT {columns}, datareeve_at, datareeve_end, 0 AS datareeve_new FROM known UNION ALL
   SELECT {b_columns}, CASE WHEN p.datareeve_end > b.datareeve_at AND n.datareeve_at = b.datareeve_at THEN {now} ELSE b.datareeve_at END, NULL, 1
   FROM arriving AS b JOIN newest AS n ON {newest_equal} LEFT JOIN ended AS p ON {equal}),
 numbered AS (SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY datareeve_at, datareeve_new) AS datareeve_number FROM every),
 distinct_ones AS (SELECT b.* FROM numbered AS b LEFT JOIN numbered AS p ON {equal} AND p.datareeve_number = b.datareeve_number - 1
   WHERE b.datareeve_new = 0 OR p.datareeve_number IS NULL OR p.datareeve_end < b.datareeve_at OR ({differs}){unless_known}),
 followed AS (SELECT *, lead(datareeve_at) OVER (PARTITION BY {keys} ORDER BY datareeve_number) AS datareeve_next FROM distinct_ones)
SELECT {columns}, datareeve_at AS {since}, least(datareeve_end, datareeve_next) AS {until}, least(datareeve_end, datareeve_next) IS NULL AS {current}
 FROM followed WHERE datareeve_next IS NULL OR datareeve_next > datareeve_at"""


@dataclass(frozen=True)
class Chain:
    """The chain of versions of a load: everything as SQL. `p` is the published side of a condition, `b` the arriving one."""

    columns: Sequence[str]
    keys: Sequence[str]
    since: str
    until: str
    current: str
    at: str  # the moment of an arriving version
    now: str
    incoming: str
    differs: str

    def first(self) -> str:
        """All versions, where none is published."""
        none = f"(SELECT b.*, {self.now} AS {identifier(self.since)}, {self.now} AS {identifier(self.until)} FROM {self.incoming} AS b WHERE 1 = 0)"
        return self.select(none, ", ".join(f"p.{identifier(one)}" for one in self.columns), replayed=False)

    def select(self, published: str, published_columns: str, *, replayed: bool) -> str:
        """All versions, as they will be, of the keys that came. `replayed`: what is published of a moment stays."""
        listed = ", ".join(map(identifier, self.columns))
        return CHAIN.format(
            columns=listed,
            b_columns=", ".join(f"b.{identifier(one)}" for one in self.columns),
            keys=", ".join(map(identifier, self.keys)),
            equal=self.equal("p", "b"),
            newest_equal=self.equal("n", "b"),
            at=self.at,
            now=self.now,
            since=identifier(self.since),
            until=identifier(self.until),
            current=identifier(self.current),
            incoming=self.incoming,
            published=published,
            published_columns=published_columns,
            differs=self.differs,
            unless_known=" AND p.datareeve_at IS DISTINCT FROM b.datareeve_at" if replayed else "",
        )

    def changes(self, published: str, every: str, differs: str) -> tuple[str, str]:
        """Of the versions as they will be, the table `every`: the published ones that go, and those that come. `differs` of them."""
        since, until = identifier(self.since), identifier(self.until)
        key = self.equal("p", "b")
        same = f"{key} AND p.{since} = b.{since} AND p.{until} IS NOT DISTINCT FROM b.{until} AND ({differs}) IS NOT TRUE"
        gone = f"SELECT p.* FROM {published} AS p WHERE EXISTS (SELECT 1 FROM {every} AS b WHERE {key}) AND NOT EXISTS (SELECT 1 FROM {every} AS b WHERE {same})"
        came = f"SELECT b.* FROM {every} AS b WHERE NOT EXISTS (SELECT 1 FROM {published} AS p WHERE {same})"
        return gone, came

    def equal(self, one: str, other: str) -> str:
        """The condition that two rows are of one key."""
        return " AND ".join(f"{one}.{identifier(key)} = {other}.{identifier(key)}" for key in self.keys)
