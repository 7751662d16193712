"""money: its meaning hangs on the server's lc_monetary."""

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
        {"money"},
        "money-type",
        what="The type is money.",
        why="It stores no currency, rounds to the locale's smallest unit, and reads differently on a server with another lc_monetary.",
        instead="numeric(12, 2), and the currency in a column of its own.",
    )
