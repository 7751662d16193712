"""An operation's inputs from words: only what was said outright is taken; nothing is inferred.

Understood are a system's name, `field=value`, `on schema.table (column, column)` and `index on schema.table column`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    return found | {field: match[group] for field, group, match in _in_its_words(operation, text)}


def _in_its_words(operation: type[Operation[Any]], text: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """(an input, the group that gives it, where) of what an operation itself says that words give; of an input, what comes first."""
    met = set()
    for pattern in operation.said_as:
        match = re.search(pattern, text, re.IGNORECASE)
        for group in match.groupdict() if match else ():
            field = re.sub(r"_\d$", "", group)
            if match and match[group] is not None and field in operation.model_fields and field not in met:
                met.add(field)
                yield field, group, match


def names_said(operation: type[Operation[Any]], text: str) -> Iterator[str]:
    """The names that words give to inputs of an operation by its own expressions; a choice of ours is no name."""
    for field, group, match in _in_its_words(operation, text):
        annotation = operation.model_fields[field].annotation
        if get_origin(annotation) is not Literal and annotation is not bool:
            yield match[group]


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
