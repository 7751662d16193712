"""Relationships as foreign keys: `orders.customer_id` by names, or `schema/orders/properties/customer_id` by ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.standard import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.contracts.reading import Named, Place, Reading
    from datareeve.capabilities.quality.rule import Rule
    from datareeve.core.yaml_text import Path


def rules_of(holder: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    """The foreign keys of a table, or of one property of it."""
    for number, one in enumerate(holder.get("relationships") or []):
        path: Path = (*place.path, "relationships", number)
        to, own = _listed(one.get("to")), _listed(one.get("from"))
        if not to or (not place.columns and not own):
            reading.wrong(path, f'lacks "{"from" if to else "to"}"')
            continue
        if place.columns and own:
            reading.wrong((*path, "from"), "is said by the property that it stands at: leave it out")
            continue
        yield from _key(one, own, to, place._replace(path=path), reading)


def _key(
    one: dict[str, Any], own: list[str], to: list[str], place: Place, reading: Reading
) -> Iterator[Rule]:
    columns = place.columns or _own_columns(own, place, reading)
    if any("#" in target for target in to):
        reading.leave(
            place, one.get("id") or "relationship", "It refers to another contract: name the table itself."
        )
        return
    targets = [_target(target, reading) for target in to]
    if any(target is None for target in targets):
        reading.leave(
            place, one.get("id") or "relationship", "What it refers to names no column: write table.column."
        )
        return
    tables = {table for table, _ in targets}  # type: ignore[misc] # none is None here
    if len(tables) > 1 or len(targets) != len(columns):
        if columns:
            reading.wrong(
                (*place.path, "to"),
                "names several tables"
                if len(tables) > 1
                else f"names {len(targets)} columns for {len(columns)}",
            )
        return
    referenced = [column for _, column in targets]  # type: ignore[misc]
    yield draft(
        "foreign-key", place.table, columns, {"table": tables.pop(), "columns": referenced}, at=place.words
    )


def _listed(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def _own_columns(names: list[str], place: Place, reading: Reading) -> tuple[str, ...]:
    """The columns of `from`; those of another table, or unknown ones, are mistakes."""
    found = []
    for number, name in enumerate(names):
        own = reading.tables[place.table]
        target = _target(name, reading) or (place.table, name)
        column = own.column(target[1]) if target[0] in (own.name, own.physical) else None
        if column is None:
            known = [f"{own.name}.{one}" for one in own.columns]
            reading.wrong(
                (*place.path, "from", number),
                f'names "{name}", which is no column of {own.name}{nearest(name, known)}',
            )
            return ()
        found.append(column)
    return tuple(found)


def _target(reference: str, reading: Reading) -> tuple[str, str] | None:
    """(the contract's name of the table, or the name as it is written; the physical column)."""
    parts = reference.strip("/").split("/")
    if len(parts) >= 4 and parts[0] == "schema" and parts[2] == "properties":  # noqa: PLR2004 - schema/x/properties/y
        table = next((one for one in reading.tables.values() if parts[1] in (one.id, one.name)), None)
        return (table.name if table else parts[1], _column(table, ".".join(parts[3::2])))
    name, _, column = reference.rpartition(".")
    table = _table(name, reading)
    if table is None and name.count(".") and _table(name.split(".")[0], reading):  # table.object.inner
        return None
    return (table.name if table else name, _column(table, column)) if name else None


def _table(name: str, reading: Reading) -> Named | None:
    return reading.tables.get(name) or next(
        (one for one in reading.tables.values() if one.physical == name), None
    )


def _column(table: Named | None, name: str) -> str:
    return (table.column(name) if table else None) or name
