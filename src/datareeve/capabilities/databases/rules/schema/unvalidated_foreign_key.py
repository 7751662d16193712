"""A foreign key that was added NOT VALID and never validated: it holds for new rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a constraint."""
    for table in survey.tables:
        for key in table.foreign_keys:
            if not key.validated:
                yield Finding(
                    rule="unvalidated-foreign-key",
                    subject=f"{table.full_name} ({', '.join(key.columns or ())})",
                    what=f"Foreign key {key.name} is NOT VALID: rows from before it may refer to nothing.",
                    why="The planner does not rely on it, and a restored dump may fail on it.",
                    instead=f"Mend the orphans, then: ALTER TABLE {table.quoted} VALIDATE CONSTRAINT {sql.identifier(key.name)};",
                    severity=Severity.WARNING,
                )
