"""What tables are called that stand beside a published one. The longest name of PostgreSQL is 63 bytes: what is cut off is told by a digest."""

from __future__ import annotations

import hashlib

LONGEST = 63


def _beside(table: str, ending: str) -> str:
    name = f"{table}__{ending}"
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.sha256(table.encode()).hexdigest()[:8]
    kept = table.encode()[: LONGEST - len(ending) - 12].decode(errors="ignore")
    return f"{kept}__{digest}__{ending}"


def next_(table: str) -> str:
    """What will be published: a table, or a view of what is published with the changes."""
    return _beside(table, "next")


def incoming(table: str) -> str:
    """The rows that came, of modes that merge."""
    return _beside(table, "incoming")


def gone(table: str) -> str:
    """Published rows as they were, that the publication removes or changes."""
    return _beside(table, "gone")


def came(table: str) -> str:
    """Rows as they will be, that the publication adds or changes."""
    return _beside(table, "came")


def former(table: str) -> str:
    """The table that was published before."""
    return _beside(table, "former")


def keys(table: str) -> str:
    """All keys that the source has now, to know what was deleted."""
    return _beside(table, "keys")


def given(table: str) -> str:
    """The rows that the last publication put in: its undo takes them out."""
    return _beside(table, "given")


def taken(table: str) -> str:
    """The rows that the last publication took or changed, as they were: its undo puts them back."""
    return _beside(table, "taken")
