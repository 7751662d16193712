"""A contract's text as rules: everything in it that can be executed, and by name everything that cannot.

All mistakes of a contract are told at once, each with its path, what is wrong, and line and column.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts import (
    entries,
    kinds,
    properties,
    references,
    service_levels,
    standard,
)
from datareeve.capabilities.quality.contracts.drafts import with_ids
from datareeve.capabilities.quality.contracts.imports import custom
from datareeve.capabilities.quality.contracts.reading import SQLGLOT, Named, Place, Reading
from datareeve.capabilities.quality.rule import Contract, Rule, Table
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import Document, parse, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOLD = 20  # mistakes at once


def read(text: str, name: str) -> Contract:
    """The contract of that name. Errors: `BadInput` `contract.syntax`, `contract.invalid`."""
    document = parse(text, f"contract {name}")
    found = list(standard_problems(document.data))
    if found:  # a person corrects them all at once
        _refuse([*found, *_others(document, found)], document, name)
    data: dict[str, Any] = document.data
    reading, drafts = _drafted(data, document)
    _refuse(reading.problems, document, name)
    return Contract(
        name=name,
        id=document.written(("id",), str(data["id"])),
        version=document.written(("version",), str(data["version"])),
        status=str(data.get("status") or ""),
        owner=reading.owner,
        tables=tuple(_table(one, reading) for one in data.get("schema") or []),
        rules=with_ids(drafts),
        unsupported=tuple(reading.unsupported),
        systems=tuple(
            dict.fromkeys(str(one["server"]) for one in data.get("servers") or [] if one.get("server"))
        ),
    )


def _drafted(data: dict[str, Any], document: Document) -> tuple[Reading, list[tuple[str, Rule]]]:
    """What the contract's rules are, and every mistake in them."""
    reading = _reading(data)
    if twice := list(reading.problems):  # the second of a name is read under another
        data = deepcopy(data)
        for one in twice:
            _mend(data, standard.Problem(one.path[:-1], "", "name"))
        reading = _reading(data)
        reading.problems[:0] = twice
    reading.document = document
    return reading, list(_drafts(data, reading))


def _others(document: Document, found: list[standard.Problem]) -> list[standard.Problem]:
    """The mistakes in what is left of a contract without those that the standard's schema finds: what follows of them is none."""
    if not isinstance(document.data, dict) or any(not one.path and not one.lacks for one in found):
        return []
    left = deepcopy(document.data)
    for one in sorted(found, key=lambda one: len(one.path), reverse=True):
        _mend(left, one)
    try:
        reading, _ = _drafted(left, document)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        return []  # too little is left
    paths = [one.path for one in found if one.path]
    return [one for one in reading.problems if not any(one.path[: len(path)] == path or path[:-1] == one.path for path in paths)]  # fmt: skip


def _mend(data: Any, problem: standard.Problem) -> None:
    """Without what is wrong, at its place, so that all others keep theirs."""
    way = problem.path if problem.lacks else problem.path[:-1]
    for part in way:
        data = data[part]
    if problem.lacks:
        data[problem.lacks] = f"?{problem.path}"
    elif isinstance(last := problem.path[-1], int):
        data[last] = {"name": f"?{problem.path}"}
    else:
        data.pop(last, None)


def standard_problems(data: Any) -> list[standard.Problem]:
    """What the standard does not allow, and versions of it that are not read."""
    if not isinstance(data, dict):
        return [standard.Problem((), "is no contract: keys with values are expected")]
    if str(data.get("apiVersion") or "").startswith("v2"):
        told = "is of the standard's second version: bring it to v3.1.0 first"
        return [standard.Problem(("apiVersion",), told)]
    return list(standard.problems(data))


def _refuse(problems: Iterable[standard.Problem], document: Document, name: str) -> None:
    found = list(dict.fromkeys(problems))
    if not found:
        return
    told = [f"{said(one.path) or 'it'} ({document.place(one.path).words}) {one.what}" for one in found[:TOLD]]
    more = f"; and {len(found) - TOLD} more" if len(found) > TOLD else ""
    raise BadInput(
        "contract.invalid",
        f"Contract {name}: {'; '.join(told)}{more}.",
        "Correct the contract there, and read it again.",
    )


def _reading(data: dict[str, Any]) -> Reading:
    """What the contract's names are; a name that stands twice is a mistake."""
    reading = Reading(owner=_owner(data), dialect=_dialect(data), translate=custom.translated)
    for number, one in enumerate(data.get("schema") or []):
        if one["name"] in reading.tables:
            reading.wrong(("schema", number, "name"), f'is the second table "{one["name"]}"')
        named = Named(one["name"], str(one.get("physicalName") or one["name"]), str(one.get("id") or ""))
        for place, column in enumerate(one.get("properties") or []):
            physical = str(column.get("physicalName") or column["name"])
            if physical in named.types:
                reading.wrong(
                    ("schema", number, "properties", place, "name"), f'is the second column "{physical}"'
                )
            named.types[physical] = column.get("logicalType") or ""
            for alias in (column["name"], physical, column.get("id")):
                if alias:
                    named.columns.setdefault(str(alias), physical)
        _own_names_first(named, one)
        reading.tables[one["name"]] = named
    return reading


def _own_names_first(named: Named, table: dict[str, Any]) -> None:
    """A column's own name means it, whatever another one's id or physical name is."""
    for column in table.get("properties") or []:
        named.columns[column["name"]] = str(column.get("physicalName") or column["name"])


def _drafts(data: dict[str, Any], reading: Reading) -> Iterator[tuple[str, Rule]]:
    for number, table in enumerate(data.get("schema") or []):
        place = Place(("schema", number), table["name"])
        for rule in properties.rules_of(table, place.path, reading):
            yield "", rule.model_copy(update={"owner": rule.owner or reading.owner})
        yield from _own(table, place, reading)
        for at, one in enumerate(table.get("properties") or []):
            column = reading.tables[table["name"]].columns[one["name"]]
            yield from _own(one, Place((*place.path, "properties", at), table["name"], (column,)), reading)
    for rule in service_levels.rules_of(data, reading):
        yield "", rule


def _own(holder: dict[str, Any], place: Place, reading: Reading) -> Iterator[tuple[str, Rule]]:
    """The references and the quality entries of a table or a property."""
    for rule in references.rules_of(holder, place, reading):
        yield "", rule.model_copy(update={"owner": reading.owner})
    for number, entry in enumerate(holder.get("quality") or []):
        at = place._replace(path=(*place.path, "quality", number))
        for rule in entries.rules_of(entry, at, reading):
            why = _misfit(rule, reading)
            if why:
                reading.wrong(at.path, why)
            else:
                yield str(entry.get("id") or entry.get("name") or ""), rule


def _misfit(rule: Rule, reading: Reading) -> str:
    types = reading.tables[rule.table].types
    found = (kinds.misfit(rule.kind, types.get(column, ""), rule.arguments) for column in rule.columns)
    return next((why for why in found if why), "")


def _table(table: dict[str, Any], reading: Reading) -> Table:
    named, listed = reading.tables[table["name"]], table.get("properties") or []
    found = {named.columns[one["name"]]: properties.personal(one) for one in listed}
    return Table(
        name=named.name,
        physical_name=named.physical,
        columns=tuple(named.types),
        key=tuple(named.columns[one["name"]] for one in properties.key_of(listed)),
        personal={column: category for column, category in found.items() if category},
        owner=reading.owner,
    )


def _owner(data: dict[str, Any]) -> str:
    """Whoever the team calls its owner; else the team."""
    team = data.get("team") or {}
    members = team.get("members") or [] if isinstance(team, dict) else team
    current = [one for one in members if not one.get("dateOut")]
    owner: dict[str, Any] = next(
        (one for one in current if "owner" in str(one.get("role") or "").lower()), {}
    )
    name = team.get("name") if isinstance(team, dict) else ""
    return str(owner.get("username") or owner.get("name") or name or "")


def _dialect(data: dict[str, Any]) -> str:
    """The dialect of the contract's SQL: its servers', where they all speak one."""
    found = {SQLGLOT.get(str(one.get("type") or "")) for one in data.get("servers") or []}
    return str(found.pop() or "") if len(found) == 1 else ""
