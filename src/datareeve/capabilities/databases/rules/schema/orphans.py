"""Rows whose reference has no target: counted, and named by at most 20 keys. What becomes of them is the owner's decision, never ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Reference, Survey

RULE = "orphans"


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding an inferred reference that some rows break."""
    for reference in survey.references:
        if reference.orphan_rows:
            yield finding(reference)


def finding(reference: Reference) -> Finding:
    """What is to be said of a reference with orphans."""
    return Finding(
        rule=RULE,
        subject=reference.start,
        what=f"{reference.orphan_rows:,} of {reference.rows:,} rows refer to {reference.orphan_values:,} keys that {reference.target} does not have.",
        why="An inner join drops such rows in silence, and a foreign key cannot be validated while they are there.",
        instead=f"Add the missing rows to {reference.target}, or set the column to null, or enforce it for new rows only: "
        f"{reference.statement} NOT VALID;",
        severity=Severity.WARNING,
        figures={
            "orphan_rows": reference.orphan_rows,
            "orphan_keys_count": reference.orphan_values,
            "orphan_keys": list(reference.orphan_keys),
            "references": reference.end,
        },
    )
