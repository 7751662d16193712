"""What the catalog guarantees already: a rule that follows from it costs no scan, and its verdict says from what it follows.

Only what the engine keeps at all times counts. A constraint that was never validated, or that any session can switch off, proves nothing.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from datareeve.capabilities.quality.statement_sql import condition_sql
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.capabilities.quality.asking import Context
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
    if column is None or column.max_length is None or most is None or set(_given(arguments)) - {"at_most"}:
        return ""
    return f"{column.name} is {column.type}" if column.max_length <= float(most) else ""


def _type(context: Context) -> str:
    column = _column(context)
    return f"{column.name} is {column.type}" if column and column.family in READ_AS.get(str(context.rule.arguments.get("type")), ()) and context.dialect.kind != "sqlite" else ""  # fmt: skip


def _format(context: Context) -> str:
    column = _column(context)
    return f"{column.name} is {column.type}" if column and (context.rule.arguments.get("format"), column.family) == ("uuid", "uuid") and context.dialect.kind != "sqlite" else ""  # fmt: skip


def _set(context: Context) -> str:
    column, values = _column(context), {str(value) for value in context.rule.arguments.get("values", ())}
    if (
        column is None or context.rule.arguments.get("negated") or column.collation
    ):  # a collation that takes 'A' for 'a'
        return ""
    if column.values and set(column.values) <= values:
        return f"{column.name} is {column.type}, of which every value is allowed"
    for check, allowed in _checks(context, _allowed):
        if allowed[0] == column.name and allowed[1] <= values:
            return f"CHECK {check}"
    return ""


def _range(context: Context) -> str:
    """Every bound must follow from conditions of the table; NaN would pass a condition, so floats are measured."""
    column, given = _column(context), _given(context.rule.arguments)
    if column is None or not given or column.family in ("float", "decimal"):
        return ""
    bounds = [(check, bound) for check, bound in _checks(context, _bound) if bound[0] == column.name]
    used = [
        next((check for check, bound in bounds if _follows(bound, key, value)), "")
        for key, value in given.items()
    ]
    return f"CHECK {' AND '.join(dict.fromkeys(used))}" if all(used) else ""


def _condition(context: Context) -> str:
    """The same condition, but for its form, is one of the table's."""
    if not context.table.kept:
        return ""
    try:
        asked = condition_sql(
            str(context.rule.arguments.get("sql", "")), context.rule.dialect, context.dialect
        )
    except BadInput:
        return ""
    wanted = _parsed(asked, context.dialect.sqlglot)
    known = ((check, _parsed(check, context.dialect.sqlglot)) for check in context.table.checks)
    return next((f"CHECK {check}" for check, tree in known if tree is not None and wanted is not None and _plain(tree, context) == _plain(wanted, context)), "")  # fmt: skip


PROOFS: dict[str, Callable[[Context], str]] = {
    "not-null": _not_null, "unique": _unique, "foreign-key": _foreign_key, "length": _length, "type": _type, "format": _format, "set": _set,
    "range": _range, "condition": _condition,
}  # fmt: skip


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        key: arguments[key]
        for key in ("at_least", "at_most", "above", "below")
        if arguments.get(key) is not None
    }


# -- conditions ------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _parsed(text: str, dialect: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(text, read=dialect)
    except (SqlglotError, ValueError, RecursionError):
        return None


def _plain(tree: exp.Expr, context: Context) -> str:
    """A condition without parentheses, casts of text to text and quotes: equal texts are equal conditions."""
    bare = tree.copy().transform(
        lambda node: node.this if isinstance(node, exp.Paren) or _is_text_cast(node, context) else node
    )
    named = bare.transform(
        lambda node: (
            exp.to_identifier(node.name if node.args.get("quoted") else node.name.lower(), quoted=True)
            if isinstance(node, exp.Identifier)
            else node
        )
    )
    return str(named.sql())


def _is_text_cast(node: exp.Expr, context: Context) -> bool:
    if not isinstance(node, exp.Cast) or not node.to.is_type(*exp.DataType.TEXT_TYPES) or node.to.expressions:
        return False
    within = node.this.unnest()
    column = context.table.column(within.name) if isinstance(within, exp.Column) else None
    is_text = column is not None and column.family == "text" and not column.collation and not column.values
    return is_text or (isinstance(within, exp.Literal) and within.is_string)


def _checks(context: Context, read: Callable[[exp.Expr], Any]) -> Iterator[tuple[str, Any]]:
    """What `read` finds in the parts, joined by AND, of the conditions that the engine keeps."""
    for check in context.table.checks if context.table.kept else ():
        tree = _parsed(check, context.dialect.sqlglot)
        for part in _parts(tree) if tree is not None else ():
            if found := read(part):
                yield check, found


def _parts(tree: exp.Expr) -> Iterator[exp.Expr]:
    bare = tree.unnest()
    if isinstance(bare, exp.And):
        yield from _parts(bare.left)
        yield from _parts(bare.right)
    else:
        yield bare


def _uncast(node: exp.Expr | None) -> exp.Expr | None:
    while isinstance(node, (exp.Cast, exp.Paren)):
        node = node.this
    return node


def _allowed(part: exp.Expr) -> tuple[str, set[str]] | None:
    """`x IN ('a', 'b')`, `x = ANY (ARRAY['a', 'b'])`, `x = 'a'` as the column and its values."""
    of = part.this.unnest() if isinstance(part, (exp.EQ, exp.In)) and not part.args.get("query") else None
    to_text = isinstance(of, exp.Cast) and of.to.is_type(*exp.DataType.TEXT_TYPES) and not of.to.expressions
    column = _uncast(of) if to_text or isinstance(of, exp.Column) else None
    if not isinstance(column, exp.Column):
        return None
    given = part.expressions if isinstance(part, exp.In) else [part.expression]
    nodes = [node for one in given for node in one.walk()]
    values = {node.this for node in nodes if isinstance(node, exp.Literal)}
    plain = all(
        isinstance(node, (exp.Literal, exp.Cast, exp.DataType, exp.Array, exp.Any, exp.Paren))
        for node in nodes
    )
    return (column.name, values) if values and plain else None


COMPARISONS: dict[type[exp.Expr], str] = {
    exp.GTE: "at_least",
    exp.GT: "above",
    exp.LTE: "at_most",
    exp.LT: "below",
}
MIRRORED = {"at_least": "at_most", "above": "below", "at_most": "at_least", "below": "above"}


def _bound(part: exp.Expr) -> tuple[str, str, Decimal] | None:
    """`x >= 1` as the column, 'at_least' and 1."""
    word = COMPARISONS.get(type(part))
    if word is None:
        return None
    left, right = _uncast(part.this), _uncast(part.args.get("expression"))
    if isinstance(right, exp.Column):
        left, right, word = right, left, MIRRORED[word]
    number = _number(right)
    return (left.name, word, number) if isinstance(left, exp.Column) and number is not None else None


def _number(node: exp.Expr | None) -> Decimal | None:
    try:
        return (
            Decimal(node.sql())
            if isinstance(node, (exp.Literal, exp.Neg))
            and not (isinstance(node, exp.Literal) and node.is_string)
            else None
        )
    except InvalidOperation:
        return None


def _follows(bound: tuple[str, str, Decimal], key: str, value: Any) -> bool:
    """Whether x >= 5 says that x >= 3."""
    _, word, known = bound
    try:
        wanted = Decimal(str(value))
    except InvalidOperation:
        return False
    lower, strict = ("at_least", "above"), ("above", "below")
    if (word in lower) != (key in lower):
        return False
    if known == wanted:
        return word in strict or key not in strict
    return known > wanted if key in lower else known < wanted


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
