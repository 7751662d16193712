"""Tests of dbt: `schema.yml` with generic tests, dbt_utils and dbt_expectations, source freshness and constraints of model contracts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.contracts.drafts import column as quoted
from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.imports import expectations, sql_rules, types
from datareeve.capabilities.quality.contracts.imports.imported import (
    Collector,
    Imported,
    ImportedColumn,
    Made,
)
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = "dbt"
BESIDE = frozenset(("severity", "where", "warn_if", "error_if", "name", "config", "test_name", "description", "tags", "meta", "limit", "enabled", "store_failures", "store_failures_as", "fail_calc", "alias", "schema", "database", "arguments", "column_name", "model"))  # fmt: skip
REFERENCE = re.compile(r"""^\s*(?:\{\{)?\s*(?:ref|source)\(\s*(?P<parts>[^)]*)\)\s*(?:\}\})?\s*$""")
THRESHOLD = re.compile(r"^\s*(?P<sign>>=|<=|!=|<>|==|=|>|<)\s*(?P<value>-?\d+(?:\.\d+)?)\s*$")
# A test breaks where its count of failures is so; the figure is good where it is the other way.
GOOD = {
    ">": "at_most",
    ">=": "below",
    "<": "at_least",
    "<=": "above",
    "!=": "equal_to",
    "<>": "equal_to",
    "=": "not_equal_to",
    "==": "not_equal_to",
}
JINJA = "It is made by Jinja when dbt runs: write what it gives."


class Test(NamedTuple):
    """One test with what it is asked of."""

    name: str  # 'dbt_utils.accepted_range'
    given: expectations.Given
    settings: dict[str, Any]
    table: str
    column: str
    where: str = ""

    @property
    def target(self) -> str:
        """The column."""
        return str(self.given.get("column_name") or self.column)

    def rule(
        self,
        kind: str,
        arguments: dict[str, Any] | None = None,
        columns: tuple[str, ...] | None = None,
        **more: Any,
    ) -> tuple[Rule, ...]:
        """A rule about the test's column."""
        return (
            draft(
                kind,
                self.table,
                columns if columns is not None else (self.target,),
                arguments,
                where=self.where,
                **more,
            ),
        )


class Node(NamedTuple):
    """A model, a version of one, or a table of a source, with where each of its parts stands."""

    told: dict[str, Any]
    at: str
    tests_at: str  # a version without tests has those of its model
    columns: list[tuple[dict[str, Any], str]]
    name: str
    model: str  # of a version


def read(text: str, table: str = "") -> Imported:
    """The tests of a properties file. `table` picks one of its models. Errors: `BadInput` `contract.syntax`, `contract.import`."""
    data = parse(text, "the dbt file").data
    if not isinstance(data, dict) or not any(
        isinstance(data.get(key), list) for key in ("models", "sources", "seeds", "snapshots")
    ):
        raise BadInput(
            "contract.import",
            "This is no properties file of dbt: it has no models, sources, seeds or snapshots.",
            "Give a schema.yml.",
        )
    collector = Collector(SOURCE)
    for node in _nodes(data):
        if not table or table in (node.name, node.model, node.told.get("identifier")):
            _node(node, collector)
    return collector.result()


def _nodes(data: dict[str, Any]) -> Iterator[Node]:
    for kind in ("models", "seeds", "snapshots"):
        for number, one in enumerate(data.get(kind) or []):
            if isinstance(one, dict) and one.get("name"):
                yield from _versions(one, f"{kind}[{number}]")
    for number, source in enumerate(data.get("sources") or []):
        for place, one in enumerate((source or {}).get("tables") or []):
            at = f"sources[{number}].tables[{place}]"
            if isinstance(one, dict) and one.get("name"):
                told = {**one, **_loaded(source, one)}
                yield Node(told, at, at, _columns(one, at), str(one["name"]), "")


def _loaded(source: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """What a table of a source has of the source: by itself, or under `config`, where newer versions write it."""
    found: dict[str, Any] = {}
    for holder in (source, source.get("config"), one, one.get("config")):
        for key in ("freshness", "loaded_at_field", "schema"):
            if isinstance(holder, dict) and key in holder:
                told, before = holder[key], found.get(key)
                found[key] = (
                    {**before, **told} if isinstance(told, dict) and isinstance(before, dict) else told
                )
    return found


def _columns(one: dict[str, Any], at: str) -> list[tuple[dict[str, Any], str]]:
    """The columns that are listed, each with its place."""
    listed = enumerate(one.get("columns") or [])
    return [(column, f"{at}.columns[{n}]") for n, column in listed if isinstance(column, dict) and column.get("name")]  # fmt: skip


def _versions(one: dict[str, Any], at: str) -> Iterator[Node]:
    """A model, or each of its versions: the latest goes by the model's name, as `ref` without a version does."""
    versions = [each for each in enumerate(one.get("versions") or []) if isinstance(each[1], dict)]
    name, own = str(one["name"]), _columns(one, at)
    latest = str(
        one.get("latest_version") or max((told.get("v") for _, told in versions), key=_in_order, default="")
    )
    for number, told in versions:
        place = f"{at}.versions[{number}]"
        kept = {key: value for key, value in one.items() if key != "alias"}
        tests = place if told.get("tests") or told.get("data_tests") else at
        if tests == place:
            kept = {key: value for key, value in kept.items() if key not in ("tests", "data_tests")}
        whole = {"alias": f"{name}_v{told.get('v')}", **kept, **told}
        called = name if str(told.get("v")) == latest else f"{name}_v{told.get('v')}"
        yield Node(whole, place, tests, _of_version(own, told, place), called, name)
    if not versions:
        yield Node(one, at, at, own, name, "")


def _in_order(version: Any) -> tuple[bool, float, str]:
    number = isinstance(version, (int, float))
    return number, float(version) if number else 0.0, str(version)


def _of_version(
    own: list[tuple[dict[str, Any], str]], told: dict[str, Any], at: str
) -> list[tuple[dict[str, Any], str]]:
    """The columns of a version: those of the model that it includes, and its own in the place of the same name."""
    if "columns" not in told:
        return own
    wanted = next((one for one in told["columns"] or [] if isinstance(one, dict) and "include" in one), {})
    included, excluded = wanted.get("include", []), wanted.get("exclude") or []
    every = included in ("all", "*")
    found = {
        column["name"]: (column, place)
        for column, place in own
        if (every or column["name"] in (included or ())) and column["name"] not in excluded
    }
    found |= {column["name"]: (column, place) for column, place in _columns(told, at)}
    return list(found.values())


def _node(node: Node, collector: Collector) -> None:
    one, at, name = node.told, node.at, node.name
    config = one.get("config") if isinstance(one.get("config"), dict) else {}
    physical = str(one.get("identifier") or (config or {}).get("alias") or one.get("alias") or name)
    if one.get("schema"):
        physical = f"{one['schema']}.{physical}"
    collector.table(
        name,
        (_column(column) for column, _ in node.columns),
        physical_name=physical if physical != name else "",
        description=str(one.get("description") or ""),
    )
    _tests(one, node.tests_at, name, "", collector)
    _freshness(one, at, name, collector)
    for number, constraint in enumerate(one.get("constraints") or []):
        _constraint(constraint, f"{at}.constraints[{number}]", name, "", collector)
    for column, own in node.columns:
        _tests(column, own, name, str(column["name"]), collector)
        for number, constraint in enumerate(column.get("constraints") or []):
            _constraint(constraint, f"{own}.constraints[{number}]", name, str(column["name"]), collector)


def _column(one: dict[str, Any]) -> ImportedColumn:
    physical = str(one.get("data_type") or "")
    tags = one.get("tags") or []
    return ImportedColumn(
        name=str(one["name"]), physical_type=physical, logical_type=types.logical(physical) or "",
        description=str(one.get("description") or "").strip(), tags=tuple(map(str, tags if isinstance(tags, list) else [tags])),
    )  # fmt: skip


def _tests(holder: dict[str, Any], at: str, table: str, column: str, collector: Collector) -> None:
    for key in ("tests", "data_tests"):
        for number, given in enumerate(holder.get(key) or []):
            test = test_of(given, table, column)
            made = made_of(test)
            named = str(test.given.get("column_name") or test.given.get("column") or column)
            collector.add(
                made,
                f"{at}.{key}[{number}]",
                test.name,
                given,
                given=str(test.settings.get("name") or ""),
                table=table,
                column=named,
            )


def single(given: Any, table: str, column: str) -> Made:
    """One test as it stands in a contract of the standard: a name, `{not_null: {...}}` or `{test: ..., ...}`."""
    if isinstance(given, dict) and isinstance(given.get("test") or given.get("type"), str):
        given = {
            "test_name": given.get("test") or given.get("type"),
            **{key: value for key, value in given.items() if key not in ("test", "type")},
        }
    return made_of(test_of(given, table, column))


def test_of(given: Any, table: str, column: str) -> Test:
    """A test in any of the forms that dbt takes."""
    if isinstance(given, str):
        name, said = given, {}
    elif isinstance(given, dict) and given.get("test_name"):
        name, said = str(given["test_name"]), given
    elif isinstance(given, dict) and given:
        named = next((key for key in given if key not in BESIDE), next(iter(given)))
        inner = given[named] if isinstance(given[named], dict) else {}
        name, said = str(named), {**{key: value for key, value in given.items() if key != named}, **inner}
    else:
        name, said = "test", {}
    settings = {
        **(said.get("config") or {}),
        **{key: said[key] for key in BESIDE & said.keys() if key not in ("config", "arguments")},
    }
    arguments = {
        **{key: value for key, value in said.items() if key not in BESIDE},
        **(said.get("arguments") or {}),
    }
    if "column_name" in said:
        arguments["column_name"] = said["column_name"]
    return Test(
        name, expectations.Given(arguments), settings, table, column, str(settings.get("where") or "")
    )


def made_of(test: Test) -> Made:
    """The rules of a test with its severity, or why it is none."""
    if test.settings.get("enabled") is False:
        return "It is switched off (enabled: false)."
    if _jinja(test.where) or any(
        _jinja(value) for key, value in test.given.items() if key not in ("to", "compare_model", "from")
    ):
        return JINJA
    if str(test.settings.get("fail_calc") or "count(*)").replace(" ", "").lower() != "count(*)":
        return "It counts its failures in its own way (fail_calc)."
    test = test._replace(given=expectations.Given(test.given))
    try:
        made = expectations.whole(_generic(test), test.given)
    except (KeyError, TypeError, ValueError, AttributeError):
        return "Its arguments are not of the kind that it takes."
    return made if isinstance(made, str) else _judged(made, test)


def _jinja(value: Any) -> bool:
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _generic(test: Test) -> Made:
    package, _, name = test.name.rpartition(".")
    if package in ("dbt_expectations", "metaplane.dbt_expectations"):
        given = expectations.Given({**test.given, "row_condition": None})
        test.given.looked_at.update(test.given)  # what nothing looks at is told of `given`
        given.setdefault("column", test.target)
        condition = sql_rules.and_(test.where, str(test.given.get("row_condition") or ""))
        for key in ("compare_model", "other_table_name"):
            if key in given:
                given[key] = _reference(given[key])
        if name.startswith("expect_column_values_to_be_") and name.endswith(("increasing", "decreasing")):
            given.setdefault("sort_column", test.target)
            given.setdefault("strictly", True)  # as its macro has it
        return expectations.translated(name, given, test.table, where=condition)
    if package in ("", "dbt"):
        known = GENERIC.get(name)
    else:
        known = UTILS.get(name) if package == "dbt_utils" else None
    return (
        known(test)
        if known
        else f"The test {test.name} is not known: a test of a project's own is SQL, and can stand in the contract as such."
    )


def _judged(rules: tuple[Rule, ...], test: Test) -> Made:
    """With severity, error_if and warn_if: what would break, and what would only warn."""
    settings = test.settings
    mild = str(settings.get("severity") or "error").lower() == "warn"
    text = str(settings.get("description") or "")
    limits = {"error": settings.get("error_if"), "warning": settings.get("warn_if")}
    if (limits["error"] or limits["warning"]) and any(
        rule.bounds != NONE_BREAK or rule.unit != "rows" for rule in rules
    ):
        return "It counts failures that are rows elsewhere (error_if, warn_if)."
    found: list[Rule] = []
    for severity in ("warning",) if mild else ("error", "warning"):
        bounds = _good(limits[severity])
        if bounds is None:
            return (
                f"Its {'error_if' if severity == 'error' else 'warn_if'} is not a comparison with a number."
            )
        if severity == "warning" and not mild and bounds == (_good(limits["error"]) or NONE_BREAK):
            continue
        kept = {} if bounds == NONE_BREAK else {"bounds": bounds}
        found += [rule.model_copy(update={"severity": severity, "text": text, **kept}) for rule in rules]
    return tuple(found)


def _good(threshold: Any) -> Bounds | None:
    if threshold in (None, ""):
        return NONE_BREAK
    found = THRESHOLD.match(str(threshold))
    if not found:
        return None
    bounds = Bounds(**{GOOD[found["sign"]]: float(found["value"])})
    return NONE_BREAK if bounds in (Bounds(equal_to=0), Bounds(at_most=0), Bounds(below=1)) else bounds


def _reference(given: Any) -> str:
    """The table of `ref('x')` or `source('a', 'x')`; other texts as they are. Errors: ValueError for other Jinja."""
    found = REFERENCE.match(str(given))
    if not found:
        if _jinja(str(given)):
            raise ValueError(given)
        return str(given)
    parts = [part.strip() for part in found["parts"].split(",")]
    names = [part.strip("'\"") for part in parts if "=" not in part]
    version = next(
        (re.sub(r"^\w+\s*=\s*", "", part) for part in parts if re.match(r"v(ersion)?\s*=", part)), ""
    )
    if version:
        names[-1] = f"{names[-1]}_v{version.strip(chr(39) + chr(34))}"
    return (
        names[-1] if not str(given).strip(" {").startswith("source") or len(names) == 1 else ".".join(names)
    )


# -- the tests of dbt itself ---------------------------------------------------------------------------------------------------------


def _accepted(test: Test) -> Made:
    values = [one for one in test.given["values"] if one is not None]
    return test.rule("set", {"values": values}) if values else "It lists no values."


def _relationships(test: Test) -> Made:
    if test.given.get("to_condition") and str(test.given["to_condition"]).replace(" ", "") != "1=1":
        return "A condition on the other table is not asked: refer to a view of those rows."
    condition = str(test.given.get("from_condition") or "")
    kept = sql_rules.and_(test.where, "" if condition.replace(" ", "") == "1=1" else condition)
    arguments = {"table": _reference(test.given["to"]), "columns": [str(test.given["field"])]}
    return (draft("foreign-key", test.table, (test.target,), arguments, where=kept),)


GENERIC: dict[str, Callable[[Test], Made]] = {
    "not_null": lambda test: test.rule("not-null"),
    "unique": lambda test: test.rule("unique"),
    "accepted_values": _accepted,
    "relationships": _relationships,
}


# -- dbt_utils -----------------------------------------------------------------------------------------------------------------------


def _accepted_range(test: Test) -> Made:
    inclusive = test.given.get("inclusive", True)
    least, most = test.given.get("min_value"), test.given.get("max_value")
    if least is None and most is None:
        return "It gives no bound."
    if all(one is None or _is_value(one) for one in (least, most)):
        arguments = {"at_least" if inclusive else "above": least, "at_most" if inclusive else "below": most}
        return test.rule("range", arguments)
    sign, c = "=" if inclusive else "", quoted(test.target)
    tests = [
        f"{c} >{sign} {least}" if least is not None else "",
        f"{c} <{sign} {most}" if most is not None else "",
    ]
    return test.rule("condition", {"sql": " AND ".join(one for one in tests if one)})


def _is_value(given: Any) -> bool:
    """A number or an ISO date; anything else is SQL."""
    return isinstance(given, (int, float)) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\d([T ][\d:.+Z-]+)?", str(given))
    )


def _expression(test: Test) -> Made:
    sql = str(test.given["expression"])
    if not test.target:
        return test.rule("condition", {"sql": sql}, ())
    return test.rule("condition", {"sql": f"{quoted(test.target)} {sql}"})


def _recency(test: Test) -> Made:
    if test.given.get("group_by_columns"):
        return "Freshness is asked of the whole table; write it as SQL."
    seconds = types.seconds(test.given["interval"], str(test.given["datepart"]))
    return test.rule("freshness", None, (str(test.given["field"]),), bounds=Bounds(at_most=seconds))


def _not_empty(test: Test) -> Made:
    c = quoted(test.target)
    return test.rule(
        "condition", {"sql": f"{f'TRIM({c})' if test.given.get('trim_whitespace', True) else c} <> ''"}
    )


def _proportion(test: Test) -> Made:
    least, most = float(test.given["at_least"]), float(test.given.get("at_most", 1.0))
    bounds = {
        "at_most": round(100 * (1 - least), 9),
        "at_least": round(100 * (1 - most), 9) if most < 1 else None,
    }
    return test.rule("aggregate", {"function": "null-percent"}, bounds=Bounds(**bounds), unit="value")


def _overlaps(test: Test) -> Made:
    given = test.given
    lower, upper = str(given["lower_bound_column"]), str(given["upper_bound_column"])
    low, high = quoted(lower), quoted(upper)
    by = str(given.get("partition_by") or "")
    gaps = {"allowed": "u > n", "not_allowed": "u <> n", "required": "u >= n"}.get(
        str(given.get("gaps", "allowed"))
    )
    if gaps is None:
        raise ValueError(given)
    ordered = "l > u" if given.get("zero_length_range_allowed") else "l >= u"
    over = f"{f'PARTITION BY {by} ' if by else ''}ORDER BY {low}, {high}"
    inner = (
        f"SELECT {low} AS l, {high} AS u, LEAD({low}) OVER ({over}) AS n FROM {sql_rules.source(test.where)}"
    )
    text = f"SELECT COUNT(*) FROM ({inner}) AS r WHERE {ordered} OR {gaps} OR l IS NULL OR u IS NULL"
    return (sql_rules.query(test.table, text, columns=(lower, upper)),)


def _sequential(test: Test) -> Made:
    given = test.given
    by = given.get("group_by_columns") or []
    if given.get("datepart"):
        arguments = {
            "every": f"{int(given.get('interval') or 1)} {given['datepart']}",
            **({"by": by} if by else {}),
        }
        return test.rule("continuity", arguments)
    return (
        sql_rules.steps(
            test.table, test.target, f"v <> b + {int(given.get('interval') or 1)}", by=by, where=test.where
        ),
    )


def _same_rows(bounds: Bounds) -> Callable[[Test], Made]:
    def made(test: Test) -> Made:
        if test.given.get("group_by_columns") or test.where:
            return "Rows are compared with the whole of another table; write it as SQL."
        return expectations.same_rows(test.table, _reference(test.given["compare_model"]), bounds)

    return made


def _combination(test: Test) -> Made:
    names = tuple(map(str, test.given["combination_of_columns"]))
    return (draft("unique", test.table, names, {"nulls": "equal"}, where=test.where),)


UTILS: dict[str, Callable[[Test], Made]] = {
    "accepted_range": _accepted_range,
    "at_least_one": lambda test: test.rule(
        "aggregate", {"function": "count"}, bounds=Bounds(at_least=1), unit="value"
    ),
    "cardinality_equality": lambda _: "How often each value is there is compared by quality.reconcile.",
    "equality": lambda _: "Two tables are compared row by row by quality.reconcile.",
    "equal_rowcount": _same_rows(Bounds(equal_to=0)),
    "fewer_rows_than": _same_rows(Bounds(below=0)),
    "expression_is_true": _expression,
    "mutually_exclusive_ranges": _overlaps,
    "not_accepted_values": lambda test: test.rule(
        "set", {"values": list(test.given["values"]), "negated": True}
    ),
    "not_constant": lambda test: test.rule(
        "aggregate", {"function": "distinct"}, bounds=Bounds(at_least=2), unit="value"
    ),
    "not_empty_string": _not_empty,
    "not_null_proportion": _proportion,
    "recency": _recency,
    "relationships_where": _relationships,
    "sequential_values": _sequential,
    "unique_combination_of_columns": _combination,
}


# -- what is no test -------------------------------------------------------------------------------------------------------------------


def _freshness(one: dict[str, Any], at: str, table: str, collector: Collector) -> None:
    freshness, column = one.get("freshness"), one.get("loaded_at_field")
    if not isinstance(freshness, dict):
        return
    for key, severity in (("error_after", "error"), ("warn_after", "warning")):
        given = freshness.get(key)
        if isinstance(given, dict) and given.get("count") is not None:
            made = _fresh(given, column, freshness.get("filter"), table, severity)
            collector.add(
                made,
                f"{at}.freshness.{key}",
                f"freshness {key}",
                {"freshness": {key: given}},
                table=table,
                column=str(column or ""),
            )


def _fresh(given: dict[str, Any], column: Any, where: Any, table: str, severity: str) -> Made:
    if not column or not re.fullmatch(r"\w+", str(column)):
        return "Its loaded_at_field is no column."
    try:
        bounds = Bounds(at_most=types.seconds(given["count"], str(given.get("period") or "day")))
    except (KeyError, ValueError):
        return "Its period is none of minute, hour, day."
    return (
        draft("freshness", table, (str(column),), bounds=bounds, where=str(where or ""), severity=severity),
    )


def _constraint(given: Any, at: str, table: str, column: str, collector: Collector) -> None:
    told = given if isinstance(given, dict) else {}
    kind, named = (
        str(told.get("type") or ""),
        tuple(map(str, told.get("columns") or ([column] if column else []))),
    )
    made: Made
    if kind in ("not_null", "unique") and named:
        made = (
            tuple(draft("not-null", table, (one,)) for one in named)
            if kind == "not_null"
            else (draft("unique", table, named),)
        )
    elif kind == "primary_key" and named:
        made = (draft("unique", table, named), *(draft("not-null", table, (one,)) for one in named))
    elif kind == "check" and told.get("expression"):
        made = (draft("condition", table, named, {"sql": str(told["expression"])}),)
    elif kind == "foreign_key" and named and told.get("to") and told.get("to_columns"):
        made = (
            draft(
                "foreign-key",
                table,
                named,
                {"table": _reference(told["to"]), "columns": list(map(str, told["to_columns"]))},
            ),
        )
    else:
        made = "This constraint is not read."
    collector.add(made, at, f"constraint {kind}", given, table=table, column=column)
