"""A column of SQLite that holds values of another storage class than its type: SQLite keeps what it is given, and sorts and compares it apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a column, with the exact count of rows."""
    for strange in survey.strange:
        declared = survey.table(strange.table).column(strange.column).type
        yield Finding(
            rule="mixed-types",
            subject=f"{strange.table} ({strange.column})",
            what=f"{strange.rows:,} of its values are not what {declared} says: they are kept as {' and '.join(strange.kept_as)}.",
            why="SQLite keeps any value in any column of an ordinary table; such values sort after all others, and sums and comparisons miss them.",
            instead="Mend those rows, and make the table STRICT (or add CHECK (typeof(column) = ...)) so that the next one is refused.",
            severity=Severity.WARNING,
            figures={"rows": strange.rows},
        )
