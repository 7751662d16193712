"""What the catalog guarantees already: a rule that follows from it costs no scan, and its verdict says from what it follows.

Only what the engine keeps at all times counts. A constraint that was never validated, or that any session can switch off, proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.quality.asking_context import Context
    from datareeve.capabilities.quality.catalog import CatalogColumn

LOGICAL = {
    "integer": ("integer",), "number": ("integer", "decimal", "float"), "string": ("text", "uuid", "json", "other"), "date": ("date", "timestamp"),
    "timestamp": ("timestamp", "timestamptz"), "time": ("time",), "boolean": ("boolean",), "object": ("json", "other"), "array": ("other", "json"),
}  # fmt: skip
READ_AS = {"integer": ("integer",), "number": ("integer", "decimal", "float"), "date": ("date",), "timestamp": ("timestamp", "timestamptz"), "boolean": ("boolean",), "uuid": ("uuid",), "json": ("json",)}  # fmt: skip


def prove(context: Context) -> str:
    """By what the rule holds for every row, whatever they are; '' where that is not known."""
    rule, table = context.rule, context.table
    proof = PROOFS.get(rule.kind)
    columns = [table.column(name) for name in rule.columns]
    if proof is None or None in columns or rule.bounds.hold(0) is False or table.why_not:
        return ""
    return proof(context)


def _column(context: Context) -> CatalogColumn | None:
    return context.table.column(context.rule.columns[0]) if len(context.rule.columns) == 1 else None


def _not_null(context: Context) -> str:
    column = _column(context)
    asks_more = context.rule.arguments.get("missing") or context.rule.arguments.get("nan")
    return f"{column.name} is NOT NULL" if column and column.not_null and not asks_more else ""


def _unique(context: Context) -> str:
    columns = set(context.rule.columns or context.key)
    for key in context.table.keys:
        may_be_null = any(not (column := context.table.column(name)) or not column.not_null for name in key)
        nulls_matter = (
            context.rule.arguments.get("nulls") == "equal" and may_be_null and context.table.nulls_distinct
        )
        if key and set(key) <= columns and not nulls_matter:
            return f"({', '.join(key)}) is {'the primary key' if key == context.table.primary_key else 'a unique key'}"
    return ""


def _foreign_key(context: Context) -> str:
    arguments = context.rule.arguments
    named = str(arguments.get("table", ""))
    physical = next((t.physical_name for t in context.contract.tables if t.name == named), named)
    other = context.catalog.tables.get(physical)
    if other is None or not context.table.kept:
        return ""
    theirs = arguments.get("columns") or other.primary_key
    if len(theirs) != len(context.rule.columns):
        return ""
    wanted = set(zip(context.rule.columns, theirs, strict=True))
    for one in context.table.foreign_keys:
        if (
            one.table in (other.name, other.place[-1])
            and set(zip(one.columns, one.references, strict=True)) == wanted
        ):
            return f"a validated foreign key of ({', '.join(one.columns)}) to {other.name}"
    return ""


def _length(context: Context) -> str:
    column, arguments = _column(context), context.rule.arguments
    most = arguments.get("at_most")
    if column is None or column.max_length is None or most is None or set(context.rule.limits) - {"at_most"}:
        return ""
    return f"{column.name} is {column.type}" if column.max_length <= float(most) else ""


def _type(context: Context) -> str:
    column = _column(context)
    return f"{column.name} is {column.type}" if column and column.family in READ_AS.get(str(context.rule.arguments.get("type")), ()) and context.dialect.kind != "sqlite" else ""  # fmt: skip


def _format(context: Context) -> str:
    column = _column(context)
    return f"{column.name} is {column.type}" if column and (context.rule.arguments.get("format"), column.family) == ("uuid", "uuid") and context.dialect.kind != "sqlite" else ""  # fmt: skip


def _by_checks(context: Context) -> str:
    """From the conditions that the engine keeps; they are parsed, which a table without any does not need."""
    if not (context.table.checks and context.table.kept):
        return ""
    from datareeve.capabilities.quality import condition_proofs  # noqa: PLC0415 - a parser of SQL is slow to load

    return condition_proofs.prove(context)


def _set(context: Context) -> str:
    column, values = _column(context), {str(value) for value in context.rule.arguments.get("values", ())}
    if (
        column is None or context.rule.arguments.get("negated") or column.collation
    ):  # one that takes 'A' for 'a'
        return ""
    if column.values and set(column.values) <= values:
        return f"{column.name} is {column.type}, of which every value is allowed"
    return _by_checks(context)


PROOFS: dict[str, Callable[[Context], str]] = {
    "not-null": _not_null, "unique": _unique, "foreign-key": _foreign_key, "length": _length, "type": _type, "format": _format, "set": _set,
    "range": _by_checks, "condition": _by_checks,
}  # fmt: skip


# -- schema ----------------------------------------------------------------------------------------------------------------------------


def schema_differences(context: Context) -> list[str]:
    """How the columns differ from what the contract says: 'tailnum is missing', 'year is text, and not integer'."""
    wanted = context.rule.arguments.get("columns", ())
    by_name = {column.name.lower(): column for column in context.table.columns}
    found = []
    for one in wanted:
        column = by_name.pop(str(one.get("name", "")).lower(), None)
        if column is None:
            found.append(f"{one.get('name')} is missing")
        elif (
            one.get("type")
            and column.family not in LOGICAL.get(one["type"], (column.family,))
            and column.family != "other"
        ):
            found.append(f"{column.name} is {column.type}, and not {one['type']}")
    if not context.rule.arguments.get("more", True):
        found += [f"{column.name} is not in the contract" for column in by_name.values()]
    return found
