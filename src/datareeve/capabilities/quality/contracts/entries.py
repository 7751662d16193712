"""The entries under `quality`: the standard's own metrics, SQL, our kinds, and other tools' checks, as rules."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, get_args

from datareeve.capabilities.quality.contracts import kinds
from datareeve.capabilities.quality.contracts.drafts import column as quoted_column
from datareeve.capabilities.quality.contracts.drafts import (
    dimension_of,
    draft,
    quoted,
    severity_of,
)
from datareeve.capabilities.quality.contracts.standard import nearest
from datareeve.capabilities.quality.rule import COUNTING_KINDS, NONE_BREAK, Bounds, Kind, Rule
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.quality.contracts.reading import Place, Reading

OPERATORS = {
    "mustBe": "equal_to", "mustNotBe": "not_equal_to", "mustBeGreaterThan": "above", "mustBeGreaterOrEqualTo": "at_least",
    "mustBeLessThan": "below", "mustBeLessOrEqualTo": "at_most", "mustBeBetween": "between", "mustNotBeBetween": "not_within",
}  # fmt: skip
METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
# The names of ODCS 3.0 (`rule:`), which its text and examples use.
OLDER = {
    "nullcheck": "nullValues", "nullvalues": "nullValues", "nullcount": "nullValues", "notnull": "nullValues",
    "duplicatecount": "duplicateValues", "duplicatevalues": "duplicateValues", "unique": "duplicateValues", "uniquecheck": "duplicateValues",
    "validvalues": "invalidValues", "invalidvalues": "invalidValues", "invalidcount": "invalidValues",
    "missingvalues": "missingValues", "missingcount": "missingValues", "rowcount": "rowCount", "countcheck": "rowCount",
}  # fmt: skip
PERCENT = frozenset(("percent", "percentage", "%", "pct"))
COUNTED = frozenset(("", "rows", "row", "records", "values", "count"))
PLACEHOLDER = re.compile(r"\$?\{\s*(object|table|model|schema|property|column|field)\s*\}", re.IGNORECASE)
OF_TABLE = frozenset(("object", "table", "model", "schema"))
OWN_KEYS = frozenset(("kind", "columns", "where", "tolerance", "unit", "dialect", "arguments", *OPERATORS))


def rules_of(entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    """The rules that an entry asks for; what it cannot be is told to `reading`."""
    kind = entry.get("type") or ("sql" if "query" in entry and "metric" not in entry else "library")
    made = {"library": _library, "sql": _sql, "custom": _custom}.get(kind, _text)(entry, place, reading)
    for rule in made:
        yield _dressed(rule, entry, reading)


def _dressed(rule: Rule, entry: dict[str, Any], reading: Reading) -> Rule:
    """With what the entry says beside the rule itself."""
    own = {one.get("property"): one.get("value") for one in entry.get("customProperties") or ()}
    text = entry.get("description") or rule.text
    told: dict[str, Any] = {"severity": severity_of(entry["severity"])} if entry.get("severity") else {}
    if entry.get("dimension"):
        told["dimension"] = dimension_of(entry["dimension"], rule.kind)
    owner = str(own.get("owner") or rule.owner or reading.owner)
    return rule.model_copy(update={"text": str(text).strip(), "owner": owner, **told})


def _text(entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    reading.leave(
        place,
        _name(entry, "text"),
        "It is prose: write it as a metric, as SQL or as a rule of engine datareeve.",
    )
    yield from ()


def _name(entry: dict[str, Any], default: str) -> str:
    return str(entry.get("id") or entry.get("name") or default)


# -- the standard's metrics ------------------------------------------------------------------------------------------------------------


def _library(entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    metric = entry.get("metric") or OLDER.get(str(entry.get("rule") or "").lower().replace("_", ""))
    if metric is None:
        if entry.get("rule"):
            return reading.leave(place, str(entry["rule"]), "The standard names no such metric.")
        return reading.wrong(place.path, f'lacks "metric": one of {", ".join(METRICS)}')
    if metric not in METRICS:
        return reading.wrong(
            (*place.path, "metric"), f"is no metric of the standard{nearest(metric, METRICS)}"
        )
    bounds = bounds_of(entry, place, reading)
    unit = _unit(entry, place, reading, metric)
    if bounds is None or unit is None:
        return None
    if metric == "rowCount":
        yield from _row_count(place, reading, bounds, unit)
    elif metric == "duplicateValues":
        yield from _duplicates(entry, place, reading, bounds, unit)
    elif not place.columns:
        reading.wrong((*place.path, "metric"), f"is {metric}, which belongs to a property, not to a table")
    elif metric == "invalidValues":
        yield from _invalid(entry, place, reading, bounds, unit)
    else:
        yield from _nulls(entry, place, reading, bounds, unit, metric)
    return None


def _row_count(place: Place, reading: Reading, bounds: Bounds, unit: str) -> Iterator[Rule]:
    if unit == "percent":
        return reading.leave(place, "rowCount", "A number of rows in percent says not of what.")
    if bounds == Bounds():
        return reading.wrong(place.path, f"gives rowCount no bound: {', '.join(OPERATORS)}")
    yield draft("row-count", place.table, bounds=bounds, at=place.words)
    return None


def _duplicates(
    entry: dict[str, Any], place: Place, reading: Reading, bounds: Bounds, unit: str
) -> Iterator[Rule]:
    named = (entry.get("arguments") or {}).get("properties")
    columns = place.columns
    if named is not None:
        columns = reading.columns(place.table, named, (*place.path, "arguments", "properties"))
    if not columns:
        return reading.wrong(place.path, 'says not of what: "arguments: {properties: [...]}"')
    yield draft("unique", place.table, columns, bounds=_counted(bounds, unit), unit=unit, at=place.words)
    return None


def _nulls(  # noqa: PLR0913, PLR0917 - what an entry is made of
    entry: dict[str, Any], place: Place, reading: Reading, bounds: Bounds, unit: str, metric: str
) -> Iterator[Rule]:
    missing = (entry.get("arguments") or {}).get("missingValues", []) if metric == "missingValues" else []
    if not isinstance(missing, list):
        return reading.wrong((*place.path, "arguments", "missingValues"), "is not a list")
    arguments = (
        {"missing": [one for one in missing if one is not None]}
        if any(one is not None for one in missing)
        else {}
    )
    yield draft(
        "not-null",
        place.table,
        place.columns,
        arguments,
        bounds=_counted(bounds, unit),
        unit=unit,
        at=place.words,
    )
    return None


def _invalid(
    entry: dict[str, Any], place: Place, reading: Reading, bounds: Bounds, unit: str
) -> Iterator[Rule]:
    arguments = dict(entry.get("arguments") or {})
    above = "validValues" in entry and "validValues" not in arguments
    if above:
        arguments["validValues"] = entry["validValues"]
    made = list(_criteria(arguments, place, reading, above=above))
    if not arguments:
        reading.wrong(
            place.path, 'says not what is valid: "arguments: {validValues: [...]}" or "{pattern: ...}"'
        )
    elif len(made) > 1 and _counted(bounds, unit) != NONE_BREAK:
        reading.leave(
            place,
            _name(entry, "invalidValues"),
            "A tolerance for several criteria together is not counted: give each its own entry.",
        )
    else:
        for kind, given in made:
            yield draft(
                kind,
                place.table,
                place.columns,
                given,
                bounds=_counted(bounds, unit),
                unit=unit,
                at=place.words,
            )


def _criteria(
    arguments: dict[str, Any], place: Place, reading: Reading, *, above: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    if "validValues" in arguments:
        values = arguments["validValues"]
        if isinstance(values, list):
            held = () if above else ("arguments",)
            yield "set", {"values": reading.values(values, (*place.path, *held, "validValues"), place)}
        else:
            reading.wrong((*place.path, "arguments", "validValues"), "is not a list")
    if "pattern" in arguments:
        yield "pattern", {"regex": str(arguments["pattern"])}
    lengths = {"at_least": arguments.get("minLength"), "at_most": arguments.get("maxLength")}
    if any(one is not None for one in lengths.values()):
        yield "length", {key: one for key, one in lengths.items() if one is not None}
    for other in arguments.keys() - {"validValues", "pattern", "minLength", "maxLength"}:
        reading.wrong(
            (*place.path, "arguments", other),
            f"is no argument of invalidValues{nearest(other, ('validValues', 'pattern'))}",
        )


def _counted(bounds: Bounds, unit: str) -> Bounds:
    """None or exactly zero of what breaks it are the same; fewer than one is so of rows, and not of percent."""
    same = [Bounds(), Bounds(equal_to=0), Bounds(at_least=0, at_most=0)]
    same += [Bounds(below=1, at_least=0)] if unit == "rows" else []
    return NONE_BREAK if bounds in same else bounds


def bounds_of(entry: dict[str, Any], place: Place, reading: Reading) -> Bounds | None:
    """The operators of an entry; None where one of them cannot be one, which is told."""
    found: dict[str, Any] = {}
    for operator, field in OPERATORS.items():
        value = entry.get(operator)
        if value is None:
            continue
        numbers = [_figure(one) for one in value] if isinstance(value, list) else [_figure(value)]
        wanted = 2 if field in ("between", "not_within") else 1
        if len(numbers) != wanted or None in numbers:
            reading.wrong((*place.path, operator), "is not a number" if wanted == 1 else "is not two numbers")
            return None
        if field == "between":
            least, most = found.get("at_least"), found.get("at_most")
            found["at_least"] = min(numbers) if least is None else max(least, min(numbers))
            found["at_most"] = max(numbers) if most is None else min(most, max(numbers))
        else:
            found[field] = (min(numbers), max(numbers)) if wanted > 1 else numbers[0]
    return Bounds(**found)


def _figure(value: Any) -> Any:
    """A finite number; true and false are one and zero, as queries answer them."""
    if not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _unit(entry: dict[str, Any], place: Place, reading: Reading, what: str) -> str | None:
    word = str(entry.get("unit") or "").lower()
    if word in PERCENT:
        return "percent"
    if word in COUNTED:
        return "rows"
    reading.leave(place, _name(entry, what), f"The unit {word!r} is not known: rows or percent.")
    return None


# -- SQL -------------------------------------------------------------------------------------------------------------------------------


def _sql(entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    bounds = bounds_of(entry, place, reading)
    if bounds is None:
        return None
    if not entry.get("query"):
        return reading.wrong(place.path, 'lacks "query"')
    if bounds == Bounds():
        return reading.wrong(
            place.path, f"does not say what the query's figure must be: {', '.join(OPERATORS)}"
        )
    dialect = _dialect(entry) or reading.dialect
    query = reading.filled(str(entry["query"]), place, dialect)
    yield draft(
        "sql",
        place.table,
        place.columns,
        {"query": query.strip().rstrip(";")},
        bounds=bounds,
        at=place.words,
        dialect=dialect,
    )
    return None


def _dialect(entry: dict[str, Any]) -> str:
    own = (one for one in entry.get("customProperties") or () if one.get("property") == "dialect")
    return str(next((one.get("value") for one in own), "") or "")


def filled(query: str, table: str, column: str, dialect: str) -> str:
    """A query with its placeholders replaced by quoted names."""

    def named(found: re.Match[str]) -> str:
        if found[1].lower() in OF_TABLE:
            return table if _plain(table, dialect) else quoted(table, dialect)
        return (column if _plain(column, dialect) else quoted_column(column, dialect)) if column else found[0]

    return PLACEHOLDER.sub(named, query)


def _plain(name: str, dialect: str) -> bool:
    """Whether a name needs no quotes on any engine: how an engine quotes is not known where the dialect is not."""
    return not dialect and re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*", name) is not None


# -- other engines' entries, and ours --------------------------------------------------------------------------------------------------


def _custom(entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    engine = re.sub(r"[^a-z]", "", str(entry.get("engine") or "").lower())
    implementation = _implementation(entry, place, reading)
    if implementation is None:
        return None
    if engine == "datareeve":
        yield from _own(implementation, entry, place, reading)
        return None
    rules, why = reading.foreign(engine, implementation, place)
    if not rules:
        reading.leave(
            place,
            _foreign_name(entry, implementation),
            why or f"Checks of {entry.get('engine') or 'an engine that is not named'} are not executed here.",
        )
    yield from rules
    return None


def _foreign_name(entry: dict[str, Any], implementation: Any) -> str:
    told = (
        implementation
        if isinstance(implementation, dict)
        else {"name": str(implementation).strip().splitlines()[0][:80]}
    )
    named = next(
        (
            told[key]
            for key in ("expectation_type", "expectation", "type", "check", "test", "name")
            if isinstance(told.get(key), str)
        ),
        "",
    )
    return str(
        entry.get("id")
        or entry.get("name")
        or named
        or next(iter(told), "")
        or entry.get("engine")
        or "custom"
    )


def _implementation(entry: dict[str, Any], place: Place, reading: Reading) -> Any:
    """The implementation as data: a text may be YAML."""
    given = entry.get("implementation")
    if given is None:
        return reading.wrong(place.path, 'lacks "implementation"')
    if not isinstance(given, str):
        return given
    try:
        return parse(given, "implementation").data
    except BadInput:
        return given


def _own(given: Any, entry: dict[str, Any], place: Place, reading: Reading) -> Iterator[Rule]:
    path = (*place.path, "implementation")
    if not isinstance(given, dict) or "kind" not in given:
        return reading.wrong(path, 'lacks "kind"')
    kind = given["kind"]
    if kind not in get_args(Kind):
        return reading.wrong((*path, "kind"), f"is no kind of rule{nearest(kind, get_args(Kind))}")
    arguments, named = _own_arguments(kind, given)
    if kind == "set" and isinstance(arguments.get("values"), list):
        held = (
            ("arguments",)
            if isinstance(given.get("arguments"), dict) and "values" in given["arguments"]
            else ()
        )
        arguments["values"] = reading.values(arguments["values"], (*path, *held, "values"), place)
    wrong = list(kinds.argument_problems(kind, arguments))
    for name, what in wrong:
        reading.wrong((*path, name) if name else path, what)
    mistakes = len(reading.problems)
    columns = place.columns if named is None else reading.columns(place.table, named, (*path, "columns"))
    figures = _own_figures(kind, {**entry, **given}, place, reading)
    if (
        figures is None
        or wrong
        or len(reading.problems) > mistakes
        or not _has_columns(kind, columns, path, reading)
    ):
        return None
    yield draft(
        kind, place.table, columns, arguments, bounds=figures[0], unit=figures[1],
        where=str(given.get("where") or ""), at=place.words, dialect=str(given.get("dialect") or ""),
    )  # fmt: skip
    return None


def _own_arguments(kind: str, given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """(arguments, the columns it is about): beside the kind, or under `arguments`; a foreign key's other side is `references`."""
    inner = given.get("arguments") or {}
    arguments = {key: value for key, value in given.items() if key not in OWN_KEYS} | (
        inner if isinstance(inner, dict) else {}
    )
    named = given.get("columns")
    if kind == "schema" and named is not None:
        return {"columns": named, **arguments}, None
    if kind == "foreign-key" and "references" in arguments:
        arguments["columns"] = arguments.pop("references")
    return arguments, named


def _own_figures(
    kind: str, given: dict[str, Any], place: Place, reading: Reading
) -> tuple[Bounds, str] | None:
    """(bounds, unit) of a rule of ours: by the standard's operators, or by `tolerance`: 5, '0.5 %'."""
    bounds = bounds_of(given, place, reading)
    unit = str(given.get("unit") or kinds.default_unit(kind)).lower()
    unit = "percent" if unit in PERCENT else unit
    if bounds is None:
        return None
    if given.get("tolerance") is not None:
        number, sign, _ = str(given["tolerance"]).partition("%")
        number, word, _ = number.partition("percent")
        if _figure(number.strip()) is None or _figure(number.strip()) < 0:
            reading.wrong(
                (*place.path, "implementation", "tolerance"), "is neither a number of rows nor a percentage"
            )
            return None
        if not tolerates(kind):
            reading.wrong(
                (*place.path, "implementation", "tolerance"),
                f"is of rows that break a rule, and {kind} counts none: give {', '.join(OPERATORS)}",
            )
            return None
        bounds, unit = _tolerated(kind, _figure(number.strip()), share=bool(sign or word))
    if unit not in ("rows", "percent", "value", "seconds"):
        reading.wrong((*place.path, "implementation", "unit"), "is none of rows, percent, value, seconds")
        return None
    if kind in kinds.NEEDS_BOUNDS and bounds == Bounds():
        reading.wrong(place.path, f"gives {kind} no bound: {', '.join(OPERATORS)}")
        return None
    counted = kind in COUNTING_KINDS or kind == "schema"
    return _counted(bounds, unit) if counted else bounds, unit


def tolerates(kind: str) -> bool:
    """Whether a tolerance says something of a kind: what counts rows, and what is held against another figure."""
    return kind in COUNTING_KINDS or kind in ("schema", "agreement")


def _tolerated(kind: str, most: float, *, share: bool) -> tuple[Bounds, str]:
    """An agreement may be off by so much on either side: a load that was cut short is as wrong as a doubled one."""
    if kind == "agreement":
        return Bounds(at_least=-most, at_most=most), "percent" if share else "value"
    return Bounds(at_most=most), "percent" if share else "rows"


def _has_columns(kind: str, columns: tuple[str, ...], path: Any, reading: Reading) -> bool:
    if kind in kinds.NEEDS_COLUMNS and not columns:
        reading.wrong(path, f'lacks "columns", which {kind} needs')
        return False
    if kind in kinds.ONE_COLUMN and len(columns) > 1:
        reading.wrong((*path, "columns"), f"names several columns, and {kind} is about one")
        return False
    return True
