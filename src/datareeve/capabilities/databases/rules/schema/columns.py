"""What the rules about a column's type share: one finding a column of some type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey

ANY_NAME = re.compile("")


def of_type(
    survey: Survey, types: set[str], rule: str, *, named: re.Pattern[str] = ANY_NAME, **words: str
) -> Iterator[Finding]:
    """A finding for each table that has such columns, naming them all; `words` are its what, why and instead."""
    for table in survey.tables:
        names = [c.name for c in table.columns if c.base_type in types and named.search(c.name)]
        if names:
            subject = f"{table.full_name} ({', '.join(names)})"
            yield Finding(rule=rule, subject=subject, **words, severity=Severity.INFO)
