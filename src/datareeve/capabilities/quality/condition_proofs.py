"""Rules that follow from the CHECK conditions of a table: a set, a range, a condition that is one of them."""

from __future__ import annotations

import math
import re
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

    from datareeve.capabilities.quality.asking_context import Context


def prove(context: Context) -> str:
    """By which of the table's conditions a rule holds; '' where by none. The table has some, and they are kept."""
    return {"set": _set, "range": _range, "condition": _condition}[context.rule.kind](context)


def _set(context: Context) -> str:
    column, values = (
        context.rule.columns[0],
        {str(value) for value in context.rule.arguments.get("values", ())},
    )
    found = (
        check
        for check, allowed in _checks(context, _allowed)
        if allowed[0] == column and allowed[1] <= values
    )
    return next((f"CHECK {check}" for check in found), "")


def _range(context: Context) -> str:
    """Every bound must follow from conditions of the table; NaN would pass a condition, so floats are measured."""
    column = context.table.column(context.rule.columns[0]) if len(context.rule.columns) == 1 else None
    given = context.rule.limits
    if column is None or not given or column.family != "integer":
        return ""
    bounds = [(check, bound) for check, bound in _checks(context, _bound) if bound[0] == column.name]
    used = [
        next((check for check, bound in bounds if _follows(bound, key, value)), "")
        for key, value in given.items()
    ]
    return f"CHECK {' AND '.join(dict.fromkeys(used))}" if all(used) else ""


def _condition(context: Context) -> str:
    """The same condition, but for its form, is one of the table's."""
    try:
        asked = condition_sql(
            str(context.rule.arguments.get("sql", "")), context.rule.dialect, context.dialect
        )
    except BadInput:
        return ""
    wanted = _parsed(asked, context.dialect.sqlglot)
    for check in context.table.checks:
        known = _parsed(check, context.dialect.sqlglot)
        if known is not None and wanted is not None and _plain(known, context) == _plain(wanted, context):
            return f"CHECK {check}"
    return ""


@lru_cache(maxsize=1024)
def _parsed(text: str, dialect: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(text, read=dialect)
    except (SqlglotError, ValueError, RecursionError):
        return None


def _plain(tree: exp.Expr, context: Context) -> exp.Expr:
    """A condition without parentheses, casts of text to text and quotes, from within outwards: equal trees are equal conditions."""
    root = exp.Paren(this=tree.copy())
    for node in reversed(list(root.walk())):
        if node is not root and (isinstance(node, exp.Paren) or _is_text_cast(node, context)):
            node.replace(node.this)
        elif isinstance(node, exp.Identifier):
            name = node.name if node.args.get("quoted") else node.name.lower()
            node.replace(exp.to_identifier(name, quoted=True))
    bare: exp.Expr = root.this
    return bare


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


INTEGER = re.compile(r"-?\d+")
WHOLE = (exp.DataType.Type.BIGINT, exp.DataType.Type.INT, exp.DataType.Type.DECIMAL)


def _uncast(node: exp.Expr | None) -> exp.Expr | None:
    """What a cast that changes no whole number is of; any other cast stays, and proves nothing."""
    bare = node.unnest() if node is not None else None
    if isinstance(bare, exp.Cast) and bare.to.is_type(*WHOLE) and not bare.to.expressions:
        within = bare.this.unnest()
        if isinstance(within, exp.Literal) and INTEGER.fullmatch(
            within.this
        ):  # PostgreSQL writes -1 as '-1'::integer
            return sqlglot.parse_one(within.this)
        return within if isinstance(within, exp.Column) else bare
    return bare


def _allowed(part: exp.Expr) -> tuple[str, set[str]] | None:
    """`x IN ('a', 'b')`, `x = ANY (ARRAY['a', 'b'])`, `x = 'a'` as the column and its values."""
    of = part.this.unnest() if isinstance(part, (exp.EQ, exp.In)) and not part.args.get("query") else None
    to_text = isinstance(of, exp.Cast) and of.to.is_type(*exp.DataType.TEXT_TYPES) and not of.to.expressions
    column = of.this.unnest() if to_text and of is not None else of
    if not isinstance(column, exp.Column):
        return None
    given = part.expressions if isinstance(part, exp.In) else [part.expression]
    nodes = [node for one in given for node in one.walk()]
    values = {node.this for node in nodes if isinstance(node, exp.Literal)}
    plain = all(
        isinstance(node, (exp.Literal, exp.Cast, exp.DataType, exp.Array, exp.Any, exp.Paren))
        and not (isinstance(node, exp.Cast) and node.to.expressions)  # varchar(1) cuts what is written
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
    """Whether x >= 5 says that x >= 3, of a column of whole numbers."""
    try:
        is_lower, known = _closed(bound[1], bound[2])
        of_lower, wanted = _closed(key, Decimal(str(value)))
    except (InvalidOperation, ValueError, OverflowError):  # no number, NaN, without end
        return False
    return is_lower == of_lower and (known >= wanted if is_lower else known <= wanted)


def _closed(word: str, bound: Decimal) -> tuple[bool, int]:
    """Whether it is a lower bound, and the last whole number within: `x > 4` is `x >= 5`."""
    if word in ("at_least", "above"):
        return True, math.floor(bound) + 1 if word == "above" else math.ceil(bound)
    return False, math.ceil(bound) - 1 if word == "below" else math.floor(bound)
