"""char(n): padded with spaces that count in storage and not in comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.schema.columns import of_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey
    from datareeve.core.operation import Finding


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a table with such columns."""
    return of_type(
        survey,
        {"character"},
        "padded-char",
        what="The type is char(n).",
        why="Values are padded to n with spaces that LIKE and regular expressions see and = does not; it is never faster than text.",
        instead="text, with CHECK (length(col) <= n) where the length matters.",
    )
