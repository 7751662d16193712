"""How autovacuum should treat a table, from its size and what is written in it. Pure arithmetic, told with its numbers.

Autovacuum comes when dead rows exceed threshold + scale_factor x rows (PostgreSQL manual, 24.1.6). With the default of a fifth, a table
of a hundred million rows waits for twenty million dead ones: scans read them all that time, and the vacuum that comes is a long one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE_ROWS = 100_000  # a fifth of a smaller table is vacuumed in a moment
SHARE, SHARE_INSERTED, SHARE_CHANGED = (
    0.02,
    0.05,
    0.01,
)  # of the rows, that may be dead, new, or changed since ANALYZE
MOST_ROWS = 1_000_000  # whatever the size: more make a vacuum long and its index passes many
FEWEST_ROWS = 5_000
SHORTEST_PAUSE_HOURS = 0.25  # between two vacuums of a table: a busier one would be vacuumed without end
EASIER_BY = 2.0  # times sooner than now, or it is not worth a setting of its own
BUSY_SHARE = 0.5  # of the time between two vacuums, that one may take
COST_LIMITS = (400, 1000, 2000, 5000, 10_000)
APPEND_ONLY = 0.01  # updates and deletes for each insert
MOVED_SHARE = 0.2  # of the updates, that found no room on their row's page
FILLFACTOR = 90
MEASURED_HOURS = 1.0  # of counting, before rates are believed
MANY_UPDATES = 10_000


class Churn(Value):
    """A table and what is written in it, counted since the server began to."""

    schema_name: str
    name: str
    rows: int = 0
    pages: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    hot_updated: int = 0
    moved_updated: int | None = None  # from version 16 on: the new row went to another page
    live_rows: int = 0
    dead_rows: int = 0
    xid_age: int = 0
    options: dict[str, str] = Field(default_factory=dict)
    is_owner: bool = True

    @property
    def shown(self) -> str:
        """Schema and name."""
        return f"{self.schema_name}.{self.name}"

    @property
    def size(self) -> int:
        """Rows, by whichever count is larger."""
        return max(self.rows, self.live_rows)


class Server(Value):
    """The server's own settings, and for how many hours it has counted."""

    counted_hours: float = 0.0
    is_on: bool = True
    vacuum_threshold: int = 50
    vacuum_scale_factor: float = 0.2
    insert_threshold: int = 1000
    insert_scale_factor: float = 0.2
    analyze_threshold: int = 50
    analyze_scale_factor: float = 0.1
    max_threshold: int | None = None  # from version 18 on
    cost_limit: int = 200
    cost_delay_ms: float = 2.0
    page_miss: int = 2
    page_dirty: int = 20


class Setting(Value):
    """One storage parameter that a table should have, and the arithmetic that says so."""

    name: str
    value: str
    why: str


def advice(table: Churn, server: Server) -> tuple[Setting, ...]:
    """The storage parameters that a table should have and has not; empty where the server's own do."""
    if table.size < LARGE_ROWS:
        return ()
    found = [*_vacuum(table, server), *_inserts(table, server), *_analyze(table, server), *_room(table)]
    found += _pace(table, server, found)
    return tuple(one for one in found if table.options.get(one.name) != one.value)


class Kind(NamedTuple):
    """One of the three things that autovacuum waits for."""

    infix: str  # in the names of the storage parameters
    own: str  # in the names of `Server`
    share: float
    what: str


DEAD = Kind("vacuum", "vacuum", SHARE, "dead rows")
NEW = Kind("vacuum_insert", "insert", SHARE_INSERTED, "new rows")
CHANGED = Kind("analyze", "analyze", SHARE_CHANGED, "changed rows")


def _trigger(table: Churn, server: Server, kind: Kind) -> float | None:
    """How many rows autovacuum waits for now, by the table's own parameters or the server's; None where it was told never to come."""
    threshold = float(table.options.get(f"autovacuum_{kind.infix}_threshold", getattr(server, f"{kind.own}_threshold")))  # fmt: skip
    scale = float(table.options.get(f"autovacuum_{kind.infix}_scale_factor", getattr(server, f"{kind.own}_scale_factor")))  # fmt: skip
    if threshold < 0:
        return None
    most = float(table.options.get("autovacuum_vacuum_max_threshold", server.max_threshold or -1))
    due = threshold + scale * table.size
    return min(due, most) if kind is DEAD and most >= 0 else due


def _wanted(table: Churn, share: float, per_hour: float) -> int:
    """How many rows it should wait for: a share of them, bounded, and not so few that it comes without end."""
    bounded = min(max(share * table.size, FEWEST_ROWS), MOST_ROWS)
    return _two_digits(max(bounded, per_hour * SHORTEST_PAUSE_HOURS))


def _two_digits(value: float) -> int:
    # Counters move all the time: two significant digits keep the plan the same between two looks.
    unit: int = 10 ** max(math.floor(math.log10(max(value, 1))) - 1, 0)
    return round(value / unit) * unit


def _per_hour(count: int, server: Server) -> float:
    return count / server.counted_hours if server.counted_hours >= MEASURED_HOURS else 0.0


def _rule(table: Churn, server: Server, kind: Kind, count: int) -> Iterator[Setting]:
    now, rate = _trigger(table, server, kind), _per_hour(count, server)
    wanted = _wanted(table, kind.share, rate)
    if now is None or now < EASIER_BY * wanted:
        return
    often = f"; at {rate:,.0f} an hour that is every {wanted / rate:,.1f} hours" if rate >= 1 else ""
    told = f"It waits for {now:,.0f} {kind.what} now; {kind.share:.0%} of {table.size:,} rows, {FEWEST_ROWS:,} to {MOST_ROWS:,}, are {wanted:,}{often}."
    yield Setting(name=f"autovacuum_{kind.infix}_scale_factor", value="0", why=told)
    yield Setting(name=f"autovacuum_{kind.infix}_threshold", value=str(wanted), why=told)


def _vacuum(table: Churn, server: Server) -> Iterator[Setting]:
    if table.updated + table.deleted:
        yield from _rule(table, server, DEAD, table.updated + table.deleted)


def _inserts(table: Churn, server: Server) -> Iterator[Setting]:
    if not table.inserted:
        return
    yield from _rule(table, server, NEW, table.inserted)
    changed = table.updated + table.deleted
    if changed <= APPEND_ONLY * table.inserted and "autovacuum_freeze_min_age" not in table.options:
        told = f"Rows are only added ({table.inserted:,} added, {changed:,} changed): frozen at the first vacuum, they are never visited again."
        yield Setting(name="autovacuum_freeze_min_age", value="0", why=told)


def _analyze(table: Churn, server: Server) -> Iterator[Setting]:
    changed = table.inserted + table.updated + table.deleted
    if changed:
        yield from _rule(table, server, CHANGED, changed)


def _room(table: Churn) -> Iterator[Setting]:
    """Room on each page for updated rows, where they are known to go elsewhere for want of it."""
    if table.moved_updated is None or table.updated < MANY_UPDATES or "fillfactor" in table.options:
        return
    if table.moved_updated >= MOVED_SHARE * table.updated:
        told = f"{table.moved_updated:,} of {table.updated:,} updates found no room on their row's page, and had to write every index; pages filled from now on keep a tenth free."
        yield Setting(name="fillfactor", value=str(FILLFACTOR), why=told)


def _pace(table: Churn, server: Server, found: list[Setting]) -> Iterator[Setting]:
    """A larger cost limit, where a vacuum at today's pace would not be over before the next one is due."""
    rate = _per_hour(table.updated + table.deleted, server)
    if rate < 1 or server.cost_delay_ms <= 0 or "autovacuum_vacuum_cost_limit" in table.options:
        return
    threshold = next((one.value for one in found if one.name == "autovacuum_vacuum_threshold"), None)
    due = float(threshold) if threshold else _trigger(table, server, DEAD) or 0.0
    delay = float(table.options.get("autovacuum_vacuum_cost_delay", server.cost_delay_ms)) or server.cost_delay_ms  # fmt: skip
    pages = min(due, table.pages)
    cost = pages * (server.page_miss + server.page_dirty)
    seconds = cost / server.cost_limit * delay / 1000
    between = due / rate * 3600
    if seconds <= BUSY_SHARE * between:
        return
    needed = server.cost_limit * seconds / (BUSY_SHARE * between)
    limit = next((one for one in COST_LIMITS if one >= needed), COST_LIMITS[-1])
    told = f"At a cost limit of {server.cost_limit} its {pages:,.0f} pages take {seconds:,.0f} s, and the next vacuum is due after {between:,.0f} s."
    yield Setting(name="autovacuum_vacuum_cost_limit", value=str(limit), why=told)
