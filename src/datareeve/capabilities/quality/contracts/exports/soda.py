"""A table's rules as SodaCL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import quoted
from datareeve.capabilities.quality.contracts.exports.texts import Held, orphans, threshold
from datareeve.capabilities.quality.contracts.write import dumped
from datareeve.capabilities.quality.rule import NONE_BREAK, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AGGREGATES = {"mean": "avg", "min": "min", "max": "max", "sum": "sum", "stddev": "stddev", "mean-length": "avg_length", "min-length": "min_length", "max-length": "max_length"}  # fmt: skip
FORMATS = {
    "email": "email",
    "phone": "phone number",
    "card": "credit card number",
    "ip": "ip address",
    "ipv4": "ipv4 address",
    "ipv6": "ipv6 address",
    "url": "url",
}
Check = tuple[str, dict[str, Any]]


def write(rules: Sequence[Rule], table: str) -> Held:
    """The checks of one table."""
    checks: list[Any] = []
    left = []
    for rule in rules:
        made = _check(rule)
        if isinstance(made, str):
            left.append((rule, made))
        else:
            line, below = made
            checks.append({line: {**below, "name": rule.id}})
    return Held(dumped({f"checks for {table}": checks}), tuple(left))


def _check(rule: Rule) -> Check | str:
    made = MADE.get(rule.kind)
    if made is None:
        return f"It has nothing of kind {rule.kind}."
    if rule.severity == "warning":
        return "What only warns is said by a threshold turned round: write it there."
    found = made(rule)
    if isinstance(found, str) or not rule.where or rule.kind in ("condition", "foreign-key"):
        return found
    return found[0], {**found[1], "filter": rule.where}


def _counted(metric: str, rule: Rule, below: dict[str, Any] | None = None) -> Check | str:
    percent = rule.unit == "percent"
    told = "= 0" if rule.bounds == NONE_BREAK else threshold(rule.bounds, percent=percent)
    if told is None:
        return "It has several bounds."
    return f"{metric}_{'percent' if percent else 'count'}({', '.join(rule.columns)}) {told}", below or {}


def _unique(rule: Rule) -> Check | str:
    if rule.bounds != NONE_BREAK or rule.arguments.get("nulls") == "equal":
        return "It counts keys, not rows, and none with a NULL."
    return _counted("duplicate", rule)


def _set(rule: Rule) -> Check | str:
    return _counted(
        "invalid",
        rule,
        {
            "invalid values" if rule.arguments.get("negated") else "valid values": list(
                rule.arguments["values"]
            )
        },
    )


def _pattern(rule: Rule) -> Check | str:
    return _counted(
        "invalid",
        rule,
        {"invalid regex" if rule.arguments.get("negated") else "valid regex": rule.arguments["regex"]},
    )


def _range(rule: Rule) -> Check | str:
    if {"above", "below"} & rule.arguments.keys() or any(
        isinstance(one, str) for one in rule.arguments.values()
    ):
        return "Its bounds are numbers, and included."
    return _counted(
        "invalid",
        rule,
        {
            {"at_least": "valid min", "at_most": "valid max"}[key]: value
            for key, value in rule.arguments.items()
        },
    )


def _length(rule: Rule) -> Check | str:
    return _counted(
        "invalid",
        rule,
        {
            {"at_least": "valid min length", "at_most": "valid max length"}[key]: value
            for key, value in rule.arguments.items()
        },
    )


def _format(rule: Rule) -> Check | str:
    known = FORMATS.get(rule.arguments["format"])
    return (
        _counted("invalid", rule, {"valid format": known})
        if known
        else f"It has no format {rule.arguments['format']}."
    )


def _type(rule: Rule) -> Check | str:
    known = {"integer": "integer", "number": "decimal", "uuid": "uuid", "timestamp": "date iso 8601"}.get(
        rule.arguments["type"]
    )
    return (
        _counted("invalid", rule, {"valid format": known})
        if known
        else f"It does not read text as {rule.arguments['type']}."
    )


def _not_null(rule: Rule) -> Check | str:
    missing = list(rule.arguments.get("missing") or ())
    return _counted("missing", rule, {"missing values": missing} if missing else {})


def _figure(metric: str, rule: Rule, below: dict[str, Any] | None = None) -> Check | str:
    told = threshold(rule.bounds)
    return (f"{metric} {told}", below or {}) if told else "It has several bounds."


def _aggregate(rule: Rule) -> Check | str:
    function = rule.arguments["function"]
    if function == "quantile":
        return _figure(f"percentile({rule.columns[0]}, {rule.arguments.get('q', 0.5)})", rule)
    if function not in AGGREGATES or not rule.columns:
        return f"It has no metric {function}."
    return _figure(f"{AGGREGATES[function]}({rule.columns[0]})", rule)


def _freshness(rule: Rule) -> Check | str:
    most = rule.bounds.at_most
    if most is None or most % 60:
        return "Its age is in whole minutes, and at most so."
    days, rest = divmod(int(most), 86_400)
    hours, rest = divmod(rest, 3600)
    span = "".join(
        f"{number}{unit}" for number, unit in ((days, "d"), (hours, "h"), (rest // 60, "m")) if number
    )
    return f"freshness({rule.columns[0]}) <= {span or '0m'}", {}


def _schema(rule: Rule) -> Check | str:
    if not rule.arguments.get("more", True):
        return "That there are no other columns is not asked."
    if any(one.get("type") for one in rule.arguments["columns"]):
        return "Types are an engine's own words there."
    return "schema", {
        "fail": {"when required column missing": [one["name"] for one in rule.arguments["columns"]]}
    }


def _rows(condition: str, rule: Rule) -> Check | str:
    if rule.bounds != NONE_BREAK:
        return "Failed rows have no tolerance."
    where = f" AND ({rule.where})" if rule.where else ""
    return "failed rows", {"fail query": f"SELECT * FROM {quoted(rule.table)} AS c WHERE {condition}{where}"}


def _condition(rule: Rule) -> Check | str:
    return _rows(f"NOT ({rule.arguments['sql']})", rule)


def _foreign_key(rule: Rule) -> Check | str:
    if rule.bounds == NONE_BREAK and not rule.where:
        own, theirs = ", ".join(rule.columns), ", ".join(rule.arguments["columns"])
        return f"values in ({own}) must exist in {rule.arguments['table']} ({theirs})", {}
    return _rows(orphans(rule, quoted), rule.model_copy(update={"where": ""}))


def _sql(rule: Rule) -> Check | str:
    return _figure("figure", rule, {"figure query": rule.arguments["query"]})


MADE: dict[str, Callable[[Rule], Check | str]] = {
    "not-null": _not_null, "range": _range, "set": _set, "pattern": _pattern, "length": _length, "unique": _unique, "format": _format, "type": _type,
    "row-count": lambda rule: _figure("row_count", rule), "aggregate": _aggregate, "freshness": _freshness, "schema": _schema, "condition": _condition,
    "foreign-key": _foreign_key, "sql": _sql,
}  # fmt: skip
