"""Columns that are likely personal by their names, where nobody has said whether they are: until somebody does, their values are counted and never told."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from datareeve.capabilities.quality.catalog import CatalogTable


def likely_personal(table: CatalogTable) -> frozenset[str]:
    """The columns whose names, types and neighbours are those of personal data."""
    columns = tuple((one.name, one.type, one.family, one.comment) for one in table.columns)
    return _likely(table.place[-1], columns)


@lru_cache(maxsize=256)
def _likely(table: str, columns: tuple[tuple[str, str, Any, str], ...]) -> frozenset[str]:
    from datareeve.capabilities.quality.classify.column import ColumnEvidence  # noqa: PLC0415 - its words are slow to load
    from datareeve.capabilities.quality.classify.deciding import decide  # noqa: PLC0415

    given = [
        ColumnEvidence(name=name, type=type_, family=family, comment=comment, table=table)
        for name, type_, family, comment in columns
    ]
    return frozenset(one.column for one in decide(given) if one.category)


def look_personal(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a value of some rows is personal data by its shape and check digits, whatever its column is called."""
    from datareeve.core.personal_data import text  # noqa: PLC0415 - as above

    values = (value for row in rows for value in row.values() if isinstance(value, str))
    return any(next(iter(text.find(value)), None) is not None for value in values)
