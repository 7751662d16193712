"""What each kind of rule takes, and which columns it is about: how a contract's own rules are checked before any engine sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.standard import nearest
from datareeve.capabilities.quality.rule import COUNTING_KINDS, NONE_BREAK, Bounds
from datareeve.core.personal_data.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBER, TEXT, LIST, FLAG, WHOLE, KEYS = (int, float), (str,), (list, tuple), (bool,), (int,), (dict,)
SCALAR = (int, float, str)
# By kind: the arguments it takes, with the types they may have. The first of `NEEDED` are asked for.
ARGUMENTS: dict[str, dict[str, tuple[type, ...]]] = {
    "not-null": {"missing": LIST},
    "set": {"values": LIST, "negated": FLAG},
    "range": dict.fromkeys(("at_least", "at_most", "above", "below"), SCALAR),
    "pattern": {"regex": TEXT, "negated": FLAG},
    "length": {"at_least": WHOLE, "at_most": WHOLE},
    "type": {"type": TEXT},
    "format": {"format": TEXT},
    "condition": {"sql": TEXT},
    "unique": {"nulls": TEXT},
    "foreign-key": {"table": TEXT, "columns": LIST},
    "near-duplicates": {},
    "dependency": {"by": LIST},
    "gaps": {"by": LIST, "step": NUMBER},
    "continuity": {"every": TEXT, "by": LIST},
    "row-count": {},
    "aggregate": {"function": TEXT, "q": NUMBER},
    "freshness": {},
    "volume": {"over": TEXT, "runs": WHOLE},
    "distribution": {"method": TEXT, "reference": (*KEYS, *TEXT, *LIST)},
    "learned": {
        "metric": TEXT,
        "q": NUMBER,
        "time": TEXT,
        "per": TEXT,
        "zone": TEXT,
        "settles": WHOLE,
        "nature": TEXT,
        "baseline": KEYS,
    },
    "agreement": {"function": TEXT, "with": KEYS},
    "sql": {"query": TEXT},
    "schema": {"columns": LIST, "more": FLAG},
}
NEEDED: dict[str, tuple[str, ...]] = {
    "set": ("values",), "pattern": ("regex",), "type": ("type",), "format": ("format",), "condition": ("sql",),
    "foreign-key": ("table", "columns"), "dependency": ("by",), "continuity": ("every",), "aggregate": ("function",),
    "agreement": ("with",), "sql": ("query",), "schema": ("columns",),
}  # fmt: skip
OPEN_KINDS = frozenset(
    ("format", "volume", "distribution", "learned", "agreement")
)  # which take more of their own
ONE_COLUMN = frozenset(
    (
        "not-null",
        "range",
        "length",
        "pattern",
        "type",
        "format",
        "set",
        "dependency",
        "gaps",
        "continuity",
        "freshness",
        "distribution",
    )
)
NEEDS_BOUNDS = frozenset(("row-count", "aggregate", "freshness", "sql", "agreement"))
NEEDS_COLUMNS = ONE_COLUMN | {"unique", "foreign-key"}
UNITS = dict.fromkeys(COUNTING_KINDS, "rows") | {
    "row-count": "rows",
    "schema": "value",
    "freshness": "seconds",
    "volume": "percent",
}
NUMERIC, TEXTUAL, TEMPORAL = {"number", "integer"}, {"string"}, {"date", "timestamp"}
# By kind, the ODCS types that a column may have. A text may hold anything; a kind that is not here fits every type.
FITS: dict[str, set[str]] = {
    "range": NUMERIC | TEMPORAL | TEXTUAL | {"time"},
    "length": TEXTUAL,
    "pattern": TEXTUAL,
    "type": TEXTUAL,
    "format": TEXTUAL | NUMERIC,
    "gaps": NUMERIC,
    "continuity": TEMPORAL | TEXTUAL,
    "freshness": TEMPORAL | TEXTUAL,
    "near-duplicates": TEXTUAL | NUMERIC | TEMPORAL,
}
READABLE = ("integer", "number", "boolean", "uuid", "date", "timestamp", "json")
FUNCTIONS = (
    "count", "distinct", "null-count", "null-percent", "distinct-percent", "min", "max", "sum", "mean", "stddev", "median", "quantile",
    "min-length", "max-length", "mean-length", "row-count",
)  # fmt: skip
OF_NUMBERS = frozenset(("mean", "sum", "stddev", "median", "quantile"))


def default_bounds(kind: str) -> Bounds:
    """The bounds of a rule that is given none: a counted row breaks it."""
    return NONE_BREAK if kind in COUNTING_KINDS or kind == "schema" else Bounds()


def default_unit(kind: str) -> str:
    """What a kind's figure is counted in."""
    return UNITS.get(kind, "value")


def argument_problems(kind: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(argument, what is wrong with it): unknown ones, missing ones, wrong types."""
    known = ARGUMENTS[kind]
    for name in NEEDED.get(kind, ()):
        if name not in arguments:
            yield "", f'lacks "{name}", which {kind} needs'
    for name, value in arguments.items():
        if name in known and not _is(value, known[name]):
            yield name, f"is not what {kind} takes: {_said(known[name])}"
        elif name not in known and kind not in OPEN_KINDS:
            yield name, f"is no argument of {kind}{nearest(name, known)}"
    if kind in ("range", "length") and not arguments:
        yield "", f"gives {kind} no bound: {', '.join(known)}"
    if kind == "gaps" and _is(arguments.get("step"), NUMBER) and not 0 < arguments["step"] < math.inf:
        yield "step", "is not a number above zero"
    if kind == "schema" and isinstance(arguments.get("columns"), (list, tuple)):
        yield from _listed(arguments["columns"])
    yield from _words(kind, arguments)


def _listed(columns: list[Any]) -> Iterator[tuple[str, str]]:
    """The columns of a `schema` rule: a key that nothing compares is refused."""
    if any(not isinstance(one, dict) or not isinstance(one.get("name"), str) for one in columns):
        yield "columns", "is no list of columns, each with its name"
        return
    for key in sorted({str(key) for one in columns for key in one} - {"name", "type"}):
        instead = ": write a rule of kind not-null" if key == "required" else ""
        yield "columns", f"has {key!r}, which is not compared{instead}"


def _words(kind: str, arguments: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Arguments that are one of some words."""
    known = {"format": tuple(FORMATS), "type": READABLE, "aggregate": FUNCTIONS}.get(kind, ())
    name = {"aggregate": "function"}.get(kind, kind)
    if known and isinstance(arguments.get(name), str) and arguments[name] not in known:
        yield name, f"is none of {', '.join(known)}{nearest(arguments[name], known)}"


def _is(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (bool in types or not isinstance(value, bool))


def _said(types: tuple[type, ...]) -> str:
    words = {
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        bool: "true or false",
        dict: "keys with values",
    }
    return " or ".join(dict.fromkeys(words[one] for one in types if one in words))


def misfit(kind: str, logical_type: str, arguments: dict[str, Any]) -> str:
    """Why a rule cannot be about a column of that ODCS type; '' where it can, or where the type is not said."""
    if not logical_type:
        return ""
    if kind in FITS and logical_type not in FITS[kind]:
        return f"asks for {kind} of a column of type {logical_type}"
    if kind == "aggregate" and arguments.get("function") in OF_NUMBERS and logical_type not in NUMERIC:
        return f"asks for the {arguments['function']} of a column of type {logical_type}"
    if logical_type in NUMERIC and any(
        isinstance(one, str) and not _is_number(one) for one in _values(kind, arguments)
    ):
        return f"compares a column of type {logical_type} with text"
    if (
        kind == "range"
        and logical_type in TEMPORAL
        and any(not isinstance(one, str) for one in arguments.values())
    ):
        return f"compares a column of type {logical_type} with a number"
    return ""


def _values(kind: str, arguments: dict[str, Any]) -> list[Any]:
    if kind == "range":
        return list(arguments.values())
    return list(arguments.get("values", ())) if kind == "set" else []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
