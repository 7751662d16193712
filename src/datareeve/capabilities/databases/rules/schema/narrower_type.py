"""A text column that holds only numbers, moments or booleans, or a number with a fraction that holds only whole numbers.

Said of the first rows only, and of at least 20 values: advice to look, not proof. Codes with leading zeros are not numbers, and a column
that refers to another or is referred to is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.dialects import Dialect
    from datareeve.capabilities.databases.survey import ColumnSample, Survey

ENOUGH_VALUES = 20


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a column."""
    keys = {(r.table, c) for r in survey.references for c in r.columns}
    keys |= {(r.target, k) for r in survey.references for k in r.keys}
    for sample in survey.samples:
        if sample.values < ENOUGH_VALUES or (sample.table, sample.column) in keys:
            continue
        declared = survey.table(sample.table).column(sample.column).base_type
        is_text = declared in {"text", "character varying", "character"}
        narrower = _narrower(sample, survey.dialect, is_text=is_text)
        if narrower:
            yield Finding(
                rule="narrower-type",
                subject=f"{sample.table} ({sample.column})",
                what=f"The type is {survey.type_of(sample)}; all {sample.values:,} values sampled are {narrower[0]}.",
                why="The type keeps nothing else out, takes more room, and sorts and compares otherwise than the values mean.",
                instead=f"{narrower[1]}, after a look at every row and at the application that writes it.",
                severity=Severity.INFO,
                figures={"values_sampled": sample.values},
            )


def _narrower(sample: ColumnSample, dialect: Dialect, *, is_text: bool) -> tuple[str, str] | None:
    if sample.whole == sample.values:
        return "whole numbers", dialect.whole_type
    if is_text and sample.moments == sample.values:
        return "dates or timestamps", dialect.moment_type
    if is_text and sample.booleans == sample.values:
        return "booleans", "boolean"
    return None
