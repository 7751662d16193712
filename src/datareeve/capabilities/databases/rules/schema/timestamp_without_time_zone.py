"""timestamp without time zone: a wall clock reading that names no moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.schema.columns import of_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey
    from datareeve.core.operation import Finding


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a table with such columns."""
    return of_type(
        survey,
        {"timestamp without time zone"},
        "timestamp-without-time-zone",
        what="The type is timestamp without time zone.",
        why="The same value is another moment for a client in another zone, and an hour a year happens twice.",
        instead="timestamptz: ALTER COLUMN ... TYPE timestamptz USING col AT TIME ZONE 'UTC' (rewrites the table; name the zone the values were written in).",
    )
