"""What a plan asks of each table it reads: the server's own resolution of names, views, CTEs and partitions, read from EXPLAIN (VERBOSE).

PostgreSQL writes every condition of a plan in one canonical spelling: each comparison in parentheses, each column with the alias of
its scan. So a small reader of tokens is enough, and nothing of SQL's syntax has to be known. Values stop here: what comes out are
columns, operators and the kind of a pattern; a constant only where it belongs to an expression (`data ->> 'status'`,
`date_trunc('month', ...)`), or where every recorded execution has the same one in that place.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

TOKEN = re.compile(
    r"""(?P<string>[BXE]?'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)|(?P<parameter>\$\d+)
    |(?P<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?P<cast>::)|(?P<open>[(\[])|(?P<close>[)\]])|(?P<comma>,)|(?P<dot>\.)
    |(?P<operator>[-+*/<>=~!@#%^&|?`]+)|(?P<space>\s+)""",
    re.VERBOSE,
)
CONDITIONS = (
    "Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "One-Time Filter", "TID Cond",
)  # fmt: skip
KINDS = {
    "=": "equal", "<": "range", ">": "range", "<=": "range", ">=": "range", "~~": "like", "~~*": "ilike", "@>": "contains", "<@": "contained",
    "&&": "overlap", "?": "has_key", "?|": "has_key", "?&": "has_key", "@@": "search", "~": "regex", "~*": "regex", "^@": "range", "@?": "contains",
}  # fmt: skip
MIRROR = {"contains": "contained", "contained": "contains"}
# Functions whose constant arguments are a part of what is asked, not a value of a row.
FIXED_ARGUMENTS = {"date_trunc", "date_part", "extract", "to_tsvector", "substr", "substring", "left", "right", "jsonb_extract_path_text",
                   "jsonb_extract_path", "json_extract_path_text", "round", "mod", "coalesce", "timezone"}  # fmt: skip
AGGREGATES = {
    "sum",
    "count",
    "avg",
    "min",
    "max",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "bool_and",
    "bool_or",
    "partial",
    "over",
}
FIXED_OPERATORS = {"->", "->>", "#>", "#>>"}
MOST_SCANS = 200  # of one plan; ten thousand partitions say the same as the first ones


class Token(NamedTuple):
    """A piece of a condition; blanks are left out."""

    kind: str
    text: str
    start: int
    end: int


class Reference(NamedTuple):
    """A column of a scan."""

    alias: str
    column: str


class Comparison(NamedTuple):
    """One condition seen from one scan: `key` as an index would have it."""

    alias: str
    key: str
    columns: tuple[str, ...]
    kind: str
    cast: str = ""  # the type that a plain column is cast to
    joined: tuple[str, ...] = ()  # the aliases it is compared with
    pattern: str = ""  # of LIKE: prefix, infix or exact
    literal: str = ""  # the constant, as SQL writes it; for this module's callers inside systems only


def needs(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The scans of a plan, each with what it is asked: see `ScanNeed` in `capabilities.databases.index_needs`. Constants are in `literal`."""
    scans = _scans(plan)
    if not scans:
        return []
    found: dict[str, dict[str, Any]] = {
        alias: {"conditions": [], "arms": [], "needed": set(), "order": [], "groups": []} for alias in scans
    }
    parents = _parents(plan, scans)
    for node in nodes(_of_members(plan, parents) if parents else plan):
        _conditions(node, scans, found)
        _orders(node, scans, found)
        for text, has_aliases in _texts(node, scans):
            for one in references(tokens(text), scans) if has_aliases else _unqualified(tokens(text), scans):
                found[one.alias]["needed"].add(one.column)
    limited = _limited(plan)
    return [
        {
            "schema_name": node.get("Schema", "public"),
            "table": node["Relation Name"],
            "alias": alias,
            "node": node["Node Type"],
            "cost": node["Total Cost"],
            "rows": node["Plan Rows"],
            "conditions": [c._asdict() for c in dict.fromkeys(found[alias]["conditions"])],
            "arms": found[alias]["arms"],
            "orders": found[alias]["order"],
            "groups": found[alias]["groups"],
            "limited": limited,
            "needed": sorted(found[alias]["needed"]),
        }
        for alias, node in scans.items()
    ]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, from the top."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def _scans(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for node in nodes(plan):
        if "Relation Name" in node and "Alias" in node and node["Node Type"] != "ModifyTable":
            found.setdefault(node["Alias"], node)
            if len(found) >= MOST_SCANS:
                break
    return found


MEMBER = re.compile(r"(.+)_\d+")


def _parents(plan: dict[str, Any], scans: Mapping[str, Any]) -> dict[str, str]:
    """The aliases of partitioned tables, which no scan has, each with that of its first member.

    Above an Append the server writes `m.day` for what is `m_1.day`, `m_2.day` below it. One member is enough: what is found counts for the
    table that they belong to.
    """
    found: dict[str, str] = {}
    for node in nodes(plan):
        if node["Node Type"] in {"Append", "Merge Append"}:
            for member in node.get("Plans", ()):
                alias = str(member.get("Alias", ""))
                named = MEMBER.fullmatch(alias)
                if named and named[1] not in scans and alias in scans:
                    found.setdefault(named[1], alias)
    return found


def _of_members(plan: dict[str, Any], parents: Mapping[str, str]) -> dict[str, Any]:
    """The same plan with the parents' aliases written as their first members'."""
    written = re.compile(
        r"(?<![\w.\"'$])(" + "|".join(re.escape(_quoted(alias)) for alias in parents) + r")(?=\.[\w\"])"
    )
    by_text = {_quoted(alias): _quoted(member) for alias, member in parents.items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return "".join(
                part if part.startswith("'") else written.sub(lambda m: by_text[m[1]], part)
                for part in LITERAL.split(value)
            )
        if isinstance(value, list):
            return [renamed(one) if isinstance(one, str) else one for one in value]
        return value

    names = {"Output", "Sort Key", "Group Key", "Presorted Key", "Cache Key", *CONDITIONS}
    changed = {name: renamed(value) if name in names else value for name, value in plan.items()}
    return {**changed, "Plans": [_of_members(child, parents) for child in plan.get("Plans", ())]}


LITERAL = re.compile(r"('(?:[^']|'')*')")


def _limited(plan: dict[str, Any]) -> bool:
    return any(node["Node Type"] == "Limit" for node in nodes(plan))


# -- conditions -------------------------------------------------------------------------------------------------------------------


def _conditions(node: dict[str, Any], scans: Mapping[str, Any], found: dict[str, dict[str, Any]]) -> None:
    for name in CONDITIONS:
        if not isinstance(text := node.get(name), str):
            continue
        for conjunct in _split(_bare(tokens(text)), "AND"):
            for one in comparisons(conjunct, text, scans):
                found[one.alias]["conditions"].append(one)
            _or_arms(conjunct, text, scans, found)


def _or_arms(
    conjunct: list[Token], text: str, scans: Mapping[str, Any], found: dict[str, dict[str, Any]]
) -> None:
    """A condition `a = 1 OR b = 2` on one scan: an index for each arm serves it together."""
    arms = _split(_bare(conjunct), "OR")
    if len(arms) == 1:
        return
    first = [
        [c for part in _split(_bare(arm), "AND") for c in comparisons(part, text, scans)] for arm in arms
    ]
    aliases = set.intersection(*({c.alias for c in arm} for arm in first)) if all(first) else set()
    for alias in aliases:
        found[alias]["arms"].append([[c._asdict() for c in arm if c.alias == alias] for arm in first])


def comparisons(conjunct: list[Token], text: str, scans: Iterable[str]) -> Iterator[Comparison]:
    """A condition as seen from each scan that it compares."""
    part = _bare(conjunct)
    known = set(scans)
    if (tested := _null_test(part)) is not None:
        side, kind = tested
        yield from _one_sided(side, text, known, kind)
        return
    place = next(
        (i for i, t in _level(part) if t.kind == "operator" and t.text in {*KINDS, "<>", "!~~"}), None
    )
    if place is None:
        negated = bool(part) and part[0].text == "NOT"
        yield from _one_sided(
            _bare(part[1:]) if negated else part, text, known, "false" if negated else "true"
        )
        return
    kind = KINDS.get(part[place].text, "")
    if not kind:
        return
    left, right = part[:place], part[place + 1 :]
    yield from _within(part, text, known)
    if right and right[0].text in {"ANY", "ALL"}:
        kind, right = ("any" if kind == "equal" and right[0].text == "ANY" else "other"), right[1:]
    for side, other, seen in ((left, right, kind), (right, left, MIRROR.get(kind, kind))):
        asks_array = kind == "any" and side is right  # `'x' = ANY (tags)`: the array column itself is asked
        yield from _side(side, other, text, known, "contains" if asks_array else seen)


def _within(part: list[Token], text: str, known: set[str]) -> Iterator[Comparison]:
    """A comparison of two columns of one scan (`received > promised`): it can only be the predicate of a partial index."""
    refs = references(part, known)
    columns = tuple(dict.fromkeys(ref.column for ref in refs))
    if (
        len({ref.alias for ref in refs}) == 1
        and len(columns) > 1
        and not any(t.kind in {"string", "number", "parameter"} for t in part)
    ):
        yield Comparison(refs[0].alias, _unqualify(_slice(part, text), refs), columns, "within")


def _null_test(part: list[Token]) -> tuple[list[Token], str] | None:
    words = [t.text for t in part[-3:]]
    if words[-3:] == ["IS", "NOT", "NULL"]:
        return part[:-3], "not_null"
    if words[-2:] == ["IS", "NULL"]:
        return part[:-2], "null"
    return None


def _one_sided(side: list[Token], text: str, known: set[str], kind: str) -> Iterator[Comparison]:
    """A test of a plain column by itself: IS NULL, IS NOT NULL, a boolean."""
    refs = references(side, known)
    if len(refs) == 1 and (plain := _plain(side, refs)) is not None and not plain[1]:
        yield Comparison(refs[0].alias, plain[0], (refs[0].column,), kind)
    del text


def _side(
    side: list[Token], other: list[Token], text: str, known: set[str], kind: str
) -> Iterator[Comparison]:
    own, others = references(side, known), references(other, known)
    aliases = {ref.alias for ref in own}
    if len(aliases) != 1 or aliases & {ref.alias for ref in others}:
        return
    key = _key(side, own, text)
    if key is None:
        return
    joined = tuple(sorted({ref.alias for ref in others}))
    open_ones = joined or any(t.kind == "parameter" or t.text == "SubPlan" for t in other)
    yield Comparison(
        alias=own[0].alias,
        key=key[0],
        columns=tuple(dict.fromkeys(ref.column for ref in own)),
        kind=kind,
        cast=key[1],
        joined=joined,
        pattern=_pattern(other) if kind in {"like", "ilike"} else "",
        literal="" if open_ones else _slice(other, text),
    )


def _pattern(side: list[Token]) -> str:
    """Where the wildcards of a LIKE are; `infix` where that is not known."""
    strings = [t.text[1:-1] for t in side if t.kind == "string"]
    if len(strings) != 1:
        return "infix"
    plain = strings[0].replace("\\%", "").replace("\\_", "")
    if plain[:1] in {"%", "_"}:
        return "infix"
    return "prefix" if "%" in plain or "_" in plain else "exact"


# -- keys -------------------------------------------------------------------------------------------------------------------------


def _key(side: list[Token], refs: list[Reference], text: str) -> tuple[str, str] | None:
    """(key, cast): a column's name, or an expression in parentheses without the alias. None where a value of a row stands in it."""
    if (plain := _plain(side, refs)) is not None:
        return plain
    if not _constants_belong(side) or any(t.text.lower() in AGGREGATES for t in side):
        return None
    return f"({_unqualify(_slice(_bare(side), text), refs)})", ""


def _unqualify(written: str, refs: list[Reference]) -> str:
    for alias in {ref.alias for ref in refs}:
        written = re.sub(rf"(?<![\w\"]){re.escape(_quoted(alias))}\.", "", written)
    return written


def _plain(side: list[Token], refs: list[Reference]) -> tuple[str, str] | None:
    """(column, cast) where a side is one column, cast or not."""
    part = _bare(side)
    cast = ""
    while (place := next((i for i, t in _level(part) if t.kind == "cast"), None)) is not None:
        cast, part = " ".join(t.text for t in part[place + 1 :]), _bare(part[:place])
    is_column = len(part) == 3 and part[1].kind == "dot"  # noqa: PLR2004 - alias, dot, column
    return (refs[0].column, cast) if is_column and len(refs) == 1 else None


def _constants_belong(side: list[Token]) -> bool:
    """Whether every constant of an expression is one that an application writes, not one that a row holds."""
    stack: list[str] = []
    for i, token in enumerate(side):
        before = side[i - 1] if i else None
        if token.kind == "open":
            stack.append(before.text.lower() if before is not None and before.kind == "word" else "")
        elif token.kind == "close" and stack:
            stack.pop()
        elif token.kind in {"string", "number", "parameter"}:
            after_operator = before is not None and before.text in FIXED_OPERATORS
            if token.kind == "parameter" or not (
                after_operator or any(name in FIXED_ARGUMENTS for name in stack)
            ):
                return False
        elif token.text in {"SubPlan", "InitPlan", "hashed"}:
            return False
    return True


def references(side: list[Token], aliases: Iterable[str]) -> list[Reference]:
    """The columns that some tokens name, of scans that are known."""
    known = set(aliases)
    found = []
    for i, token in enumerate(side[:-2]):
        named = token.kind in {"word", "quoted"} and side[i + 1].kind == "dot"
        if named and side[i + 2].kind in {"word", "quoted"} and _name(token) in known:
            found.append(Reference(_name(token), _name(side[i + 2])))
    return found


# -- orders and needed columns ----------------------------------------------------------------------------------------------------


def _orders(node: dict[str, Any], scans: Mapping[str, Any], found: dict[str, dict[str, Any]]) -> None:
    for name, place in (("Sort Key", "order"), ("Group Key", "groups")):
        keys = [_ordered(text, scans) for text in node.get(name, ()) if isinstance(text, str)]
        aliases = {key[0] for key in keys if key is not None}
        if keys and None not in keys and len(aliases) == 1:
            listed = [{"key": key[1], "direction": key[2]} for key in keys if key is not None]
            target = found[aliases.pop()][place]
            if listed not in target:
                target.append(listed)
    if node["Node Type"] in {"Aggregate", "Result"} or "InitPlan" in str(node.get("Parent Relationship")):
        _extremes(node, scans, found)


EXTREME = re.compile(r"^\(?(?:min|max)\(", re.IGNORECASE)


def _extremes(node: dict[str, Any], scans: Mapping[str, Any], found: dict[str, dict[str, Any]]) -> None:
    """min(x) and max(x) read one end of an index."""
    for text in node.get("Output", ()):
        if EXTREME.match(text):
            side = tokens(text)
            refs = references(side, scans) or (_unqualified(side, scans) if len(scans) == 1 else [])
            if len(refs) == 1:
                order = [{"key": refs[0].column, "direction": ""}]
                if order not in found[refs[0].alias]["order"]:
                    found[refs[0].alias]["order"].append(order)


DIRECTION = re.compile(r"( DESC)?( NULLS (?:FIRST|LAST))?$")


def _ordered(text: str, scans: Mapping[str, Any]) -> tuple[str, str, str] | None:
    direction = DIRECTION.search(text)
    bare = text[: direction.start()] if direction else text
    side = tokens(bare)
    refs = references(side, scans)
    if len({ref.alias for ref in refs}) != 1 or " COLLATE " in bare or " USING " in bare:
        return None
    key = _key(side, refs, bare)
    return (
        None
        if key is None or key[1]
        else (refs[0].alias, key[0], (direction[0] if direction else "").strip())
    )


def _texts(node: dict[str, Any], scans: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Every expression of a node that tells which columns are really needed, and whether its columns carry an alias.

    A scan's own list may hold all columns of the table, because that costs it nothing; what is above it tells.
    """
    for name, value in node.items():
        if name == "Plans" or (
            name == "Output" and node.get("Alias") in scans and node.get("Parent Relationship") is not None
        ):
            continue
        if name in {"Output", "Sort Key", "Group Key", "Presorted Key", "Cache Key", *CONDITIONS}:
            bare = (
                name == "Output" and len(scans) == 1
            )  # the server leaves the alias out where there is only one relation
            yield from ((text, not bare) for text in (value if isinstance(value, list) else (str(value),)))


def _unqualified(side: list[Token], scans: Mapping[str, Any]) -> list[Reference]:
    """The words of an expression over one relation that may be columns: all but functions."""
    (alias,) = scans
    named = (
        t
        for t, after in zip(side, [*side[1:], None], strict=True)
        if after is None or after.text not in {"(", "."}
    )
    return [Reference(alias, _name(t)) for t in named if t.kind in {"word", "quoted"}]


# -- tokens -----------------------------------------------------------------------------------------------------------------------


def tokens(text: str) -> list[Token]:
    """The tokens of an expression; what is not known is left out."""
    return [
        Token(m.lastgroup or "", m[0], m.start(), m.end())
        for m in TOKEN.finditer(text)
        if m.lastgroup != "space"
    ]


def _level(part: list[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens outside every parenthesis, with their places."""
    depth = 0
    for i, token in enumerate(part):
        depth -= token.kind == "close"
        if depth == 0 and token.kind not in {"open", "close"}:
            yield i, token
        depth += token.kind == "open"


def _bare(part: list[Token]) -> list[Token]:
    """Without the parentheses around all of it."""
    while len(part) > 1 and part[0].text == "(" and _closes(part) == len(part) - 1:
        part = part[1:-1]
    return part


def _closes(part: list[Token]) -> int:
    depth = 0
    for i, token in enumerate(part):
        depth += (token.kind == "open") - (token.kind == "close")
        if depth == 0:
            return i
    return -1


def _split(part: list[Token], word: str) -> list[list[Token]]:
    places = [i for i, token in _level(part) if token.kind == "word" and token.text == word]
    edges = [-1, *places, len(part)]
    return [part[a + 1 : b] for a, b in pairwise(edges)]


def _slice(part: list[Token], text: str) -> str:
    return text[part[0].start : part[-1].end] if part else ""


def _name(token: Token) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


def _quoted(name: str) -> str:
    plain = re.fullmatch(r"[a-z_][a-z0-9_$]*", name)
    return name if plain else '"' + name.replace('"', '""') + '"'
