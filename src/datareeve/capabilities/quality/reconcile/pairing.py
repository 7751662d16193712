"""Which columns of two tables are compared, in which form, and which cannot be: decided when planning, and told by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from pydantic import Field

from datareeve.capabilities.quality.catalog import CatalogColumn, Family  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.quality.reconcile.forms import Form
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMBERS: tuple[Family, ...] = ("integer", "decimal", "float")
MICROSECONDS = 6


class Column(Value):
    """A column of one side, with what its form there depends on."""

    name: str
    type: str
    family: Family
    scale: int | None = None  # decimal places, where they are declared
    same_scale: bool = False  # both sides write as many: no zeros are cut off
    places: int = MICROSECONDS  # of a second, that both sides keep
    decimals: int | None = None  # to which floats are compared; None: exactly
    trim: bool = False
    fold: bool = False


class Pair(Value):
    """One column on both sides."""

    left: Column
    right: Column
    form: Form
    note: str = ""  # what is to be known of how it is compared

    @property
    def alike(self) -> bool:
        """Whether both are of one and the same type, as the engine calls it."""
        return self.left.type == self.right.type


class Pairing(Value):
    """What is compared, and what is not."""

    pairs: tuple[Pair, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)  # column: why


class Choices(Value):
    """How values are compared."""

    decimals: int | None = None
    trim: bool = False
    fold: bool = False
    json_as_text: bool = False


def pair(  # noqa: PLR0913 - two sides, and what was asked for
    left: Sequence[CatalogColumn],
    right: Sequence[CatalogColumn],
    kinds: tuple[str, str],
    *,
    mapping: Mapping[str, str],
    leave_out: Sequence[str],
    choices: Choices,
) -> Pairing:
    """The columns of two tables side by side: by `mapping`, else by name whatever its case.

    Errors: `BadInput` `reconcile.column` where `mapping` or `leave_out` name a column that is not there.
    """
    named = _named(left, right, mapping, leave_out)
    out = dict.fromkeys(leave_out, "left out as asked for")
    out |= {
        column.name: "the right table has no such column"
        for column in left
        if column.name not in named and column.name not in out
    }
    taken = {one.name for one in named.values()}
    out |= {
        f"right {column.name}": "the left table has no such column"
        for column in right
        if column.name not in taken and column.name not in out
    }
    pairs = []
    for column in left:
        if column.name not in named:
            continue
        other = named[column.name]
        found = _together(column, other, kinds, choices)
        if isinstance(found, str):
            out[column.name] = found
        else:
            pairs.append(found)
    return Pairing(pairs=tuple(pairs), left_out=out)


def _named(
    left: Sequence[CatalogColumn],
    right: Sequence[CatalogColumn],
    mapping: Mapping[str, str],
    leave_out: Sequence[str],
) -> dict[str, CatalogColumn]:
    ours, theirs = {one.name: one for one in left}, {one.name: one for one in right}
    for name in (*mapping, *leave_out):
        if name not in ours and not (name in leave_out and name in theirs):
            raise _no_column(name, "left", list(ours))
    for name in mapping.values():
        if name not in theirs:
            raise _no_column(name, "right", list(theirs))
    found = {name: theirs[other] for name, other in mapping.items() if name not in leave_out}
    free = [one for one in right if one not in found.values() and one.name not in leave_out]
    for column in left:
        if column.name in found or column.name in leave_out:
            continue
        same = [one for one in free if one.name == column.name] or [
            one for one in free if one.name.casefold() == column.name.casefold()
        ]
        if len(same) == 1:
            found[column.name] = same[0]
            free.remove(same[0])
    return found


def _no_column(name: str, side: str, there: list[str]) -> BadInput:
    return BadInput(
        "reconcile.column", f"The {side} table has no column {name!r}.", f"It has: {', '.join(there[:30])}."
    )


def _together(
    left: CatalogColumn, right: CatalogColumn, kinds: tuple[str, str], choices: Choices
) -> Pair | str:
    """The pair, or why there is none."""
    for side, column in (("left", left), ("right", right)):
        if not column.readable:
            return f"the role may not read it on the {side}"
    ours, theirs = describe(left, kinds[0], choices), describe(right, kinds[1], choices)
    found = form_of(ours, theirs, kinds, json_as_text=choices.json_as_text)
    form = next((one for one in get_args(Form) if one == found), None)
    if form is None:
        return found
    places = min(ours.places, theirs.places)
    known = ours.scale if form == "decimal" else None
    same = known is not None and known == theirs.scale and "sqlite" not in kinds
    scale = (
        {"scale": max(ours.scale or 0, theirs.scale or 0)}
        if "sqlite" in kinds and (ours.scale, theirs.scale) != (None, None)
        else {}
    )
    shared = {"places": places, "same_scale": same, **scale}
    ours, theirs = ours.model_copy(update=shared), theirs.model_copy(update=shared)
    return Pair(left=ours, right=theirs, form=form, note=_note(form, ours, theirs, kinds))


def describe(column: CatalogColumn, kind: str, choices: Choices) -> Column:
    """What the form of a column depends on, out of its type's words: 'numeric(10,2)', 'datetime(3)'."""
    inner = re.search(r"\((\d+)(?:,\s*(-?\d+))?\)", column.type)
    scale = int(inner[2] or 0) if column.family == "decimal" and inner else None
    return Column(name=column.name, type=column.type, family=column.family, scale=scale, places=_places(column, kind), **choices.model_dump(exclude={"json_as_text"}))  # fmt: skip


def _places(column: CatalogColumn, kind: str) -> int:
    """Of a second: MariaDB keeps none where none are declared."""
    if column.family not in ("timestamp", "timestamptz", "time"):
        return MICROSECONDS
    if named := {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3}.get(column.type):
        return named
    inner = re.search(r"\((\d+)\)", column.type)
    usual = 0 if kind == "mysql" or column.type == "TIMESTAMP_S" else MICROSECONDS
    return min(int(inner[1]), MICROSECONDS) if inner else usual


ALIKE: tuple[
    tuple[Form, frozenset[Family]], ...
] = (  # a form, and the families that all have it; the first that fits
    ("boolean", frozenset({"boolean"})),
    ("integer", frozenset({"integer", "boolean"})),
    ("decimal", frozenset({"integer", "decimal"})),
    ("float", frozenset({"integer", "decimal", "float"})),
    ("date", frozenset({"date"})),
    ("moment", frozenset({"date", "timestamp", "timestamptz"})),
    ("time", frozenset({"time"})),
    ("text", frozenset({"text"})),
    ("bytes", frozenset({"binary"})),
    ("uuid", frozenset({"uuid", "text"})),
    ("uuid", frozenset({"uuid", "binary"})),
)


def form_of(left: Column, right: Column, kinds: tuple[str, str], *, json_as_text: bool) -> str:
    """The form that both have, or in words why there is none."""
    families = _told_by_values(left, right, kinds)
    if "json" in families:
        if json_as_text and families <= {"json", "text"}:
            return "json"
        return "JSON is written differently by each engine; json_as_text compares it as text"
    if "other" in families:
        return f"no form is known for {left.type or 'a column without a type'} beside {right.type or 'one without a type'}"
    found = next((form for form, allowed in ALIKE if families <= allowed), None)
    return found or f"{left.type} and {right.type} have no form in common"


def _told_by_values(left: Column, right: Column, kinds: tuple[str, str]) -> set[Family]:
    """The families of both; of SQLite a column may hold anything: there the other side's type says what is looked for."""
    families: set[Family] = {left.family, right.family}
    for own, other, kind in ((left, right, kinds[0]), (right, left, kinds[1])):
        if kind == "sqlite" and (
            own.family in ("text", "other") or (own.family == "decimal" and other.family not in NUMBERS)
        ):
            return {other.family}
    return families


def _note(form: Form, ours: Column, theirs: Column, kinds: tuple[str, str]) -> str:
    families = {ours.family, theirs.family}
    notes = {
        f"to {ours.places} decimal places of a second: one side keeps no more": form in ("moment", "time")
        and ours.places < MICROSECONDS,
        "to microseconds: what is finer is cut off": form == "moment"
        and "TIMESTAMP_NS" in (ours.type, theirs.type),
        "a moment without a zone is taken as UTC": form == "moment"
        and "timestamptz" in families
        and len(families) > 1,
        "as doubles: numbers of more than 15 digits are rounded": form == "float" and len(families) > 1,
        f"to {ours.decimals} decimal places": form == "float" and ours.decimals is not None,
        "SQLite keeps a number that is no integer as a double: 15 digits": form == "decimal"
        and "sqlite" in kinds,
        "as text: another order of keys is another text": form == "json",
    }
    return "; ".join(note for note, holds in notes.items() if holds)
