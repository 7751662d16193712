"""A table's rules as a suite of Great Expectations 1.x."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.asking import NOW
from datareeve.capabilities.quality.contracts.drafts import quoted
from datareeve.capabilities.quality.contracts.exports.texts import MOVES, Held, mostly, orphans
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AGGREGATES = {
    "min": "min",
    "max": "max",
    "mean": "mean",
    "median": "median",
    "sum": "sum",
    "stddev": "stdev",
    "distinct": "unique_value_count",
}


def write(rules: Sequence[Rule], table: str) -> Held:
    """The suite of one table."""
    held, left = [], []
    for rule in rules:
        made = _expectation(rule)
        if isinstance(made, str):
            left.append((rule, made))
        else:
            held.append({"type": made[0], "kwargs": made[1], "id": None, "severity": "critical" if rule.severity == "error" else "warning", "meta": {"rule": rule.id, **({"notes": rule.text} if rule.text else {})}})  # fmt: skip
    suite = {
        "name": table,
        "expectations": [{key: value for key, value in one.items() if value is not None} for one in held],
        "meta": {},
    }
    return Held(json.dumps(suite, indent=2, ensure_ascii=False) + "\n", tuple(left))


def _expectation(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    made = MADE.get(rule.kind)
    if made is None:
        return f"It has nothing of kind {rule.kind}."
    found = made(rule)
    if isinstance(found, str):
        return found
    name, kwargs = found
    if rule.where and name != "unexpected_rows_expectation":
        kwargs = {**kwargs, "row_condition": rule.where, "condition_parser": "spark"}
    return name, kwargs


def _rows(name: str, **given: Any) -> Callable[[Rule], tuple[str, dict[str, Any]] | str]:
    def made(rule: Rule) -> tuple[str, dict[str, Any]] | str:
        share = mostly(rule)
        if share is None:
            return "Its tolerance is not a share of rows."
        said = {"column": rule.columns[0], **given, **({"mostly": share} if share < 1 else {})}
        return name, said

    return made


def _range(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    said = rule.arguments
    if NOW in said.values():
        return MOVES
    given = {
        "min_value": said.get("at_least", said.get("above")), "max_value": said.get("at_most", said.get("below")),
        "strict_min": "above" in said or None, "strict_max": "below" in said or None,
    }  # fmt: skip
    if len(said) > 2 or {"at_least", "above"} <= said.keys() or {"at_most", "below"} <= said.keys():  # noqa: PLR2004 - two ends
        return "It has two bounds at one end."
    return _rows(
        "expect_column_values_to_be_between",
        **{key: value for key, value in given.items() if value is not None},
    )(rule)


def _set(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    name = "not_be_in_set" if rule.arguments.get("negated") else "be_in_set"
    return _rows(f"expect_column_values_to_{name}", value_set=list(rule.arguments["values"]))(rule)


def _pattern(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    name = "not_match_regex" if rule.arguments.get("negated") else "match_regex"
    return _rows(f"expect_column_values_to_{name}", regex=rule.arguments["regex"])(rule)


def _length(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    given = {"min_value": rule.arguments.get("at_least"), "max_value": rule.arguments.get("at_most")}
    return _rows(
        "expect_column_value_lengths_to_be_between",
        **{key: value for key, value in given.items() if value is not None},
    )(rule)


def _unique(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    if rule.bounds != NONE_BREAK:
        return "Its tolerance counts rows beyond the first, and there every row of a key."
    nulls = "never" if rule.arguments.get("nulls") == "equal" else "any_value_is_missing"
    if len(rule.columns) == 1 and nulls != "never":
        return "expect_column_values_to_be_unique", {"column": rule.columns[0]}
    return "expect_compound_columns_to_be_unique", {"column_list": list(rule.columns), "ignore_row_if": nulls}


def _between(bounds: Bounds) -> dict[str, Any] | str:
    if bounds.not_equal_to is not None or bounds.not_within is not None:
        return "It excludes a figure."
    equal, given = bounds.equal_to, {}
    least, most = (
        (bounds.at_least if bounds.at_least is not None else bounds.above),
        (bounds.at_most if bounds.at_most is not None else bounds.below),
    )
    given = {"min_value": least if equal is None else equal, "max_value": most if equal is None else equal}
    given |= {
        "strict_min": True if bounds.at_least is None and bounds.above is not None else None,
        "strict_max": True if bounds.at_most is None and bounds.below is not None else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _row_count(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    given = _between(rule.bounds)
    return given if isinstance(given, str) else ("expect_table_row_count_to_be_between", given)


def _aggregate(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    given, function = _between(rule.bounds), rule.arguments["function"]
    if isinstance(given, str) or not rule.columns:
        return given if isinstance(given, str) else "It is about no column."
    if function == "quantile":
        ends = [given.get("min_value"), given.get("max_value")]
        if "strict_min" in given or "strict_max" in given:
            return "Its bound is not included, which a quantile's is there."
        return "expect_column_quantile_values_to_be_between", {
            "column": rule.columns[0],
            "quantile_ranges": {"quantiles": [rule.arguments.get("q", 0.5)], "value_ranges": [ends]},
        }
    if function not in AGGREGATES:
        return f"It has no metric {function}."
    return f"expect_column_{AGGREGATES[function]}_to_be_between", {"column": rule.columns[0], **given}


def _condition(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    if rule.bounds != NONE_BREAK:
        return "Unexpected rows have no tolerance."
    where = f" AND ({rule.where})" if rule.where else ""
    return "unexpected_rows_expectation", {
        "unexpected_rows_query": f"SELECT * FROM {{batch}} WHERE NOT ({rule.arguments['sql']}){where}"
    }


def _foreign_key(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    if rule.bounds != NONE_BREAK:
        return "Unexpected rows have no tolerance."
    return "unexpected_rows_expectation", {
        "unexpected_rows_query": f"SELECT * FROM {{batch}} AS c WHERE {orphans(rule, quoted)}"
    }


def _schema(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    if any(one.get("type") for one in rule.arguments["columns"]):
        return "Types are an engine's own words there: list the names alone, or check the types here."
    names = [one["name"] for one in rule.arguments["columns"]]
    return "expect_table_columns_to_match_set", {
        "column_set": names,
        "exact_match": not rule.arguments.get("more", True),
    }


def _type(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    if rule.arguments["type"] == "json":
        return _rows("expect_column_values_to_be_json_parseable")(rule)
    if rule.arguments["type"] == "date":
        return _rows("expect_column_values_to_match_strftime_format", strftime_format="%Y-%m-%d")(rule)
    return f"It does not read text as {rule.arguments['type']}."


def _not_null(rule: Rule) -> tuple[str, dict[str, Any]] | str:
    return (
        "It takes NULL alone for missing."
        if rule.arguments.get("missing")
        else _rows("expect_column_values_to_not_be_null")(rule)
    )


MADE: dict[str, Callable[[Rule], tuple[str, dict[str, Any]] | str]] = {
    "not-null": _not_null, "range": _range, "set": _set, "pattern": _pattern, "length": _length, "unique": _unique, "row-count": _row_count,
    "aggregate": _aggregate, "condition": _condition, "foreign-key": _foreign_key, "schema": _schema, "type": _type,
}  # fmt: skip
