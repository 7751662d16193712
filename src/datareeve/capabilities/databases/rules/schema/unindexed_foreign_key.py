"""A foreign key whose columns no index begins with: each delete or key update on the other side reads the whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.schema import Table
    from datareeve.capabilities.databases.survey import Survey


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a foreign key without a usable index."""
    for table in survey.tables:
        for key in table.foreign_keys:
            columns = key.columns or ()
            if not is_indexed(table, columns):
                yield Finding(
                    rule="unindexed-foreign-key",
                    mended_by="databases.create-index" if survey.dialect.operations_mend else "",
                    subject=f"{table.full_name} ({', '.join(columns)})",
                    what=f"No index begins with the columns of foreign key {key.name}.",
                    why=f"Deleting or renumbering a row of {key.references_table} reads all of {table.name}, and joins from there cannot use an index.",
                    instead=survey.dialect.create_index((table.schema_name, table.name), columns),
                    severity=Severity.WARNING if table.bytes > SMALL_BYTES else Severity.INFO,
                    figures={"table_bytes": table.bytes},
                )


SMALL_BYTES = 1024**2  # a table this small is read whole in a millisecond


def is_indexed(table: Table, columns: tuple[str, ...]) -> bool:
    """Whether a valid index without a predicate begins with these columns, in any order."""
    return any(i.valid and i.whole and set(i.columns[: len(columns)]) == set(columns) for i in table.indexes)
