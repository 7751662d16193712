"""Great Expectations' expectations, by name and arguments. dbt_expectations asks the same ones in dbt.

Each gives the rules that it is, or a sentence why it is none. A suite's own names are kept: `expect_column_values_to_be_between`.
"""

from __future__ import annotations

import math
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.contracts.drafts import column, draft, literal, share
from datareeve.capabilities.quality.contracts.imports import conditions, sql_rules, types
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.quality.contracts.imports.imported import Made

MODEL_OF_VALUES = "It compares with a distribution that was fitted elsewhere; kind distribution (psi, ks) of engine datareeve does so here."
NOT_EXECUTED = {
    "expect_column_kl_divergence_to_be_less_than": MODEL_OF_VALUES,
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": MODEL_OF_VALUES,
    "expect_column_chisquare_test_p_value_to_be_greater_than": MODEL_OF_VALUES,
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": MODEL_OF_VALUES,
    "expect_column_pair_cramers_phi_value_to_be_less_than": "How far two columns hang together is not measured here.",
    "expect_column_values_to_be_dateutil_parseable": "dateutil guesses at dates; kind type (date, timestamp) of engine datareeve takes ISO 8601.",
    "expect_column_values_to_match_json_schema": "Texts are read as JSON (kind type), but not held against a schema.",
    "expect_table_column_count_to_be_between": "The number of columns is not compared: list them, and the schema is.",
    "expect_table_column_count_to_equal": "The number of columns is not compared: list them, and the schema is.",
    "expect_table_column_count_to_equal_other_table": "The number of columns is not compared: list them, and the schema is.",
    "expect_table_columns_to_not_contain_set": "That a column must not be there is not asked: list all columns and allow no more.",
    "expect_table_row_count_to_equal_other_table_times_factor": "Rows are compared with another table's as they are; write it as SQL.",
    "expect_table_aggregation_to_equal_other_table": "Groups of two tables are compared by quality.reconcile.",
    "expect_grouped_row_values_to_have_recent_data": "Freshness is asked of the whole table; write it as SQL.",
    "expect_column_values_to_be_within_n_moving_stdevs": "Moving thresholds are learned: kind learned of engine datareeve.",
    "equal_expression": "Two expressions over groups are not compared; write it as SQL.",
    "expression_between": "An aggregate's bounds over groups are not asked; write it as SQL.",
}  # fmt: skip


# Arguments that say how a tool asks or answers, and not what is good.
BESIDE = frozenset((
    "result_format", "catch_exceptions", "include_config", "meta", "batch_id", "auto", "profiler_config", "parse_strings_as_datetimes", "output_strftime_format",
    "allow_cross_type_comparisons", "allow_relative_error", "row_condition", "condition_parser", "group_by", "quote", "quote_values", "is_raw", "column", "column_name",
    "display_inconsistent_columns", "name", "description", "notes", "severity", "id", "rendered_content", "model",
))  # fmt: skip


class Given(dict[str, Any]):
    """Arguments that know which of them were looked at: one that nothing asks for must not be lost without a word."""

    def __init__(self, given: dict[str, Any], looked_at: set[str] | None = None) -> None:
        super().__init__(given)
        self.looked_at = set() if looked_at is None else looked_at

    def get(self, key: str, default: Any = None) -> Any:
        """As a dict does."""
        self.looked_at.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.looked_at.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.looked_at.add(str(key))
        return super().__contains__(key)

    def but(self, **other: Any) -> Given:
        """With other values; what is looked at there is looked at here."""
        return Given({**self, **other}, self.looked_at)

    @property
    def unasked(self) -> list[str]:
        """The arguments that say something and that nothing looked at."""
        return sorted(
            key
            for key, value in self.items()
            if key not in self.looked_at and key not in BESIDE and not _says_nothing(key, value)
        )


def _says_nothing(key: str, value: Any) -> bool:
    return value is None or value is False or value in ("", [], {}) or (key, value) == ("mostly", 1)


def whole(made: Made, given: Given) -> Made:
    """The rules, where they are all that was asked; else which arguments they leave out."""
    if isinstance(made, str) or not given.unasked:
        return made
    return f"Not executed with {', '.join(given.unasked)}: the rule would ask something else."


class Asked(NamedTuple):
    """An expectation's arguments, of one table."""

    table: str
    given: Given
    where: str = ""
    ordered: bool = False  # whether the tool says by what rows are in order

    @property
    def column(self) -> str:
        """The column; '' where there is none."""
        return str(self.given.get("column") or "")

    @property
    def most(self) -> float:
        """The share of rows that may break it, in percent."""
        mostly = self.given.get("mostly")
        return 0.0 if mostly is None else round(100 * (1 - float(mostly)), 9)

    def rule(self, kind: str, arguments: dict[str, Any] | None = None, *columns: str) -> tuple[Rule, ...]:
        """A row rule with the tolerance of `mostly`."""
        return (
            draft(
                kind, self.table, columns or (self.column,), arguments, where=self.where, **share(self.most)
            ),
        )

    def metric(self, function: str, **more: Any) -> tuple[Rule, ...] | str:
        """An aggregate between the given bounds."""
        bounds = between(self.given)
        if bounds == Bounds():
            return NO_BOUND
        return (
            draft(
                "aggregate",
                self.table,
                (self.column,),
                {"function": function, **more},
                where=self.where,
                bounds=bounds,
                unit="value",
            ),
        )

    def values(self, key: str = "value_set") -> list[Any]:
        """A list among the arguments."""
        return [one for one in self.given.get(key) or self.given.get("values") or [] if one is not None]


NO_BOUND = "It gives no bound, so that every figure is good."
NO_VALUES = "It lists no values."


def translated(name: str, given: dict[str, Any], table: str, *, where: str = "") -> Made:  # noqa: PLR0911 - one answer a line reads best
    """The rules of an expectation, or why it is none."""
    plain = snake(name)
    if plain in NOT_EXECUTED:
        return NOT_EXECUTED[plain]
    made = KNOWN.get(plain)
    if made is None:
        return "This expectation is not known."
    if any(_is_parameter(value) for value in given.values()):
        return "It takes an argument from a run: write the figure itself."
    condition = where or conditions.sql_of(
        given.get("row_condition"), str(given.get("condition_parser") or "")
    )
    if condition is None:
        return "Its row_condition is not plain SQL: write it as one."
    if given.get("group_by"):
        return "It is asked of groups: write it as SQL."
    asked = Asked(table, given if isinstance(given, Given) else Given(given), condition)
    if plain.startswith(("expect_column_values", "expect_column_value_")) and not asked.column:
        return "It names no column."
    try:
        return whole(made(asked), asked.given)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return "Its arguments are not of the kind that it takes."


def snake(name: str) -> str:
    """'ExpectColumnMaxToBeBetween' as 'expect_column_max_to_be_between'."""
    if "_" in name or name.islower():
        return name.replace("_A_to_be_greater_than_B", "_a_to_be_greater_than_b").lower()
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", name)
    return "_".join(part.lower() for part in parts)


def plain_arguments(given: Any) -> dict[str, Any]:
    """Arguments by the names of Great Expectations: the standard's own example writes minValue."""
    if not isinstance(given, dict):
        return {}
    return {
        re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", str(key)): value
        for key, value in given.items()
    }


def _is_parameter(value: Any) -> bool:
    return isinstance(value, dict) and any(str(key).startswith("$") for key in value)


def between(given: dict[str, Any]) -> Bounds:
    """min_value and max_value, strict or not. Errors: ValueError where one is no number."""
    least, most = given.get("min_value"), given.get("max_value")
    strict_min = given.get("strict_min") or given.get("strictly")
    strict_max = given.get("strict_max") or given.get("strictly")
    found: dict[str, float] = {}
    if least is not None:
        found["above" if strict_min else "at_least"] = _finite(least)
    if most is not None:
        found["below" if strict_max else "at_most"] = _finite(most)
    if found.get("at_least") is not None and found.get("at_least") == found.get("at_most"):
        return Bounds(equal_to=found["at_least"])
    return Bounds(**found)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError(value)
    return float(value)


def _range(asked: Asked) -> Made:
    given = asked.given
    least, most = given.get("min_value"), given.get("max_value")
    arguments = {
        "above" if given.get("strict_min") or given.get("strictly") else "at_least": least,
        "below" if given.get("strict_max") or given.get("strictly") else "at_most": most,
    }
    kept = {key: value for key, value in arguments.items() if value is not None}
    if not kept:
        return NO_BOUND
    if any(isinstance(one, bool) or not isinstance(one, (int, float, str)) for one in kept.values()):
        raise ValueError(kept)
    return asked.rule("range", kept)


def _extreme(function: str) -> Callable[[Asked], Made]:
    """The least or greatest value: of moments, a range says the same from one side."""

    def made(asked: Asked) -> Made:
        given = asked.given
        bounds = [one for one in (given.get("min_value"), given.get("max_value")) if one is not None]
        if not any(isinstance(one, str) for one in bounds):
            return asked.metric(function)
        side = given.get("min_value") if function == "min" else given.get("max_value")
        if len(bounds) > 1 or side is None:
            return "Of moments, the least must be at least, and the greatest at most something: the other side is not asked."
        strict = given.get("strict_min") if function == "min" else given.get("strict_max")
        key = {"min": ("at_least", "above"), "max": ("at_most", "below")}[function][bool(strict)]
        return (draft("range", asked.table, (asked.column,), {key: side}, where=asked.where),)

    return made


def _set(*, negated: bool) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        values = asked.values()
        if not values:
            return NO_VALUES
        return asked.rule("set", {"values": values, **({"negated": True} if negated else {})})

    return made


def _distinct_set(asked: Asked) -> Made:
    return (
        (draft("set", asked.table, (asked.column,), {"values": asked.values()}, where=asked.where),)
        if asked.values()
        else NO_VALUES
    )


def _contain_set(asked: Asked) -> Made:
    return (
        (sql_rules.contains(asked.table, asked.column, asked.values(), asked.where),)
        if asked.values()
        else NO_VALUES
    )


def _equal_set(asked: Asked) -> Made:
    within, all_there = _distinct_set(asked), _contain_set(asked)
    return within if isinstance(within, str) or isinstance(all_there, str) else within + all_there


def _null(asked: Asked) -> Made:
    return asked.rule("condition", {"sql": f"{column(asked.column)} IS NULL"})


def _unique(asked: Asked) -> Made:
    if asked.most:
        return (sql_rules.duplicated_percent(asked.table, asked.column, asked.most, asked.where),)
    return asked.rule("unique")


def _pattern(*, negated: bool) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        if asked.given.get("flags"):
            return "Its regex has flags: write them into it."
        return asked.rule(
            "pattern", {"regex": str(asked.given["regex"]), **({"negated": True} if negated else {})}
        )

    return made


def _patterns(*, negated: bool) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        given = asked.given
        if given.get("flags"):
            return "Its regexes have flags: write them into them."
        listed = [str(one) for one in given["regex_list"]]
        if not listed:
            return NO_VALUES
        if negated or given.get("match_on", "any") == "any":
            joined = "|".join(f"(?:{one})" for one in listed)
            return asked.rule("pattern", {"regex": joined, **({"negated": True} if negated else {})})
        if asked.most:
            return "A tolerance over several patterns together is not counted."
        return tuple(rule for one in listed for rule in asked.rule("pattern", {"regex": one}))

    return made


def _like(*, negated: bool, several: bool) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        given = asked.given
        patterns = given["like_pattern_list"] if several else [given["like_pattern"]]
        if not patterns:
            return NO_VALUES
        every = negated or (several and given.get("match_on", "any") == "all")
        tests = [
            f"{column(asked.column)} {'NOT ' if negated else ''}LIKE {literal(str(one))}" for one in patterns
        ]
        return asked.rule("condition", {"sql": (" AND " if every else " OR ").join(tests)})

    return made


def _lengths(asked: Asked) -> Made:
    given = asked.given
    least, most = given.get("min_value"), given.get("max_value")
    arguments = {}
    if least is not None:
        arguments["at_least"] = (
            math.floor(least) + 1 if given.get("strict_min") or given.get("strictly") else math.ceil(least)
        )
    if most is not None:
        arguments["at_most"] = (
            math.ceil(most) - 1 if given.get("strict_max") or given.get("strictly") else math.floor(most)
        )
    return asked.rule("length", arguments) if arguments else NO_BOUND


def _length(asked: Asked) -> Made:
    wanted = int(asked.given["value"])
    return asked.rule("length", {"at_least": wanted, "at_most": wanted})


def _type(asked: Asked) -> Made:
    given = asked.given
    names = (
        given.get("type_list")
        or given.get("column_type_list")
        or [given.get("type_") or given.get("column_type")]
    )
    found = {types.logical(str(name)) for name in names}
    if len(found) > 1 or None in found or "" in found:
        return "Its types are not one type in all engines: give the column a logicalType."
    return (_schema(asked, [{"name": asked.column, "type": found.pop()}], more=True),)


def _schema(asked: Asked, columns: list[dict[str, Any]], *, more: bool) -> Rule:
    return draft("schema", asked.table, (), {"columns": columns, "more": more})


def _column_exists(asked: Asked) -> Made:
    if asked.given.get("column_index") is not None:
        return "The place of a column among the others is not asked."
    return (_schema(asked, [{"name": asked.column}], more=True),)


def _ordered_list(asked: Asked) -> Made:
    del asked
    return "The order of columns is not asked: the set of them is, as expect_table_columns_to_match_set."


def _column_set(asked: Asked) -> Made:
    names = asked.given.get("column_set") or asked.given.get("column_list") or []
    exact = asked.given.get("exact_match")
    return (
        (_schema(asked, [{"name": str(one)} for one in names], more=exact is False),) if names else NO_VALUES
    )


def _column_subset(asked: Asked) -> Made:
    names = asked.given.get("column_list") or asked.given.get("column_set") or []
    return (_schema(asked, [{"name": str(one)} for one in names], more=True),) if names else NO_VALUES


def _strftime(asked: Asked) -> Made:
    known = {"%Y-%m-%d": "date", "%Y-%m-%dT%H:%M:%S": "timestamp", "%Y-%m-%d %H:%M:%S": "timestamp"}
    found = known.get(str(asked.given["strftime_format"]))
    return (
        asked.rule("type", {"type": found}) if found else "Only formats of ISO 8601 are read as dates here."
    )


def _z_scores(asked: Asked) -> Made:
    given = asked.given
    most = _finite(given["threshold"] if "threshold" in given else given["sigma_threshold"])
    sided = bool(given.get("double_sided", True))
    return (
        sql_rules.beyond_deviations(
            asked.table, asked.column, most, double_sided=sided, percent=asked.most, where=asked.where
        ),
    )


def _unique_share(asked: Asked) -> Made:
    return _percent(asked).metric("distinct-percent")


def _percent(asked: Asked) -> Asked:
    """With shares from 0 to 1 in percent."""
    scaled = {
        key: round(100 * _finite(asked.given[key]), 9)
        for key in ("min_value", "max_value")
        if asked.given.get(key) is not None
    }
    return asked._replace(given=asked.given.but(**scaled))


def _quantiles(asked: Asked) -> Made:
    ranges = asked.given.get("quantile_ranges") or {}
    if not ranges and "quantile" in asked.given:
        return asked.metric("quantile", q=_finite(asked.given["quantile"]))
    rules: list[Rule] = []
    for q, (least, most) in zip(ranges["quantiles"], ranges["value_ranges"], strict=True):
        one = asked._replace(given=asked.given.but(min_value=least, max_value=most))
        made = one.metric("quantile", q=_finite(q))
        rules += made if not isinstance(made, str) else ()
    return tuple(rules) or NO_BOUND


def _most_common(asked: Asked) -> Made:
    ties = bool(asked.given.get("ties_okay"))
    return (
        (sql_rules.most_common(asked.table, asked.column, asked.values(), ties=ties, where=asked.where),)
        if asked.values()
        else NO_VALUES
    )


def _distinct_count(operator: str) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        bounds = Bounds(**{operator: _finite(asked.given["value"])})
        return (
            draft(
                "aggregate",
                asked.table,
                (asked.column,),
                {"function": "distinct"},
                bounds=bounds,
                unit="value",
                where=asked.where,
            ),
        )

    return made


def _missing(names: list[str], word: str, default: str) -> tuple[str, str]:
    """(when a row with NULLs is good, when it is asked at all), by `ignore_row_if`."""
    ignored = (word or default).lower()
    nulls = [f"{column(one)} IS NULL" for one in names]
    if ignored.startswith(("any", "either")):
        return f"({' OR '.join(nulls)})", ""
    if ignored.startswith(("all", "both")):
        return f"({' AND '.join(nulls)})", ""
    return "", ""


def _together(asked: Asked, names: list[str], test: str, default: str) -> Made:
    """A condition across columns, which a row with a NULL breaks unless it is ignored."""
    good, _ = _missing(names, str(asked.given.get("ignore_row_if") or ""), default)
    there = " AND ".join(f"{column(one)} IS NOT NULL" for one in names)
    sql = f"({there} AND {test})"
    return asked.rule("condition", {"sql": f"{good} OR {sql}" if good else sql}, *names)


def _pair(operator: str) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        given = asked.given
        names = [str(given.get(key) or given[key.lower()]) for key in ("column_A", "column_B")]
        sign = ">=" if operator == ">" and given.get("or_equal") else operator
        return _together(
            asked, names, f"{column(names[0])} {sign} {column(names[1])}", "both_values_are_missing"
        )

    return made


def _pair_set(asked: Asked) -> Made:
    given = asked.given
    names = [str(given.get(key) or given[key.lower()]) for key in ("column_A", "column_B")]
    pairs = given.get("value_pairs_set") or given.get("value_pairs") or []
    tests = [f"({column(names[0])} = {literal(a)} AND {column(names[1])} = {literal(b)})" for a, b in pairs]
    return (
        _together(asked, names, f"({' OR '.join(tests)})", "both_values_are_missing") if tests else NO_VALUES
    )


def _names(asked: Asked) -> list[str]:
    return [str(one) for one in asked.given.get("column_list") or asked.given["column_set"]]


def _compound(asked: Asked) -> Made:
    names = _names(asked)
    ignored = str(asked.given.get("ignore_row_if") or "all_values_are_missing").lower()
    if asked.most:
        return "A tolerance for keys of several columns is not counted as there."
    if ignored.startswith("any"):
        return asked.rule("unique", None, *names)
    empty = " AND ".join(f"{column(one)} IS NULL" for one in names)
    kept = sql_rules.and_(f"NOT ({empty})" if ignored.startswith("all") else "", asked.where)
    return (draft("unique", asked.table, names, {"nulls": "equal"}, where=kept),)


def _sum(asked: Asked) -> Made:
    names, total = _names(asked), _finite(asked.given["sum_total"])
    test = f"{' + '.join(map(column, names))} = {total!r}"
    return _together(asked, names, test, "all_values_are_missing")


def _within_record(asked: Asked) -> Made:
    pairs = [(column(a), column(b)) for a, b in combinations(_names(asked), 2)]
    test = " AND ".join(f"({a} IS NULL OR {b} IS NULL OR {a} <> {b})" for a, b in pairs)
    return asked.rule("condition", {"sql": test}, *_names(asked))


def _order(sign: str) -> Callable[[Asked], Made]:
    def made(asked: Asked) -> Made:
        order = asked.given.get("sort_column")
        if not order:
            return "Rows of a table have no order of their own: say by which column (sort_column)."
        broken = f"v {sign}{'=' if asked.given.get('strictly') else ''} b"
        return (sql_rules.steps(asked.table, asked.column, broken, order=str(order), where=asked.where),)

    return made


def _row_count(asked: Asked) -> Made:
    bounds = between(asked.given)
    return (
        NO_BOUND
        if bounds == Bounds()
        else (draft("row-count", asked.table, bounds=bounds, where=asked.where),)
    )


def _row_count_equal(asked: Asked) -> Made:
    return (
        draft(
            "row-count", asked.table, bounds=Bounds(equal_to=_finite(asked.given["value"])), where=asked.where
        ),
    )


def _row_count_other(asked: Asked) -> Made:
    other = asked.given.get("other_table_name") or asked.given.get("compare_model")
    if asked.where:
        return "Some rows are not compared with the whole of another table; write it as SQL."
    return same_rows(asked.table, str(other)) if other else "It names no other table."


def _same_distinct(asked: Asked) -> Made:
    given = asked.given
    other = {
        "table": str(given["compare_model"]),
        "column": str(given.get("compare_column_name") or asked.column),
    }
    arguments = {"function": "distinct", "with": other}
    return (
        draft(
            "agreement", asked.table, (asked.column,), arguments, bounds=Bounds(equal_to=0), where=asked.where
        ),
    )


def same_rows(table: str, other: str, bounds: Bounds | None = None) -> Made:
    """As many rows as another table."""
    arguments = {"function": "row-count", "with": {"table": other}}
    return (draft("agreement", table, (), arguments, bounds=bounds or Bounds(equal_to=0), unit="value"),)


def _unexpected_rows(asked: Asked) -> Made:
    if asked.where:
        return "A row_condition beside a query is not asked: write it into the query."
    text = str(asked.given["unexpected_rows_query"]).replace("{batch}", "{object}")
    return (sql_rules.rows_of(asked.table, text),)


def _casing(asked: Asked) -> Made:
    c = column(asked.column)
    return (
        sql_rules.figure(
            asked.table,
            f"COUNT(DISTINCT {c}) - COUNT(DISTINCT LOWER({c}))",
            NONE_BREAK,
            columns=(asked.column,),
            where=asked.where,
        ),
    )


def _expression(asked: Asked) -> Made:
    named = (asked.column,) if asked.column else ()
    return (
        draft("condition", asked.table, named, {"sql": str(asked.given["expression"])}, where=asked.where),
    )


def _recent(asked: Asked) -> Made:
    seconds = types.seconds(asked.given["interval"], str(asked.given["datepart"]))
    return (
        draft("freshness", asked.table, (asked.column,), bounds=Bounds(at_most=seconds), where=asked.where),
    )


def _every(asked: Asked) -> Made:
    given = asked.given
    every = f"{int(given.get('interval') or 1)} {given['date_part']}"
    return (draft("continuity", asked.table, (str(given["date_col"]),), {"every": every}, where=asked.where),)


KNOWN: dict[str, Callable[[Asked], Made]] = {
    "expect_column_values_to_not_be_null": lambda asked: asked.rule("not-null"),
    "expect_column_values_to_be_null": _null,
    "expect_column_values_to_be_unique": _unique,
    "expect_column_values_to_be_in_set": _set(negated=False),
    "expect_column_values_to_not_be_in_set": _set(negated=True),
    "expect_column_values_to_be_between": _range,
    "expect_column_values_to_match_regex": _pattern(negated=False),
    "expect_column_values_to_not_match_regex": _pattern(negated=True),
    "expect_column_values_to_match_regex_list": _patterns(negated=False),
    "expect_column_values_to_not_match_regex_list": _patterns(negated=True),
    "expect_column_values_to_match_like_pattern": _like(negated=False, several=False),
    "expect_column_values_to_not_match_like_pattern": _like(negated=True, several=False),
    "expect_column_values_to_match_like_pattern_list": _like(negated=False, several=True),
    "expect_column_values_to_not_match_like_pattern_list": _like(negated=True, several=True),
    "expect_column_value_lengths_to_be_between": _lengths,
    "expect_column_value_lengths_to_equal": _length,
    "expect_column_values_to_be_of_type": _type,
    "expect_column_values_to_be_in_type_list": _type,
    "expect_column_values_to_be_json_parseable": lambda asked: asked.rule("type", {"type": "json"}),
    "expect_column_values_to_match_strftime_format": _strftime,
    "expect_column_values_to_be_increasing": _order("<"),
    "expect_column_values_to_be_decreasing": _order(">"),
    "expect_column_values_to_have_consistent_casing": _casing,
    "expect_column_values_to_be_within_n_stdevs": _z_scores,
    "expect_column_value_z_scores_to_be_less_than": _z_scores,
    "expect_column_distinct_values_to_be_in_set": _distinct_set,
    "expect_column_distinct_values_to_contain_set": _contain_set,
    "expect_column_distinct_values_to_equal_set": _equal_set,
    "expect_column_distinct_count_to_equal": _distinct_count("equal_to"),
    "expect_column_distinct_count_to_equal_other_table": _same_distinct,
    "expect_column_distinct_count_to_be_greater_than": _distinct_count("above"),
    "expect_column_distinct_count_to_be_less_than": _distinct_count("below"),
    "expect_column_unique_value_count_to_be_between": lambda asked: asked.metric("distinct"),
    "expect_column_proportion_of_unique_values_to_be_between": _unique_share,
    "expect_column_most_common_value_to_be_in_set": _most_common,
    "expect_column_max_to_be_between": _extreme("max"),
    "expect_column_min_to_be_between": _extreme("min"),
    "expect_column_mean_to_be_between": lambda asked: asked.metric("mean"),
    "expect_column_median_to_be_between": lambda asked: asked.metric("median"),
    "expect_column_sum_to_be_between": lambda asked: asked.metric("sum"),
    "expect_column_stdev_to_be_between": lambda asked: asked.metric("stddev"),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_pair_values_a_to_be_greater_than_b": _pair(">"),
    "expect_column_pair_values_to_be_equal": _pair("="),
    "expect_column_pair_values_to_be_in_set": _pair_set,
    "expect_compound_columns_to_be_unique": _compound,
    "expect_multicolumn_sum_to_equal": _sum,
    "expect_select_column_values_to_be_unique_within_record": _within_record,
    "expect_multicolumn_values_to_be_unique": _within_record,
    "expect_column_to_exist": _column_exists,
    "expect_table_columns_to_match_ordered_list": _ordered_list,
    "expect_table_columns_to_match_set": _column_set,
    "expect_table_columns_to_contain_set": _column_subset,
    "expect_table_row_count_to_be_between": _row_count,
    "expect_table_row_count_to_equal": _row_count_equal,
    "expect_table_row_count_to_equal_other_table": _row_count_other,
    "unexpected_rows_expectation": _unexpected_rows,
    "expression_is_true": _expression,
    "expect_row_values_to_have_recent_data": _recent,
    "expect_row_values_to_have_data_for_every_n_datepart": _every,
}
