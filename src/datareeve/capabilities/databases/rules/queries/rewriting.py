"""What rewriting rules share: what the catalog and the recording tell of a statement, and small questions to its syntax tree.

A rule is `rewrite(tree, catalog)`: it gets a copy of the tree, which it may change, and gives a `Rewrite` or None. It rests on facts of the
catalog only (a column that is NOT NULL, a unique key), never on the data that happens to be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp


class Column(Value):
    """A column of a table: its type as PostgreSQL writes it, and whether it can be NULL."""

    type: str
    not_null: bool = False


class Table(Value):
    """A table with its columns in order, and the sets of columns that are unique and NOT NULL together."""

    schema_name: str
    name: str
    columns: dict[str, Column]
    keys: tuple[tuple[str, ...], ...] = ()
    rows: float = 0


class Constant(Value):
    """What holds of `$n` in every recorded execution. See `pg_rewrite.constants`."""

    literal: bool = False  # written in the text, and not a parameter of it
    unit: str = ""
    pattern: str = ""
    zero: bool = False
    one: bool = False
    empty: bool = False
    whole: bool = False
    kind: str = ""
    items: int = 1
    like: int = 0  # the first `$n` with the same value; 0 where that is not known


class Catalog(Value):
    """What a rule may rest on."""

    tables: dict[str, Table]  # by name
    constants: dict[str, Constant] = Field(default_factory=dict)
    volatile: frozenset[str] = frozenset()  # functions that are declared VOLATILE

    def with_constants(self, known: dict[str, dict[str, object]]) -> Catalog:
        """The same for another statement, whose constants those are."""
        return self.model_copy(
            update={"constants": {n: Constant.model_validate(one) for n, one in known.items()}}
        )

    def constant(self, node: exp.Expr) -> Constant:
        """What is known of a parameter's values, through casts; nothing of anything else."""
        from sqlglot import exp  # noqa: PLC0415 - heavy, and loaded already where a tree is at hand

        inner = node
        while isinstance(inner, (exp.Cast, exp.Paren)):
            inner = inner.this
        return self.constants.get(inner.name, Constant()) if isinstance(inner, exp.Parameter) else Constant()

    def table(self, node: exp.Expr | None) -> Table | None:
        """The table that a FROM item names; None for a subquery, a CTE or a function."""
        from sqlglot import exp  # noqa: PLC0415

        if not isinstance(node, exp.Table) or node.name in cte_names(node):
            return None
        found = self.tables.get(node.name)
        return found if found and node.db in {"", found.schema_name} else None

    def place(self, node: exp.Expr | None) -> tuple[str, Table, str] | None:
        """(alias, table, column) of a column whose table is certain; None otherwise."""
        from sqlglot import exp  # noqa: PLC0415

        if not isinstance(node, exp.Column):
            return None
        scope = node.parent_select
        while scope is not None:
            items = from_items(scope)
            fits = [
                i
                for i in items
                if (not node.table or i.alias_or_name == node.table) and self._may_have(i, node.name)
            ]
            if len(fits) == 1 and (table := self.table(fits[0])):
                return fits[0].alias_or_name, table, node.name
            if fits:
                return None
            scope = scope.parent_select
        return None

    def _may_have(self, item: exp.Expr, column: str) -> bool:
        table = self.table(item)
        return table is None or column in table.columns

    def column(self, node: exp.Expr | None) -> Column | None:
        """The column that a node names, with its type."""
        place = self.place(node)
        return place[1].columns[place[2]] if place else None

    def type_of(self, node: exp.Expr | None) -> str:
        """The type of the column that a node names; empty where it is none."""
        column = self.column(node)
        return column.type if column else ""


class Rewrite(NamedTuple):
    """A statement written anew: what the equality rests on, and in what the two may differ (then it is told, not proposed)."""

    tree: exp.Expr
    rests_on: tuple[str, ...] = ()
    differs: str = ""


WHOLE = ("smallint", "integer", "bigint")
TEXTS = ("text", "character varying")
MOMENTS = ("timestamp without time zone", "timestamp with time zone")


def is_text(type_name: str) -> bool:
    """Whether a type is text or varchar; char(n) is not, for it compares without its padding."""
    return type_name.startswith(TEXTS)


def cte_names(node: exp.Expr) -> set[str]:
    """The names of the common table expressions that a node can see."""
    from sqlglot import exp  # noqa: PLC0415

    return {cte.alias for cte in node.root().find_all(exp.CTE)}


def from_items(select: exp.Expr) -> list[exp.Expr]:
    """What a SELECT reads: the FROM item and those of its joins."""
    start = select.args.get("from_")
    joined = [join.this for join in select.args.get("joins") or ()]
    return [start.this, *joined] if start is not None else joined


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    """The conditions of a WHERE, HAVING or ON that must all hold."""
    from sqlglot import exp  # noqa: PLC0415

    if node is None:
        return []
    top = node.this if isinstance(node, (exp.Where, exp.Having)) else node
    top = top.unnest()
    return [one for part in top.flatten() for one in conjuncts(part)] if isinstance(top, exp.And) else [top]


def conditions(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Every comparison of every WHERE and ON."""
    from sqlglot import exp  # noqa: PLC0415

    kinds = (exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Like, exp.NEQ)
    for node in list(tree.find_all(*kinds)):
        if node.find_ancestor(exp.Where, exp.Join) is not None:
            yield node


def is_value(node: exp.Expr) -> bool:
    """Whether a node has the same value for every row: no column, subquery or aggregate in it."""
    from sqlglot import exp  # noqa: PLC0415

    return node.find(exp.Column, exp.Select, exp.AggFunc, exp.Rand) is None


def plain(select: exp.Expr) -> bool:
    """A SELECT without grouping, DISTINCT, windows, order, limit or set operation around it."""
    from sqlglot import exp  # noqa: PLC0415

    clauses = ("group", "having", "distinct", "order", "limit", "offset", "windows", "with_", "locks")
    bare = isinstance(select, exp.Select) and not any(select.args.get(name) for name in clauses)
    return bare and not any(one.find(exp.AggFunc, exp.Window) for one in select.expressions)


def parsed(text: str) -> exp.Expr:
    """A piece of SQL as a tree."""
    import sqlglot  # noqa: PLC0415

    return sqlglot.parse_one(text, read="postgres")


def sql(node: exp.Expr) -> str:
    """A tree as PostgreSQL's SQL."""
    return node.sql(dialect="postgres", comments=False)


def made(select: exp.Expr, condition: exp.Expr | None) -> None:
    """Give a SELECT that condition as its WHERE; None: no WHERE."""
    from sqlglot import exp  # noqa: PLC0415

    select.set("where", exp.Where(this=condition) if condition is not None else None)


def all_of(parts: list[exp.Expr]) -> exp.Expr | None:
    """The conditions joined by AND; None where there are none."""
    from sqlglot import exp  # noqa: PLC0415

    return exp.and_(*parts, copy=False) if parts else None


def key_within(catalog: Catalog, select: exp.Expr) -> tuple[str, ...] | None:
    """A key of the one table that a SELECT reads, all of whose columns it gives: then no two of its rows are equal."""
    items = from_items(select)
    table = catalog.table(items[0]) if len(items) == 1 else None
    if table is None:
        return None
    given = {one.unalias().name for one in select.expressions if catalog.place(one.unalias())}
    if any(one.is_star for one in select.expressions):
        given = set(table.columns)
    return next((key for key in table.keys if given.issuperset(key)), None)
