"""A setting with which data is lost or the server chokes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.databases.health import SAFE
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health

HARM = {  # setting: what happens (manual, Write Ahead Log; Automatic Vacuuming; Developer Options), and whether it is data that is lost
    "fsync": ("After a power cut or a crash of the machine the database may be beyond repair.", True),
    "full_page_writes": ("A page that was half written in a crash of the machine stays half written.", True),
    "zero_damaged_pages": ("Damaged pages are wiped instead of told, with every row in them.", True),
    "ignore_checksum_failure": ("Damage that checksums found is passed on, into backups too.", True),
    "autovacuum": ("Dead rows pile up, statistics grow old, and transaction ids run out.", False),
    "track_counts": ("Autovacuum does nothing without these counts, as if it were off.", False),
}


def find(health: Health) -> Iterator[Finding]:
    """One finding a setting that is not what keeps data safe."""
    for name, value in health.settings.items():
        if value != SAFE[name]:
            why, loses = HARM[name]
            yield Finding(
                rule="unsafe-setting",
                subject=f"{health.system}: {name}",
                what=f"{name} is {value}.",
                why=why,
                instead=f"ALTER SYSTEM SET {name} = {SAFE[name]}, then reload. Only a server whose data can be thrown away goes without.",
                severity=Severity.CRITICAL if loses else Severity.WARNING,
            )
