"""Aggregates and windows: exact ones, and those whose order leaves nothing to chance."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import casts, kinds
from datareeve.capabilities.pipelines.models.kinds import BOOL, DOUBLE, INT4, INT8, INT16, TEXT, Kind
from datareeve.capabilities.pipelines.models.operators import alike, condition
from datareeve.capabilities.pipelines.models.scopes import LOST, Scope, Term, determined

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

RANKS = {exp.RowNumber: "ROW_NUMBER", exp.Rank: "RANK", exp.DenseRank: "DENSE_RANK"}
VALUES = {exp.Lag: "LAG", exp.Lead: "LEAD", exp.FirstValue: "FIRST_VALUE", exp.LastValue: "LAST_VALUE"}
SUM_DOUBLES = "the sum of doubles depends on the order of the rows"
BOUNDS = ("UNBOUNDED", "CURRENT ROW")


def aggregate(writer: Writer, node: Any, scope: Scope, after: str = "") -> Term:
    """An aggregate, with what stands after it: FILTER, OVER."""
    handler = next((AGGREGATES[kind] for kind in type(node).__mro__ if kind in AGGREGATES), None)
    if handler is None:
        return writer.unknown(node)
    if node.args.get("order") or (isinstance(node.this, exp.Order) and not isinstance(node, exp.GroupConcat)):
        return writer.refuse(
            node,
            "order",
            "an order within this aggregate is not in all engines",
            "string_agg, or the aggregate without an order",
        )
    made = handler(writer, node, scope, after)
    return replace(made, aggregated=True) if made.known else LOST


def _plain(writer: Writer, node: Any, scope: Scope) -> Term:
    return aggregate(writer, node, scope)


def _argument(writer: Writer, node: Any, scope: Scope) -> tuple[Term, str]:
    """What is aggregated, and 'DISTINCT ' where it is."""
    inner = node.this
    if isinstance(inner, exp.Distinct):
        if len(inner.expressions) != 1:
            return writer.refuse(
                node,
                "distinct",
                "several columns together are not distinct alike: rows with NULL are left out by some",
                "count(*) over a subquery with SELECT DISTINCT",
            ), ""
        return writer.value(inner.expressions[0], scope), "DISTINCT "
    return writer.value(inner, scope), ""


def _count(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    if node.expressions:
        return writer.refuse(
            node,
            "distinct",
            "count of several columns is not in all engines",
            "count(*) FILTER (WHERE a IS NOT NULL AND b IS NOT NULL)",
        )
    if node.this is None or isinstance(node.this, exp.Star):
        return Term(f"COUNT(*){after}", INT8)
    term, distinct = _argument(writer, node, scope)
    return writer.term(f"COUNT({distinct}{term.sql}){after}", INT8, term) if term.known else LOST


def _count_if(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    test = condition(writer, node.this, scope)
    if not test.known:
        return LOST
    if after.startswith(" FILTER"):
        return writer.refuse(node, "filter", "count_if with FILTER", "count(*) FILTER (WHERE both)")
    count = f"COUNT(*) FILTER (WHERE {test.sql}){after}"
    if writer.dialect != "duckdb":
        return writer.term(count, INT8, test)
    wide = writer.words.cast(count, INT16)  # DuckDB's is a sum: NULL where nothing is true or false
    return writer.term(f"CASE WHEN COUNT({test.sql}){after} > 0 THEN {wide} END", INT16, test)


def _exact(writer: Writer, node: Any, scope: Scope) -> tuple[Term, str]:
    term, distinct = _argument(writer, node, scope)
    if term.known and term.kind in (DOUBLE, kinds.REAL):
        return writer.refuse(
            node,
            "double-sum",
            SUM_DOUBLES,
            "sum(CAST(x AS DECIMAL(18, 6)))"
            if writer.dialect == "duckdb"
            else "a decimal: `columns: {x: decimal(18,6)}` where it is loaded",
        ), ""
    if term.known and not kinds.is_exact(term.kind):
        why = (
            "a numeric without digits has other digits on other engines"
            if term.kind == kinds.NUMERIC
            else f"{term.kind.name} is not summed alike everywhere"
        )
        return writer.refuse(
            node,
            "numeric" if term.kind == kinds.NUMERIC else "type",
            why,
            "CAST(x AS NUMERIC(18, 4))"
            if term.kind == kinds.NUMERIC
            else "count(*) FILTER (WHERE x), or a number",
        ), ""
    return term, distinct


def _wide(writer: Writer, term: Term) -> Term:
    """A whole number, wide enough that its sum is exact. DuckDB's are HUGEINT by themselves."""
    if term.kind.name != "int" or writer.words.duckdb:
        return term
    return writer.term(
        writer.words.cast(
            term.sql, INT16 if writer.words.postgres or term.kind == INT16 else kinds.decimal(20, 0)
        ),
        INT16,
        term,
    )


def _sum(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    term, distinct = _exact(writer, node, scope)
    if not term.known:
        return LOST
    of = _wide(writer, term)
    made, kind = f"SUM({distinct}{of.sql}){after}", _sum_kind(writer, term.kind)
    return writer.term(writer.words.cast(made, kind) if kind.name == "int" else made, kind, of)


def _sum_kind(writer: Writer, kind: Kind) -> Kind:
    if kind.name == "decimal":
        return kinds.decimal(kinds.MOST_DIGITS, kind.scale)
    if writer.dialect == "spark" or (writer.dialect == "postgres" and kind.digits <= INT4.digits):
        return INT8
    return INT16


def _average(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    """DuckDB's, and Spark's of whole numbers, is a double: the nearest one to the exact sum, divided by how many there are."""
    term, distinct = _exact(writer, node, scope)
    if not term.known:
        return LOST
    if writer.dialect == "postgres" or (writer.dialect == "spark" and term.kind.name == "decimal"):
        return writer.refuse(
            node,
            "decimal-division",
            "how many digits an average of decimals has differs between engines, and between values",
            f"CAST(sum(x) AS {'DOUBLE PRECISION' if writer.dialect == 'postgres' else 'DOUBLE'}) / NULLIF(count(x), 0)",
        )
    of = _wide(writer, term)
    total = writer.words.double(f"SUM({distinct}{of.sql}){after}", _sum_kind(writer, term.kind))
    count = writer.words.double(f"NULLIF(COUNT({distinct}{term.sql}){after}, 0)", INT8)
    return writer.term(f"({total} / {count})", DOUBLE, of)


def _extreme(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    if node.expressions:
        return writer.unknown(node)
    term, _ = _argument(writer, node, scope)
    if not term.known:
        return LOST
    if term.kind == BOOL or term.kind.name.startswith("other"):
        return writer.refuse(
            node,
            "type",
            f"not all engines have it for {term.kind.name.removeprefix('other:')}",
            "bool_or(x), bool_and(x)" if term.kind == BOOL else "a column of text, numbers or dates",
        )
    words, name = writer.words, "MIN" if isinstance(node, exp.Min) else "MAX"
    return writer.term(
        words.plain(f"{name}({words.ordered(term.sql, term.kind)}){after}", term.kind), term.kind, term
    )


def _logical(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    test = condition(writer, node.this, scope)
    name = "BOOL_AND" if isinstance(node, exp.LogicalAnd) else "BOOL_OR"
    return writer.term(f"{name}({test.sql}){after}", BOOL, test) if test.known else LOST


def _joined(writer: Writer, node: Any, scope: Scope, after: str) -> Term:
    """string_agg in an order that holds the text itself: what ties is equal then."""
    separator = node.args.get("separator")
    apart = (
        separator.name
        if isinstance(separator, exp.Literal)
        else ","
        if separator is None and writer.dialect == "duckdb"
        else None
    )
    if not isinstance(node.this, exp.Order) or apart is None or "OVER" in after:
        return writer.refuse(
            node,
            "string-agg",
            "without an order the texts come as they please",
            "string_agg(x, ',' ORDER BY x), with a separator in quotes",
        )
    inner = node.this.this
    distinct = isinstance(inner, exp.Distinct)
    source = inner.expressions[0] if distinct else inner
    term = casts.as_text(writer, source, writer.value(source, scope))
    keys = [(writer.value(one.this, scope), one) for one in node.this.expressions]
    if not term.known or not all(key.known for key, _ in keys):
        return LOST
    if writer.value(source, scope).sql not in [key.sql for key, _ in keys]:
        return writer.refuse(
            node,
            "ties",
            "texts whose order ties come as they please",
            f"ORDER BY …, {source.sql(dialect=writer.dialect)} within string_agg",
        )
    if distinct and (len(keys) > 1 or writer.value(source, scope).kind != TEXT):
        return writer.unknown(node)
    words = writer.words
    texts = {
        key.sql: words.cast(key.sql, TEXT) if distinct else key.sql for key, _ in keys
    }  # PostgreSQL wants them alike, to the cast
    order = ", ".join(direction(words.ordered(texts[key.sql], key.kind), one) for key, one in keys)
    first = ("DISTINCT " if distinct else "") + words.ordered(texts[term.sql] if distinct else term.sql, TEXT)
    made = (
        f"LISTAGG({first}, {words.text(apart)}) WITHIN GROUP (ORDER BY {order})"
        if words.spark
        else f"STRING_AGG({first}, {words.text(apart)} ORDER BY {order})"
    )
    return writer.term(words.plain(made + after, TEXT), TEXT, term, *(key for key, _ in keys))


def _filter(writer: Writer, node: Any, scope: Scope) -> Term:
    test = condition(writer, node.expression.this, scope)
    made = aggregate(writer, node.this, scope, f" FILTER (WHERE {test.sql})")
    return writer.term(made.sql, made.kind, made, test) if made.known and test.known else LOST


# -- windows -----------------------------------------------------------------------------------------------------------------------------


def direction(sql: str, node: Any) -> str:
    """One key of an ORDER BY, with where NULL goes, which every engine has its own idea of."""
    return f"{sql} {'DESC' if node.args.get('desc') else 'ASC'} NULLS {'FIRST' if node.args.get('nulls_first') else 'LAST'}"


def _window(writer: Writer, node: Any, scope: Scope) -> Term:
    if node.args.get("alias") is not None or node.args.get("first") is not None:
        return writer.refuse(
            node,
            "window",
            "a named window is not written alike",
            "the window's PARTITION BY and ORDER BY where it is used",
        )
    parts = [writer.value(one, scope) for one in node.args.get("partition_by") or ()]
    order = [
        (writer.value(one.this, scope), one)
        for one in (node.args["order"].expressions if node.args.get("order") else ())
    ]
    keys = [key for key, _ in order]
    frame = _frame(writer, node)
    if frame is None or not all(term.known for term in (*parts, *keys)):
        return LOST
    words = writer.words
    pieces = ["PARTITION BY " + ", ".join(term.sql for term in parts)] if parts else []
    pieces += (
        ["ORDER BY " + ", ".join(direction(words.ordered(key.sql, key.kind), one) for key, one in order)]
        if order
        else []
    )
    over = f" OVER ({' '.join([*pieces, frame]).strip()})"
    made = _windowed(writer, node, scope, over, [*parts, *keys])
    if not made.known:
        return LOST
    return replace(
        writer.term(made.sql, made.kind, made, *parts, *keys),
        aggregated=any(term.aggregated for term in (*parts, *keys)),
    )


def _windowed(writer: Writer, node: Any, scope: Scope, over: str, keys: list[Term]) -> Term:  # noqa: PLR0911 - one for each way that it is refused or written
    inner = node.this
    if isinstance(inner, (exp.Rank, exp.DenseRank)) and not inner.expressions:
        return Term(
            writer.words.cast(RANKS[type(inner)] + "()" + over, _rank_kind(writer)), _rank_kind(writer)
        )
    rows = node.args.get("spec") is not None and node.args["spec"].args.get("kind") == "ROWS"
    ordered = isinstance(inner, (exp.RowNumber, *VALUES)) or (rows and not _is_whole(node))
    if ordered and not _unique(writer, node, scope, keys):
        return LOST
    if isinstance(inner, exp.RowNumber):
        return Term(writer.words.cast("ROW_NUMBER()" + over, _rank_kind(writer)), _rank_kind(writer))
    if type(inner) in VALUES:
        return _value(writer, inner, scope, over)
    if isinstance(inner, exp.Filter):
        test = condition(writer, inner.expression.this, scope)
        return (
            aggregate(writer, inner.this, scope, f" FILTER (WHERE {test.sql}){over}") if test.known else LOST
        )
    if isinstance(inner, exp.Count) and isinstance(inner.this, exp.Distinct):
        return writer.refuse(
            node, "window", "DISTINCT in a window is not in all engines", "a subquery that is distinct"
        )
    return aggregate(writer, inner, scope, over)


def _rank_kind(writer: Writer) -> Kind:
    return INT4 if writer.dialect == "spark" else INT8


def _is_whole(node: Any) -> bool:
    spec = node.args["spec"]
    return bool(spec.args.get("start") == spec.args.get("end") == "UNBOUNDED")


def _value(writer: Writer, node: Any, scope: Scope, over: str) -> Term:
    term = writer.value(node.this, scope)
    offset, default = node.args.get("offset"), node.args.get("default")
    if not term.known:
        return LOST
    if offset is not None and not (isinstance(offset, exp.Literal) and offset.name.isdigit()):
        return writer.refuse(node, "window", "an offset that is not written out", "lag(x, 1)")
    more = f", {offset.name}" if offset is not None else ""
    if default is not None:
        pair = alike(writer, node, term, writer.value(default, scope))
        if pair is None or pair[0].kind != pair[1].kind:
            return (
                LOST
                if pair is None
                else writer.refuse(
                    node, "type", "its default is of another type", "a cast to the column's type"
                )
            )
        term, more = pair[0], (more or ", 1") + f", {pair[1].sql}"
    return writer.term(f"{VALUES[type(node)]}({term.sql}{more}){over}", term.kind, term)


def _frame(writer: Writer, node: Any) -> str | None:
    """The frame as it is written; None where it is refused."""
    spec = node.args.get("spec")
    if spec is None:
        return ""
    kind, bounds = spec.args.get("kind"), []
    for which in ("start", "end"):
        bound, side = spec.args.get(which), spec.args.get(which + "_side")
        if isinstance(bound, exp.Expression):
            if kind != "ROWS" or not (isinstance(bound, exp.Literal) and bound.name.isdigit()):
                bound = None
            else:
                bound = bound.name
        bounds.append(f"{bound} {side or ''}".strip() if bound else None)
    if (
        kind not in ("ROWS", "RANGE")
        or bounds[0] is None
        or (bounds[1] is None and spec.args.get("end"))
        or spec.args.get("exclude")
    ):
        writer.refuse(
            node,
            "window",
            "this frame is not in all engines, or not alike",
            "ROWS BETWEEN n PRECEDING AND CURRENT ROW",
        )
        return None
    return f"{kind} BETWEEN {bounds[0]} AND {bounds[1] or 'CURRENT ROW'}"


def _unique(writer: Writer, node: Any, scope: Scope, keys: list[Term]) -> bool:
    """Whether partition and order tell every row from every other; a refusal where they do not."""
    start = frozenset(key.sql for key in keys)
    if scope.group is not None:
        if set(scope.group) <= start:
            return True
    elif determined(start, scope, writer.quoted)[1]:
        return True
    writer.refuse(
        node,
        "ties",
        "rows that tie come in any order",
        "an ORDER BY that ends in columns which tell each row from all others: " + missing(scope),
    )
    return False


def missing(scope: Scope) -> str:
    """What to add to an order, where it is known."""
    if scope.group:
        return "the columns of GROUP BY"
    found = [
        f"{relation.alias}.{name}"
        for relation in scope.relations
        for name in sorted(next(iter(relation.unique), frozenset()))
    ]
    whole = all(relation.unique for relation in scope.relations)
    return ", ".join(found) if whole and found else "a key; give `keys` to the load or model that has it"


AGGREGATES: dict[type, Any] = {
    exp.Count: _count,
    exp.CountIf: _count_if,
    exp.Sum: _sum,
    exp.Avg: _average,
    exp.Min: _extreme,
    exp.Max: _extreme,
    exp.LogicalAnd: _logical,
    exp.LogicalOr: _logical,
    exp.GroupConcat: _joined,
}
HANDLERS: dict[type, Any] = {
    **dict.fromkeys(AGGREGATES, _plain),
    exp.Filter: _filter,
    exp.Window: _window,
}
