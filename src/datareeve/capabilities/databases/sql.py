"""Named SQL of this capability: `load('tables')` is the text of `queries/tables.sql`, whose first comment says what it gives."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# How long a concurrent build may wait: it blocks no reader or writer meanwhile, and giving up would leave an invalid index behind.
PATIENT = {"lock_timeout_ms": 600_000, "attempts": 3}


@cache
def load(name: str) -> str:
    """The text of a named query."""
    return (
        files("datareeve.capabilities.databases.queries").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    )


def identifier(*parts: str) -> str:
    """A quoted SQL identifier: `identifier('public', 'my table')` is `"public"."my table"`; plain lower-case names stay bare."""
    return ".".join(part if _bare(part) else '"' + part.replace('"', '""') + '"' for part in parts)


def _bare(name: str) -> bool:
    return name.isascii() and name.isidentifier() and name == name.lower() and name not in RESERVED


# PostgreSQL's reserved words (SQL Key Words, appendix C, "reserved" in the PostgreSQL column), which a bare identifier cannot be.
RESERVED = frozenset(
    "all analyse analyze and any array as asc asymmetric authorization between binary both case cast check collate collation column concurrently "
    "constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user default "
    "deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner "
    "intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order "
    "outer overlaps placing primary references returning right select session_user similar some symmetric system_user table tablesample then to trailing "
    "true union unique user using variadic verbose when where window with".split()
)
