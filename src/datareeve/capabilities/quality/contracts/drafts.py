"""Rules in the making: from whatever they are read, with ids that are unique and stay."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, cast

from datareeve.capabilities.quality.contracts import kinds
from datareeve.capabilities.quality.rule import DIMENSIONS, Bounds, Rule, rule_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.quality.rule import Dimension

SHORT_DIMENSIONS = {"ac": "accuracy", "cp": "completeness", "cf": "conformity", "cs": "consistency", "cv": "coverage", "tm": "timeliness", "uq": "uniqueness"}  # fmt: skip
MILD = frozenset(("warn", "warning", "info", "information", "low", "minor", "notice"))


def draft(  # noqa: PLR0913 - a rule's own fields
    kind: str,
    table: str,
    columns: Iterable[str] = (),
    arguments: dict[str, Any] | None = None,
    *,
    bounds: Bounds | None = None,
    unit: str = "",
    where: str = "",
    at: str = "",
    **more: Any,
) -> Rule:
    """A rule with an id made of what it says."""
    named, said = (
        tuple(columns),
        {key: value for key, value in (arguments or {}).items() if value is not None},
    )
    return Rule(
        id=rule_id(kind, table, named, said, where),
        kind=cast("Any", kind),
        table=table,
        columns=named,
        arguments=said,
        where=where,
        bounds=kinds.default_bounds(kind) if bounds is None else bounds,
        unit=cast("Any", unit or kinds.default_unit(kind)),
        at=at,
        **more,
    )


GENERATED = (
    "postgres"  # what is written here is the most common SQL; it is put into an engine's words from that
)


def spoken(rule: Rule) -> Rule:
    """A rule with SQL that was made here, told in what dialect it is."""
    if rule.dialect or not (rule.where or rule.kind in ("sql", "condition")):
        return rule
    return rule.model_copy(update={"dialect": GENERATED})


def share(most_percent: float) -> dict[str, Any]:
    """At most that share of the rows may break it: no tolerance at all is said in rows."""
    if most_percent <= 0:
        return {}
    return {"bounds": Bounds(at_most=round(most_percent, 9)), "unit": "percent"}


def nice_above(percent: float) -> float:
    """With two figures, upward, to 100 at most."""
    unit = 10.0 ** (math.floor(math.log10(percent)) - 1)
    return float(min(round(math.ceil(percent / unit - 1e-9) * unit, 6), 100.0))


def with_ids(drafts: Iterable[tuple[str, Rule]]) -> tuple[Rule, ...]:
    """The rules with their ids, unique: a name that several share is qualified by table and columns, then by severity, then counted."""
    told = [(given, given or rule.id, rule) for given, rule in drafts]
    for longer in (_qualified, _with_severity):
        often = Counter(name for _, name, _ in told)
        told = [
            (given, name if often[name] == 1 else longer(given, name, rule), rule)
            for given, name, rule in told
        ]
    seen: set[str] = set()
    rules = []
    often = Counter(name for _, name, _ in told)
    for _, name, rule in told:
        unique, number = name, 2
        while unique in seen or (unique != name and unique in often):
            unique, number = f"{name}-{number}", number + 1
        seen.add(unique)
        rules.append(rule.model_copy(update={"id": unique}))
    return tuple(rules)


def _qualified(given: str, name: str, rule: Rule) -> str:
    return "-".join((rule.table, *rule.columns, name)) if given else name


def _with_severity(given: str, name: str, rule: Rule) -> str:
    del given
    return f"{name}-warning" if rule.severity == "warning" else name


def severity_of(word: Any) -> Literal["error", "warning"]:
    """A severity by the word that a contract or suite uses."""
    return "warning" if str(word or "").lower() in MILD else "error"


def dimension_of(word: Any, kind: str) -> Dimension:
    """A dimension by its name or its short form; else the kind's own."""
    text = str(word or "").lower()
    found = SHORT_DIMENSIONS.get(text, text)
    return cast(
        "Dimension", found if found in SHORT_DIMENSIONS.values() else DIMENSIONS.get(kind, "accuracy")
    )


def quoted(name: str, dialect: str = "") -> str:
    """An identifier for SQL of a dialect, whatever signs it has; a qualified one part by part."""
    return ".".join(column(part, dialect) for part in name.split("."))


def column(name: str, dialect: str = "") -> str:
    """A column for SQL: one identifier, also where its name has a dot."""
    from sqlglot import exp  # noqa: PLC0415 - slow to load

    return str(exp.to_identifier(name, quoted=True).sql(dialect=dialect or None))


def literal(value: Any) -> str:
    """A value as a SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    text = str(value).replace("'", "''")
    return f"'{text}'"
