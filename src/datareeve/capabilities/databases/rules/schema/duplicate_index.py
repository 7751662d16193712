"""An index whose columns another index begins with, on engines for which databases.advise-indexes does not look: it only costs writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.schema import Index, Table
    from datareeve.capabilities.databases.survey import Survey


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding an index that does nothing which another does not do."""
    if survey.kind == "postgresql":
        return
    for table in survey.tables:
        for index in table.indexes:
            other = next((o for o in table.indexes if _does_all_of(o, index)), None)
            if other is not None:
                yield _finding(survey, table, index, other)


def _finding(survey: Survey, table: Table, index: Index, other: Index) -> Finding:
    name = survey.dialect.name
    drop = (
        f"ALTER TABLE {name(table.schema_name, table.name)} DROP INDEX {name(index.name)};"
        if survey.kind == "mysql"
        else f"DROP INDEX {name(index.name)};"
    )
    return Finding(
        rule="duplicate-index",
        subject=f"{table.full_name} ({', '.join(index.columns)})",
        what=f"{index.name} ({', '.join(index.columns)}) does nothing that {other.name} ({', '.join(other.columns)}) does not do.",
        why="It takes room, and every write keeps it up to date.",
        instead=drop,
        severity=Severity.WARNING,
        figures={"index": index.name, "instead_of_it": other.name},
    )


def _does_all_of(other: Index, index: Index) -> bool:
    """Whether another index of the table serves all that this one does. Of two that are equal, the constraint's and then the first by name stays."""
    if (
        other is index
        or not (index.whole and other.whole and index.valid and other.valid)
        or index.kind != other.kind
    ):
        return False
    if index.of_constraint or other.columns[: len(index.columns)] != index.columns:
        return False
    if len(other.columns) > len(index.columns):
        return not index.unique
    return (other.unique or not index.unique) and _rank(other) < _rank(index)


def _rank(index: Index) -> tuple[bool, bool, str]:
    """Of indexes on the same columns the first by this order stays."""
    return (not index.of_constraint, not index.unique, index.name)
