"""How a statement reaches its tables: which columns it compares, joins and orders by. Pure, by sqlglot's syntax tree.

What is not understood is left out, never guessed: a column that could belong to two tables, a condition below OR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlglot import exp

Columns = dict[str, frozenset[str]]  # the columns of each table


class Access(Value):
    """How one SELECT, UPDATE or DELETE reaches one table."""

    table: str
    equal: tuple[str, ...] = ()  # compared with a value: `= $1`, `IN ($1)`, `= ANY($1)`
    joined: tuple[str, ...] = ()  # compared with another table's column
    ranged: tuple[str, ...] = ()  # `<`, `>`, BETWEEN
    ordered: tuple[
        str, ...
    ] = ()  # ORDER BY or GROUP BY, where all of it is this table's and in one direction
    limited: bool = False  # an ORDER BY with a LIMIT: the first rows are enough


def accesses(sql: str, columns: Columns) -> tuple[Access, ...]:
    """Every access of a statement to a table of `columns`; none where the statement cannot be parsed."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only for advice
    from sqlglot import exp  # noqa: PLC0415

    try:
        tree = sqlglot.parse_one(sql, read="postgres")
    except sqlglot.errors.SqlglotError:
        return ()
    blocks = tree.find_all(exp.Select, exp.Update, exp.Delete)
    return tuple(access for block in blocks for access in _Block(block, columns).accesses())


class _Block:
    """One SELECT, UPDATE or DELETE with the tables it names itself."""

    def __init__(self, node: exp.Expr, columns: Columns) -> None:
        from sqlglot import exp  # noqa: PLC0415

        self.node = node
        self.exp = exp
        tables = [t for t in node.find_all(exp.Table) if self._is_ours(t)]
        self.tables: dict[str, str] = {t.alias_or_name: t.name for t in tables if t.name in columns}
        self.columns = columns

    def _is_ours(self, node: exp.Expr) -> bool:
        return (
            node.find_ancestor(self.exp.Select, self.exp.Update, self.exp.Delete) is self.node
            or node.parent is self.node
        )

    def accesses(self) -> Iterator[Access]:
        """One access for each table that a condition or an order speaks of."""
        found: dict[str, dict[str, list[str]]] = {
            alias: {"equal": [], "joined": [], "ranged": []} for alias in self.tables
        }
        for condition in self._conditions():
            for alias, kind, column in self._classify(condition):
                found[alias][kind].append(column)
        order_alias, ordered = self._order()
        limited = self.node.args.get("limit") is not None and self.node.args.get("order") is not None
        for alias, lists in found.items():
            order = ordered if alias == order_alias else ()
            if order or any(lists.values()):
                kinds = {kind: tuple(dict.fromkeys(names)) for kind, names in lists.items()}
                yield Access(
                    table=self.tables[alias], ordered=order, limited=limited and bool(order), **kinds
                )

    def _conditions(self) -> Iterator[exp.Expr]:
        """The conditions that all must hold: of WHERE, and of the joins' ON."""
        places: list[Any] = [self.node.args.get("where")]
        places += [join.args.get("on") for join in self.node.find_all(self.exp.Join) if self._is_ours(join)]
        for place in places:
            top = place.this if isinstance(place, self.exp.Where) else place
            if top is not None:
                yield from top.flatten() if isinstance(top, self.exp.And) else (top,)

    def _classify(self, condition: exp.Expr) -> Iterator[tuple[str, str, str]]:
        exp = self.exp
        condition = condition.unnest()
        if isinstance(condition, exp.EQ):
            for side, other in (
                (condition.this, condition.expression),
                (condition.expression, condition.this),
            ):
                place = self._place(side)
                others = {p[0] for c in other.find_all(exp.Column) if (p := self._place(c))}
                if place and place[0] not in others:
                    yield place[0], "joined" if others else "equal", place[1]
        elif isinstance(condition, (exp.In, exp.Between, exp.GT, exp.GTE, exp.LT, exp.LTE)):
            kind = "equal" if isinstance(condition, exp.In) else "ranged"
            sides = (
                [condition.this]
                if isinstance(condition, (exp.In, exp.Between))
                else [condition.this, condition.expression]
            )
            for side in sides:
                if place := self._place(side):
                    yield place[0], kind, place[1]

    def _place(self, node: exp.Expr) -> tuple[str, str] | None:
        """(alias, column) of a column or of lower(column); None for anything else, and for a column whose table is not certain."""
        if isinstance(node, (self.exp.Lower, self.exp.Upper)) and (inner := self._place(node.this)):
            return inner[0], f"({node.key}({inner[1]}))"
        if not isinstance(node, self.exp.Column):
            return None
        if node.table:
            fits = [node.table] if node.table in self.tables else []
        else:
            fits = [alias for alias, table in self.tables.items() if node.name in self.columns[table]]
        known = [alias for alias in fits if node.name in self.columns[self.tables[alias]]]
        return (known[0], node.name) if len(known) == 1 else None

    def _order(self) -> tuple[str, tuple[str, ...]]:
        clause = self.node.args.get("order") or self.node.args.get("group")
        terms = clause.expressions if clause is not None else []
        directions = {bool(term.args.get("desc")) for term in terms}
        places = [self._place(term.this if isinstance(term, self.exp.Ordered) else term) for term in terms]
        aliases = {place[0] for place in places if place}
        if len(directions) != 1 or len(aliases) != 1 or not all(places):
            return "", ()
        return aliases.pop(), tuple(place[1] for place in places if place)


def columns_of(tables: Mapping[str, Any]) -> Columns:
    """Names as `accesses` wants them, of {table: [column, ...]}."""
    return {table: frozenset(names) for table, names in tables.items()}
