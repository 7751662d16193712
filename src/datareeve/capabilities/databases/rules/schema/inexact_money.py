"""An amount of money kept as a floating point number: sums of it do not come out even."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.schema.columns import of_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.survey import Survey
    from datareeve.core.operation import Finding


AMOUNT = re.compile(r"(^|_)(price|amount|fare|fee|cost|total|balance|salary|revenue|tax|discount)(_|$)")


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a table with such columns, known by their names."""
    return of_type(
        survey,
        {"real", "double precision"},
        "inexact-money",
        named=AMOUNT,
        what="An amount of money, by its name, is a floating point number.",
        why="Most decimal fractions have no exact binary form: 0.1 + 0.2 is not 0.3, and totals drift.",
        instead=f"{survey.dialect.exact_type}, after a look at what the application writes.",
    )
