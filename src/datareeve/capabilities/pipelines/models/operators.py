"""Arithmetic, comparison, conditions: by the dialect's meaning, in words that no engine reads another way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import casts, dates, kinds, patterns
from datareeve.capabilities.pipelines.models.kinds import BOOL, DOUBLE, INT4, INT8, INT16, NULL, TEXT, Kind
from datareeve.capabilities.pipelines.models.scopes import LOST, Scope, Term

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

SIGNS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
COMPARES = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}


# -- arithmetic --------------------------------------------------------------------------------------------------------------------------


def _arithmetic(writer: Writer, node: Any, scope: Scope) -> Term:
    if isinstance(node.expression, exp.Interval) or isinstance(node.this, exp.Interval):
        return dates.with_interval(writer, node, scope)
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    if not (left.known and right.known):
        return LOST
    if "date" in (left.kind.name, right.kind.name):
        return dates.with_days(writer, node, left, right)
    kind = _result(node, left.kind, right.kind)
    if kind is None:
        return _no_numbers(writer, node, left, right)
    left, right = _fit(writer, left, kind), _fit(writer, right, kind)
    return writer.term(f"({left.sql} {SIGNS[type(node)]} {right.sql})", kind, left, right)


def _fit(writer: Writer, term: Term, kind: Kind) -> Term:
    """A number as the operation needs it: doubles are never mixed with others, small whole numbers are widened."""
    if kind == DOUBLE:
        return casts.widen(writer, term, DOUBLE) if term.kind != NULL else term
    if term.kind.name == "int" and kind.name == "int" and term.kind != kind and term.literal is None:
        return casts.widen(writer, term, kind)
    if term.kind.name == "int" and kind.name == "decimal" and term.literal is None:
        return casts.widen(writer, term, kinds.as_decimal(term.kind))
    return term


def _result(node: exp.Expression, left: Kind, right: Kind) -> Kind | None:
    if NULL in (left, right):
        other = right if left == NULL else left
        return other if kinds.is_number(other) else None
    if not (kinds.is_number(left) and kinds.is_number(right)):
        return None
    if DOUBLE in (left, right):
        return DOUBLE
    if left.name == right.name == "int":
        return max(left, right, INT4)
    one, other = kinds.as_decimal(left), kinds.as_decimal(right)
    if isinstance(node, exp.Mul):
        scale = one.scale + other.scale
        return kinds.decimal(one.digits + other.digits, scale) if scale <= kinds.MOST_DIGITS else None
    scale = max(one.scale, other.scale)
    whole = max(one.digits - one.scale, other.digits - other.scale)
    return kinds.decimal(whole + scale + 1, scale)


def _no_numbers(writer: Writer, node: exp.Expression, left: Term, right: Term) -> Term:
    found = {left.kind.name, right.kind.name}
    if "numeric" in found:
        return writer.refuse(
            node,
            "numeric",
            "a numeric without digits has other digits on other engines",
            "CAST(x AS NUMERIC(18, 4)), or its digits where the column is loaded",
        )
    if "real" in found:
        return writer.refuse(
            node, "real", "engines count with REAL in different precision", "CAST(x AS DOUBLE)"
        )
    if found & {"timestamp", "moment"}:
        return writer.refuse(
            node,
            "interval",
            "what lies between two moments is an interval, days or microseconds, by engine",
            "date_diff('day', a, b), or CAST(a AS DATE) - CAST(b AS DATE)",
        )
    return writer.refuse(
        node,
        "type",
        f"{left.kind.name} and {right.kind.name} are not counted with alike everywhere",
        "numbers, cast by name",
    )


def _divide(writer: Writer, node: Any, scope: Scope) -> Term:
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    if not (left.known and right.known):
        return LOST
    if not all(kinds.is_number(one.kind) or one.kind == NULL for one in (left, right)):
        return _no_numbers(writer, node, left, right)
    if writer.dialect == "duckdb":
        return divided(writer, left, right)
    if DOUBLE not in (left.kind, right.kind):
        if any(one.kind.name == "decimal" or one.kind == INT16 for one in (left, right)):
            return writer.refuse(
                node,
                "decimal-division",
                "how many digits a quotient of decimals has differs between engines, and between values",
                f"CAST(a AS {'DOUBLE PRECISION' if writer.dialect == 'postgres' else 'DOUBLE'}) / b",
            )
        if writer.dialect == "postgres":
            return whole_division(writer, left, right, max(left.kind, right.kind, INT4), fails=True)
    return _failing_quotient(writer, left, right)


def divided(writer: Writer, left: Term, right: Term) -> Term:
    """DuckDB's `/`: of doubles, and by zero it is infinity or NaN."""
    a, b = casts.widen(writer, left, DOUBLE), casts.widen(writer, right, DOUBLE)
    plain = f"({a.sql} / {b.sql})"
    if writer.words.duckdb or _never_zero(right):
        return writer.term(plain, DOUBLE, a, b)
    words = writer.words
    minus = (
        f"WHEN {b.sql} = 0 AND {words.cast(b.sql, TEXT)} LIKE '-%' THEN {a.sql} * {words.infinity('-')} "
        if right.kind == DOUBLE
        else ""
    )
    return writer.term(
        f"CASE {minus}WHEN {b.sql} = 0 THEN {a.sql} * {words.infinity()} ELSE {plain} END", DOUBLE, a, b
    )


def _never_zero(term: Term) -> bool:
    if term.literal is not None:
        return float(term.literal) != 0 if casts.A_NUMBER.fullmatch(term.literal) else False
    return term.sql.startswith("NULLIF(") and term.sql.endswith(", 0)")


def _failing_quotient(writer: Writer, left: Term, right: Term) -> Term:
    a, b = casts.widen(writer, left, DOUBLE), casts.widen(writer, right, DOUBLE)
    return writer.term(f"({a.sql} / {_not_zero(writer, b.sql, b)})", DOUBLE, a, b)


def _not_zero(writer: Writer, sql: str, term: Term) -> str:
    """What is divided by: DuckDB alone goes on after a division by zero, and is told to fail as the others do."""
    if not writer.words.duckdb or _never_zero(term):
        return sql
    return f"(CASE WHEN {sql} = 0 THEN {writer.words.fail('division by zero')} ELSE {sql} END)"


def whole_division(writer: Writer, left: Term, right: Term, kind: Kind, *, fails: bool) -> Term:
    """Division of whole numbers, cut off towards zero."""
    a, b = _fit(writer, left, kind), _fit(writer, right, kind)
    by = _not_zero(writer, b.sql, b) if fails else b.sql if _never_zero(b) else f"NULLIF({b.sql}, 0)"
    sign = {"duckdb": "//", "postgres": "/", "spark": "DIV"}[writer.words.engine]
    made = f"({a.sql} {sign} {by})"
    return writer.term(writer.words.cast(made, kind) if writer.words.spark else made, kind, a, b)


def _int_divide(writer: Writer, node: Any, scope: Scope) -> Term:
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    if not (left.known and right.known):
        return LOST
    if not all(one.kind.name == "int" and one.kind != INT16 for one in (left, right)):
        return writer.refuse(
            node,
            "integer-division",
            "only whole numbers up to BIGINT are divided alike",
            "CAST(a AS BIGINT) on both sides",
        )
    kind = INT8 if writer.dialect == "spark" else max(left.kind, right.kind, INT4)
    return whole_division(writer, left, right, kind, fails=writer.dialect != "duckdb")


def _modulo(writer: Writer, node: Any, scope: Scope) -> Term:
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    if not (left.known and right.known):
        return LOST
    if not (kinds.is_exact(left.kind) and kinds.is_exact(right.kind)):
        return writer.refuse(
            node, "modulo", "the remainder of doubles is not the same everywhere", "whole numbers or decimals"
        )
    kind = kinds.common(left.kind, right.kind) or INT8
    kind = max(kind, INT4) if kind.name == "int" else kind
    a, b = casts.widen(writer, left, kind), casts.widen(writer, right, kind)
    by = (
        _not_zero(writer, b.sql, right)
        if writer.dialect != "duckdb"
        else b.sql
        if _never_zero(right)
        else f"NULLIF({b.sql}, 0)"
    )
    return writer.term(f"({a.sql} % {by})", kind, a, b)


def _negative(writer: Writer, node: Any, scope: Scope) -> Term:
    term = writer.value(node.this, scope)
    if not term.known:
        return LOST
    if not kinds.is_number(term.kind):
        return _no_numbers(writer, node, term, term)
    made = writer.term(f"(-{term.sql})", term.kind, term)
    return made if term.literal is None else Term(made.sql, term.kind, literal="-" + term.literal)


# -- comparison --------------------------------------------------------------------------------------------------------------------------


def compared(writer: Writer, node: exp.Expression, left: Term, right: Term, sign: str) -> Term:
    """Two values compared, as one type."""
    if not (left.known and right.known):
        return LOST
    pair = alike(writer, node, left, right)
    if pair is None:
        return LOST
    a, b = pair
    words = writer.words
    return writer.term(f"({words.ordered(a.sql, a.kind)} {sign} {words.ordered(b.sql, b.kind)})", BOOL, a, b)


def alike(writer: Writer, node: exp.Expression, left: Term, right: Term) -> tuple[Term, Term] | None:
    """Two values as one type; None, and a refusal, where engines would read one as the other's type in their own ways."""
    if left.kind.name.startswith("other") or right.kind.name.startswith("other"):
        writer.refuse(
            node,
            "type",
            f"{(left if left.kind.name.startswith('other') else right).kind.name.removeprefix('other:')} is not compared alike everywhere",
            "a column of text, numbers or dates",
        )
        return None
    if left.kind == TEXT and left.literal is not None and right.kind.name in casts.LITERALS:
        left = casts.literal(writer, node, left, right.kind)
    if right.kind == TEXT and right.literal is not None and left.kind.name in casts.LITERALS:
        right = casts.literal(writer, node, right, left.kind)
    if not (left.known and right.known):
        return None
    kind = kinds.common(left.kind, right.kind)
    if kind is None and {left.kind.name, right.kind.name} <= {"numeric", "int", "decimal"}:
        return left, right
    if kind is None:
        zones = {left.kind.name, right.kind.name} <= {"date", "timestamp", "moment"}
        writer.refuse(
            node,
            "time-zone" if zones else "type",
            f"{left.kind.name} and {right.kind.name} are "
            + ("compared in the session's time zone" if zones else "read as one another in different ways"),
            casts.ZONES if zones else "a cast of one side by name",
        )
        return None
    if kind == kinds.REAL and left.kind != right.kind:
        return left, right
    return _same(writer, left, kind), _same(writer, right, kind)


def _same(writer: Writer, term: Term, kind: Kind) -> Term:
    """Whole numbers and decimals compare by value as they are; the rest is made one type."""
    if term.kind == NULL or (kinds.is_exact(term.kind) and kinds.is_exact(kind)):
        return term
    return casts.widen(writer, term, kind)


def _compare(writer: Writer, node: Any, scope: Scope) -> Term:
    if isinstance(node.expression, (exp.Any, exp.All)):
        return writer.refuse(
            node,
            "quantified",
            "comparison with ANY or ALL is not the same everywhere",
            "IN (SELECT …), EXISTS, or a comparison with (SELECT max(…) …)",
        )
    return compared(
        writer,
        node,
        writer.value(node.this, scope),
        writer.value(node.expression, scope),
        COMPARES[type(node)],
    )


def _distinct_from(writer: Writer, node: Any, scope: Scope) -> Term:
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    return compared(
        writer, node, left, right, f"IS {'NOT ' if isinstance(node, exp.NullSafeEQ) else ''}DISTINCT FROM"
    )


def _between(writer: Writer, node: Any, scope: Scope) -> Term:
    if node.args.get("symmetric"):
        return writer.refuse(
            node, "between", "SYMMETRIC is PostgreSQL's alone", "least() and greatest() of the bounds"
        )
    term = writer.value(node.this, scope)
    low = compared(writer, node, term, writer.value(node.args["low"], scope), ">=")
    high = compared(writer, node, term, writer.value(node.args["high"], scope), "<=")
    return writer.term(f"({low.sql} AND {high.sql})", BOOL, low, high) if low.known and high.known else LOST


def _in(writer: Writer, node: Any, scope: Scope) -> Term:
    term = writer.value(node.this, scope)
    if node.args.get("query") is not None:
        return _in_query(writer, node, term, scope)
    if (
        node.args.get("unnest") is not None
        or node.args.get("field") is not None
        or isinstance(node.this, exp.Tuple)
    ):
        return writer.unknown(node)
    pairs = [
        alike(writer, node, term, writer.value(one, scope)) if term.known else None
        for one in node.expressions
    ]
    made = [pair for pair in pairs if pair is not None and pair[1].known]
    if not term.known or len(made) != len(node.expressions):
        return LOST
    by_left: dict[str, list[Term]] = {}
    for left, right in made:
        by_left.setdefault(writer.words.ordered(left.sql, left.kind), []).append(right)
    each = [f"{left} IN ({', '.join(right.sql for right in found)})" for left, found in by_left.items()]
    return writer.term("(" + " OR ".join(each) + ")", BOOL, term, *(right for _, right in made))


def _in_query(writer: Writer, node: Any, term: Term, scope: Scope) -> Term:
    from datareeve.capabilities.pipelines.models import queries  # noqa: PLC0415 - queries and values hold one another

    inner = node.args["query"]
    made = queries.query(
        writer,
        inner.this if isinstance(inner, exp.Subquery) else inner,
        queries.visible(scope),
        scope,
        names=False,
    )
    if not term.known or len(made.columns) != 1 or made.columns[0][1] == kinds.UNKNOWN:
        return LOST
    kind = made.columns[0][1]
    if kind.name != term.kind.name and not (kinds.is_exact(kind) and kinds.is_exact(term.kind)):
        return writer.refuse(
            node, "type", f"{term.kind.name} is looked for among {kind.name}", "a cast of one side by name"
        )
    return Term(f"({term.sql} IN ({made.sql}))", BOOL, term.reads, None, term.aggregated, outside=True)


# -- conditions --------------------------------------------------------------------------------------------------------------------------


def condition(writer: Writer, node: exp.Expression | None, scope: Scope) -> Term:
    """Something true or false. Errors: a refusal where it is a number, which engines take for true in their own ways."""
    term = writer.value(node, scope)
    if term.known and node is not None and term.kind not in (BOOL, NULL):
        return writer.refuse(
            node,
            "boolean",
            f"{term.kind.name} is not true or false everywhere",
            "a comparison: x <> 0, x = 'true'",
        )
    return term


def _connect(writer: Writer, node: Any, scope: Scope) -> Term:
    """Long chains are flat: AND and OR of thousands are no deeper than one."""
    word = "AND" if isinstance(node, exp.And) else "OR"
    parts = [condition(writer, one, scope) for one in node.flatten()]
    if not all(part.known for part in parts):
        return LOST
    return writer.term("(" + f" {word} ".join(part.sql for part in parts) + ")", BOOL, *parts)


def _not(writer: Writer, node: Any, scope: Scope) -> Term:
    term = condition(writer, node.this, scope)
    return writer.term(f"(NOT {term.sql})", BOOL, term) if term.known else LOST


def _is(writer: Writer, node: Any, scope: Scope) -> Term:
    other, word = node.expression, "IS NOT" if node.args.get("negate") else "IS"
    if isinstance(other, exp.Null):
        term = writer.value(node.this, scope)
        return writer.term(f"({term.sql} {word} NULL)", BOOL, term) if term.known else LOST
    if isinstance(other, exp.Boolean):
        term = condition(writer, node.this, scope)
        return (
            writer.term(f"({term.sql} {word} {'TRUE' if other.this else 'FALSE'})", BOOL, term)
            if term.known
            else LOST
        )
    return writer.unknown(node)


def _paren(writer: Writer, node: Any, scope: Scope) -> Term:
    return writer.value(node.this, scope)


def together(writer: Writer, node: exp.Expression, terms: list[Term]) -> list[Term] | None:
    """Several values as one type: of CASE, COALESCE, greatest."""
    if not all(term.known for term in terms):
        return None
    kind: Kind | None = NULL
    for term in terms:
        kind = kinds.common(kind, term.kind) if kind is not None else None
    if kind is None:
        writer.refuse(
            node,
            "type",
            "its values are of types that engines bring together in different ways: "
            + ", ".join(sorted({term.kind.name for term in terms})),
            "the same type for all of them, cast by name",
        )
        return None
    return [term if term.kind in (kind, NULL) else casts.widen(writer, term, kind) for term in terms]


def _kind(terms: list[Term]) -> Kind:
    return next((term.kind for term in terms if term.kind != NULL), NULL)


def _case(writer: Writer, node: Any, scope: Scope) -> Term:
    tests, values = [], []
    for branch in node.args["ifs"]:
        if node.this is None:
            tests.append(condition(writer, branch.this, scope))
        else:
            tests.append(
                compared(
                    writer, branch, writer.value(node.this, scope), writer.value(branch.this, scope), "="
                )
            )
        values.append(writer.value(branch.args["true"], scope))
    default = node.args.get("default")
    values.append(writer.value(default, scope) if default is not None else Term("NULL", NULL))
    return _cases(writer, node, tests, values)


def _cases(writer: Writer, node: exp.Expression, tests: list[Term], values: list[Term]) -> Term:
    made = together(writer, node, values)
    if made is None or not all(test.known for test in tests):
        return LOST
    arms = " ".join(f"WHEN {test.sql} THEN {value.sql}" for test, value in zip(tests, made[:-1], strict=True))
    return writer.term(f"CASE {arms} ELSE {made[-1].sql} END", _kind(made), *tests, *made)


def _if(writer: Writer, node: Any, scope: Scope) -> Term:
    last = node.args.get("false")
    values = [
        writer.value(node.args["true"], scope),
        writer.value(last, scope) if last is not None else Term("NULL", NULL),
    ]
    return _cases(writer, node, [condition(writer, node.this, scope)], values)


def _coalesce(writer: Writer, node: Any, scope: Scope) -> Term:
    made = together(writer, node, [writer.value(one, scope) for one in (node.this, *node.expressions)])
    return (
        LOST
        if made is None
        else writer.term(f"COALESCE({', '.join(one.sql for one in made)})", _kind(made), *made)
    )


def _extreme(writer: Writer, node: Any, scope: Scope) -> Term:
    made = together(writer, node, [writer.value(one, scope) for one in (node.this, *node.expressions)])
    if made is None or len(made) < 2:  # noqa: PLR2004 - of one there is nothing to choose
        return writer.unknown(node) if made else LOST
    kind, words = _kind(made), writer.words
    inner = ", ".join(words.ordered(one.sql, kind) for one in made)
    return writer.term(
        words.plain(f"{'GREATEST' if isinstance(node, exp.Greatest) else 'LEAST'}({inner})", kind),
        kind,
        *made,
    )


def _nullif(writer: Writer, node: Any, scope: Scope) -> Term:
    left, right = writer.value(node.this, scope), writer.value(node.expression, scope)
    if left.known and right.known and right.literal == "0" and kinds.is_number(left.kind):
        return writer.term(f"NULLIF({left.sql}, 0)", left.kind, left)
    test = compared(writer, node, left, right, "=")
    return (
        writer.term(f"CASE WHEN {test.sql} THEN NULL ELSE {left.sql} END", left.kind, left, right)
        if test.known
        else LOST
    )


def _cast(writer: Writer, node: Any, scope: Scope) -> Term:
    if isinstance(node, exp.TryCast) and (writer.dialect != "spark" or "try_cast" in writer.text.lower()):
        return writer.refuse(
            node,
            "cast",
            "what cannot be read as the type differs between engines",
            "a CASE that names what can be read, or the type where the column is loaded",
        )
    inner = node.this
    if isinstance(inner, exp.IntDiv) and writer.dialect == "postgres":  # how sqlglot reads div()
        return writer.refuse(
            "div(a, b)", "integer-division", "PostgreSQL's div gives a numeric", "a / b of whole numbers"
        )
    return casts.cast(writer, node, writer.value(inner, scope), casts.target(node.args["to"], writer.dialect))


def _concat(writer: Writer, node: Any, scope: Scope) -> Term:
    parts: list[Any] = list(node.flatten()) if isinstance(node, exp.DPipe) else node.expressions
    terms = [casts.as_text(writer, one, writer.value(one, scope)) for one in parts]
    if not all(term.known for term in terms):
        return LOST
    skips = (
        isinstance(node, exp.Concat) and writer.dialect != "spark"
    )  # NULL is left out there, and is all of it elsewhere
    pieces = [f"COALESCE({term.sql}, '')" if skips and term.literal is None else term.sql for term in terms]
    return writer.term("(" + " || ".join(pieces) + ")", TEXT, *terms)


def _subquery(writer: Writer, node: Any, scope: Scope) -> Term:
    from datareeve.capabilities.pipelines.models import queries  # noqa: PLC0415 - queries and values hold one another

    inner = node.this if isinstance(node, exp.Subquery) else node
    made = queries.query(writer, inner, queries.visible(scope), scope, names=False)
    if len(made.columns) != 1:
        return (
            LOST
            if not made.columns
            else writer.refuse(node, "subquery", "a subquery for one value has several columns", "one column")
        )
    return Term(f"({made.sql})", made.columns[0][1], frozenset(), outside=True)


def _exists(writer: Writer, node: Any, scope: Scope) -> Term:
    from datareeve.capabilities.pipelines.models import queries  # noqa: PLC0415 - queries and values hold one another

    inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
    made = queries.query(writer, inner, queries.visible(scope), scope, names=False)
    return Term(f"EXISTS ({made.sql})", BOOL, frozenset(), outside=True)


def _like(writer: Writer, node: Any, scope: Scope) -> Term:
    return patterns.like(writer, node, scope)


HANDLERS: dict[type, Any] = {
    **dict.fromkeys(SIGNS, _arithmetic),
    exp.Div: _divide,
    exp.IntDiv: _int_divide,
    exp.Mod: _modulo,
    exp.Neg: _negative,
    **dict.fromkeys(COMPARES, _compare),
    exp.NullSafeEQ: _distinct_from,
    exp.NullSafeNEQ: _distinct_from,
    exp.Between: _between,
    exp.In: _in,
    exp.And: _connect,
    exp.Or: _connect,
    exp.Not: _not,
    exp.Is: _is,
    exp.Paren: _paren,
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: _coalesce,
    exp.Greatest: _extreme,
    exp.Least: _extreme,
    exp.Nullif: _nullif,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.DPipe: _concat,
    exp.Concat: _concat,
    exp.Subquery: _subquery,
    exp.Select: _subquery,
    exp.Exists: _exists,
    exp.Like: _like,
    exp.Escape: _like,
    exp.RegexpLike: _like,
}
