"""A contract's rules as a properties file of dbt, with dbt_utils and dbt_expectations where dbt itself has no test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.asking import NOW
from datareeve.capabilities.quality.contracts.drafts import literal
from datareeve.capabilities.quality.contracts.exports.texts import MOVES, Held
from datareeve.capabilities.quality.contracts.write import dumped
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Test = tuple[str, dict[str, Any]]
METRICS = {
    "min": "min",
    "max": "max",
    "mean": "mean",
    "median": "median",
    "sum": "sum",
    "stddev": "stdev",
    "distinct": "unique_value_count",
}
SPANS = (("day", 86_400), ("hour", 3600), ("minute", 60))


def write(rules: Sequence[Rule], table: str) -> Held:
    """The tests of one table."""
    model: dict[str, Any] = {"name": table}
    columns: dict[str, list[Any]] = {}
    left = []
    for rule in rules:
        made = _test(rule)
        if isinstance(made, str):
            left.append((rule, made))
            continue
        name, given = made
        config = _config(rule)
        test = {
            name: {
                **({"arguments": given} if given else {}),
                **({"config": config} if config else {}),
                "name": rule.id,
            }
        }
        if len(rule.columns) == 1 and name not in OF_TABLES:
            columns.setdefault(rule.columns[0], []).append(test)
        else:
            model.setdefault("data_tests", []).append(test)
    if columns:
        model["columns"] = [{"name": name, "data_tests": tests} for name, tests in columns.items()]
    return Held(dumped({"version": 2, "models": [model]}), tuple(left))


def _config(rule: Rule) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if rule.severity == "warning":
        config["severity"] = "warn"
    if rule.where:
        config["where"] = rule.where
    if rule.kind in COUNTED and rule.bounds != NONE_BREAK:
        config["warn_if" if rule.severity == "warning" else "error_if"] = f">{rule.bounds.at_most:.15g}"
        config |= {} if rule.severity == "warning" else {"warn_if": f">{rule.bounds.at_most:.15g}"}
    return config


def _test(rule: Rule) -> Test | str:
    made = MADE.get(rule.kind)
    if made is None:
        return f"It has nothing of kind {rule.kind}."
    if (
        rule.kind in COUNTED
        and rule.bounds != NONE_BREAK
        and (rule.unit != "rows" or rule.bounds != Bounds(at_most=rule.bounds.at_most))
    ):
        return "Its tolerance is not a number of rows."
    return made(rule)


def _not_null(rule: Rule) -> Test | str:
    return "It takes NULL alone for missing." if rule.arguments.get("missing") else ("not_null", {})


def _unique(rule: Rule) -> Test | str:
    equal = rule.arguments.get("nulls") == "equal"
    if len(rule.columns) == 1 and not equal:
        return ("unique", {}) if rule.bounds == NONE_BREAK else "It counts keys, not rows."
    if rule.bounds != NONE_BREAK:
        return "It counts keys, not rows."
    if not equal:
        return "dbt_expectations.expect_compound_columns_to_be_unique", {
            "column_list": list(rule.columns),
            "ignore_row_if": "any_value_is_missing",
        }
    return "dbt_utils.unique_combination_of_columns", {"combination_of_columns": list(rule.columns)}


def _set(rule: Rule) -> Test | str:
    values = list(rule.arguments["values"])
    told = {"values": values, **({"quote": False} if not all(isinstance(one, str) for one in values) else {})}
    return ("dbt_utils.not_accepted_values" if rule.arguments.get("negated") else "accepted_values"), told


def _range(rule: Rule) -> Test | str:
    said = rule.arguments
    if NOW in said.values():
        return MOVES
    if {"at_least", "at_most"} >= said.keys() or {"above", "below"} >= said.keys():
        inclusive = {"at_least", "at_most"} >= said.keys()
        bounds = {
            "min_value": said.get("at_least", said.get("above")),
            "max_value": said.get("at_most", said.get("below")),
        }
        told = {
            key: literal(value) if isinstance(value, str) else value
            for key, value in bounds.items()
            if value is not None
        }
        return "dbt_utils.accepted_range", {**told, **({} if inclusive else {"inclusive": False})}
    return "One of its bounds is included, and one is not."


def _pattern(rule: Rule) -> Test | str:
    name = "not_match_regex" if rule.arguments.get("negated") else "match_regex"
    return f"dbt_expectations.expect_column_values_to_{name}", {
        "regex": rule.arguments["regex"],
        "is_raw": True,
    }


def _length(rule: Rule) -> Test | str:
    told = {"min_value": rule.arguments.get("at_least"), "max_value": rule.arguments.get("at_most")}
    return "dbt_expectations.expect_column_value_lengths_to_be_between", {
        key: value for key, value in told.items() if value is not None
    }


def _condition(rule: Rule) -> Test | str:
    return "dbt_utils.expression_is_true", {"expression": rule.arguments["sql"]}


def _foreign_key(rule: Rule) -> Test | str:
    if len(rule.columns) > 1:
        return "It has no references of several columns."
    return "relationships", {"to": f"ref('{rule.arguments['table']}')", "field": rule.arguments["columns"][0]}


def _between(bounds: Bounds) -> dict[str, Any] | str:
    given = {name: value for name, value in bounds if value is not None}
    if given.keys() <= {"at_least", "at_most"}:
        return {
            {"at_least": "min_value", "at_most": "max_value"}[name]: value for name, value in given.items()
        }
    if given.keys() <= {"above", "below"}:
        return {
            **{{"above": "min_value", "below": "max_value"}[name]: value for name, value in given.items()},
            "strictly": True,
        }
    return (
        {"min_value": bounds.equal_to, "max_value": bounds.equal_to}
        if given.keys() == {"equal_to"}
        else "Its bounds are not of one kind."
    )


def _row_count(rule: Rule) -> Test | str:
    told = _between(rule.bounds)
    return told if isinstance(told, str) else ("dbt_expectations.expect_table_row_count_to_be_between", told)


def _aggregate(rule: Rule) -> Test | str:
    told, function = _between(rule.bounds), rule.arguments["function"]
    if isinstance(told, str):
        return told
    if function == "quantile":
        return "dbt_expectations.expect_column_quantile_values_to_be_between", {
            "quantile": rule.arguments.get("q", 0.5),
            **told,
        }
    return (
        (f"dbt_expectations.expect_column_{METRICS[function]}_to_be_between", told)
        if function in METRICS and rule.columns
        else f"It has no metric {function}."
    )


def _freshness(rule: Rule) -> Test | str:
    most = rule.bounds.at_most
    part = next(((name, seconds) for name, seconds in SPANS if most and most % seconds == 0), None)
    if part is None or most is None:
        return "Its age is in whole minutes, and at most so."
    return "dbt_utils.recency", {
        "datepart": part[0],
        "field": rule.columns[0],
        "interval": int(most // part[1]),
    }


def _schema(rule: Rule) -> Test | str:
    if any(one.get("type") for one in rule.arguments["columns"]):
        return "Types are the adapter's own words there."
    name = "contain_set" if rule.arguments.get("more", True) else "match_set"
    return f"dbt_expectations.expect_table_columns_to_{name}", {
        "column_list": [one["name"] for one in rule.arguments["columns"]]
    }


COUNTED = frozenset(("not-null", "set", "range", "pattern", "length", "condition", "foreign-key", "unique"))
OF_TABLES = frozenset(
    (
        "dbt_utils.recency",
        "dbt_utils.expression_is_true",
        "dbt_utils.unique_combination_of_columns",
        "dbt_expectations.expect_compound_columns_to_be_unique",
    )
)
MADE: dict[str, Callable[[Rule], Test | str]] = {
    "not-null": _not_null, "unique": _unique, "set": _set, "range": _range, "pattern": _pattern, "length": _length, "condition": _condition,
    "foreign-key": _foreign_key, "row-count": _row_count, "aggregate": _aggregate, "freshness": _freshness, "schema": _schema,
}  # fmt: skip
