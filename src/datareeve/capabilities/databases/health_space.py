"""How much space tables and B-trees waste, estimated from the planner's statistics. Pure.

The idea is that of check_postgres and of ioguix's queries: rows x average row width, laid out as PostgreSQL lays them out, against the size
of the file. Here the layout is followed column by column: headers, null bitmaps, alignment, fill factor, and for B-trees the merging of
equal keys (manual: Database Page Layout; B-Tree Implementation, Deduplication). It is an estimate still: with fresh statistics within about
a tenth of what pgstattuple measures for tables and a fifth for B-trees, more where widths vary together. It is never told below half of a
file and 10 MiB, where pgexperts' pgx_scripts draw the line too.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from datareeve.core.value import Value

BLOCK, PAGE_HEADER, BTREE_SPECIAL, ITEM = 8192, 24, 16, 4
TUPLE_HEADER, INDEX_HEADER, WORD = 23, 8, 8
ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}
SHORT = 126  # a variable-length value up to here has a one-byte header and is not aligned
POINTER, LONGEST_POSTING = 6, 1350  # bytes of a row's address, and of a list of them in one index tuple
ERROR_PERCENT = {"table": 10, "btree": 20}

Column = list[Any]  # attlen, attalign, avg_width, null_frac and, of an index, n_distinct


class Space(Value):
    """A table's or B-tree's file, and what its rows need when they are packed."""

    kind: Literal["table", "btree"]
    oid: int
    schema_name: str
    name: str
    table: str
    bytes: int
    needed_bytes: int
    measured: bool = False  # by pgstattuple, else estimated

    @property
    def wasted_bytes(self) -> int:
        """What a rebuild would give back."""
        return max(self.bytes - self.needed_bytes, 0)

    @property
    def wasted_percent(self) -> float:
        """That, of the file."""
        return round(100.0 * self.wasted_bytes / self.bytes, 1) if self.bytes else 0.0

    @property
    def worth_a_word(self) -> bool:
        """Half of the file and 10 MiB; of a table a quarter and 1 GiB too. A B-tree of random keys is a third empty by nature."""
        large = self.kind == "table" and self.wasted_bytes >= 2**30 and self.wasted_percent >= 25  # noqa: PLR2004 - pgx_scripts
        return large or (self.wasted_bytes >= 10 * 2**20 and self.wasted_percent >= 50)  # noqa: PLR2004 - pgx_scripts

    def as_measured(self, free_percent: float) -> Space:
        """The same with what pgstattuple saw in place of the estimate."""
        return self.model_copy(
            update={"needed_bytes": round(self.bytes * (1 - free_percent / 100)), "measured": True}
        )


def table_space(entry: dict[str, Any]) -> Space | None:
    """The estimate for a row of health_table_space.sql; None where the statistics do not allow one."""
    if not _known(entry["columns"]):
        return None
    row = heap_row_bytes(entry["columns"], entry["attributes"])
    rows_a_page = max((BLOCK - PAGE_HEADER) * entry["fill_percent"] / 100 / row, 1)
    pages = math.ceil(entry["live_rows"] / (math.floor(rows_a_page) if row < BLOCK else 1))
    return _space("table", entry, pages, entry["name"])


def btree_space(entry: dict[str, Any]) -> Space | None:
    """The estimate for a row of health_index_space.sql; None where the statistics do not allow one."""
    if not _known(entry["columns"]):
        return None
    row = btree_row_bytes(entry["columns"], entry["live_rows"], merges=entry["merges"])
    leaf = (BLOCK - PAGE_HEADER - BTREE_SPECIAL) * entry["fill_percent"] / 100
    leaves = math.ceil(entry["live_rows"] * row / leaf)
    return _space(
        "btree", entry, leaves + math.ceil(leaves / 200) + 1, entry["table"]
    )  # inner pages, meta page


def _space(kind: Literal["table", "btree"], entry: dict[str, Any], pages: int, table: str) -> Space:
    return Space(
        kind=kind,
        oid=entry["oid"],
        schema_name=entry["schema_name"],
        name=entry["name"],
        table=table,
        bytes=entry["bytes"],
        needed_bytes=min(pages * BLOCK, entry["bytes"]),
    )


def _known(columns: list[Column] | None) -> bool:
    return columns is not None and all(column[2] is not None for column in columns)


def heap_row_bytes(columns: list[Column], attributes: int) -> float:
    """Average bytes of a row in a page, its line pointer included."""
    complete = _complete(columns)
    plain, with_nulls = _up(TUPLE_HEADER), _up(TUPLE_HEADER + math.ceil(attributes / 8))
    return ITEM + complete * plain + (1 - complete) * with_nulls + data_bytes(columns)


def btree_row_bytes(columns: list[Column], rows: float, *, merges: bool) -> float:
    """Average bytes of a row in a leaf page; equal keys share one tuple where they are merged."""
    complete = _complete(columns)
    key = INDEX_HEADER + (1 - complete) * WORD + data_bytes(columns)
    alike = rows / distinct(columns, rows)
    if not merges or alike < 2:  # noqa: PLR2004 - nothing to merge
        return ITEM + key
    together = max(min(alike, (LONGEST_POSTING - key) / POINTER), 1)
    return (ITEM + key + POINTER * together + WORD / 2) / together


def distinct(columns: list[Column], rows: float) -> float:
    """At most so many distinct keys: the product over the columns, as if they were independent."""
    counts: list[float] = [count if count > 0 else -count * rows for *_, count in columns if count]
    return max(min(math.prod(counts), rows), 1.0)


def data_bytes(columns: list[Column]) -> float:
    """Average bytes of the columns with their alignment, rounded up as a row is.

    While every column so far has a fixed length and no nulls the padding is exact, else half of what it can be.
    """
    offset: float = 0.0
    exact = True
    for length, align, width, nulls, *_ in columns:
        boundary = 1 if length == -1 and width <= SHORT else ALIGNMENT[align]
        padding = -offset % boundary if exact else (boundary - 1) / 2
        offset += (1 - nulls) * (padding + width)
        exact = exact and length > 0 and not nulls
    return _up(offset) if exact else offset + (WORD - 1) / 2


def _complete(columns: list[Column]) -> float:
    """The part of rows without any null, as if nulls came independently."""
    present: list[float] = [1 - column[3] for column in columns]
    return math.prod(present)


def _up(size: float) -> float:
    return math.ceil(size / WORD) * WORD
