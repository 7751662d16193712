"""A column all of whose values are another table's keys, without a foreign key that keeps it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import dialects
from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.dialects import Dialect
    from datareeve.capabilities.databases.survey import Reference, Survey

RULE = "missing-foreign-key"


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding an inferred reference without orphans."""
    for reference in survey.references:
        if not reference.orphan_rows:
            yield finding(reference, survey.dialect)


def finding(reference: Reference, dialect: Dialect = dialects.POSTGRESQL) -> Finding:
    """What is to be said of a reference that all rows keep."""
    seen = (
        "by name, and the table is empty"
        if reference.rows == 0
        else f"all {reference.values:,} values of {reference.rows:,} rows are there"
    )
    return Finding(
        rule=RULE,
        mended_by="databases.add-foreign-key" if dialect.operations_mend else "",
        subject=reference.start,
        what=f"It refers to {' or '.join((reference.end, *reference.rivals))}: {seen}; no foreign key keeps it so.",
        why="The next faulty write leaves a row that refers to nothing, and the planner cannot rely on the relation.",
        instead=("Decide which one is meant; " if reference.rivals else "")
        + (
            "databases.add-foreign-key adds it without a long lock; in SQL: "
            if dialect.operations_mend
            else ""
        )
        + f"{reference.statement_in(dialect)};",
        severity=dialect.unreferenced,
        figures={
            "values": reference.values,
            "rows": reference.rows,
            "references": reference.end,
            "evidence": reference.evidence,
        },
    )
