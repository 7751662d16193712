"""A bounded sample of a table, looked at column by column where it is read: counts and shapes leave, no value does.

It is a form of a statement of `measure` (`look: true`), so that every engine samples in the same way: read-only, bounded in time and rows.
"""

from __future__ import annotations

import datetime as dt
from itertools import islice
from typing import TYPE_CHECKING, Any

from datareeve.core.personal_data.values import look

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROWS = 1_000  # of a table that are looked at, at most


def looked(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """What the columns of a sample look like: [{column, rows, nulls, distinct, looks}], in their order."""
    taken = [list(row) for row in islice(rows, ROWS)]
    return [_column(name, [row[place] for row in taken]) for place, name in enumerate(names)]


def _column(name: str, values: list[Any]) -> dict[str, Any]:
    there = [_text(value) for value in values if value is not None]
    return {
        "column": name,
        "rows": len(values),
        "nulls": len(values) - len(there),
        "distinct": len(set(there)),
        "looks": look(there).model_dump(mode="json"),
    }


def _text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    return str(value)
