"""A whole SELECT written for an engine: relations, joins, grouping, set operations, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlglot import exp

from datareeve.capabilities.pipelines.models import casts, kinds, relations
from datareeve.capabilities.pipelines.models.aggregates import direction, missing
from datareeve.capabilities.pipelines.models.graph import argument
from datareeve.capabilities.pipelines.models.kinds import INT16, NULL, UNKNOWN, Kind
from datareeve.capabilities.pipelines.models.names import column_of, output_name, same
from datareeve.capabilities.pipelines.models.operators import condition
from datareeve.capabilities.pipelines.models.scopes import Relation, Scope, Term, Written, determined

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.models.writer import Writer

KNOWN = {"expressions", "from", "joins", "where", "group", "having", "qualify", "distinct", "order", "limit", "offset", "with"}  # fmt: skip
KNOWN_SET = {"this", "expression", "distinct", "order", "limit", "offset", "with"}
Outs = list[tuple[str, Term]]


def visible(scope: Scope) -> dict[str, Relation]:
    """The common table expressions that a subquery of this scope can name."""
    return scope.ctes


def query(  # noqa: PLR0913 - what one SELECT is made of
    writer: Writer,
    tree: Any,
    ctes: dict[str, Relation],
    around: Scope | None,
    *,
    last: bool = False,
    names: bool = True,
) -> Written:
    """A SELECT or a set operation. `names`: its columns need names of their own; `last`: they are the model's."""
    if isinstance(tree, exp.Subquery) and not any(
        value for key, value in tree.args.items() if key not in ("this", "alias")
    ):
        return query(writer, tree.this, ctes, around, last=last, names=names)
    within, ctes = _with(writer, tree, ctes, around)
    if isinstance(tree, exp.Select):
        made = _select(writer, tree, ctes, around, last=last, names=names)
    elif isinstance(tree, (exp.Union, exp.Except, exp.Intersect)):
        made = _set(writer, tree, ctes, around, last=last)
    else:
        writer.unknown(tree)
        return Written("SELECT NULL", [])
    made.sql = within + made.sql
    return made


def _with(
    writer: Writer, tree: Any, ctes: dict[str, Relation], around: Scope | None
) -> tuple[str, dict[str, Relation]]:
    node = argument(tree, "with")
    if node is None:
        return "", ctes
    if node.args.get("recursive"):
        writer.refuse(
            "WITH RECURSIVE",
            "recursion",
            "engines end and order it differently",
            "as many joins as there are levels, or a table that is loaded",
        )
        return "", ctes
    ctes, texts = dict(ctes), []
    for one in node.expressions:
        made = query(writer, one.this, ctes, around, names=not one.args["alias"].args.get("columns"))
        columns = [name for name, _ in made.columns]
        given = [
            output_name(writer.dialect, column) for column in one.args["alias"].args.get("columns") or ()
        ] or columns
        renamed = dict(zip(columns, given, strict=False))
        unique = [frozenset(renamed.get(name, name) for name in key) for key in made.unique]
        name = output_name(writer.dialect, one.args["alias"].this)
        ctes[name.casefold()] = Relation(
            name,
            dict(zip(given, (kind for _, kind in made.columns), strict=False)) if made.columns else None,
            unique,
        )
        head = f"({', '.join(map(writer.words.name, given))})" if given != columns else ""
        texts.append(f"{writer.words.name(name)}{head} AS ({made.sql})")
    return "WITH " + ", ".join(texts) + " ", ctes


# -- SELECT ------------------------------------------------------------------------------------------------------------------------------


def _select(  # noqa: PLR0913 - what one SELECT is made of
    writer: Writer, tree: Any, ctes: dict[str, Relation], around: Scope | None, *, last: bool, names: bool
) -> Written:
    for key, value in tree.args.items():
        if value and key.removesuffix("_") not in KNOWN:
            writer.refuse(
                key.upper(), "clause", "it is not in all engines, or not alike", "a subquery without it"
            )
    scope = Scope(around=around, ctes=ctes)
    source = relations.source(writer, tree, scope)
    _aliases(writer, tree, scope)
    where = condition(writer, tree.args["where"].this, scope) if tree.args.get("where") else None
    if tree.args.get("where"):
        relations.equalities(writer, tree.args["where"].this, scope)
    group = None
    if tree.args.get("group") or tree.args.get("having") or _aggregates(tree):
        before = dict(writer.refusals)
        first = _outs(writer, tree, scope, names=names)
        writer.refusals = (
            before  # they are written again: what a window's order must tell apart are groups then
        )
        group = _group(writer, tree, scope, first)
        scope.group = group or []
    outs = _outs(writer, tree, scope, names=names)
    if any(not term.known for _, term in outs):
        return Written("SELECT NULL", [(name, term.kind) for name, term in outs])
    return _assembled(writer, tree, scope, (source, where, group), outs, last=last)


def _aggregates(tree: Any) -> bool:
    """Whether it makes one row of all, without GROUP BY: an aggregate of its own, that is no window's."""
    inner: Any
    for one in tree.expressions:
        for inner in one.find_all(exp.AggFunc, exp.Filter):
            above = inner.parent.parent if isinstance(inner.parent, exp.Filter) else inner.parent
            if not isinstance(above, exp.Window) and inner.find_ancestor(exp.Query) is tree:
                return True
    return False


def _assembled(  # noqa: PLR0913 - what one SELECT is made of
    writer: Writer,
    tree: Any,
    scope: Scope,
    parts: tuple[str, Term | None, list[str] | None],
    outs: Outs,
    *,
    last: bool,
) -> Written:
    source, where, group = parts
    tail = (f" FROM {source}" if source else "") + (f" WHERE {where.sql}" if where is not None else "")
    tail += f" GROUP BY {', '.join(group)}" if group else ""
    if tree.args.get("having"):
        _shadowed(writer, tree.args["having"], scope)
        tail += f" HAVING {condition(writer, tree.args['having'].this, scope).sql}"
    final = [(name, _final(writer, term) if last else term) for name, term in outs]
    distinct = tree.args.get("distinct")
    if distinct is not None and distinct.args.get("on") is not None:
        writer.refuse(
            "DISTINCT ON",
            "ties",
            "it takes any row of those that tie, and is not in all engines",
            "row_number() OVER (PARTITION BY … ORDER BY …) in a subquery, and WHERE it is 1",
        )
    head = "SELECT DISTINCT " if distinct is not None else "SELECT "
    keys, limit = _limited(writer, tree, scope, outs, distinct=distinct is not None)
    qualify = condition(writer, tree.args["qualify"].this, scope) if tree.args.get("qualify") else None
    if qualify is not None or (keys and distinct is not None):
        sql = _outer(writer, (head, tail), final, keys, qualify, limit)
    else:
        order = (
            " ORDER BY "
            + ", ".join(direction(writer.words.ordered(key.sql, key.kind), one) for key, one in keys)
            if keys
            else ""
        )
        sql = head + _listed(writer, final) + tail + order + limit
    return Written(
        sql,
        [(name, term.kind) for name, term in final],
        _keys(scope, outs, distinct=distinct is not None, writer=writer),
    )


def _listed(writer: Writer, outs: Outs) -> str:
    return ", ".join(f"{term.sql} AS {writer.words.name(name)}" for name, term in outs) or "1"


def _outer(  # noqa: PLR0913, PLR0917 - what one SELECT is made of
    writer: Writer,
    inner: tuple[str, str],
    outs: Outs,
    keys: list[tuple[Term, Any]],
    qualify: Term | None,
    limit: str,
) -> str:
    """QUALIFY, or an order over DISTINCT, as a SELECT around it: not every engine has them."""
    words = writer.words
    hidden = [(f"_key{n}", key) for n, (key, _) in enumerate(keys)] if qualify is not None else []
    hidden += [("_qualify", qualify)] if qualify is not None else []
    at = {term.sql: name for name, term in outs}
    named = [
        words.name(f"_key{n}" if qualify is not None else at.get(key.sql, ""))
        for n, (key, _) in enumerate(keys)
    ]
    order = (
        " ORDER BY "
        + ", ".join(
            direction(words.ordered(name, key.kind), one)
            for name, (key, one) in zip(named, keys, strict=True)
        )
        if keys
        else ""
    )
    columns = ", ".join(words.name(name) for name, _ in outs)
    test = f" WHERE {words.name('_qualify')}" if qualify is not None else ""
    head, tail = inner
    return f"SELECT {columns} FROM ({head}{_listed(writer, outs + hidden)}{tail}) AS {words.name('_q')}{test}{order}{limit}"


def _final(writer: Writer, term: Term) -> Term:
    """A column of the model: of the same type on every engine."""
    if term.kind == NULL:
        return writer.refuse(
            "NULL", "type", "a column of nothing but NULL has no type", "CAST(NULL AS VARCHAR)"
        )
    if term.kind == INT16:
        return writer.term(writer.words.cast(term.sql, kinds.decimal(38, 0)), kinds.decimal(38, 0), term)
    if kinds.is_exact(term.kind) and term.sql not in writer.quoted:
        return writer.term(writer.words.cast(term.sql, term.kind), term.kind, term)
    return term


def _aliases(writer: Writer, tree: Any, scope: Scope) -> None:
    for one in tree.expressions:
        if isinstance(one, exp.Alias):
            scope.aliases[output_name(writer.dialect, one.args["alias"])] = one.this


def _outs(writer: Writer, tree: Any, scope: Scope, *, names: bool) -> Outs:
    outs: Outs = []
    for number, one in enumerate(tree.expressions):
        if isinstance(one, exp.Star) or (isinstance(one, exp.Column) and isinstance(one.this, exp.Star)):
            outs += relations.starred(writer, one, scope)
            continue
        inner = one.this if isinstance(one, exp.Alias) else one
        term = _out(writer, inner, one, scope)
        name = (
            output_name(writer.dialect, one.args["alias"])
            if isinstance(one, exp.Alias)
            else writer.quoted.get(term.sql, ("", ""))[1]
        )
        if not name and names and term.known:
            writer.refuse(
                inner,
                "unnamed",
                "each engine gives it another name",
                f"{inner.sql(dialect=writer.dialect)[:60]} AS name",
            )
        outs.append((name or f"_c{number}", term))
    seen: set[str] = set()
    for name, _ in outs if names else ():
        if name.casefold() in seen:
            writer.refuse(
                name,
                "unnamed",
                "two columns have this name, but for case",
                "another name for one of them: AS …",
            )
        seen.add(name.casefold())
    return outs


def _out(writer: Writer, inner: Any, one: Any, scope: Scope) -> Term:
    """A column's value; PostgreSQL's columns do not see one another's names, nor does a column its own."""
    own = output_name(writer.dialect, one.args["alias"]) if isinstance(one, exp.Alias) else ""
    hidden = (
        dict(scope.aliases)
        if writer.dialect == "postgres"
        else {own: scope.aliases[own]}
        if own in scope.aliases
        else {}
    )
    for name in hidden:
        del scope.aliases[name]
    try:
        return writer.value(inner, scope)
    finally:
        scope.aliases.update(hidden)


def _group(writer: Writer, tree: Any, scope: Scope, outs: Outs) -> list[str] | None:
    node = tree.args.get("group")
    if node is None:
        return None
    if node.args.get("all"):
        return [term.sql for _, term in outs if not term.aggregated]
    made = []
    if any(value for key, value in node.args.items() if key not in ("expressions", "all")):
        writer.refuse(
            "GROUP BY ROLLUP, CUBE, GROUPING SETS",
            "grouping",
            "engines tell the totals apart differently",
            "a UNION ALL of the groupings",
        )
    for one in node.expressions:
        if isinstance(one, exp.Literal) and one.name.isdigit() and not one.is_string:
            place = int(one.name) - 1
            term = (
                outs[place][1]
                if 0 <= place < len(outs)
                else writer.refuse(one, "column", "there are fewer columns", "the place of a column")
            )
        elif isinstance(one, (exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple)):
            term = writer.refuse(
                "GROUP BY " + one.key.upper(),
                "grouping",
                "engines tell the totals apart differently",
                "a UNION ALL of the groupings",
            )
        else:
            term = writer.value(one, scope)
        if term.known and not (not term.reads and term.literal is not None):
            made.append(term.sql)
    return list(dict.fromkeys(made))


def _shadowed(writer: Writer, node: Any, scope: Scope) -> None:
    """A name in HAVING that is a column's and an alias's: engines choose differently."""
    for column in node.find_all(exp.Column):
        if column.table or column.find_ancestor(exp.AggFunc):
            continue
        for name, expression in scope.aliases.items():
            is_column = any(
                same(writer.dialect, column.this, one)
                for relation in scope.relations
                for one in relation.columns or ()
            )
            if (
                is_column
                and same(writer.dialect, column.this, name)
                and not (isinstance(expression, exp.Column) and expression.name.casefold() == name.casefold())
            ):
                writer.refuse(
                    column,
                    "ambiguous",
                    "it is a column's name and one that this SELECT gives",
                    "the table's name before it, or another name",
                )


# -- limits ------------------------------------------------------------------------------------------------------------------------------


def _limited(
    writer: Writer, tree: Any, scope: Scope, outs: Outs, *, distinct: bool
) -> tuple[list[tuple[Term, Any]], str]:
    """The keys of ORDER BY and what LIMIT says; an order without a limit orders nothing in a table, and is left out."""
    limit = _limit(writer, tree)
    if not limit:
        return [], ""
    keys = [
        (_key(writer, one.this, scope, outs), one)
        for one in (tree.args["order"].expressions if tree.args.get("order") else ())
    ]
    if not all(key.known for key, _ in keys):
        return [], ""
    _check_ties(writer, scope, outs, keys, distinct=distinct)
    return keys, limit


def _limit(writer: Writer, tree: Any) -> str:
    text = ""
    for key, word in (("limit", "LIMIT"), ("offset", "OFFSET")):
        node = tree.args.get(key)
        if node is None:
            continue
        count = node.args.get("count") if isinstance(node, exp.Fetch) else node.expression
        options = node.args.get("limit_options")
        if not (isinstance(count, exp.Literal) and count.name.isdigit()) or (
            options is not None and (options.args.get("with_ties") or options.args.get("percent"))
        ):
            writer.refuse(
                f"{word} {count.sql() if count is not None else ''}".strip(),
                "limit",
                "only a number of rows is the same everywhere",
                f"{word} 10",
            )
            continue
        text += f" {word} {count.name}"
    return text


def _key(writer: Writer, node: Any, scope: Scope, outs: Outs) -> Term:
    if isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit():
        place = int(node.name) - 1
        return (
            outs[place][1]
            if 0 <= place < len(outs)
            else writer.refuse(node, "column", "there are fewer columns", "the place of a column")
        )
    if isinstance(node, exp.Column) and not node.table:
        for name, term in outs:
            if same(writer.dialect, node.this, name):
                return term
    return writer.value(node, scope)


def _check_ties(
    writer: Writer, scope: Scope, outs: Outs, keys: list[tuple[Term, Any]], *, distinct: bool
) -> None:
    start = frozenset(key.sql for key, _ in keys)
    if scope.group is not None:
        unique, lacks = set(scope.group) <= start, [one for one in scope.group if one not in start]
    else:
        unique, lacks = bool(scope.relations) and determined(start, scope, writer.quoted)[1], []
    loose = [name for name, term in outs if not _told(term, start)]
    if unique or not loose:
        return
    add = (
        ", ".join(writer.quoted[one][1] if one in writer.quoted else one for one in lacks)
        if scope.group
        else ", ".join(loose)
    )
    instead = f"ORDER BY …, {add} LIMIT …" if add else f"ORDER BY that ends in {missing(scope)}"
    writer.refuse(
        "LIMIT" if not keys else "ORDER BY … LIMIT",
        "ties",
        "which of the rows that tie are taken is left to chance",
        instead if not distinct else f"ORDER BY …, {', '.join(loose)} LIMIT …",
    )


def _told(term: Term, start: frozenset[str]) -> bool:
    """Whether the keys determine it."""
    if term.sql in start:
        return True
    return not term.aggregated and not term.outside and term.reads <= start


def _keys(scope: Scope, outs: Outs, *, distinct: bool, writer: Writer) -> list[frozenset[str]]:
    """What tells the rows of this query apart, by the names of its columns."""
    at = {term.sql: name for name, term in outs}
    found = [frozenset(at.values())] if distinct else []
    if scope.group is not None:
        return (
            [*found, frozenset(at[one] for one in scope.group)]
            if all(one in at for one in scope.group)
            else found
        )
    combined: list[frozenset[str]] = [frozenset()]
    for relation in scope.relations:
        own = []
        for key in relation.unique:
            terms = [
                column_of(writer, relation, name).sql for name in key if name in (relation.columns or {})
            ]
            if all(one in at for one in terms):
                own.append(frozenset(terms))
        combined = [one | other for one in combined for other in own or [frozenset({"?"})]][:8]
    whole = [one for one in combined if "?" not in one]
    singles = [
        frozenset(terms) for relation in scope.relations for terms in [_single(writer, relation, at)] if terms
    ]
    told = [
        start
        for start in (*whole, *singles)
        if scope.relations and determined(start, scope, writer.quoted)[1]
    ]
    return [*found, *(frozenset(at[one] for one in start) for start in told)]


def _single(writer: Writer, relation: Relation, at: dict[str, str]) -> list[str]:
    for key in relation.unique:
        terms = [column_of(writer, relation, name).sql for name in key if name in (relation.columns or {})]
        if terms and all(one in at for one in terms):
            return terms
    return []


# -- set operations ----------------------------------------------------------------------------------------------------------------------


def _set(
    writer: Writer, tree: Any, ctes: dict[str, Relation], around: Scope | None, *, last: bool
) -> Written:
    for key, value in tree.args.items():
        if value and key.removesuffix("_") not in KNOWN_SET:
            writer.refuse(
                key.upper(),
                "clause",
                "it is not in all engines, or not alike",
                "a set operation with all columns in one order",
            )
    for side in (tree.this, tree.expression):
        if (
            isinstance(side, exp.SetOperation)
            and type(side) is not type(tree)
            and exp.Intersect in (type(side), type(tree))
        ):
            writer.refuse(
                tree.key.upper() + " and " + side.key.upper(),
                "clause",
                "which goes first is not the same everywhere",
                "parentheses around one of them",
            )
    left, right = (
        query(writer, side, ctes, around, names=side is tree.this) for side in (tree.this, tree.expression)
    )
    columns = _united(writer, tree, left, right)
    if columns is None:
        return Written("SELECT NULL", left.columns)
    all_rows = not tree.args.get("distinct")
    word = tree.key.upper() + (" ALL" if all_rows else "")
    sql = f"({_recast(writer, left, columns)}) {word} ({_recast(writer, right, columns)})"
    unique = [] if all_rows else [frozenset(name for name, _ in columns)]
    return _around_set(writer, tree, Written(sql, columns, unique), last=last)


def _united(writer: Writer, tree: Any, left: Written, right: Written) -> list[tuple[str, Kind]] | None:
    if len(left.columns) != len(right.columns):
        if left.columns and right.columns:
            writer.refuse(
                tree.key.upper(),
                "column",
                "both sides need as many columns",
                "the same columns on both sides",
            )
        return None
    made = []
    for (name, one), (_, other) in zip(left.columns, right.columns, strict=True):
        if UNKNOWN in (one, other):
            return None
        kind = kinds.common(one, other)
        if kind is None:
            writer.refuse(
                f"{tree.key.upper()}: {name}",
                "type",
                f"{one.name} and {other.name} are brought together in different ways",
                "a cast of one side by name",
            )
            return None
        made.append((name, kind))
    return made


def _recast(writer: Writer, side: Written, columns: list[tuple[str, Kind]]) -> str:
    if [kind for _, kind in side.columns] == [kind for _, kind in columns]:
        return side.sql
    quoted = writer.words.name
    each = [
        casts.widen(writer, Term(quoted(name), kind), to).sql + f" AS {quoted(as_)}"
        for (name, kind), (as_, to) in zip(side.columns, columns, strict=True)
    ]
    return f"SELECT {', '.join(each)} FROM ({side.sql}) AS {quoted('_side')}"


def _around_set(writer: Writer, tree: Any, made: Written, *, last: bool) -> Written:
    """A limit over a set operation, and the model's types, stand in a SELECT around it."""
    relation = Relation("_set", dict(made.columns), made.unique)
    scope = Scope([relation])
    outs = [(name, column_of(writer, relation, name)) for name, _ in made.columns]
    keys, limit = _limited(writer, tree, scope, outs, distinct=False)
    recast = last and any(kind in (INT16, NULL) for _, kind in made.columns)
    if not limit and not recast:
        return made
    final = [(name, _final(writer, term) if last else term) for name, term in outs]
    order = (
        " ORDER BY " + ", ".join(direction(writer.words.ordered(key.sql, key.kind), one) for key, one in keys)
        if keys
        else ""
    )
    sql = f"SELECT {_listed(writer, final)} FROM ({made.sql}) AS {writer.words.name('_set')}{order}{limit}"
    return Written(sql, [(name, term.kind) for name, term in final], made.unique)
