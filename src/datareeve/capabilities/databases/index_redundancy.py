"""Which indexes can be proved not to be needed, and which were merely not used. Pure: catalog rows in, verdicts out.

An index is redundant where another valid one of its table answers every query that it answers: the same keys, or its keys followed by
more (a btree is searched by a prefix of its keys), over the same rows, guaranteeing no less.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_STAND_IN = 4.0  # times: a much wider index answers the same, but reads far more to do so

Reason = Literal["invalid", "duplicate", "prefix", "unused"]


class Use(Value):
    """An index: its definition in comparable parts, its use, and what depends on it."""

    schema_name: str
    name: str
    table: str
    method: str = "btree"
    definition: str = ""
    is_valid: bool = True
    is_unique: bool = False
    keys: tuple[str, ...] = ()  # each with operator class, collation and direction
    included: tuple[str, ...] = ()
    columns: tuple[str | None, ...] = ()  # names of the key columns; None for an expression
    predicate: str = ""
    options: str = ""
    nulls_not_distinct: bool = False
    bytes: int = 0
    scans: int = 0
    last_scan: str | None = None  # from version 16 on
    comment: str | None = None
    tablespace: str | None = None
    is_clustered: bool = False
    is_replica_identity: bool = False
    is_partition: bool = False
    constraints: tuple[str, ...] = ()
    serves_foreign_keys: tuple[str, ...] = ()
    is_building: bool = False

    @property
    def shown(self) -> str:
        """Schema and name."""
        return f"{self.schema_name}.{self.name}"

    @property
    def is_bound(self) -> bool:
        """Whether something rests on it that an index of the same keys does not take over."""
        return bool(self.constraints or self.is_replica_identity or self.is_clustered or self.is_partition)


class Verdict(Value):
    """An index that may go, why, and what answers its queries then."""

    index: Use
    reason: Reason
    stand_in: str = ""


def provable(indexes: Iterable[Use]) -> tuple[Verdict, ...]:
    """Invalid, duplicate and redundant indexes. No stand-in is among those that go."""
    known = tuple(indexes)
    invalid = [Verdict(index=i, reason="invalid") for i in known if not i.is_valid and not i.is_building and not i.is_bound]  # fmt: skip
    by_table: dict[str, list[Use]] = {}
    for one in known:
        if one.is_valid:
            by_table.setdefault(one.table, []).append(one)
    found = [verdict for table in sorted(by_table) for verdict in _redundant(by_table[table])]
    return (*invalid, *found)


def _redundant(indexes: list[Use]) -> list[Verdict]:
    """Looked at from the least worth keeping on; what stays in the end stands in for what goes."""
    staying = sorted(indexes, key=_worth)
    going = []
    for one in list(staying):
        if not one.is_bound and any(_stands_in(other, one) for other in staying if other is not one):
            staying.remove(one)
            going.append(one)
    return [verdict for one in going if (verdict := _verdict(one, staying))]


def _verdict(one: Use, staying: list[Use]) -> Verdict | None:
    # A stand-in may have gone itself, in favour of one that is too wide to stand in for this one: then this one stays.
    able = [other for other in staying if _stands_in(other, one)]
    if not able:
        return None
    best = min(able, key=lambda i: (i.keys != one.keys, i.bytes, i.name))
    return Verdict(index=one, reason="duplicate" if best.keys == one.keys else "prefix", stand_in=best.shown)


def _worth(index: Use) -> tuple[object, ...]:
    """The order in which twins go: what carries less first, then the wider, the less used, and the later name."""
    return (len(index.keys), index.is_unique, len(index.included), -index.bytes, index.scans, _reversed(index.name))  # fmt: skip


def _reversed(name: str) -> tuple[int, ...]:
    return (*(-ord(letter) for letter in name), 1)


def _stands_in(other: Use, one: Use) -> bool:
    """Whether `other` answers whatever `one` does, over the same rows, and guarantees no less."""
    same = (one.table, one.method, one.predicate, one.options) == (other.table, other.method, other.predicate, other.options)  # fmt: skip
    if not same or not set(one.included) <= set(other.included) | {k.rsplit(" ", 3)[0] for k in other.keys}:
        return False
    if one.is_unique:
        return other.is_unique and one.keys == other.keys and one.nulls_not_distinct == other.nulls_not_distinct  # fmt: skip
    if one.keys == other.keys:
        return True
    is_prefix = one.method == "btree" and one.keys == other.keys[: len(one.keys)]
    return is_prefix and other.bytes <= LARGEST_STAND_IN * max(one.bytes, 1)


def unused(indexes: Iterable[Use], taken: set[str], since: str | None) -> tuple[Verdict, ...]:
    """Indexes that nobody has scanned since `since` (None: since counting began) and that serve nothing else.

    `taken`: the names of those already found, and of those that stand in for them.
    """
    return tuple(
        Verdict(index=one, reason="unused")
        for one in indexes
        if one.shown not in taken
        and one.is_valid
        and not (one.is_bound or one.is_unique or one.serves_foreign_keys)
        and (one.scans == 0 or _is_before(one.last_scan, since))
    )


def _is_before(last: str | None, since: str | None) -> bool:
    return bool(last and since) and datetime.fromisoformat(str(last)) < datetime.fromisoformat(str(since))
