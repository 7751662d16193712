"""What the advised indexes make of those that are there, and which foreign keys none of them serves. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_candidates import SMALL_TABLE_ROWS
from datareeve.capabilities.databases.index_facts import as_written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.index_facts import Candidate, ExistingIndex, ForeignKey, Situation


def outdone(
    indexes: tuple[ExistingIndex, ...], advised: tuple[Candidate, ...]
) -> Iterator[tuple[ExistingIndex, Candidate]]:
    """(index, the advised one that begins with its keys), for each that stands behind no constraint and guarantees nothing."""
    for index in indexes:
        if (
            index.is_unique
            or index.has_constraint
            or index.is_partial
            or index.has_included
            or index.has_direction
            or index.has_operator_class
            or not index.is_valid
        ):
            continue
        for one in advised:
            same = (one.schema_name, one.table, one.method) == (
                index.schema_name,
                index.table_name,
                index.method,
            )
            plain = one.where is None and not any(one.key_options) and one.method == "btree"
            if same and plain and tuple(map(as_written, one.keys[: len(index.keys)])) == index.keys:
                yield index, one
                break


def unindexed_foreign_keys(
    situation: Situation, advised: tuple[Candidate, ...] = ()
) -> tuple[ForeignKey, ...]:
    """Foreign keys that no index leads with, nor will, on tables that are not small."""
    served = {
        (i.schema_name, i.table_name, frozenset(i.keys[:n]))
        for i in situation.indexes
        if i.is_valid and not i.is_partial
        for n in range(1, len(i.keys) + 1)
    }
    served |= {
        (one.schema_name, one.table, frozenset(map(as_written, one.keys[:n])))
        for one in advised
        if one.where is None and one.method == "btree"
        for n in range(1, len(one.keys) + 1)
    }
    large = {(t.schema_name, t.name) for t in situation.tables if t.rows >= SMALL_TABLE_ROWS}
    return tuple(
        key
        for key in situation.foreign_keys
        if (key.schema_name, key.table_name) in large
        and (key.schema_name, key.table_name, frozenset(map(sql.identifier, key.columns))) not in served
    )
