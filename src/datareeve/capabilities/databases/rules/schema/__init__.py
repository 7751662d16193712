"""Advice on a schema: one rule a file, each a function from what was surveyed to findings.

A rule's file says its condition, how severe it is, why it matters and what to do instead. Nothing here reads a system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.rules.schema import (
    duplicate_index,
    inexact_money,
    key_near_its_end,
    missing_foreign_key,
    missing_primary_key,
    mixed_types,
    money_type,
    narrower_type,
    orphans,
    padded_char,
    timestamp_without_time_zone,
    unindexed_foreign_key,
    untested,
    unvalidated_foreign_key,
)
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.capabilities.databases.survey import Survey
    from datareeve.core.operation import Finding

RULES: tuple[Callable[[Survey], Iterator[Finding]], ...] = (
    key_near_its_end.findings,
    missing_primary_key.findings,
    orphans.findings,
    missing_foreign_key.findings,
    unvalidated_foreign_key.findings,
    unindexed_foreign_key.findings,
    duplicate_index.findings,
    mixed_types.findings,
    money_type.findings,
    inexact_money.findings,
    timestamp_without_time_zone.findings,
    padded_char.findings,
    narrower_type.findings,
    untested.findings,
)

SEVEREST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def review(survey: Survey) -> tuple[Finding, ...]:
    """What every rule says of a schema, the severest first."""
    found = [finding for rule in RULES for finding in rule(survey)]
    return tuple(sorted(found, key=lambda finding: SEVEREST_FIRST.index(finding.severity)))
