"""A binary log that is kept for ever, and durability that is switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.engines.mysql import MysqlLook


def find(look: MysqlLook) -> Iterator[Finding]:
    """One finding each: logs that never expire; commits that a crash of the machine may lose."""
    settings = look.settings
    days, seconds = settings.get("expire_logs_days", ""), settings.get("binlog_expire_logs_seconds", "")
    if settings.get("log_bin") in {"ON", "1"} and float(days or 0) == 0 and float(seconds or 0) == 0:
        yield Finding(
            rule="binary-log-kept",
            subject=look.system,
            what="The binary log is never removed: binlog_expire_logs_seconds is 0.",
            why="It grows until the disk is full, and then every write waits.",
            instead="SET GLOBAL binlog_expire_logs_seconds = 604800, and in my.cnf; no shorter than the age of the oldest backup.",
            severity=Severity.WARNING,
        )
    if settings.get("innodb_flush_log_at_trx_commit") in {"0", "2"}:
        yield Finding(
            rule="commits-not-flushed",
            subject=look.system,
            what=f"innodb_flush_log_at_trx_commit is {settings['innodb_flush_log_at_trx_commit']}: a commit is not on the disk when it is acknowledged.",
            why="A crash of the machine loses about a second of acknowledged transactions.",
            instead="SET GLOBAL innodb_flush_log_at_trx_commit = 1, unless that loss was decided for.",
            severity=Severity.WARNING,
        )
