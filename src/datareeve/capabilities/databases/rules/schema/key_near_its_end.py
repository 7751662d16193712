"""A smallint or integer column whose sequence has used half of what the type can hold: at the end every insert fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey

LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1}
WARN_SHARE, CRITICAL_SHARE = 0.5, 0.8


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a column."""
    for table in survey.tables:
        for column in table.columns:
            used = (column.sequence_value or 0) / LARGEST.get(column.base_type, float("inf"))
            if used >= WARN_SHARE:
                yield Finding(
                    rule="key-near-its-end",
                    subject=f"{table.full_name} ({column.name})",
                    what=f"Its sequence has used {used:.0%} of what {column.base_type} can hold.",
                    why="When the type is used up every insert fails, and changing the type then rewrites the table while nothing can be written.",
                    instead="Add a bigint column, fill it in batches, and swap the two before that day.",
                    severity=Severity.CRITICAL if used >= CRITICAL_SHARE else Severity.WARNING,
                    figures={"used_share": round(used, 4)},
                )
