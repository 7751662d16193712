"""Snapshots in the ledger: a system's counters at a moment, compressed, and thinned out with age.

Entries and samples are the account of what was done: they are chained and stay. A snapshot is a measurement of which a year of five-minute
copies would be worth nothing: it is not chained, and `thin` forgets what `keep_at` does not ask for.
"""

from __future__ import annotations

import json
import zlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datareeve.core import clock
from datareeve.core.ledger import metadata, translated
from datareeve.core.value import Value, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.core.ledger import Ledger

snapshots_table = sa.Table(
    "snapshots",
    metadata,
    *(sa.Column(name, sa.Text, primary_key=True) for name in ("system", "kind", "at")),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)
# All of two days, then one an hour for a month, then one a day for a year.
RETENTION = (
    (timedelta(days=2), timedelta(0)),
    (timedelta(days=30), timedelta(hours=1)),
    (timedelta(days=365), timedelta(days=1)),
)
PUT = """
INSERT INTO snapshots (system, kind, at, run, body) VALUES (:system, :kind, :at, :run, :body)
    ON CONFLICT (system, kind, at) DO UPDATE SET run = excluded.run, body = excluded.body
"""
DELETED_AT_ONCE = 500  # a bound on the parameters of one statement


class Snapshot(Value):
    """What was counted at one moment, by which run."""

    at: str
    run: str
    body: dict[str, Any]


class Snapshots:
    """The snapshots of a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def put(self, system: str, kind: str, body: dict[str, Any], *, run: str, at: str | None = None) -> int:
        """Keep a body, in place of one of the same moment; gives the bytes that it takes. Errors: `Failed` `ledger.write`."""
        packed = zlib.compress(canonical(body).encode(), 9)
        row = {
            "system": system,
            "kind": kind,
            "at": clock.stamp() if at is None else at,
            "run": run,
            "body": packed,
        }
        with translated(), self._ledger.engine.begin() as connection:
            connection.execute(sa.text(PUT), row)
        return len(packed)

    def get(
        self, system: str, kind: str, *, since: str | None = None, limit: int | None = None
    ) -> list[Snapshot]:
        """Snapshots in order, oldest first; with `limit`, the newest so many; with `since`, from the last one before it on."""
        c = snapshots_table.c
        wanted = _of(system, kind)
        if since is not None:
            before = sa.select(sa.func.max(c.at)).where(*wanted, c.at <= since).scalar_subquery()
            wanted.append(c.at >= sa.func.coalesce(before, since))
        query = sa.select(c.at, c.run, c.body).where(*wanted)
        query = query.order_by(c.at.desc()).limit(limit) if limit else query.order_by(c.at)
        with translated(), self._ledger.engine.connect() as connection:
            rows = connection.execute(query).all()
        found = [Snapshot(at=at, run=run, body=json.loads(zlib.decompress(body))) for at, run, body in rows]
        return found[::-1] if limit else found

    def moments(self, system: str, kind: str, *, run: str | None = None) -> list[str]:
        """When snapshots were taken, by one run or any, oldest first."""
        c = snapshots_table.c
        wanted = _of(system, kind, *([c.run == run] if run else []))
        with translated(), self._ledger.engine.connect() as connection:
            return list(connection.execute(sa.select(c.at).where(*wanted).order_by(c.at)).scalars())

    def forget(self, system: str, kind: str, moments: Sequence[str]) -> int:
        """Remove the snapshots of some moments; gives how many there were."""
        removed = 0
        with translated(), self._ledger.engine.begin() as connection:
            for start in range(0, len(moments), DELETED_AT_ONCE):
                some = snapshots_table.c.at.in_(moments[start : start + DELETED_AT_ONCE])
                removed += connection.execute(
                    sa.delete(snapshots_table).where(*_of(system, kind, some))
                ).rowcount
        return removed

    def thin(self, system: str, kind: str) -> int:
        """Forget what is older than its age asks for (`RETENTION`); gives how many."""
        return self.forget(system, kind, superfluous(self.moments(system, kind), clock.now()))


def _of(system: str, kind: str, *more: sa.ColumnElement[bool]) -> list[sa.ColumnElement[bool]]:
    return [snapshots_table.c.system == system, snapshots_table.c.kind == kind, *more]


def superfluous(moments: Iterable[str], now: datetime) -> list[str]:
    """Of moments in order, those that are not kept: all but the first of their hour or day, and what is older than a year."""
    kept: set[tuple[timedelta, int]] = set()
    gone = []
    for moment in moments:
        at = datetime.fromisoformat(moment)
        step = next((step for age, step in RETENTION if now - at <= age), None)
        place = None if step is None else (step, int(at.timestamp() // (step.total_seconds() or 1)))
        if place is None or (step and place in kept):
            gone.append(moment)
        else:
            kept.add(place)
    return gone
