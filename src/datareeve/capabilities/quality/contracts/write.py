"""A contract's text, made or changed: what is not changed stays byte for byte, comments where they stood.

A rule is written in the standard's own words where it has them, else as an entry of engine `datareeve`.
"""

from __future__ import annotations

import io
import re
import uuid
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from datareeve.capabilities.quality.contracts import kinds
from datareeve.capabilities.quality.contracts.entries import OPERATORS
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.rule import COUNTING_KINDS, DIMENSIONS, NONE_BREAK, Bounds, Rule, rule_id
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse, said
from datareeve.systems.estate_edit import NotInLines, edited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datareeve.capabilities.quality.contracts.imports.imported import (
        ImportedColumn,
        ImportedTable,
        Leftover,
    )

VERSION = "v3.1.0"  # the newest that is published
WIDE = 4096
FIELDS = {field: operator for operator, field in OPERATORS.items()}
# What YAML 1.1 readers, PyYAML among them, take for something else than a text; and `?`, by which a key may begin.
AMBIGUOUS = re.compile(
    r"^\?|^(?:y|n|yes|no|on|off|true|false|null|~|[-+]?[0-9][0-9_,.:eExXoO+-]*|[-+]?\.[0-9]+)$", re.IGNORECASE
)


# -- rules as entries ----------------------------------------------------------------------------------------------------------------


def entry_of(rule: Rule) -> dict[str, Any]:
    """A rule as an entry of `quality`, for its property where it is about one column, else for its table."""
    named = (
        {"id": rule.id}
        if rule.id != rule_id(rule.kind, rule.table, rule.columns, rule.arguments, rule.where)
        else {}
    )
    entry = {**_identity(named), **(_library(rule) or _sql(rule) or _own(rule))}
    if rule.text:
        entry["description"] = rule.text
    if rule.dimension and rule.dimension != DIMENSIONS.get(rule.kind, "accuracy"):
        entry["dimension"] = rule.dimension
    if rule.severity != "error":
        entry["severity"] = rule.severity
    return entry


def _identity(named: dict[str, str]) -> dict[str, str]:
    """The standard's ids have letters, digits, - and _ only; another name is written as the entry's name."""
    if not named or re.fullmatch(r"[A-Za-z0-9_-]+", named["id"]):
        return named
    return {"name": named["id"]}


def _library(rule: Rule) -> dict[str, Any] | None:  # noqa: PLR0911 - one answer a line reads best
    """The standard's own metric for it."""
    one, said_so = len(rule.columns) == 1, rule.arguments
    figures = _operators(rule)
    if rule.where or rule.dialect or figures is None:
        return None
    if rule.kind == "not-null" and one and said_so.keys() <= {"missing"}:
        if not said_so.get("missing"):
            return {"type": "library", "metric": "nullValues", **figures}
        return {
            "type": "library",
            "metric": "missingValues",
            "arguments": {"missingValues": [None, *said_so["missing"]]},
            **figures,
        }
    if rule.kind == "set" and one and said_so.keys() == {"values"} and said_so["values"]:
        return {
            "type": "library",
            "metric": "invalidValues",
            "arguments": {"validValues": list(said_so["values"])},
            **figures,
        }
    if rule.kind == "pattern" and one and said_so.keys() == {"regex"}:
        return {
            "type": "library",
            "metric": "invalidValues",
            "arguments": {"pattern": said_so["regex"]},
            **figures,
        }
    if rule.kind == "unique" and rule.columns and not said_so:
        several = {} if one else {"arguments": {"properties": list(rule.columns)}}
        return {"type": "library", "metric": "duplicateValues", **several, **figures}
    if rule.kind == "row-count" and not rule.columns and rule.unit == "rows" and rule.bounds != Bounds():
        return {"type": "library", "metric": "rowCount", **figures}
    return None


def _sql(rule: Rule) -> dict[str, Any] | None:
    figures = _operators(rule)
    if (
        rule.kind != "sql"
        or rule.where
        or len(rule.columns) > 1
        or figures is None
        or rule.unit != "value"
        or not rule.arguments.get("query")
    ):
        return None
    told = {"customProperties": [{"property": "dialect", "value": rule.dialect}]} if rule.dialect else {}
    return {"type": "sql", "query": rule.arguments["query"], **figures, **told}


def _operators(rule: Rule) -> dict[str, Any] | None:
    """The figures in the standard's words, of which an entry may have one; None where they take more."""
    given = _given(rule.bounds)
    unit = {"unit": "percent"} if rule.unit == "percent" else {}
    if rule.bounds == NONE_BREAK and rule.unit == "rows" and rule.kind in COUNTING_KINDS:
        return {"mustBe": 0}
    if given.keys() == {"at_least", "at_most"} and given["at_least"] < given["at_most"]:
        return {"mustBeBetween": [given["at_least"], given["at_most"]], **unit}
    if len(given) != 1:
        return None
    ((field, value),) = given.items()
    return {FIELDS[field]: list(value) if isinstance(value, tuple) else value, **unit}


def _given(bounds: Bounds) -> dict[str, Any]:
    found = {name: _short(value) for name, value in bounds if value is not None}
    if isinstance(found.get("not_within"), tuple):
        found["not_within"] = tuple(map(_short, found["not_within"]))
    return found


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _own(rule: Rule) -> dict[str, Any]:
    """As an entry of engine datareeve: the standard leaves it to the engine what stands in it."""
    inner: dict[str, Any] = {"kind": rule.kind}
    if len(rule.columns) > 1:  # one column is the property that the entry stands at
        inner["columns"] = list(rule.columns)
    if rule.arguments:
        inner["arguments"] = rule.arguments
    if rule.where:
        inner["where"] = rule.where
    if rule.bounds != kinds.default_bounds(rule.kind):
        inner |= {
            FIELDS[name]: list(value) if isinstance(value, tuple) else value
            for name, value in _given(rule.bounds).items()
        }
    if rule.unit != kinds.default_unit(rule.kind):
        inner["unit"] = rule.unit
    if rule.dialect:
        inner["dialect"] = rule.dialect
    return {"type": "custom", "engine": "datareeve", "implementation": inner}


# -- a new contract ------------------------------------------------------------------------------------------------------------------


def new_contract(  # noqa: PLR0913 - what a contract says of itself
    name: str,
    tables: Sequence[ImportedTable],
    rules: Sequence[Rule],
    leftovers: Sequence[Leftover] = (),
    *,
    system: str = "",
    server: dict[str, Any] | None = None,
    owner: str = "",
    purpose: str = "",
    status: str = "draft",
    version: str = "1.0.0",
) -> str:
    """The text of a contract: its tables, their properties, and every rule where it belongs. `system` is one of the estate, `server` what the standard says of it: see `servers`."""
    data: dict[str, Any] = {
        "version": version,
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"datareeve:{name}")),
        "name": name,
        "status": status,
    }
    if purpose:
        data["description"] = {"purpose": purpose}
    if owner:
        data["team"] = {"name": owner}
    if system:
        data["servers"] = [{"server": system, **(server or {"type": "custom"})}]
    data["schema"] = [_table(one, rules, leftovers) for one in tables]
    return dumped(data)


def _table(table: ImportedTable, rules: Sequence[Rule], leftovers: Sequence[Leftover]) -> dict[str, Any]:
    data: dict[str, Any] = {"name": table.name}
    if table.physical_name and table.physical_name != table.name:
        data["physicalName"] = table.physical_name
    if table.description:
        data["description"] = table.description
    own = [rule for rule in rules if rule.table == table.name]
    left = [one for one in leftovers if one.table == table.name and one.implementation is not None]
    listed = {one.name: _property(one) for one in table.columns}
    for rule in own:
        for column in rule.columns:  # a file of checks lists no more columns than it asks of
            listed.setdefault(column, {"name": column})
        if len(rule.columns) == 1 and rule.kind != "schema":
            listed[rule.columns[0]].setdefault("quality", []).append(entry_of(rule))
    for one in left:
        if one.column in listed:
            listed[one.column].setdefault("quality", []).append(_foreign(one))
    if listed:
        data["properties"] = list(listed.values())
    quality = [entry_of(rule) for rule in own if len(rule.columns) != 1 or rule.kind == "schema"]
    quality += [_foreign(one) for one in left if one.column not in listed]
    if quality:
        data["quality"] = quality
    return data


def _property(column: ImportedColumn) -> dict[str, Any]:
    told = {
        "logicalType": column.logical_type,
        "physicalType": column.physical_type,
        "description": column.description,
        "primaryKey": column.key > 0,
        "primaryKeyPosition": column.key,
        "required": column.required,
        "unique": column.unique,
        "tags": list(column.tags),
        "logicalTypeOptions": column.options,
        "properties": [_property(one) for one in column.properties],
        "items": _item(column.items),
        "quality": _enumeration(column),
    }
    return {"name": column.name, **{key: value for key, value in told.items() if value}}


def _item(column: ImportedColumn | None) -> dict[str, Any]:
    return {} if column is None else {key: value for key, value in _property(column).items() if key != "name"}


def _enumeration(column: ImportedColumn) -> list[dict[str, Any]]:
    """The values that a column may have; the standard has had `enum` for it since its version 3.2 only."""
    valid = {"validValues": list(column.enum)}
    entry = {"type": "library", "metric": "invalidValues", "arguments": valid, "mustBe": 0}
    return [entry] if column.enum else []


def _foreign(one: Leftover) -> dict[str, Any]:
    """What is not executed stays, for whoever executes it."""
    implementation = (
        one.implementation if isinstance(one.implementation, (dict, str)) else {"check": one.implementation}
    )
    return {
        "type": "custom",
        "engine": one.engine,
        "description": f"Not executed: {one.told.why}",
        "implementation": implementation,
    }


def dumped(data: Any) -> str:
    """Data as YAML that readers of YAML 1.1 and 1.2 take for the same. Texts of several lines stand as blocks where that is exact."""
    for blocks in (True, False):
        text = _dump(_styled(data, blocks=blocks))
        if parse(text, "the contract").data == data:
            return text
    raise BadInput(
        "contract.write",
        "The contract holds a value that YAML cannot.",
        "Take out NaN and control characters.",
    )


def _dump(data: Any) -> str:
    yaml, buffer = YAML(), io.StringIO()
    yaml.width, yaml.allow_unicode = WIDE, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(data, buffer)
    return buffer.getvalue()


def _styled(value: Any, *, blocks: bool) -> Any:
    if isinstance(value, dict):
        return {_styled(key, blocks=False): _styled(one, blocks=blocks) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        entries = [_styled(one, blocks=blocks) for one in value]
        if not any(isinstance(one, (dict, list)) for one in entries):
            flow = CommentedSeq(entries)
            flow.fa.set_flow_style()
            return flow
        return entries
    if isinstance(value, str):
        if blocks and "\n" in value:
            return LiteralScalarString(value)
        return DoubleQuotedScalarString(value) if AMBIGUOUS.match(value) else value
    return value


# -- changes -------------------------------------------------------------------------------------------------------------------------


def changed(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The contract's text with a change of its data: `change` alters the data that it is given. What stays the same stays as it is written."""
    before = parse(text, "the contract").data
    after = deepcopy(before)
    change(after)
    if after == before:
        return text
    try:
        told = edited(text, before, after)
        if parse(told, "the contract").data == after:
            return told
    except (NotInLines, BadInput, ValueError, IndexError):
        pass
    return _rewritten(text, after)


def _rewritten(text: str, after: Any) -> str:
    """Where lines cannot be changed one by one: the whole is written anew, with its comments."""
    yaml, buffer = YAML(), io.StringIO()
    yaml.width, yaml.preserve_quotes = WIDE, True
    yaml.dump(_merged(yaml.load(text), after), buffer)
    told = buffer.getvalue()
    return told if parse(told, "the contract").data == after else dumped(after)


def _merged(standing: Any, after: Any) -> Any:
    """`after`, in the objects that carry the comments of what stands there."""
    if isinstance(standing, CommentedMap) and isinstance(after, dict):
        for key in [key for key in standing if key not in after]:
            del standing[key]
        for key, value in after.items():
            standing[key] = _merged(standing.get(key), value)
        return standing
    if isinstance(standing, CommentedSeq) and isinstance(after, list) and len(standing) == len(after):
        for number, value in enumerate(after):
            standing[number] = _merged(standing[number], value)
        return standing
    return standing if standing == after and type(standing) is type(after) else after


def add_rule(text: str, table: str, entry: dict[str, Any], column: str = "") -> str:
    """With an entry of `quality` more, at a table or at one of its properties."""
    return changed(text, lambda data: _holder(data, table, column).setdefault("quality", []).append(entry))


def replace_rule(text: str, rule: str, entry: dict[str, Any]) -> str:
    """With another entry in the place of the rule of that id. Errors: `BadInput` `contract.no-rule`, `contract.derived`."""
    holder, number = _entry_at(text, rule)

    def change(data: dict[str, Any]) -> None:
        _at(data, holder)[number] = entry

    return changed(text, change)


def remove_rule(text: str, rule: str) -> str:
    """Without the rule of that id. Errors: `BadInput` `contract.no-rule`, `contract.derived`."""
    holder, number = _entry_at(text, rule)

    def change(data: dict[str, Any]) -> None:
        entries = _at(data, holder)
        del entries[number]
        if not entries:
            del _at(data, holder[:-1])[holder[-1]]

    return changed(text, change)


def set_table(text: str, table: dict[str, Any]) -> str:
    """With a table more, or another one in the place of its name."""
    return changed(text, lambda data: _put(data.setdefault("schema", []), table))


def remove_table(text: str, name: str) -> str:
    """Without a table."""
    return changed(text, lambda data: _take(data, "schema", name, "table"))


def set_property(text: str, table: str, one: dict[str, Any]) -> str:
    """With a property more in a table, or another one in the place of its name."""
    return changed(text, lambda data: _put(_holder(data, table, "").setdefault("properties", []), one))


def remove_property(text: str, table: str, name: str) -> str:
    """Without a property."""
    return changed(text, lambda data: _take(_holder(data, table, ""), "properties", name, "property"))


def _put(entries: list[dict[str, Any]], one: dict[str, Any]) -> None:
    place = next((number for number, entry in enumerate(entries) if entry.get("name") == one["name"]), None)
    if place is None:
        entries.append(one)
    else:
        entries[place] = one


def _take(holder: dict[str, Any], key: str, name: str, what: str) -> None:
    kept = [one for one in holder.get(key) or [] if one.get("name") != name]
    if len(kept) == len(holder.get(key) or []):
        raise BadInput(
            f"contract.no-{what}", f"The contract has no {what} {name!r}.", "Give the name that stands in it."
        )
    holder[key] = kept
    if not kept:
        del holder[key]


def _holder(data: dict[str, Any], table: str, column: str) -> dict[str, Any]:
    found: dict[str, Any] | None = _named(data.get("schema") or [], table)
    if found is None:
        raise BadInput(
            "contract.no-table", f"The contract has no table {table!r}.", "Give the name that stands in it."
        )
    if column:
        found = _named(found.get("properties") or [], column)
    if found is None:
        raise BadInput(
            "contract.no-property", f"{table} has no property {column!r}.", "Give the name that stands in it."
        )
    return found


def _named(entries: Iterable[dict[str, Any]], name: str) -> dict[str, Any] | None:
    return next((one for one in entries if one.get("name") == name), None) or next(
        (one for one in entries if one.get("physicalName") == name), None
    )


def _entry_at(text: str, rule: str) -> tuple[tuple[str | int, ...], int]:
    """(the list, the place in it) of a rule's entry."""
    contract = read(text, "contract")
    found = next((one for one in contract.rules if one.id == rule), None)
    if found is None:
        raise BadInput(
            "contract.no-rule",
            f"The contract has no rule {rule!r}.",
            "quality.check lists them by their ids.",
        )
    document = parse(text, "the contract")
    path = next((path for path in document.places if said(path) == found.at), ())
    if len(path) < 2 or path[-2] != "quality" or not isinstance(path[-1], int):  # noqa: PLR2004 - a list and a place
        raise BadInput(
            "contract.derived", f"The rule {rule!r} is said by {found.at}.", "Change the property itself."
        )
    others = [repr(one.id) for one in contract.rules if one.at == found.at and one.id != rule]
    if others:
        raise BadInput(
            "contract.several",
            f"The entry {found.at} says {rule!r} and {', '.join(others)} too.",
            "Give each an entry of its own, then change the one.",
        )
    return path[:-1], path[-1]


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data[part]
    return data
