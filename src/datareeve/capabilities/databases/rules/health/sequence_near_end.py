"""A sequence is about to run out: the next insert fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_PERCENT = 75.0
CRITICAL_PERCENT = 90.0


def find(health: Health) -> Iterator[Finding]:
    """One finding a sequence from 75 % of what its column can hold; critical from 90 %."""
    for sequence in health.sequences:
        if sequence.used_percent >= WARNING_PERCENT:
            yield Finding(
                rule="sequence-near-end",
                subject=f"{sequence.schema_name}.{sequence.name}",
                what=f"{sequence.used_percent:g} % used{f' (it feeds {sequence.table})' if sequence.table else ''}; it ends at {sequence.highest_value:,}.",
                why="When it ends, every insert into the table fails.",
                instead="Make the key column bigint (and the sequence AS bigint) before then.",
                severity=Severity.CRITICAL if sequence.used_percent >= CRITICAL_PERCENT else Severity.WARNING,
                figures={"used_percent": sequence.used_percent, "highest_value": sequence.highest_value},
            )
