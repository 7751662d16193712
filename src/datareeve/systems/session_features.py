"""What an application keeps in its sessions, by the statements it is recorded with: such sessions cannot share a connection.

A file is searched as bytes, line by line, without taking statements apart: whatever it is, a trace, a server log or a file of statements,
a statement begins at a line's start, behind a key or behind the server's words. Only counts leave this module.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from datareeve.systems.postgres import Postgres

BEGINS = rb"(?:^|;|\"(?:sql|query|statement|message)\"\s*:\s*\"|statement: |execute [^:\"]{0,60}: )\s*"
# Settings that PgBouncer itself keeps apart for its clients (config.html, track_extra_parameters), and those of one transaction.
TRACKED = rb"(?!local\b|transaction\b|constraints\b|role\b|session\s+characteristics|client_encoding|datestyle|timezone|time\s+zone|standard_conforming_strings|application_name|intervalstyle|extra_float_digits)"
FEATURES = {
    "LISTEN": BEGINS + rb"listen\s+[\"\w\\]",
    "PREPARE": BEGINS + rb"prepare\s+(?!transaction\b)[\"\w\\]+\s*(?:\([^)]*\)\s*)?as\b",
    "SET": BEGINS + rb"set\s+(?:session\s+)?" + TRACKED + rb"[a-z_.]+\s*(?:=|to\b)",
    "cursor WITH HOLD": rb"\bdeclare\b.{0,200}?\bcursor\s+with\s+hold\b",
    "session advisory lock": rb"\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(",
    "temporary table": BEGINS + rb"create\s+(?:local\s+|global\s+)?temp(?:orary)?\s",
}
PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in FEATURES.items()}
HINTS = re.compile(rb"listen|prepare|set\s|with\s+hold|advisory_lock|temp", re.IGNORECASE)
INSTALLED_SQL = """
SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'
"""
STATEMENTS_SQL = """
SELECT query, calls FROM {schema}.pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND query ~* '(listen|prepare|set\\s|with\\s+hold|advisory_lock|temp)'
 LIMIT 10000
"""


def session_features(system: Postgres) -> dict[str, int]:
    """How often each feature of a session is used in the declared workload, or else in pg_stat_statements. Those never used are left out."""
    source = system.entry.workload
    if source is not None and source.path is not None and source.kind != "pg_stat_statements":
        return _in_file(system.project / source.path)
    schema = system.query(INSTALLED_SQL, shape="scalar")
    rows = system.query(STATEMENTS_SQL.format(schema=schema)) if schema else []
    return _counted([(str(row["query"]).encode(), int(row["calls"])) for row in rows])


def _in_file(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    with path.open("rb") as lines:
        return _counted((line, 1) for line in lines if HINTS.search(line))


def _counted(texts: Iterable[tuple[bytes, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text, calls in texts:
        for name, pattern in PATTERNS.items():
            if pattern.search(text):
                found[name] = found.get(name, 0) + calls
    return found
