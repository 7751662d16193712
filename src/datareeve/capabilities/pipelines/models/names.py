"""Columns and literals: what a name means in its scope, by the rules of the dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import kinds
from datareeve.capabilities.pipelines.models.kinds import BOOL, DOUBLE, INT4, INT8, INT16, TEXT
from datareeve.capabilities.pipelines.models.scopes import LOST, NOTHING, Relation, Scope, Term

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer


def same(dialect: str, written: exp.Identifier, name: str) -> bool:
    """Whether an identifier means a name: PostgreSQL minds case, the others do not."""
    if dialect == "postgres":
        return bool((written.name if written.quoted else written.name.lower()) == name)
    return bool(written.name.casefold() == name.casefold())


def output_name(dialect: str, written: exp.Identifier) -> str:
    """What a column is called that is given this name."""
    return str(written.name.lower() if dialect == "postgres" and not written.quoted else written.name)


def column_of(writer: Writer, relation: Relation, name: str) -> Term:
    """A column of a relation as a term."""
    sql = f"{writer.words.name(relation.alias)}.{writer.words.name(name)}"
    writer.quoted[sql] = (relation.alias, name)
    return Term(sql, (relation.columns or {})[name], frozenset({sql}))


def _column(writer: Writer, node: Any, scope: Scope) -> Term:
    found = find(writer, node, scope)
    if found is not None:
        return found
    if any(relation.columns is None for relation in _all(scope)):
        return LOST  # it was said already that the columns of a table are not known
    return writer.refuse(
        node,
        "column",
        "there is no such column in what is read here",
        "the name of a column, with its table's",
    )


def find(writer: Writer, node: Any, scope: Scope) -> Term | None:
    """The column that is meant: of this SELECT, of its own aliases, or of one around it."""
    here = _candidates(writer, node, scope)
    if len(here) > 1:
        return writer.refuse(
            node, "ambiguous", "several tables have a column of this name", "the table's name before it"
        )
    if here:
        return here[0]
    if not node.table and (alias := _alias(writer, node.this, scope)) is not None:
        return alias
    outer = find(writer, node, scope.around) if scope.around is not None else None
    return None if outer is None else Term(outer.sql, outer.kind, frozenset(), None, False, True)  # noqa: FBT003 - as its fields stand


def _candidates(writer: Writer, node: Any, scope: Scope) -> list[Term]:
    if not node.table:
        for name, term in scope.merged.items():
            if same(writer.dialect, node.this, name):
                return [term]
    found = []
    for relation in scope.relations:
        if node.table and not same(writer.dialect, node.args["table"], relation.alias):
            continue
        found += [
            column_of(writer, relation, name)
            for name in relation.columns or ()
            if same(writer.dialect, node.this, name)
        ]
    return found


def _alias(writer: Writer, written: exp.Identifier, scope: Scope) -> Term | None:
    """DuckDB and Spark let a SELECT name its own columns; PostgreSQL does in GROUP BY."""
    for name, expression in scope.aliases.items():
        if same(writer.dialect, written, name) and name not in scope.expanding:
            scope.expanding.add(name)
            try:
                return writer.value(expression, scope)
            finally:
                scope.expanding.discard(name)
    return None


def _all(scope: Scope | None) -> list[Relation]:
    return [] if scope is None else [*scope.relations, *_all(scope.around)]


def _literal(writer: Writer, node: Any, scope: Scope) -> Term:  # noqa: PLR0911 - one for each way that it is refused or written
    del scope
    text = str(node.this)
    if node.is_string:
        if "\x00" in text:
            return writer.refuse(
                node, "literal", "PostgreSQL has no text with a zero byte", "the text without it"
            )
        return Term(writer.words.text(text), TEXT, literal=text)
    if "e" in text.lower():
        if writer.dialect == "postgres":
            return writer.refuse(
                node,
                "literal",
                "a number with an exponent is a numeric on PostgreSQL and a double elsewhere",
                f"CAST({text} AS double precision), or its digits",
            )
        return Term(writer.double_literal(float(text)), DOUBLE)
    whole, dot, part = text.partition(".")
    if dot:
        return _decimal(writer, node, whole.lstrip("0"), part)
    if not text.isdigit():
        return writer.unknown(node)
    number = int(text)
    kind = INT4 if number < 2**31 else INT8 if number < 2**63 else INT16
    return Term(text, kind, literal=text)


def _decimal(writer: Writer, node: Any, whole: str, part: str) -> Term:
    if len(whole) + len(part) > kinds.MOST_DIGITS:
        return writer.refuse(
            node, "literal", "more than 38 digits are a double on DuckDB", "at most 38 digits"
        )
    kind = kinds.decimal(len(whole) + len(part), len(part))
    text = f"{whole or '0'}.{part}" if part else whole or "0"
    return Term(writer.words.cast(text, kind), kind, literal=text)


def _boolean(writer: Writer, node: Any, scope: Scope) -> Term:
    del writer, scope
    return Term("TRUE" if node.this else "FALSE", BOOL, literal=str(node.this))


def _null(writer: Writer, node: Any, scope: Scope) -> Term:
    del writer, node, scope
    return NOTHING


def _star(writer: Writer, node: Any, scope: Scope) -> Term:
    del scope
    return writer.refuse(node, "star", "a star stands where one value is meant", "the columns' names")


HANDLERS: dict[type, Any] = {
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Star: _star,
}
