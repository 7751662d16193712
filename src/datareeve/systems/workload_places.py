"""Where the open parameters of a statement stand: the column that each is compared with or written into, and its part in that.

Only the tree of the statement is read here, no value and no server. `Place.at` then finds the column in the catalog.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.systems.workload_columns import Catalog, Column

PREFIX_OF = 0.5  # of a value's length is kept before the % of a pattern
LONGEST_PREFIX = 12


@dataclass(frozen=True)
class Place:
    """A parameter's place. `role`: equal, low, high, delta (added to an end), pattern, regex, insert, key, limit, offset, length or none."""

    role: str = "none"
    relation: str | None = None
    name: str = ""  # of the column
    nth: int | None = None  # of an INSERT's values, where `named` lists its columns
    named: tuple[str, ...] = ()
    column: Column | None = None
    case: str = ""  # lower or upper: the column is compared in that case
    cut: bool = False  # a part of the column is compared
    shifted: bool = False  # something is added to it
    numeric: bool = False  # stands in arithmetic or an aggregate
    unit: str = ""  # of an interval
    is_cast: bool = False  # its type is written beside it

    @property
    def neutral(self) -> bool:
        """Whether it is no value of a column at all: a factor, a LIMIT, a length."""
        return (
            self.role in {"limit", "offset", "length"}
            or (self.role == "none" and self.numeric)
            or bool(self.unit)
        )

    def at(self, catalog: Catalog) -> Place:
        """The same with its column."""
        if self.nth is not None and self.relation:
            return replace(self, column=catalog.nth(self.relation, self.nth, self.named))
        if not self.name:
            return self
        return replace(
            self, column=catalog.column(self.relation, self.name) or catalog.column(None, self.name)
        )

    def shaped(self, value: str) -> str:
        """A column's value as this place wants it: a pattern of its beginning, its part, its case."""
        if self.cut:
            value = value[:2]
        if self.case:
            value = value.lower() if self.case == "lower" else value.upper()
        beginning = value[: max(1, min(LONGEST_PREFIX, round(len(value) * PREFIX_OF)))]
        if self.role == "pattern":
            return re.sub(r"([\\%_])", r"\\\1", beginning) + "%"
        return "^" + re.escape(beginning) if self.role == "regex" else value


@dataclass(frozen=True)
class Places:
    """The places of $1, $2, ... and the relations of a statement."""

    places: tuple[Place, ...]
    tables: tuple[str, ...]


def places_of(template: str) -> Places:
    """Every parameter's place; those that no parser finds have none."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only here
    from sqlglot import exp  # noqa: PLC0415

    count = max((int(n) for n in re.findall(r"\$(\d+)", template)), default=0)
    try:
        tree = sqlglot.parse_one(template, read="postgres")
    except (sqlglot.errors.SqlglotError, RecursionError):
        return Places((Place(),) * count, ())
    reader = _Reader(tree)
    found: dict[int, Place] = {}
    for parameter in tree.find_all(exp.Parameter):
        number = int(parameter.name) if parameter.name.isdigit() else 0
        place = reader.place(parameter)
        if number not in found or found[number].role == "none":
            found[number] = place
    tables = tuple(sorted({table.name for table in tree.find_all(exp.Table) if table.name}))
    return Places(tuple(found.get(n, Place()) for n in range(1, count + 1)), tables)


class _Reader:
    """Reads one tree."""

    def __init__(self, tree: Any) -> None:
        from sqlglot import exp  # noqa: PLC0415 - as above

        self._exp = exp
        self._relations = {table.alias_or_name: table.name for table in tree.find_all(exp.Table)}
        self._aliases = {alias.alias: alias.this for alias in tree.find_all(exp.Alias)}

    def place(self, parameter: Any) -> Place:
        """The place of one parameter: up from it, through casts, parentheses and arithmetic, to what it is part of."""
        exp = self._exp
        node, shifted, numeric, unit = parameter, False, False, ""
        first = True  # the left one of what is added up
        while (parent := node.parent) is not None:
            if isinstance(parent, exp.Cast):
                unit = unit or _unit_of(parent)
            elif isinstance(parent, (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod)):
                shifted, numeric = True, True
                first = first and node is parent.this
            elif isinstance(parent, (exp.AggFunc, exp.Case, exp.If, exp.Neg)):
                numeric = numeric or isinstance(parent, (exp.AggFunc, exp.Neg)) or _in_aggregate(parent, exp)
                if isinstance(parent, exp.If) and node is parent.this:
                    break
            elif not isinstance(
                parent, (exp.Paren, exp.Tuple, exp.Coalesce, exp.Lower, exp.Upper, exp.Any, exp.Array)
            ):
                break
            if isinstance(parent, exp.Tuple) and isinstance(parent.parent, (exp.Values, exp.Insert)):
                break
            node = parent
        is_cast = isinstance(parameter.parent, exp.Cast)
        base = Place(shifted=shifted, numeric=numeric, unit=unit, is_cast=is_cast)
        return self._of(parent, node, base, first=first) if parent is not None else base

    def _of(self, parent: Any, node: Any, base: Place, *, first: bool) -> Place:  # noqa: PLR0911 - one line a kind of place
        exp = self._exp
        if isinstance(parent, (exp.Limit, exp.Fetch)):
            return replace(base, role="limit")
        if isinstance(parent, exp.Offset):
            return replace(base, role="offset")
        if isinstance(parent, exp.Substring):
            return replace(
                base, role="length" if node is not parent.args.get("start") else "none", numeric=True
            )
        if isinstance(parent, exp.Tuple) or (
            isinstance(parent, exp.Select) and isinstance(parent.parent, exp.Insert)
        ):
            return self._inserted(parent, node, base)
        if (
            isinstance(parent, (exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBContains))
            or "JSON" in type(parent).__name__
        ):
            return self._compared(parent.this, replace(base, role="key"))
        role, other = self._comparison(parent, node)
        if not role:
            return base
        found = self._compared(other, replace(base, role=role))
        if base.shifted and role in {"low", "high", "equal"} and not first and found.name:
            return replace(found, role="delta")
        return found

    def _comparison(self, parent: Any, node: Any) -> tuple[str, Any]:  # noqa: PLR0911 - one line a kind of comparison
        """The part a side plays in a comparison, and what it is compared with."""
        exp = self._exp
        left = node is parent.this
        other = parent.expression if left and not isinstance(parent, (exp.In, exp.Between)) else parent.this
        if isinstance(parent, exp.Between):
            return ("low" if node is parent.args.get("low") else "high"), parent.this
        if isinstance(parent, (exp.GT, exp.GTE)):
            return ("high" if left else "low"), other
        if isinstance(parent, (exp.LT, exp.LTE)):
            return ("low" if left else "high"), other
        if isinstance(parent, (exp.Like, exp.ILike, exp.SimilarTo)):
            return "pattern", other
        if isinstance(parent, (exp.RegexpLike, exp.RegexpILike)):
            return "regex", other
        if isinstance(
            parent,
            (
                exp.EQ,
                exp.NEQ,
                exp.In,
                exp.NullSafeEQ,
                exp.NullSafeNEQ,
                exp.ArrayContainsAll,
                exp.ArrayOverlaps,
            ),
        ):
            return "equal", other
        return "", None

    def _compared(self, other: Any, base: Place) -> Place:
        """The column of the other side of a comparison."""
        exp = self._exp
        column = None if other is None else other if isinstance(other, exp.Column) else other.find(exp.Column)
        if column is None:
            return base
        case = "lower" if other.find(exp.Lower) else "upper" if other.find(exp.Upper) else ""
        cut = other.find(exp.Substring) is not None
        hops = 0
        # A derived table's column is what was selected under that name.
        while (
            column is not None
            and (shown := self._aliases.get(column.name)) is not None
            and hops < len(self._aliases)
        ):
            inner = shown if isinstance(shown, exp.Column) else shown.find(exp.Column)
            if inner is None or inner is column or inner.name == column.name:
                break
            cut = cut or shown.find(exp.Substring) is not None
            column, hops = inner, hops + 1
        relation = self._relations.get(column.table) if column.table else None
        return replace(base, relation=relation, name=column.name, case=case, cut=cut)

    def _inserted(self, parent: Any, node: Any, base: Place) -> Place:
        """The column that a value of an INSERT goes into."""
        exp = self._exp
        insert = parent.find_ancestor(exp.Insert)
        values = list(parent.expressions)
        nth = next((n for n, one in enumerate(values) if one is node), None)
        if insert is None or nth is None:
            return base
        into = insert.this
        named = tuple(one.name for one in into.expressions) if isinstance(into, exp.Schema) else ()
        table = into.this if isinstance(into, exp.Schema) else into
        return replace(base, role="insert", relation=table.name, nth=nth, named=named)


def _unit_of(cast: Any) -> str:
    """The unit of `$1::interval year`; 'day' for an interval without one; empty for other types."""
    text = cast.to.sql(dialect="postgres").lower()
    if not text.startswith("interval"):
        return ""
    return text.removeprefix("interval").strip() or "day"


def _in_aggregate(node: Any, exp: Any) -> bool:
    return node.find_ancestor(exp.AggFunc, exp.Add, exp.Sub, exp.Mul, exp.Div) is not None
