"""The day on which the disk is full is near."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

WARNING_DAYS = 30.0
CRITICAL_DAYS = 7.0


def find(health: Health) -> Iterator[Finding]:
    """One finding when the line through the samples ends within a month; critical within a week, where the samples bear it."""
    coming = health.disk_full
    if coming is not None and coming.days <= WARNING_DAYS:
        until = f"{coming.earliest} to {coming.latest}" if coming.latest else f"{coming.earliest} or later"
        low = (
            f"Low confidence, after {coming.observed_days:g} days of samples; "
            if coming.confidence == "low"
            else ""
        )
        sure = coming.days <= CRITICAL_DAYS and coming.confidence == "good"
        yield Finding(
            rule="disk-full",
            subject=health.system,
            what=f"The disk of its data directory is full on {coming.date} if it goes on like this ({low}nine times of ten: {until}).",
            why=f"It loses {coming.bytes_per_day / 2**30:,.1f} GiB a day. A full disk stops every write.",
            instead="Add space before then; the health page shows which tables grow. Look for stale slots and failed archiving too.",
            severity=Severity.CRITICAL if sure else Severity.WARNING,
            figures={
                "days": coming.days,
                "days_earliest": coming.days_earliest,
                "bytes_per_day": coming.bytes_per_day,
            },
        )
