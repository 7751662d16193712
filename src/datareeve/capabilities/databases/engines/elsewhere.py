"""What an operation would need of another engine, or how the same is had there by hand: told where it is asked for and cannot be done."""

from __future__ import annotations

_BACKUP = {
    "mysql": "It would need mariabackup (or xtrabackup) and the binary log; by hand: mariadb-dump --single-transaction --routines DATABASE.",
    "sqlite": "A consistent copy while it is used, by hand: sqlite3 FILE \".backup 'copy.db'\".",
    "duckdb": "By hand, with no writer at work: EXPORT DATABASE 'folder' (FORMAT parquet), or a copy of the closed file.",
}
_RESTORE = {
    "mysql": "It would need a backup with its binary log; by hand: mariabackup --prepare and --copy-back.",
    "sqlite": "A copy made by .backup is the restored database itself.",
    "duckdb": "By hand: IMPORT DATABASE 'folder' into a new file.",
}
_SETTINGS = {
    "mysql": "It would need measured rules for innodb settings; databases.check-health tells what its counters show.",
    "sqlite": "SQLite has no server: its pragmas are set by each connection of the application.",
    "duckdb": "DuckDB has no server: memory_limit and threads are set by each connection.",
}
_POOL = {
    "mysql": "PgBouncer speaks PostgreSQL only; ProxySQL or MaxScale pool MariaDB and MySQL.",
    "sqlite": "SQLite has no server to connect to: nothing is there to pool.",
    "duckdb": "DuckDB has no server to connect to: nothing is there to pool.",
}
_ADVICE = {
    "mysql": "It would need a planner that weighs indexes that are not there; databases.review-schema finds missing and duplicate ones.",
    "sqlite": "It would need a planner that weighs indexes that are not there; databases.review-schema finds missing and duplicate ones, and sqlite3's .expert proposes some.",
    "duckdb": "DuckDB scans columns and seldom uses an index; databases.review-schema finds duplicate ones.",
}
_DDL = dict.fromkeys(
    ("mysql", "sqlite", "duckdb"),
    "Datareeve only reads here: databases.review-schema gives the statement to run.",
)
_MAINTENANCE = {
    "mysql": "By hand: ANALYZE TABLE and OPTIMIZE TABLE; databases.check-health tells which tables ask for it.",
    "sqlite": "By hand: PRAGMA optimize, ANALYZE and VACUUM; databases.check-health tells when.",
    "duckdb": "By hand: ANALYZE and CHECKPOINT; databases.check-health tells when.",
}

ELSEWHERE: dict[str, dict[str, str]] = {
    **dict.fromkeys(
        (
            "databases.back-up",
            "databases.schedule-backups",
            "databases.set-up-backups",
            "databases.prune-backups",
        ),
        _BACKUP,
    ),
    **dict.fromkeys(("databases.restore", "databases.drill-restore"), _RESTORE),
    "databases.tune-settings": _SETTINGS,
    "databases.configure-pool": _POOL,
    "databases.advise-indexes": _ADVICE,
    **dict.fromkeys(
        (
            "databases.create-index",
            "databases.drop-index",
            "databases.add-primary-key",
            "databases.add-foreign-key",
            "databases.repair-schema",
        ),
        _DDL,
    ),
    **dict.fromkeys(
        (
            "databases.vacuum-table",
            "databases.analyze-table",
            "databases.reindex",
            "databases.tune-autovacuum",
            "databases.repack-table",
        ),
        _MAINTENANCE,
    ),
}
