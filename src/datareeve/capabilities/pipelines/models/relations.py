"""What stands in FROM: tables where they are now, subqueries, rows that are written out, and how they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import operators
from datareeve.capabilities.pipelines.models.graph import argument
from datareeve.capabilities.pipelines.models.kinds import NULL, UNKNOWN, Kind
from datareeve.capabilities.pipelines.models.names import column_of, output_name, same
from datareeve.capabilities.pipelines.models.operators import condition
from datareeve.capabilities.pipelines.models.scopes import Relation, Scope, Term

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

PLAIN = {"this", "db", "catalog", "alias"}


def source(writer: Writer, tree: Any, scope: Scope) -> str:
    """The FROM of a SELECT, with its relations put into the scope."""
    start = argument(tree, "from")
    if start is None:
        return ""
    text = _relation(writer, start.this, scope)
    joins = [*(start.this.args.get("joins") or ()), *(tree.args.get("joins") or ())]
    sides = {join.side for join in joins}
    if sides & {"RIGHT", "FULL"} and any(
        not join.side and not join.kind and join.args.get("on") is None and not join.args.get("using")
        for join in joins
    ):
        writer.refuse(
            "FROM a, b … RIGHT or FULL JOIN",
            "join",
            "which is joined first is not the same everywhere",
            "CROSS JOIN, or the joins in one order",
        )
    for join in joins:
        text += _join(writer, join, scope)
    return text


def _join(writer: Writer, join: Any, scope: Scope) -> str:
    side, kind, method = join.side.upper(), join.kind.upper(), (join.args.get("method") or "").upper()
    if (
        method
        or kind not in ("", "INNER", "OUTER", "CROSS")
        or join.args.get("global_")
        or join.args.get("match_condition")
    ):
        writer.refuse(
            f"{method} {side} {kind} JOIN".replace("  ", " ").strip(),
            "join",
            "it is not in all engines",
            {"SEMI": "WHERE EXISTS (…)", "ANTI": "WHERE NOT EXISTS (…)"}.get(kind, "a join with ON"),
        )
    left = list(scope.relations)
    text = _relation(writer, join.this, scope)
    if join.args.get("using"):
        test = _using(writer, join, scope, left, side)
    elif join.args.get("on") is not None:
        test = condition(writer, join.args["on"], scope).sql
        if side in ("", "LEFT"):
            equalities(writer, join.args["on"], scope)
    else:
        return f" CROSS JOIN {text}"
    return f" {side + ' ' if side else ''}JOIN {text} ON {test}"


def _using(writer: Writer, join: Any, scope: Scope, left: list[Relation], side: str) -> str:
    tests, right = [], scope.relations[-1]
    for given in join.args["using"]:
        written = given.this if isinstance(given, exp.Column) else given
        before = scope.merged.get(
            next((name for name in scope.merged if same(writer.dialect, written, name)), "")
        )
        mine = (
            [before]
            if before
            else [
                column_of(writer, one, name)
                for one in left
                for name in one.columns or ()
                if same(writer.dialect, written, name)
            ]
        )
        others = [
            column_of(writer, right, name)
            for name in right.columns or ()
            if same(writer.dialect, written, name)
        ]
        if len(mine) != 1 or len(others) != 1:
            if all(one.columns is not None for one in scope.relations):
                writer.refuse(
                    f"USING ({written.name})", "column", "it is not one column on both sides", "ON a.x = b.x"
                )
            continue
        test = operators.compared(writer, join, mine[0], others[0], "=")
        tests.append(test.sql)
        if side in ("", "LEFT"):
            scope.equal.append((mine[0].sql, others[0].sql))
        both = operators.together(writer, join, [mine[0], others[0]]) if side == "FULL" else None
        name = writer.quoted[others[0].sql][1]
        scope.merged[name] = (
            writer.term(f"COALESCE({both[0].sql}, {both[1].sql})", both[0].kind, *both)
            if both
            else others[0]
            if side == "RIGHT"
            else mine[0]
        )
    return " AND ".join(tests) or "FALSE"


def equalities(writer: Writer, node: Any, scope: Scope) -> None:
    """Columns that a condition makes equal: what one determines, the other does."""
    for one in node.flatten() if isinstance(node, exp.And) else [node]:
        inner = one.unnest()
        if isinstance(inner, exp.And):
            equalities(writer, inner, scope)
        if (
            isinstance(inner, exp.EQ)
            and isinstance(inner.this, exp.Column)
            and isinstance(inner.expression, exp.Column)
        ):
            pair = [writer.value(side, scope) for side in (inner.this, inner.expression)]
            if all(term.sql in writer.quoted and not term.outside for term in pair):
                scope.equal.append((pair[0].sql, pair[1].sql))


# -- one relation ------------------------------------------------------------------------------------------------------------------------


def _relation(writer: Writer, node: Any, scope: Scope) -> str:
    from datareeve.capabilities.pipelines.models import queries  # noqa: PLC0415 - queries and relations hold one another

    if isinstance(node, exp.Table):
        return _table(writer, node, scope)
    if isinstance(node, exp.Values):
        return _values(writer, node, scope)
    if (
        isinstance(node, exp.Subquery)
        and isinstance(node.this, exp.Query)
        and not isinstance(node.this, exp.Table)
    ):
        if any(value for key, value in node.args.items() if key not in ("this", "alias", "joins")):
            writer.refuse(
                "a subquery in FROM",
                "clause",
                "what stands after it is not in all engines",
                "a subquery alone",
            )
        alias = node.args.get("alias")
        made = queries.query(
            writer, node.this, scope.ctes, None, names=alias is None or not alias.args.get("columns")
        )
        columns = dict(made.columns) if made.columns else None
        return _placed(writer, node, scope, f"({made.sql})", Relation("", columns, made.unique))
    writer.unknown(node)
    scope.relations.append(Relation("", None))
    return "(SELECT NULL)"


def _table(writer: Writer, node: Any, scope: Scope) -> str:
    if any(value for key, value in node.args.items() if key not in PLAIN | {"joins"}):
        writer.refuse(
            f"{node.name} with a sample, pivot or version",
            "clause",
            "it is not in all engines",
            "the table alone",
        )
    if not isinstance(node.this, exp.Identifier):
        writer.unknown(node.this)
        scope.relations.append(Relation("", None))
        return "(SELECT NULL)"
    table = writer.tables.get(id(node))
    if table is None:
        found = scope.ctes.get(node.name.casefold(), Relation(node.name, None))
        return _placed(
            writer,
            node,
            scope,
            writer.words.name(found.alias),
            Relation(found.alias, found.columns, found.unique),
        )
    columns = writer.columns_of.get(table)
    if columns is None:
        writer.refuse(
            table,
            "unknown-table",
            "the types of its columns are not known",
            "a load or a model of this pipeline, or run the load first",
        )
    keys = [frozenset(key) for key in writer.keys_of.get(table, ()) if key]
    return _placed(
        writer,
        node,
        scope,
        writer.physical(table),
        Relation(
            output_name(writer.dialect, node.this), dict(columns) if columns is not None else None, keys
        ),
    )


def _placed(writer: Writer, node: Any, scope: Scope, text: str, relation: Relation) -> str:
    """A relation under its alias."""
    alias = node.args.get("alias")
    if alias is not None and alias.this is not None:
        relation.alias = output_name(writer.dialect, alias.this)
    relation.alias = relation.alias or f"_q{len(scope.relations)}"
    if any(one.alias.casefold() == relation.alias.casefold() for one in scope.relations):
        writer.refuse(
            relation.alias, "ambiguous", "two relations of one FROM have this name", "an alias for each: AS …"
        )
    given = (
        [output_name(writer.dialect, one) for one in (alias.args.get("columns") or ())]
        if alias is not None
        else []
    )
    head = ""
    if given and relation.columns is not None:
        if len(given) != len(relation.columns):
            writer.refuse(
                relation.alias,
                "column",
                "it has another number of columns than names",
                "a name for each column",
            )
        names = dict(zip(relation.columns, given, strict=False))
        relation.unique = [frozenset(names.get(one, one) for one in key) for key in relation.unique]
        relation.columns = dict(zip(given, relation.columns.values(), strict=False))
        head = f"({', '.join(map(writer.words.name, given))})"
    scope.relations.append(relation)
    for name in relation.columns or ():
        column_of(writer, relation, name)
    return f"{text} AS {writer.words.name(relation.alias)}{head}"


def _values(writer: Writer, node: Any, scope: Scope) -> str:
    rows = [[writer.value(one, Scope()) for one in row.expressions] for row in node.expressions]
    if not all(term.known for row in rows for term in row) or len({len(row) for row in rows}) != 1:
        scope.relations.append(Relation("", None))
        return "(SELECT NULL)"
    columns = [operators.together(writer, node, list(column)) for column in zip(*rows, strict=True)]
    if any(column is None for column in columns):
        scope.relations.append(Relation("", None))
        return "(SELECT NULL)"
    found: list[Kind] = [
        next((term.kind for term in column or () if term.kind != NULL), NULL) for column in columns
    ]
    if NULL in found:
        writer.refuse("VALUES", "type", "a column of nothing but NULL has no type", "CAST(NULL AS VARCHAR)")
        found = [UNKNOWN if kind == NULL else kind for kind in found]
    selects = []
    for number in range(len(rows)):
        each = [
            f"{writer.words.cast(column[number].sql, kind) if kind != UNKNOWN else 'NULL'} AS {writer.words.name(f'c{n}')}"
            for n, (column, kind) in enumerate(zip(columns, found, strict=True))
            if column is not None
        ]
        selects.append(f"SELECT {', '.join(each)}")
    return _placed(
        writer,
        node,
        scope,
        f"({' UNION ALL '.join(selects)})",
        Relation("", {f"c{n}": kind for n, kind in enumerate(found)}),
    )


def starred(writer: Writer, node: Any, scope: Scope) -> list[tuple[str, Term]]:
    """What a star stands for."""
    table = node.args.get("table") if isinstance(node, exp.Column) else None
    star = node.this if isinstance(node, exp.Column) else node
    if any(star.args.get(key) for key in ("replace", "rename", "ilike")):
        writer.refuse("* REPLACE", "star", "it is not in all engines", "the columns' names")
    left_out = [
        one.this if isinstance(one, exp.Column) else one
        for one in star.args.get("except_") or star.args.get("except") or ()
    ]
    outs: list[tuple[str, Term]] = []
    taken: set[str] = set()
    if table is None:
        outs = [(name, term) for name, term in scope.merged.items()]
        taken = {name.casefold() for name in scope.merged}
    for relation in scope.relations:
        if table is None or same(writer.dialect, table, relation.alias):
            outs += [
                (name, column_of(writer, relation, name))
                for name in relation.columns or ()
                if name.casefold() not in taken
            ]
    kept = [
        (name, term) for name, term in outs if not any(same(writer.dialect, one, name) for one in left_out)
    ]
    if not kept and any(relation.columns is None for relation in scope.relations):
        return [("*", Term("NULL", UNKNOWN))]
    return kept
