"""Rows whose reference has no target: counted, and named by at most 20 keys. What becomes of them is the owner's decision, never ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import dialects
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.dialects import Dialect
    from datareeve.capabilities.databases.survey import Reference, Survey

RULE = "orphans"
WHY = "An inner join drops such rows in silence, and a foreign key cannot be validated while they are there."
WHY_DECLARED = "A foreign key forbids this, but it was not enforced when the rows were written (foreign_key_checks, PRAGMA foreign_keys)."


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding an inferred reference that some rows break."""
    for reference in survey.references:
        if reference.orphan_rows:
            yield finding(reference, survey.dialect)


def finding(reference: Reference, dialect: Dialect = dialects.POSTGRESQL) -> Finding:
    """What is to be said of a reference with orphans."""
    return Finding(
        rule=RULE,
        subject=reference.start,
        what=f"{reference.orphan_rows:,} of {reference.rows:,} rows refer to {reference.orphan_values:,} keys that {reference.target} does not have.",
        why=WHY_DECLARED if reference.evidence == "declared" else WHY,
        instead=_instead(reference, dialect),
        severity=Severity.WARNING,
        figures={
            "orphan_rows": reference.orphan_rows,
            "orphan_keys_count": reference.orphan_values,
            **({"orphan_keys": list(reference.orphan_keys)} if dialect.operations_mend else {}),
            "references": reference.end,
        },
    )


def _instead(reference: Reference, dialect: Dialect) -> str:
    ways = f"Add the missing rows to {reference.target}, or set the column to null"
    if dialect.operations_mend:
        return f"{ways}, or enforce it for new rows only: {reference.statement} NOT VALID;"
    if reference.evidence == "declared":
        return f"{ways}; and let every connection enforce foreign keys."
    return f"{ways}; then: {reference.statement_in(dialect)};"
