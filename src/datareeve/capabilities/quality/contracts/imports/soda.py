"""SodaCL: `checks for TABLE:` with metrics and thresholds, schema, references, freshness, failed rows, user-defined metrics, anomalies."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from datareeve.capabilities.quality.contracts.drafts import column as quoted
from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.imports import soda_contract, sql_rules, types
from datareeve.capabilities.quality.contracts.imports.imported import Collector, Imported, Made
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

SOURCE = "soda"
HEADER = re.compile(
    r"^(?:checks|automated monitoring) for (?P<table>\"[^\"]+\"|`[^`]+`|[^\[]+?)\s*(?:\[(?P<partition>[^\]]+)\])?$"
)
FILTER = re.compile(r"^filter (?P<table>.+?)\s*\[(?P<partition>[^\]]+)\]$")
NUMBER = r"[-+]?\d+(?:\.\d+)?(?:\s*%)?"
SPAN = r"(?:\d+(?:\.\d+)?\s*(?:d|h|m|s|days?|hours?|minutes?|seconds?)\s*)+"
METRIC = re.compile(
    r"^(?P<metric>[A-Za-z_][\w ]*?)\s*(?:\((?P<arguments>[^)]*)\))?\s*(?P<threshold>(?:not\s+)?between\s+.+|(?:<=|>=|!=|<>|=|<|>)\s*.+)?$"
)
COMPARED = re.compile(rf"^(?P<sign><=|>=|!=|<>|=|<|>)\s*(?P<value>{NUMBER})$")
BETWEEN = re.compile(
    rf"^(?P<negated>not\s+)?between\s+(?P<open>[\[(]?)\s*(?P<low>{NUMBER})\s+and\s+(?P<high>{NUMBER})\s*(?P<close>[\])]?)$"
)
FRESH = re.compile(
    rf"^freshness\s*(?:using|\()\s*(?P<column>[^)<>=]+?)\s*\)?\s*(?:with\s+\S+\s*)?(?:(?P<sign><=|<)\s*(?P<span>{SPAN}))?$"
)
REFERENCE = re.compile(
    r"^values in \(?(?P<own>[^)]+?)\)? must (?P<negated>not )?exist in (?P<table>\S+)\s*\(?(?P<columns>[^)]+?)\)?$"
)
SAME = re.compile(r"^row_count same as (?P<table>[\w.\"]+)(?P<elsewhere> in .+)?$")
SIGNS = {
    "=": "equal_to",
    "!=": "not_equal_to",
    "<>": "not_equal_to",
    ">": "above",
    ">=": "at_least",
    "<": "below",
    "<=": "at_most",
}
FLIPPED = {
    ">": "at_most",
    ">=": "below",
    "<": "at_least",
    "<=": "above",
    "=": "not_equal_to",
    "!=": "equal_to",
    "<>": "equal_to",
}
AGGREGATES = {
    "avg": "mean",
    "min": "min",
    "max": "max",
    "sum": "sum",
    "stddev": "stddev",
    "stddev_samp": "stddev",
}
COUNTS = {
    "avg_length": "mean-length",
    "min_length": "min-length",
    "max_length": "max-length",
    "distinct_count": "distinct",
    "count": "count",
}
FORMATS = {"email": ("format", "email"), "uuid": ("type", "uuid"), "integer": ("type", "integer"), "decimal": ("type", "number"), "decimal point": ("type", "number"), "date iso 8601": ("type", "timestamp"), "ipv4 address": ("format", "ipv4"), "ip address": ("format", "ip"), "phone number": ("format", "phone"), "credit card number": ("format", "card"), "ipv6 address": ("format", "ipv6"), "url": ("format", "url")}  # fmt: skip
UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
NO_THRESHOLD = "Its threshold is not read."
LEARNED = re.compile(r"^anomaly (?:detection|score) for (?P<metric>[\w]+)(?:\((?P<column>[^)]*)\))?")


class Check(NamedTuple):
    """One check: the line, and what stands below it."""

    line: str
    below: dict[str, Any]
    table: str
    where: str = ""


def read(text: str, table: str = "") -> Imported:
    """The checks of a SodaCL file, or of a Soda contract. Errors: `BadInput` `contract.syntax`, `contract.import`."""
    data = parse(text, "the SodaCL file").data
    if isinstance(data, dict) and "dataset" in data and ("columns" in data or "checks" in data):
        return soda_contract.read(data, table, translated)
    if not isinstance(data, dict) or not any(HEADER.match(str(key)) for key in data):
        raise BadInput(
            "contract.import",
            'This is no SodaCL file: it has no "checks for TABLE:".',
            "Give the file that `soda scan` takes.",
        )
    collector = Collector(SOURCE)
    for key, checks in data.items():
        _section(str(key), checks, _filters(data), table, collector)
    return collector.result()


def _filters(data: dict[str, Any]) -> dict[tuple[str, str], str]:
    found = {}
    for key, value in data.items():
        header = FILTER.match(str(key))
        if header and isinstance(value, dict):
            found[_plain(header["table"]), header["partition"].strip()] = str(
                value.get("where") or value.get("filter") or ""
            ).strip()
    return found


def _section(
    key: str, checks: Any, filters: dict[tuple[str, str], str], only: str, collector: Collector
) -> None:
    header = HEADER.match(key)
    if not header:
        if not FILTER.match(key) and key not in ("variables", "configurations"):
            collector.leave("It asks nothing of a named table.", key, key, {key: checks})
        return
    name = _plain(header["table"])
    if only and only != name:
        return
    collector.table(name)
    where = filters.get((name, (header["partition"] or "").strip()), "")
    lost = header["partition"] and not where
    for number, one in enumerate(checks if isinstance(checks, list) else []):
        check = check_of(one, name, where)
        made = "Its filter is not in this file." if lost else translated(check)
        collector.add(
            made,
            f"{key}[{number}]",
            check.line,
            one,
            given=str(check.below.get("name") or ""),
            table=name,
            column=_column(check),
        )


def check_of(one: Any, table: str, where: str = "") -> Check:
    """A check in either of its forms: a line, or a line with settings below."""
    if isinstance(one, dict) and one:
        line, below = next(iter(one.items()))
        settings = below if isinstance(below, dict) else {"": below}
        return Check(str(line).strip(), settings, table, where)
    return Check(str(one).strip(), {}, table, where)


def single(given: Any, table: str, column: str) -> Made:
    """One check as it stands in a contract of the standard: a line, a line with settings, or `{type: duplicate_percent, must_be_less_than: 1}`."""
    if isinstance(given, dict) and isinstance(given.get("type"), str):
        return soda_contract.typed(given, table, column, translated)
    if isinstance(given, dict) and len(given) == 1 and HEADER.match(str(next(iter(given)))):
        given = next(iter(given.values()))
    if isinstance(given, list):
        made = [translated(check_of(one, table)) for one in given]
        why = next((one for one in made if isinstance(one, str)), "")
        return why or tuple(rule for one in made for rule in one)  # type: ignore[misc] # none is a text here
    return translated(check_of(given, table))


def translated(check: Check) -> Made:
    """The rules of a check with its severities, or why it is none."""
    told = f"{check.line} {check.below} {check.where}"
    if "${" in told:
        return "It has a variable that a scan sets: write the value itself."
    condition = sql_rules.and_(check.where, str(check.below.get("filter") or ""))
    try:
        made = _rules(check._replace(where=condition))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return "Its arguments are not of the kind that it takes."
    if isinstance(made, str):
        return made
    text = str(check.below.get("name") or "")
    return tuple(rule.model_copy(update={"text": rule.text or text}) for rule in made)


def _rules(check: Check) -> Made:
    line = check.line
    if line == "schema":
        return _schema(check)
    if line == "failed rows":
        return _failed_rows(check)
    for pattern, made in ((REFERENCE, _reference), (SAME, _same), (FRESH, _freshness), (LEARNED, _learned)):
        found = pattern.match(line)
        if found:
            return made(check, found)
    if line.startswith(("change ", "distribution_difference", "group by", "group evolution", "cross")):
        return (
            "It compares with earlier scans: kinds volume and learned of engine datareeve do."
            if line.startswith("change ")
            else "This check is not executed here."
        )
    return _metric(check)


# -- metrics -------------------------------------------------------------------------------------------------------------------------


def _metric(check: Check) -> Made:
    found = METRIC.match(check.line)
    if not found:
        return "This check is not read."
    metric, arguments = (
        found["metric"].strip(),
        [_plain(one) for one in (found["arguments"] or "").split(",") if one.strip()],
    )
    thresholds = list(_thresholds(found["threshold"], check.below))
    if not thresholds or any(bounds is None for _, bounds, _ in thresholds):
        return NO_THRESHOLD
    rules: list[Rule] = []
    for severity, bounds, percent in thresholds:
        made = _of_metric(metric, arguments, bounds, percent or metric.endswith("percent"), check)
        if isinstance(made, str):
            return made
        rules += [rule.model_copy(update={"severity": severity}) for rule in made]
    return tuple(rules)


def _thresholds(beside: str | None, below: dict[str, Any]) -> Any:
    """(severity, bounds, whether percent) of each: what stands in the line is an error, `warn:` and `fail:` say when it is not good."""
    if beside:
        yield "error", good(beside), "%" in beside
    for key, severity in (("fail", "error"), ("warn", "warning")):
        told = below.get(key)
        for one in told if isinstance(told, list) else [told] if told is not None else []:
            text = str(one).strip().removeprefix("when").strip()
            yield severity, bad(text), "%" in text


def good(text: str) -> Bounds | None:
    """The figures that a threshold asks for."""
    found = COMPARED.match(text.strip())
    if found:
        return Bounds(**{SIGNS[found["sign"]]: _number(found["value"])})
    between = BETWEEN.match(text.strip())
    if not between:
        return None
    low, high = _number(between["low"]), _number(between["high"])
    if between["negated"]:
        return Bounds(not_within=(low, high))
    return Bounds(
        **{
            "above" if between["open"] == "(" else "at_least": low,
            "below" if between["close"] == ")" else "at_most": high,
        }
    )


def bad(text: str) -> Bounds | None:
    """The figures that are good, where a threshold says which are not."""
    found = COMPARED.match(text)
    if found:
        return Bounds(**{FLIPPED[found["sign"]]: _number(found["value"])})
    between = BETWEEN.match(text)
    if not between:
        return None
    low, high = _number(between["low"]), _number(between["high"])
    return Bounds(at_least=low, at_most=high) if between["negated"] else Bounds(not_within=(low, high))


def _number(text: str) -> float:
    return float(text.replace("%", "").strip())


def _plain(name: str) -> str:
    return name.strip().strip('"`')


def _column(check: Check) -> str:
    found = METRIC.match(check.line)
    named = (found["arguments"] or "").split(",") if found else []
    return _plain(named[0]) if len(named) == 1 else ""


MISSING = frozenset(("missing values", "missing regex", "missing format"))  # the last two are told by name
VALID = frozenset((
    "valid values", "invalid values", "valid regex", "invalid regex", "valid format", "valid min", "valid max", "valid length", "valid min length",
    "valid max length", "missing values",
))  # fmt: skip


def _of_metric(metric: str, arguments: list[str], bounds: Bounds, percent: bool, check: Check) -> Made:  # noqa: FBT001, PLR0911 - one answer a line reads best
    lost = _unread(metric, check)
    if lost:
        return f"Not executed with {lost}: the rule would ask something else."
    counted: dict[str, Any] = {
        "bounds": _counted(bounds),
        "unit": "percent" if percent else "rows",
        "where": check.where,
    }
    if metric in ("row_count", "count") and not arguments:
        return (draft("row-count", check.table, bounds=bounds, where=check.where),)
    if metric in ("missing_count", "missing_percent"):
        return _missing(arguments, counted, check)
    if metric in ("duplicate_count", "duplicate_percent"):
        return _duplicates(arguments, bounds, percent, check)
    if metric in ("invalid_count", "invalid_percent"):
        return _invalid(arguments[0], counted, check)
    of_column = _aggregated(metric, arguments)
    if of_column:
        return (
            draft(
                "aggregate",
                check.table,
                arguments[:1],
                of_column,
                bounds=bounds,
                unit="value",
                where=check.where,
            ),
        )
    return _own_metric(metric, bounds, check)


def _aggregated(metric: str, arguments: list[str]) -> dict[str, Any]:
    """What an aggregate of a column is asked with; nothing where the metric is none."""
    if metric in AGGREGATES and len(arguments) == 1:
        return {"function": AGGREGATES[metric]}
    if metric == "percentile":
        return {"function": "quantile", "q": float(arguments[1])}
    return {"function": COUNTS[metric]} if metric in COUNTS and arguments else {}


def _unread(metric: str, check: Check) -> str:
    """What a check says of valid and missing values that its rule would not ask: dropped, it would mean something else."""
    known = {"invalid": VALID, "missing": MISSING}.get(metric.partition("_")[0], frozenset())
    said = (key for key in check.below if re.match(r"(?:in)?valid\b|missing\b", str(key)))
    return ", ".join(sorted(str(key) for key in said if key not in known and check.below[key] is not None))


def _counted(bounds: Bounds) -> Bounds:
    return NONE_BREAK if bounds in (Bounds(equal_to=0), Bounds(at_most=0)) else bounds


def _missing(arguments: list[str], counted: dict[str, Any], check: Check) -> Made:
    if check.below.get("missing regex") or check.below.get("missing format"):
        return "What is missing is told by values, not by a regex."
    values = [one for one in check.below.get("missing values") or [] if one is not None]
    return (draft("not-null", check.table, arguments[:1], {"missing": values} if values else {}, **counted),)


def _duplicates(arguments: list[str], bounds: Bounds, percent: bool, check: Check) -> Made:  # noqa: FBT001
    """Soda counts the values that are there more than once, we the rows beyond the first: of none they are the same."""
    if _counted(bounds) == NONE_BREAK:
        return (draft("unique", check.table, arguments, where=check.where),)
    named = ", ".join(map(quoted, arguments))
    kept = sql_rules.and_(*(f"{quoted(one)} IS NOT NULL" for one in arguments), check.where)
    groups = f"SELECT COUNT(*) AS n FROM {sql_rules.source(kept)} GROUP BY {named}"
    told = "SUM(CASE WHEN n > 1 THEN 1 ELSE 0 END)"
    select = f"100.0 * {told} / NULLIF(SUM(n), 0)" if percent else told
    return (
        sql_rules.query(
            check.table, f"SELECT COALESCE({select}, 0) FROM ({groups}) AS g", bounds, columns=arguments
        ),
    )


def _invalid(name: str, counted: dict[str, Any], check: Check) -> Made:
    below = check.below
    made: list[tuple[str, dict[str, Any]]] = []
    if below.get("valid values"):
        made.append(("set", {"values": [one for one in below["valid values"] if one is not None]}))
    if below.get("invalid values"):
        made.append(("set", {"values": list(below["invalid values"]), "negated": True}))
    for key, negated in (("valid regex", False), ("invalid regex", True)):
        if below.get(key):
            made.append(("pattern", {"regex": str(below[key]), **({"negated": True} if negated else {})}))
    if below.get("valid format"):
        known = FORMATS.get(str(below["valid format"]).lower())
        if known is None:
            return f"The format {below['valid format']!r} is not known."
        made.append((known[0], {known[0]: known[1]}))
    ranges = {
        key: below.get(word)
        for key, word in (("at_least", "valid min"), ("at_most", "valid max"))
        if below.get(word) is not None
    }
    lengths = {
        key: below.get(word)
        for key, word in (("at_least", "valid min length"), ("at_most", "valid max length"))
        if below.get(word) is not None
    }
    if below.get("valid length") is not None:
        lengths = {"at_least": below["valid length"], "at_most": below["valid length"]}
    made += [(kind, said) for kind, said in (("range", ranges), ("length", lengths)) if said]
    if not made:
        return "It says not what is valid, or by a word that is not known."
    if len(made) > 1 and counted["bounds"] != NONE_BREAK:
        return "A tolerance for several criteria together is not counted."
    missing = [one for one in below.get("missing values") or [] if one is not None]
    c = quoted(name)
    where = sql_rules.and_(counted["where"], f"{c} NOT IN ({sql_rules.listed(missing)})" if missing else "")
    return tuple(
        draft(kind, check.table, (name,), said, **{**counted, "where": where}) for kind, said in made
    )


def _own_metric(metric: str, bounds: Bounds, check: Check) -> Made:
    """A metric that the check defines itself, as an expression or as a query."""
    expression, query = check.below.get(f"{metric} expression"), check.below.get(f"{metric} query")
    if expression:
        return (sql_rules.figure(check.table, str(expression).strip(), bounds, where=check.where),)
    if query:
        return (sql_rules.query(check.table, str(query).strip().rstrip(";"), bounds),)
    return f"The metric {metric!r} is not known."


# -- the other checks ----------------------------------------------------------------------------------------------------------------


def _freshness(check: Check, found: re.Match[str]) -> Made:
    rules: list[Rule] = []
    limits = [("error", found["span"])] if found["span"] else []
    for key, severity in (("fail", "error"), ("warn", "warning")):
        told = re.match(rf"^(?:when\s+)?(?:>=|>)\s*(?P<span>{SPAN})$", str(check.below.get(key) or ""))
        limits += [(severity, told["span"])] if told else []
    for severity, span in limits:
        bounds = Bounds(at_most=_span(span))
        rules.append(
            draft(
                "freshness",
                check.table,
                (_plain(found["column"]),),
                bounds=bounds,
                where=check.where,
                severity=severity,
            )
        )
    return tuple(rules) or NO_THRESHOLD


def _span(text: str) -> float:
    return sum(
        float(number) * UNIT_SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([dhms])", text)
    )


def _reference(check: Check, found: re.Match[str]) -> Made:
    if found["negated"]:
        return "That values are in no other table is not asked; write it as SQL."
    own = [_plain(one) for one in found["own"].split(",")]
    other = [_plain(one) for one in found["columns"].split(",")]
    return (
        draft(
            "foreign-key",
            check.table,
            own,
            {"table": _plain(found["table"]), "columns": other},
            where=check.where,
        ),
    )


def _same(check: Check, found: re.Match[str]) -> Made:
    if found["elsewhere"]:
        return "Two data sources are compared by quality.reconcile."
    arguments = {"function": "row-count", "with": {"table": _plain(found["table"])}}
    return (draft("agreement", check.table, (), arguments, bounds=Bounds(equal_to=0), unit="value"),)


def _learned(check: Check, found: re.Match[str]) -> Made:
    of = {"row_count": "row-count", "avg": "mean", "missing_percent": "null-percent"}.get(
        found["metric"], found["metric"]
    )
    columns = (_plain(found["column"]),) if found["column"] else ()
    if of not in ("row-count", "mean", "sum", "min", "max", "stddev", "null-percent"):
        return f"The history of {found['metric']} is not learned."
    return (
        draft(
            "learned",
            check.table,
            columns,
            {"metric": of},
            where=check.where,
            bounds=Bounds(),
            severity="error",
        ),
    )


def _failed_rows(check: Check) -> Made:
    condition, query = check.below.get("fail condition"), check.below.get("fail query")
    if condition:
        return (
            draft(
                "condition", check.table, (), {"sql": f"NOT ({str(condition).strip()})"}, where=check.where
            ),
        )
    return (
        (sql_rules.rows_of(check.table, str(query)),) if query else "It has neither a condition nor a query."
    )


def _schema(check: Check) -> Made:
    rules: list[Rule] = []
    for key, severity in (("fail", "error"), ("warn", "warning")):
        for what, given in (check.below.get(key) or {}).items():
            made = _of_schema(str(what), given, check.table)
            if isinstance(made, str):
                return made
            rules += [rule.model_copy(update={"severity": severity}) for rule in made]
    return tuple(rules) or NO_THRESHOLD


def _of_schema(what: str, given: Any, table: str) -> Made:
    if what == "when required column missing":
        columns: list[dict[str, Any]] = [{"name": str(one)} for one in given]
    elif what == "when wrong column type":
        found = {str(name): types.logical(str(kind)) for name, kind in given.items()}
        if None in found.values():
            return "A type that it asks for is none of the standard's."
        columns = [{"name": name, "type": kind} for name, kind in found.items()]
    else:
        return f'"{what}" is not asked: list the columns, and allow no more.'
    return (draft("schema", table, (), {"columns": columns, "more": True}),)
