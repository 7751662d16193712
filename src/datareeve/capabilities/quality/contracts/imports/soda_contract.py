"""Soda's contracts (`dataset:`, `columns:`, `checks:`), and the typed form that ODCS shows: `{type: duplicate_percent, must_be_less_than: 1}`.

Each is brought to the line that SodaCL has for it, so that there is one translation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import severity_of
from datareeve.capabilities.quality.contracts.imports import types
from datareeve.capabilities.quality.contracts.imports.imported import (
    Collector,
    Imported,
    ImportedColumn,
    Made,
)

if TYPE_CHECKING:
    from collections.abc import Callable

THRESHOLDS = {
    "must_be": "=", "must_not_be": "!=", "must_be_greater_than": ">", "must_be_greater_than_or_equal": ">=", "must_be_greater_than_or_equal_to": ">=",
    "must_be_less_than": "<", "must_be_less_than_or_equal": "<=", "must_be_less_than_or_equal_to": "<=",
}  # fmt: skip
DEFAULT_ZERO = ("missing", "invalid", "duplicate", "failed_rows")


def read(data: dict[str, Any], table: str, translate: Callable[[Any], Made]) -> Imported:
    """The checks of a Soda contract."""
    name = table or str(data["dataset"]).rsplit("/", maxsplit=1)[-1]
    collector = Collector("soda")
    columns = [one for one in data.get("columns") or [] if isinstance(one, dict) and one.get("name")]
    collector.table(name, (_column(one) for one in columns))
    for number, one in enumerate(data.get("checks") or []):
        _add(one, f"checks[{number}]", name, "", collector, translate)
    for place, column in enumerate(columns):
        for number, one in enumerate(column.get("checks") or []):
            _add(one, f"columns[{place}].checks[{number}]", name, str(column["name"]), collector, translate)
    return collector.result()


def _column(one: dict[str, Any]) -> ImportedColumn:
    physical = str(one.get("data_type") or "")
    return ImportedColumn(
        name=str(one["name"]), physical_type=physical, logical_type=types.logical(physical) or ""
    )


def _add(  # noqa: PLR0913, PLR0917 - each of them is asked for by name
    one: Any, at: str, table: str, column: str, collector: Collector, translate: Callable[[Any], Made]
) -> None:
    told = one if isinstance(one, dict) else {str(one): {}}
    kind, given = next(iter(told.items()), ("check", {}))
    if isinstance(told.get("type"), str):
        kind, given = told["type"], told
    settings = given if isinstance(given, dict) else {}
    made = typed({**settings, "type": str(kind)}, table, column, translate)
    collector.add(made, at, str(kind), one, given=str(settings.get("name") or ""), table=table, column=column)


def typed(given: dict[str, Any], table: str, column: str, translate: Callable[[Any], Made]) -> Made:
    """The rules of a check by its type and settings."""
    from datareeve.capabilities.quality.contracts.imports.soda import Check  # noqa: PLC0415 - they translate for each other

    kind = str(given["type"])
    if kind == "schema":
        return "The schema that a contract lists is asked by its properties."
    line = _line(kind, given, column)
    if not line:
        return f"The check {kind!r} is not read."
    below = {
        str(key).replace("_", " "): value
        for key, value in given.items()
        if key not in ("type", "columns", "column", "threshold")
    }
    if kind == "failed_rows":
        below = {
            "fail condition": given.get("expression"),
            "fail query": given.get("query"),
            "filter": given.get("filter"),
        }
    made = translate(Check(line, below, table, ""))
    level = (given.get("threshold") or {}).get("level") if isinstance(given.get("threshold"), dict) else None
    if isinstance(made, str) or not level:
        return made
    return tuple(rule.model_copy(update={"severity": severity_of(level)}) for rule in made)


def _line(kind: str, given: dict[str, Any], column: str) -> str:
    """The line of SodaCL."""
    if kind == "failed_rows":
        return "failed rows"
    threshold = given.get("threshold") if isinstance(given.get("threshold"), dict) else {}
    operator = _operator({**given, **(threshold or {})})
    if kind == "freshness":
        unit = str((threshold or {}).get("unit") or "day")[:1]
        value = re.sub(r"^<=?\s*", "", operator)
        return f"freshness({given.get('column') or column}) < {value}{unit}" if value != operator else ""
    if kind == "aggregate":
        return f"{given.get('function')}({column}) {operator}"
    percent = (threshold or {}).get("metric") == "percent" or kind.endswith("_percent")
    base = re.sub(r"_(count|percent)$", "", kind)
    if base == "row":
        return f"row_count {operator or '> 0'}"
    if base not in DEFAULT_ZERO and not operator:
        return ""
    named = given.get("columns") or ([column] if column else [])
    metric = f"{base}_{'percent' if percent else 'count'}" if base in DEFAULT_ZERO else kind
    return f"{metric}({', '.join(map(str, named))}) {operator or '= 0'}"


def _operator(given: dict[str, Any]) -> str:
    for word, sign in THRESHOLDS.items():
        if isinstance(given.get(word), (int, float)):
            return f"{sign} {given[word]}"
    for word, negated in (
        ("must_be_between", ""),
        ("must_be_not_between", "not "),
        ("must_not_be_between", "not "),
    ):
        pair = given.get(word)
        if isinstance(pair, dict):
            pair = [pair.get("greater_than_or_equal"), pair.get("less_than_or_equal")]
        if isinstance(pair, list) and len(pair) == 2 and None not in pair:  # noqa: PLR2004 - two ends
            return f"{negated}between {pair[0]} and {pair[1]}"
    return ""
