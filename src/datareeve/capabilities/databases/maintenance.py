"""What the maintenance operations share: the tables they look at, the room they need, and who keeps old rows alive."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Call, Claim, Finding, Plan
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Operation, Reader, Systems

ROOM_FACTOR = (
    1.2  # what is written anew may be larger than what is there: fillfactor, indexes half full after sorting
)


class Holder(Value):
    """Something that keeps dead rows from being removed: they may still be seen by it."""

    who: str  # 'pid 41 (psql, idle in transaction)', 'replication slot standby_1'
    age: int  # transactions since the one it still sees
    since: str | None = None  # when it began to; None where the server does not say


def holders(reader: Reader) -> tuple[Holder, ...]:
    """Who holds back the oldest row version that VACUUM may remove, the oldest first."""
    return tuple(
        Holder(**row)
        for row in reader.read("query", sql=sql.load("maintenance_holders"), parameters={"transactions": 1})
    )


def held_back(holding: tuple[Holder, ...], vacuumed_at: str | None) -> Holder | None:
    """The holder that the last vacuum already met: what it left then, another vacuum leaves too."""
    if vacuumed_at is None:
        return None
    met = datetime.fromisoformat(vacuumed_at)
    return next((one for one in holding if one.since and datetime.fromisoformat(one.since) < met), None)


def holder_finding(one: Holder, dead_rows: int) -> Finding:
    """What is told of a holder."""
    return Finding(
        rule="vacuum-held-back",
        subject=one.who,
        what=f"It still sees what {one.age:,} transactions have changed since; VACUUM keeps rows that died after it began.",
        why="Dead rows stay, tables and indexes grow, and every scan reads them.",
        instead="Let it commit, or end it with databases.end-session; drop a slot that nobody reads.",
        figures={"transactions": one.age, "dead_rows": dead_rows},
    )


def free_bytes(systems: Systems, system: str) -> int | None:
    """Free bytes on the data directory's disk; None where that disk cannot be seen from here."""
    server = systems[system].read("server")
    if not server["local_control"] or server["data_directory"] is None:
        return None
    return int(systems["host"].read("disk", path=server["data_directory"])["free_bytes"])


def room(need: int, free: int | None, for_what: str) -> str:
    """Why there is not enough room on the disk, or '' where there is (or it is not known)."""
    if free is None or free >= need:
        return ""
    return f"{for_what} needs {megabytes(need)} free on the database's disk for a while, and there are {megabytes(free)}."


def unseen_disk(subject: str, need: int) -> Finding:
    """Told where the free room is not known and has to be looked at by a person."""
    return Finding(
        rule="disk-not-seen",
        subject=subject,
        what=f"{megabytes(need)} must be free on the server's disk while it is written anew; that disk cannot be seen from here.",
        instead="Look before you approve; give systems.*.server in estate.yaml where its files are on this machine.",
        figures={"bytes": need},
    )


def megabytes(size: float) -> str:
    """Bytes as people say them: '12.3 MB'."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e10 else f"{size / 1e6:,.1f} MB"  # noqa: PLR2004 - 10 GB


def quiet(operation: Operation[Any], reason: str = "", blocker: str = "", **more: Any) -> Plan:
    """A plan without steps: nothing to do, or not possible."""
    return Plan(
        operation=operation.name,
        inputs=operation.inputs(),
        summary=reason or blocker,
        nothing_to_do=reason,
        blockers=(blocker,) if blocker else (),
        **more,
    )


def claim(system: str, text: str, query: str, /, *, expected: Any = True, remedy: str = "", **parameters: Any) -> Claim:  # fmt: skip
    """A claim that a named query's scalar answers."""
    arguments = {"sql": sql.load(query), "parameters": parameters, "shape": "scalar"}
    return Claim(
        text=text,
        call=Call(system=system, action="query", arguments=arguments),
        expected=expected,
        remedy=remedy,
    )


def lacks_owner(table: str) -> str:
    """Why a role may not maintain a table, with what to do."""
    return f"This role does not own {table} and may not maintain it: the owner (or, from version 17, GRANT MAINTAIN) must let it."


def standby(reader: Reader) -> str:
    """Why nothing can be maintained here, or '' on a primary."""
    in_recovery = reader.read("server")["in_recovery"]
    return "This is a standby: it takes over what its primary does; run this on the primary." if in_recovery else ""  # fmt: skip
