"""From two tables and what a person asked for to what will be compared: pure, and told by name where something cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from datareeve.capabilities.quality.reconcile.pairing import Choices, Pairing, pair
from datareeve.capabilities.quality.reconcile.statements import Asked, Compared
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.reconcile.tables import Table

ON_PURPOSE = "as asked for"
FILES = ("duckdb", "folder")
# A second of one core: rows times columns. Measured by bench/quality_reconcile.py; only an estimate is made of it.
CELLS_PER_SECOND = {"postgresql": 10e6, "mysql": 5e6, "sqlite": 0.6e6, "duckdb": 20e6, "folder": 20e6}


class Wanted(Value):
    """What was asked for."""

    key: tuple[str, ...] | None = None  # None: the left table's primary key, or the right one's; (): none
    columns: dict[str, str] = Field(default_factory=dict)  # left: right
    leave_out: tuple[str, ...] = ()
    choices: Choices = Choices()
    personal: frozenset[str] = frozenset()  # columns of either side
    subject_keys: frozenset[str] = frozenset()  # columns of either side that say whose data a row is
    until_column: str = ""


class Prepared(Value):
    """What will be compared, and what cannot be."""

    pairing: Pairing
    key: tuple[str, ...] = ()
    key_is_personal: bool = False  # or a subject's: it is told nobody
    key_is_hashed: bool = False
    native: bool = False
    problems: tuple[str, ...] = ()  # why nothing can be compared


def prepare(left: Table, right: Table, wanted: Wanted) -> Prepared:
    """Columns, key and hash. Errors: `BadInput` `reconcile.column`."""
    kinds = (left.kind, right.kind)
    pairing = pair(left.table.columns, right.table.columns, kinds, mapping=wanted.columns, leave_out=wanted.leave_out, choices=wanted.choices)  # fmt: skip
    key = _key(left, right, pairing, wanted)
    paired = {one.left.name: one for one in pairing.pairs}
    problems = [f"the key's column {name} cannot be compared: {pairing.left_out.get(name, 'it is not there')}" for name in key if name not in paired]  # fmt: skip
    if not pairing.pairs:
        problems.append("the tables have no column that can be compared")
    if wanted.until_column and (
        wanted.until_column not in paired or paired[wanted.until_column].form != "moment"
    ):
        problems.append(f"until_column {wanted.until_column} is no moment on both sides")
    named = {name for one in key if one in paired for name in (paired[one].left.name, paired[one].right.name)}
    return Prepared(
        pairing=pairing,
        key=key,
        key_is_personal=bool(named & (wanted.personal | wanted.subject_keys)),
        key_is_hashed=bool(named & wanted.personal),
        native=_native(left, right),
        problems=tuple(problems),
    )


def _key(left: Table, right: Table, pairing: Pairing, wanted: Wanted) -> tuple[str, ...]:
    if wanted.key is not None:
        ours = {one.left.name.casefold(): one.left.name for one in pairing.pairs} | {
            column.name: column.name for column in left.table.columns
        }
        unknown = next(
            (name for name in wanted.key if ours.get(name, ours.get(name.casefold())) is None), None
        )
        if unknown is not None:
            raise BadInput("reconcile.column", f"The left table has no column {unknown!r} for a key.", f"It has: {', '.join(column.name for column in left.table.columns[:30])}.")  # fmt: skip
        return tuple(ours.get(name) or ours[name.casefold()] for name in wanted.key)
    paired = {one.left.name for one in pairing.pairs}
    back = {one.right.name: one.left.name for one in pairing.pairs}
    for own in left.table.keys:
        if own and set(own) <= paired:
            return own
    for theirs in right.table.keys:
        if theirs and set(theirs) <= back.keys():
            return tuple(back[name] for name in theirs)
    return ()


def _native(left: Table, right: Table) -> bool:
    """Whether both are of one engine, of which the hash is the same: DuckDB runs here, PostgreSQL's stays within a major version."""
    if left.kind in FILES and right.kind in FILES:
        return True
    alike = left.kind == right.kind == "postgresql" and left.version == right.version != ""
    return alike and left.encoding == right.encoding == "UTF8"


def compared(left: Table, right: Table, prepared: Prepared, **options: object) -> Compared:
    """The plan's own part: JSON, and all that `reconcile` needs."""
    sides = {name: Asked(system=one.system, kind=one.kind, encoding=one.encoding, place=one.table.place, label=one.label) for name, one in (("left", left), ("right", right))}  # fmt: skip
    return Compared.model_validate({**sides, "pairs": prepared.pairing.pairs, "key": prepared.key, "key_is_personal": prepared.key_is_personal, "key_is_hashed": prepared.key_is_hashed, "not_compared": not_on_purpose(prepared), "native": prepared.native, **options})  # fmt: skip


def not_on_purpose(prepared: Prepared) -> tuple[str, ...]:
    """The columns that are not compared, though nobody asked for that."""
    return tuple(name for name, why in prepared.pairing.left_out.items() if not why.endswith(ON_PURPOSE))


def estimated_seconds(tables: Sequence[Table], columns: int) -> float | None:
    """About how long the first look takes: both sides at the same time."""
    known = [
        (one.table.estimated_rows or 0) * columns / CELLS_PER_SECOND[one.kind]
        for one in tables
        if one.table.estimated_rows is not None
    ]
    return max(known) if known else None
