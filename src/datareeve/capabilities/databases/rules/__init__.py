"""Advice, one rule a file: condition, severity, why, what instead."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datareeve.core.operation import Finding

    SeenT = TypeVar("SeenT")

GRAVEST_FIRST = tuple(reversed(Severity))
PER_RULE = 20  # findings; more of one kind say nothing new


def noticed(rules: Iterable[Callable[[SeenT], Iterable[Finding]]], seen: SeenT) -> tuple[Finding, ...]:
    """What the rules notice in what was seen, the gravest first."""
    found = [finding for find in rules for finding in islice(find(seen), PER_RULE)]
    return tuple(sorted(found, key=lambda finding: GRAVEST_FIRST.index(finding.severity)))
