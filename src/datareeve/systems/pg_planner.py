"""The settings of a database that decide which plan is taken, brought to a copy of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from datareeve.systems import pg_server

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

# Read in a session of its own: reading sessions of ours switch `jit` off, and a database or a role may have settings of its own.
SETTINGS_SQL = """
SELECT name, current_setting(name) AS value
  FROM pg_settings
 WHERE category LIKE 'Query Tuning%'
    OR name IN ('work_mem', 'hash_mem_multiplier', 'temp_buffers', 'effective_io_concurrency', 'max_parallel_workers_per_gather', 'max_parallel_workers',
                'max_worker_processes', 'parallel_leader_participation', 'DateStyle', 'IntervalStyle', 'TimeZone', 'search_path',
                'standard_conforming_strings', 'transform_null_equals', 'quote_all_identifiers', 'default_transaction_isolation')
"""
LEAST_WORKERS = 8


def settings(connection: psycopg.Connection[Any], binaries: Path) -> dict[str, str]:
    """What a server of these binaries needs to plan as the connected one does.

    Features of the planner that the original does not have yet are switched off.
    """
    theirs = {row["name"]: str(row["value"]) for row in connection.execute(SETTINGS_SQL)}
    here = known(binaries)
    wanted = {name: value for name, value in theirs.items() if name in here}
    wanted |= dict.fromkeys((n for n in here if n.startswith("enable_") and n not in theirs), "off")
    # A copy needs no fewer workers than the original may use at once; the planner itself does not ask.
    wanted["max_worker_processes"] = str(max(int(theirs.get("max_worker_processes", 8)), LEAST_WORKERS))
    return {name: value.replace("'", "''") for name, value in wanted.items()}


def known(binaries: Path) -> set[str]:
    """The settings that a server of these binaries has."""
    told = subprocess.run(  # noqa: S603
        [str(pg_server.reachable_binaries(binaries) / "postgres"), "--describe-config"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout
    return {line.partition("\t")[0] for line in told.splitlines()}
