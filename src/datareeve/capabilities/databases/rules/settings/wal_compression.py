"""`wal_compression`: full page images compressed in the WAL."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation


def advise(now: Situation) -> Advice | None:
    """lz4 where the server has it (15 and newer), else its built-in method."""
    methods = now.settings["wal_compression"].enumvals or ("on",)
    method = next(method for method in ("lz4", "pglz", "on") if method in methods)
    return Advice(
        value=method,
        why="Page images after a checkpoint are most of the WAL; compressed, there is less to write, archive and send.",
    )


RULE = Rule(
    "wal_compression",
    source="PostgreSQL manual, 19.5.1 WAL Settings: reduces WAL volume at the cost of some CPU",
    advise=advise,
)
