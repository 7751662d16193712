"""Which columns a model's columns are made of, down to those of loads and other tables.

A model is qualified once, and all of its columns are read from that; where a table's columns are not known, what is written there decides.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed

Origin = tuple[str, str]  # (table, column)
MARK = "_r"  # what a table is called while a model is qualified: _r0, _r1


def columns(
    parsed: Sequence[Parsed], columns_of: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, list[Origin]]]:
    """{model: {column: [(table, column), ...]}}, each from the tables that the model reads. Conditions and joins are not in it."""
    known = {table: list(columns) for table, columns in columns_of.items()}
    found: dict[str, dict[str, list[Origin]]] = {}
    for one in parsed:
        found[one.name] = of_model(one, known)
        known[one.table] = list(found[one.name]) or known.get(one.table, [])
    return found


def of_model(parsed: Parsed, known: Mapping[str, Sequence[str]]) -> dict[str, list[Origin]]:
    """The columns of one model; {} where even their names are not known."""
    scope, tables = _scope(parsed, known)
    if scope is None:
        return {}
    memory: dict[tuple[int, str], dict[Origin, None]] = {}
    names = [name for name in _query(scope).named_selects if name and name != "*"]
    real = {
        mark: {column.casefold(): column for column in known.get(table, ())} for mark, table in tables.items()
    }
    return {
        name: [
            (tables[mark], real[mark].get(column.casefold(), column))
            for mark, column in _origins(scope, name, memory)
        ]
        for name in names
    }


def _scope(parsed: Parsed, known: Mapping[str, Sequence[str]]) -> tuple[Scope | None, dict[str, str]]:
    """The model qualified, and its tables by mark. With columns of some tables sqlglot wants those of all: then without any."""
    for given in (known, {}):
        tree = parsed.expression.copy()
        tables = _marked(parsed, tree)
        schema: dict[str, object] = {
            mark: dict.fromkeys(given[table], "unknown") for mark, table in tables.items() if given.get(table)
        }
        with contextlib.suppress(SqlglotError, RecursionError, KeyError):
            qualify(
                tree,
                schema=schema,
                dialect=parsed.dialect,
                validate_qualify_columns=False,
                quote_identifiers=False,
                isolate_tables=False,
            )
            return build_scope(tree), tables
    return None, {}


def _marked(parsed: Parsed, tree: Any) -> dict[str, str]:
    """Every table of the model by a mark of its own, under the alias that the text calls it by."""
    from datareeve.capabilities.pipelines.models.graph import tables_of  # noqa: PLC0415 - beside its other use

    found: dict[str, str] = {}
    for number, (node, reference) in enumerate(zip(list(tables_of(tree)), parsed.references, strict=True)):
        mark = f"{MARK}{number}"
        found[mark] = reference.table
        if not node.alias:
            node.set("alias", exp.TableAlias(this=node.this.copy()))
        node.set("this", exp.to_identifier(mark))
        node.set("db", None)
        node.set("catalog", None)
    for column in tree.find_all(exp.Column):  # schema.table.column: the alias is the table's name alone
        column.set("db", None)
        column.set("catalog", None)
    return found


def _origins(
    scope: Scope, name: str, memory: dict[tuple[int, str], dict[Origin, None]]
) -> dict[Origin, None]:
    """Where a column of a query comes from, in the order of the text."""
    key = (id(scope), name.casefold())
    if key in memory:
        return memory[key]
    memory[key] = {}
    if scope.set_operation_scopes:
        place = next(
            (n for n, one in enumerate(_query(scope).named_selects) if one.casefold() == name.casefold()),
            None,
        )
        for side in scope.set_operation_scopes:
            selects = _query(side).named_selects
            if place is not None and place < len(selects):
                memory[key].update(_origins(side, selects[place], memory))
        return memory[key]
    select = next(
        (one for one in _query(scope).selects if one.alias_or_name.casefold() == name.casefold()), None
    )
    if select is not None:
        memory[key].update(_within(scope, select, memory))
    elif len(scope.selected_sources) == 1:  # through a star that could not be written out
        memory[key].update(_of_source(next(iter(scope.selected_sources.values()))[1], name, memory))
    return memory[key]


def _of_source(
    source: Any, name: str, memory: dict[tuple[int, str], dict[Origin, None]]
) -> dict[Origin, None]:
    if isinstance(source, exp.Table):
        return {(source.name, name): None}
    return _origins(source, name, memory) if isinstance(source, Scope) else {}


def _within(scope: Scope, node: Any, memory: dict[tuple[int, str], dict[Origin, None]]) -> dict[Origin, None]:
    found: dict[Origin, None] = {}
    for column in node.find_all(exp.Column):
        if not isinstance(
            column.find_ancestor(exp.Where, exp.Join, exp.Having, exp.Group, exp.Query), exp.Query
        ):
            continue  # a condition of a subquery
        found.update(_of_source(_source(scope, column), column.name, memory))
    return found


def _source(scope: Scope, column: exp.Column) -> Any:
    """What a column is of: in this query, in a subquery of it, or around it."""
    inner = [
        one
        for one in scope.subquery_scopes
        if any(column is found for found in one.expression.find_all(exp.Column))
    ]
    for one in (*inner, scope):
        at: Scope | None = one
        while at is not None:
            if column.table in at.sources:
                return at.sources[column.table]
            at = at.parent if at is not scope else None
    return None


def _query(scope: Scope) -> Any:
    """The query of a scope."""
    return scope.expression
