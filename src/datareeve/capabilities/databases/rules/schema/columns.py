"""What the rules about a column's type share: one finding a column of some type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey


def of_type(survey: Survey, type_name: str, rule: str, **words: str) -> Iterator[Finding]:
    """A finding for each table that has columns of a type, naming them all; `words` are its what, why and instead."""
    for table in survey.tables:
        names = [c.name for c in table.columns if c.base_type == type_name]
        if names:
            yield Finding(
                rule=rule,
                subject=f"{table.full_name} ({', '.join(names)})",
                **words,
                severity=Severity.INFO,
            )
