"""One look at a MariaDB or MySQL server: its counters, open transactions and who waits for whom, replication, and its tables' state.

Sources: the server's status variables (https://mariadb.com/kb/en/server-status-variables/), information_schema and, where it is on,
performance_schema. No statement's text is read: the text that InnoDB shows of a transaction holds values.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.engines import Look, rates
from datareeve.capabilities.databases.engines.mysql_schema import ROW_LIMITS, schema
from datareeve.capabilities.databases.health import Limits
from datareeve.capabilities.databases.health_trend import percent, spell
from datareeve.capabilities.databases.rules.mysql import findings
from datareeve.core.errors import DatareeveError, Failed, Refused, Unreachable
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader, Systems

__all__ = ("MysqlLook", "findings", "look", "schema")

STATUS = {  # status variable: figure
    "Uptime": "uptime_seconds", "Threads_connected": "connections_used", "Threads_running": "threads_running",
    "Max_used_connections": "connections_used_most", "Questions": "queries_total", "Slow_queries": "slow_queries_total",
    "Connections": "connects_total", "Aborted_connects": "aborted_connects_total",
    "Connection_errors_max_connections": "connects_refused_total", "Created_tmp_tables": "temp_tables_total",
    "Created_tmp_disk_tables": "temp_tables_disk_total", "Opened_tables": "tables_opened_total", "Open_tables": "tables_open",
    "Innodb_buffer_pool_read_requests": "pages_asked_total", "Innodb_buffer_pool_reads": "pages_read_total",
    "Innodb_buffer_pool_pages_total": "pool_pages", "Innodb_buffer_pool_pages_free": "pool_pages_free",
    "Innodb_buffer_pool_pages_dirty": "pool_pages_dirty", "Innodb_buffer_pool_wait_free": "pool_waits_total",
    "Innodb_log_waits": "log_waits_total", "Innodb_row_lock_waits": "lock_waits_total", "Innodb_deadlocks": "deadlocks_total",
    "Innodb_history_list_length": "history_length", "Innodb_checkpoint_age": "checkpoint_age_bytes",
    "Innodb_checkpoint_max_age": "checkpoint_age_bytes_max",
}  # fmt: skip
METRICS = {  # where MySQL shows the same
    "trx_rseg_history_len": "history_length", "lock_deadlocks": "deadlocks_total",
    "log_lsn_checkpoint_age": "checkpoint_age_bytes", "log_max_modified_age_async": "checkpoint_age_bytes_max",
}  # fmt: skip
SETTINGS = {"max_connections": "connections_usable", "table_open_cache": "tables_open_most"}
RATES = {
    "queries_total": "queries_per_second", "slow_queries_total": "slow_queries_per_second",
    "tables_opened_total": "tables_opened_per_second", "temp_tables_disk_total": "temp_tables_disk_per_second",
    "pool_waits_total": "pool_waits_per_second", "log_waits_total": "log_waits_per_second",
}  # fmt: skip


class Transaction(Value):
    """An open transaction. `blocked_by` are the sessions it waits for; 0 stands for one that is not known."""

    thread: int
    seconds: float
    idle: bool = False
    state_seconds: float = 0.0
    rows_changed: int = 0
    blocked_by: tuple[int, ...] = ()
    blocked_seconds: float = 0.0


class Replica(Value):
    """What this server replicates. `error`: the number of the last error, 0 for none; its text is not read, it may hold values."""

    channel: str
    receives: bool
    applies: bool
    behind_seconds: float | None
    error: int = 0


class Numbered(Value):
    """An AUTO_INCREMENT column and how much of its type is used."""

    column: str  # 'shop.orders (id)'
    type: str
    used_percent: float


class TableState(Value):
    """A table as the server describes it."""

    name: str
    engine: str
    bytes: int
    free_bytes: int


class MysqlLook(Look):
    """What one look at a MariaDB or MySQL server saw."""

    limits: Limits = Limits()
    fresh: bool = False  # whether counters are since an earlier look, and not since the start
    window_seconds: float = 0.0
    grown: dict[str, float] = Field(default_factory=dict)  # the counters, over that window
    settings: dict[str, str] = Field(default_factory=dict)
    transactions: tuple[Transaction, ...] = ()
    replicas: tuple[Replica, ...] = ()
    numbered: tuple[Numbered, ...] = ()
    tables: tuple[TableState, ...] = ()
    keyless: tuple[str, ...] = ()
    old_text: tuple[str, ...] = ()
    unused_indexes: tuple[tuple[str, str], ...] = ()  # table, index


def look(systems: Systems, system: str, limits: Limits) -> MysqlLook:
    """Everything check-health knows of such a server, in about twelve reads. One that cannot be reached gives `down`."""
    reader = systems[system]
    try:
        return _Look(systems, reader, reader.read("server"), limits).made()
    except Unreachable as error:
        return MysqlLook(system=system, kind="mysql", down=f"{error.code}: {error.what}", figures={"up": 0.0})


class _Look:
    """A look while it is made: what an account may not see is noted, and the rest is looked at."""

    def __init__(self, systems: Systems, reader: Reader, server: dict[str, Any], limits: Limits) -> None:
        self.systems, self.reader, self.server, self.limits = systems, reader, server, limits
        self.not_told: list[str] = []
        declared = systems["estate"].read("get", where=["systems", reader.name, "schemas"]) or []
        self.schemas = list(declared) or [server["database"]]

    def made(self) -> MysqlLook:
        settings = self._pairs("SHOW GLOBAL VARIABLES")
        figures = self._figures(settings)
        totals = {name: value for name, value in figures.items() if name.endswith("_total")}
        grown, seconds, fresh = rates.since_last(
            self.systems, self.reader.name, totals, figures["uptime_seconds"]
        )
        figures |= _rates(grown, seconds)
        tables = self._tables()
        transactions = self._transactions()
        figures |= {
            "transaction_seconds_longest": max((t.seconds for t in transactions), default=0.0),
            "sessions_blocked": float(sum(1 for t in transactions if t.blocked_by)),
            "database_bytes": float(sum(table.bytes for table in tables)),
        }
        since = f"over the last {spell(seconds)}" if fresh else f"since it started {spell(seconds)} ago"
        return MysqlLook(
            system=self.reader.name,
            kind="mysql",
            figures=figures,
            said=f"{figures['queries_per_second']:g} queries/s {since}",
            limits=self.limits,
            fresh=fresh,
            window_seconds=seconds,
            grown=grown,
            settings={name: settings.get(name, "") for name in KEPT_SETTINGS},
            transactions=transactions,
            replicas=self._replicas(),
            numbered=tuple(_numbered(row) for row in self._of_schemas("mysql_numbered")),
            tables=tables,
            keyless=tuple(_name(row) for row in self._of_schemas("mysql_keyless")),
            old_text=tuple(_name(row) for row in self._of_schemas("mysql_old_text")),
            unused_indexes=self._unused_indexes(),
            not_told=tuple(self.not_told),
        )

    def _figures(self, settings: dict[str, str]) -> dict[str, float]:
        status = self._pairs("SHOW GLOBAL STATUS")
        figures = {
            figure: float(status[name]) for name, figure in STATUS.items() if status.get(name, "").isdigit()
        }
        if self.server["engine"] == "MySQL":
            rows = self._ask("InnoDB's metrics", sql.load("mysql_metrics"))
            figures |= {METRICS[row["name"]]: float(row["value"]) for row in rows}
        figures |= {figure: float(settings[name]) for name, figure in SETTINGS.items() if name in settings}
        figures["up"] = 1.0
        figures["connections_used_percent"] = percent(
            figures["connections_used"], figures["connections_usable"]
        )
        pages = figures.get("pool_pages", 0.0)
        figures["pool_dirty_percent"] = percent(figures.get("pool_pages_dirty", 0.0), pages)
        figures["pool_free_percent"] = percent(figures.get("pool_pages_free", 0.0), pages)
        if figures.get("checkpoint_age_bytes_max"):
            figures["checkpoint_age_percent"] = percent(
                figures["checkpoint_age_bytes"], figures["checkpoint_age_bytes_max"]
            )
        return figures | self._disk()

    def _disk(self) -> dict[str, float]:
        """Use of the data directory's disk, where that directory is on this machine."""
        if not self.server["here"]:
            return {}
        with suppress(DatareeveError):
            disk = self.systems["host"].read("disk", path=self.server["data_directory"])
            return {
                "disk_used_percent": percent(disk["used_bytes"], disk["total_bytes"]),
                "disk_free_bytes": float(disk["free_bytes"]),
            }
        return {}

    def _transactions(self) -> tuple[Transaction, ...]:
        rows = self._ask(
            "open transactions and locks (the account needs PROCESS)", sql.load("mysql_transactions")
        )
        which = "mysql_waits_mariadb" if self.server["engine"] == "MariaDB" else "mysql_waits"
        waits = (
            self._ask("who waits for whom", sql.load(which))
            if any(r["blocked_seconds"] is not None for r in rows)
            else []
        )
        threads = {str(row["id"]): row["thread"] for row in rows}
        blockers: dict[str, set[int]] = {}
        for wait in waits:
            blockers.setdefault(str(wait["waiting"]), set()).add(threads.get(str(wait["holding"]), 0))
        for_tables = self._ask("waits for table definitions", sql.load("mysql_metadata_waits"))
        return (
            *(_transaction(row, blockers.get(str(row["id"]), set())) for row in rows),
            *(
                Transaction(
                    thread=w["thread"], seconds=w["seconds"], blocked_by=(0,), blocked_seconds=w["seconds"]
                )
                for w in for_tables
            ),
        )

    def _replicas(self) -> tuple[Replica, ...]:
        mariadb = self.server["engine"] == "MariaDB"
        rows = self._ask("replication", "SHOW ALL SLAVES STATUS" if mariadb else "SHOW REPLICA STATUS")
        return tuple(
            _replica({key.lower().replace("replica_", "slave_"): value for key, value in row.items()})
            for row in rows
        )

    def _tables(self) -> tuple[TableState, ...]:
        return tuple(
            TableState(
                name=_name(row),
                engine=str(row["engine"] or ""),
                bytes=row["bytes"],
                free_bytes=row["free_bytes"],
            )
            for row in self._of_schemas("mysql_tables")
            if row["type"] != "VIEW"
        )

    def _unused_indexes(self) -> tuple[tuple[str, str], ...]:
        if not self.server["statistics"]:
            self.not_told.append("use of indexes (performance_schema is off)")
            return ()
        rows = self._of_schemas("mysql_unused_indexes")
        return tuple((f"{row['schema']}.{row['table']}", row["name"]) for row in rows)

    def _pairs(self, show: str) -> dict[str, str]:
        rows = self.reader.read("query", sql=show)
        return {row["Variable_name"]: str(row["Value"]) for row in rows}

    def _of_schemas(self, name: str) -> list[dict[str, Any]]:
        return self._ask(
            name.removeprefix("mysql_").replace("_", " "), sql.load(name), {"schemas": self.schemas}
        )

    def _ask(self, about: str, text: str, parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = self.reader.read("query", sql=text, parameters=parameters)
        except (Failed, Refused) as error:
            if isinstance(error, Unreachable):
                raise
            self.not_told.append(f"{about} ({error.code})")
            return []
        return rows


KEPT_SETTINGS = (
    "log_bin", "expire_logs_days", "binlog_expire_logs_seconds", "sync_binlog", "innodb_flush_log_at_trx_commit",
    "innodb_file_per_table", "innodb_buffer_pool_size",
)  # fmt: skip


def _rates(grown: dict[str, float], seconds: float) -> dict[str, float]:
    figures = {rate: round(grown[total] / seconds, 3) for total, rate in RATES.items() if total in grown}
    if grown.get("pages_asked_total"):
        figures["pool_hit_percent"] = round(
            100 - percent(grown["pages_read_total"], grown["pages_asked_total"]), 2
        )
    return figures


def _name(row: dict[str, Any]) -> str:
    return f"{row['schema']}.{row['name']}"


def _transaction(row: dict[str, Any], blockers: set[int]) -> Transaction:
    waits = row["blocked_seconds"] is not None
    return Transaction(
        thread=row["thread"],
        seconds=row["seconds"] or 0,
        idle=bool(row["idle"]),
        state_seconds=row["state_seconds"] or 0,
        rows_changed=row["rows_changed"] or 0,
        blocked_by=tuple(sorted(blockers)) or (0,) if waits else (),
        blocked_seconds=row["blocked_seconds"] or 0,
    )


def _replica(row: dict[str, Any]) -> Replica:
    behind = row.get("seconds_behind_master", row.get("seconds_behind_source"))
    return Replica(
        channel=str(row.get("connection_name") or row.get("channel_name") or "default"),
        receives=row.get("slave_io_running") == "Yes",
        applies=row.get("slave_sql_running") == "Yes",
        behind_seconds=None if behind is None else float(behind),
        error=int(row.get("last_errno") or row.get("last_sql_errno") or row.get("last_io_errno") or 0),
    )


def _numbered(row: dict[str, Any]) -> Numbered:
    limit = ROW_LIMITS.get(str(row["base"]).lower(), 2**63) * (2 if "unsigned" in str(row["type"]) else 1)
    return Numbered(
        column=f"{row['schema']}.{row['name']} ({row['column']})",
        type=row["type"],
        used_percent=percent(row["next_number"] - 1, limit - 1),
    )
