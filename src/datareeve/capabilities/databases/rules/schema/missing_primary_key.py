"""A table without a primary key: with the key that its rows have, or, where no columns identify a row, a surrogate in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases import dialects
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.dialects import Dialect
    from datareeve.capabilities.databases.schema import Table
    from datareeve.capabilities.databases.survey import CandidateKey, Survey

RULE = "missing-primary-key"
WHY_ELSEWHERE = "Without one a row cannot be named: duplicates slip in, and foreign keys and replication have nothing to hold on to."
WHY = "Without one a row cannot be named: duplicates slip in, foreign keys and logical replication of updates have nothing to hold on to."


def findings(survey: Survey) -> Iterator[Finding]:
    """One finding a table without a primary key."""
    for table in survey.tables:
        if not table.primary_key and table.full_name not in survey.untested:
            yield finding(table, survey.key_of(table), survey.dialect)


def finding(table: Table, key: CandidateKey | None, dialect: Dialect = dialects.POSTGRESQL) -> Finding:
    """What is to be said of one table, given its best candidate."""
    figures = (
        {"columns": list(key.columns), "rows": key.rows, "repeated": key.repeated, "nulls": key.nulls}
        if key
        else {}
    )
    what, instead = _words(table, key, dialect)
    return Finding(
        rule=RULE,
        mended_by="databases.add-primary-key" if dialect.operations_mend else "",
        subject=table.full_name,
        what=what,
        why=WHY if dialect.operations_mend else WHY_ELSEWHERE,
        instead=instead,
        severity=dialect.keyless if key is None or key.is_key else Severity.WARNING,
        figures=figures,
    )


def _words(table: Table, key: CandidateKey | None, dialect: Dialect) -> tuple[str, str]:
    if key is None:
        surrogate = f"Give it a surrogate: {dialect.surrogate}."
        return f"{table.full_name} has no primary key, and no natural key was found.", surrogate
    statement = dialect.add_primary_key((table.schema_name, table.name), key.columns)
    columns = ", ".join(key.columns)
    if not key.is_key:
        counts = f"{key.repeated:,} rows repeat another's and {key.nulls:,} are null"
        return (
            f"{table.full_name} has no primary key; ({columns}) would be one, but {counts}.",
            f"Mend those rows, then: {statement}",
        )
    if key.sampled:
        return (
            f"{table.full_name} has no primary key; no single column is one, and in its first {key.rows:,} rows ({columns}) is unique.",
            f"databases.review-schema tests it on all rows. Decide whether a row is always meant to be known by it; if so: {statement}",
        )
    unique = f"({columns}) is unique and never null in all {key.rows:,} rows"
    if key.evidence == "values":
        decision = "Decide whether that is meant or happens to be so; where it is not meant, add a surrogate key. If it is: "
        return (
            f"{table.full_name} has no primary key; {unique}, though no name says that it should be.",
            decision + statement,
        )
    adds = "databases.add-primary-key adds it without blocking writers; in SQL: "
    return (
        f"{table.full_name} has no primary key; {unique}.",
        adds + statement if dialect.operations_mend else statement,
    )
