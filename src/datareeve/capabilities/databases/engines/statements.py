"""Advice on statements in the words of other engines: what the advisor and arrays of PostgreSQL would do, done with what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datareeve.core.operation import Finding

INSTEAD = (
    (
        ", and let databases.advise-indexes try indexes",
        "; databases.review-schema tells of missing and duplicate indexes",
    ),
    ("WHERE key = ANY($1)", "WHERE key IN (...)"),
)


def said_elsewhere(finding: Finding) -> Finding:
    """The same finding, its advice without what only PostgreSQL has."""
    advice = finding.instead
    for ours, theirs in INSTEAD:
        advice = advice.replace(ours, theirs)
    return finding.model_copy(update={"instead": advice})
