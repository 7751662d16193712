"""An operation's inputs from words: only what was said outright is taken; nothing is inferred.

Understood are a system's name, `field=value`, `on schema.table (column, column)` and `index on schema.table column`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.operation import Operation

_ON_TABLE = re.compile(
    r"\bon\s+(?:(?P<schema_name>\w+)\.)?(?P<table>\w+)\s*\((?P<columns>[^()]+)\)", re.IGNORECASE
)
_NAME = (
    r"(?!(?:the|this|that|these|those|a|an|our|its|all|every|each|tables?|columns?|and|or|for|of|to|in)\b)\w+"
)
_INDEX_ON = re.compile(
    rf"\bindex\s+on\s+(?P<named>(?:(?P<schema_name>{_NAME})\.)?(?P<table>{_NAME})\s+(?P<columns>{_NAME}))\s*\.?\s*$",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"(?<![\w-])(?:--)?(?P<field>[a-z][\w-]*)\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^\s,;]+))",
    re.IGNORECASE,
)


REFERENCE = re.compile(r"\b(?:env:\w+|(?:file|keyring):[\w./-]*[\w/-])")


def said(operation: type[Operation[Any]], text: str) -> dict[str, Any]:
    """The inputs of `operation` that `text` states."""
    fields = operation.model_fields
    found: dict[str, Any] = {}
    table = _ON_TABLE.search(text) or _INDEX_ON.search(text)
    if table and {"table", "columns"} <= fields.keys():
        found["table"] = table["table"]
        found["columns"] = [column.strip() for column in table["columns"].split(",")]
        if table["schema_name"] and "schema_name" in fields:
            found["schema_name"] = table["schema_name"]
    for match in _ASSIGNED.finditer(text):
        name = match["field"].replace("-", "_").lower()
        if name in fields:
            value = match["quoted"] if match["quoted"] is not None else match["plain"]
            found[name] = value.split(",") if "tuple" in str(fields[name].annotation) else value
    return found


def without_names(text: str) -> str:
    """The text without the table and the column of an `index on table column`, and without references to where a secret stands.

    They tell nothing about what is to be done.
    """
    text = REFERENCE.sub(" ", text)
    found = _INDEX_ON.search(text)
    return text[: found.start("named")] if found else text


def missing(operation: type[Operation[Any]], given: dict[str, Any]) -> tuple[str, ...]:
    """The inputs that are required and not given."""
    return tuple(
        name for name, field in operation.model_fields.items() if field.is_required() and name not in given
    )


def systems_named(text: str, systems: Iterable[str]) -> tuple[str, ...]:
    """Which systems a text names, as whole words."""
    return tuple(
        name for name in systems if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE)
    )


_KINDS = {
    "postgresql": r"postgres(?:ql)?",
    "mysql": r"mysql|mariadb",
    "sqlite": r"sqlite",
    "duckdb": r"duckdb",
}


def kinds_named(text: str) -> frozenset[str]:
    """Which kinds of database a text speaks of by their products' names."""
    return frozenset(
        kind for kind, names in _KINDS.items() if re.search(rf"\b(?:{names})\b", text, re.IGNORECASE)
    )
