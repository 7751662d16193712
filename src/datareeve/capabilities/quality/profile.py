"""A profile: what a table looks like, in counts and shapes. What contracts are drafted from.

Two rounds of statements, each in one snapshot: first what each column is by itself, then what that makes worth asking: keys of several
columns, references between tables, orders between columns. The values of a personal column, or of one that looks like it, never leave
the engine: of these there are counts and lengths only.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from datareeve.capabilities.quality import regexes, relations
from datareeve.capabilities.quality.classify import lexicon, sampling
from datareeve.capabilities.quality.classify.column import ColumnEvidence
from datareeve.capabilities.quality.classify.deciding import decide
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.engines.dialect import MOMENTS, NUMERIC
from datareeve.capabilities.quality.relations import Relations
from datareeve.capabilities.quality.relations_sums import agreements
from datareeve.core.errors import BadInput
from datareeve.core.personal_data import text as personal_text
from datareeve.core.personal_data.values import look
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.core.operation import Reader

SAMPLED_ABOVE = 5_000_000  # rows: a larger table is looked at by a sample of that many
FEW = 24  # distinct values that may be an enumeration
SOME_NAMES = 0.3  # share of values that are names of persons: some words are both, as Madison and Rose
LONGEST_WORD = 40  # characters of a value that may stand in a contract
SOME_ROWS = 20_000  # that a first look is taken at
KEYS_COUNTED = 6
KEYS_TRIED = 120  # sets of columns that are asked whether they are a key
WIDEST_KEY = 3
REFERENCES_TRIED = 40
ORDERS_TRIED = 30
# Shapes of text, the narrowest first.
SHAPES = {
    "digits": r"^[0-9]+$", "capitals": r"^[A-Z]+$", "small letters": r"^[a-z]+$", "capitals and digits": r"^[A-Z0-9]+$",
    "small letters and digits": r"^[a-z0-9]+$", "letters": r"^[A-Za-z]+$", "letters and digits": r"^[A-Za-z0-9]+$",
    "letters, digits and hyphens": r"^[A-Za-z0-9_-]+$",
}  # fmt: skip
FORMATS = {"email": r"e?_?mail", "url": r"url|website|homepage", "uuid": r"uuid|guid", "iban": r"iban", "ipv4": r"ip(_?addr(ess)?)?(v4)?$", "mac": r"mac_?addr(ess)?$", "semver": r"semver", "bic": r"\bbic$|swift", "isbn": r"isbn", "vin": r"^vin$"}  # fmt: skip
EARLIER = ("start", "begin", "from", "dep", "departure", "created", "opened", "ordered", "min", "minimum", "low", "least", "first", "birth", "valid_from", "open", "scheduled")  # fmt: skip
LATER = ("end", "finish", "to", "until", "arr", "arrival", "updated", "closed", "shipped", "delivered", "max", "maximum", "high", "most", "last", "death", "valid_to", "close", "modified", "completed", "deleted")  # fmt: skip


class Column(Value):
    """A column's counts and shapes. Least, greatest and values are there only where it is not personal."""

    name: str
    family: str
    type: str
    comment: str = ""
    present: int = 0  # rows that have a value
    distinct: int | None = None
    least: float | str | None = None  # ISO text of a moment
    greatest: float | str | None = None
    shortest: int | None = None
    longest: int | None = None
    shapes: dict[str, int] = Field(
        default_factory=dict
    )  # those that may be: shape -> rows that have it, of the narrowest
    format: str = ""  # one that every value has
    values: tuple[tuple[str, int], ...] = ()  # of an enumeration: (value, rows)
    category: str = ""  # of personal data
    not_null: bool = False  # the engine guarantees it


class Reference(Value):
    """Columns whose values are found in another table."""

    table: str
    columns: tuple[str, ...]
    to_table: str
    to_columns: tuple[str, ...]
    orphans: int
    rows: int  # that have a value
    guaranteed: bool = False  # by the engine


class Profile(Value):
    """A table as it was looked at."""

    table: str  # the name that it was asked by
    called: str = ""  # the name for people, without what tells it from no other of them
    rows: int
    looked_at: int  # rows: fewer than `rows` where it is a sample
    columns: tuple[Column, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()  # the first is the one to name rows by
    primary_key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    refers: tuple[str, ...] = ()  # columns that the engine's own references are about
    ordered: tuple[tuple[str, str, int], ...] = ()  # (the lesser, the greater, rows that have both)
    relations: Relations = Relations()
    left_out: tuple[
        str, ...
    ] = ()  # columns that could not be read, and statements that failed: with the reason

    @property
    def name(self) -> str:
        """What a contract calls it."""
        return self.called or self.table

    @property
    def sampled(self) -> bool:
        """Whether not every row was looked at."""
        return self.looked_at < self.rows

    def seen(self, number: int | None = None, noun: str = "row") -> str:
        """How much evidence rests on: '336,776 rows', or '100,000 rows of a sample of 100,000 from 336,776'."""
        told = counted(self.looked_at if number is None else number, noun)
        return f"{told} of a sample of {self.looked_at:,} from {self.rows:,}" if self.sampled else told

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((one for one in self.columns if one.name == name), None)


class Look(NamedTuple):
    """What one table is asked with."""

    name: str
    table: CatalogTable
    dialect: Dialect
    personal: Mapping[str, str]
    sample_rows: int
    called: str = ""
    named: frozenset[str] = (
        frozenset()
    )  # columns that may hold names of persons: none of them is listed as an enumeration

    @property
    def sampled(self) -> bool:
        """Whether not every row is looked at."""
        return (self.table.estimated_rows or 0) > self.sample_rows

    @property
    def source(self) -> str:
        """The table, or the sample of it that is looked at."""
        return (
            self.dialect.sampled(self.table, self.sample_rows)
            if self.sampled
            else self.dialect.table(self.table)
        )

    def some(self, columns: Sequence[str]) -> str:
        """The first rows that come, of some columns: enough to see what does not hold."""
        named = ", ".join(map(self.dialect.name, columns))
        return f"(SELECT {named} FROM {self.dialect.table(self.table)} LIMIT {SOME_ROWS}) AS some_rows"

    @property
    def columns(self) -> list[CatalogColumn]:
        """Those that can be looked into."""
        return [
            one
            for one in self.table.columns
            if one.readable and one.family not in ("binary", "other", "json")
        ]


def profile(  # noqa: PLR0913 - what is looked at, and how
    reader: Reader,
    catalog: Catalog,
    dialect: Dialect,
    personal: Mapping[str, Mapping[str, str]] | None = None,
    *,
    sample_rows: int = SAMPLED_ABOVE,
    timeout_seconds: float | None = None,
) -> tuple[Profile, ...]:
    """The profiles of a catalog's tables. `personal`: column -> category by table, as the estate says it ('no': looked at, and not personal)."""
    tables = {name: table for name, table in catalog.tables.items() if not table.why_not}
    seen = _seen(reader, tables, dialect, timeout_seconds)
    looks = [
        _look(name, table, dialect, (personal or {}).get(name, {}), sample_rows, seen[name])._replace(called=called)
        for (name, table), called in zip(tables.items(), _called(tables.values()), strict=True)
    ]  # fmt: skip
    first = _asked(reader, [one for look in looks for one in _first(look)], timeout_seconds)
    found = {look.name: _of_first(look, first) for look in looks}
    second = _asked(
        reader, [one for look in looks for one in _second(look, found[look.name])], timeout_seconds
    )
    exact = [one for look in looks for one in _exact_keys(look, found[look.name], second)]
    second |= _asked(reader, exact, timeout_seconds)
    found = {look.name: _of_second(look, found[look.name], second) for look in looks}
    third = _asked(reader, list(_references(looks, found)), timeout_seconds)
    found = {look.name: _with_references(look, looks, found, third) for look in looks}
    return _with_relations(reader, looks, found, timeout_seconds)


def _with_relations(
    reader: Reader, looks: Sequence[Look], found: Mapping[str, Profile], timeout_seconds: float | None
) -> tuple[Profile, ...]:
    """And what columns and rows say of one another."""
    one = _asked(reader, [asked for look in looks for asked in relations.first(look, found[look.name])], timeout_seconds)  # fmt: skip
    other = _asked(reader, [asked for look in looks for asked in relations.second(look, found[look.name], one)], timeout_seconds)  # fmt: skip
    made = [
        found[look.name].model_copy(
            update={"relations": relations.relations(look, found[look.name], one, other)}
        )
        for look in looks
    ]
    return tuple(
        each.model_copy(update={"relations": each.relations.model_copy(update={"agrees": agreements(each, made)})})
        for each in made
    )  # fmt: skip


def _called(tables: Iterable[CatalogTable]) -> list[str]:
    """Each by its last name, and with its schema where another has that name."""
    places = [table.place for table in tables]
    often = Counter(place[-1] for place in places)
    return [place[-1] if often[place[-1]] == 1 else ".".join(place) for place in places]


def _seen(
    reader: Reader, tables: Mapping[str, CatalogTable], dialect: Dialect, timeout_seconds: float | None
) -> dict[str, list[ColumnEvidence]]:
    """What a sample of each table looks like, by the table: signs and counts. Where it cannot be read there are names alone."""
    asked = {name: sampling.statements(table, dialect) for name, table in tables.items()}
    found: dict[str, Any] = {}
    for turn in range(2):
        again = {name: some[turn] for name, some in asked.items() if len(some) > turn and "rows" not in found.get(name, {})}  # fmt: skip
        told = [{"id": name, "sql": sql, "look": True} for name, sql in again.items()]
        found |= _asked(reader, told, timeout_seconds)
    return {
        name: sampling.evidence(table, found.get(name, {}).get("rows") or [])
        for name, table in tables.items()
    }


def _look(  # noqa: PLR0913, PLR0917 - what is looked at, and how
    name: str,
    table: CatalogTable,
    dialect: Dialect,
    told: Mapping[str, str],
    sample_rows: int,
    seen: list[ColumnEvidence],
) -> Look:
    """With the columns that are personal: by what the estate says, else by their names, and by what a sample looks like."""
    by_name = [
        ColumnEvidence(
            name=one.name, type=one.type, family=one.family, comment=one.comment, table=table.place[-1]
        )
        for one in table.columns
    ]
    guessed = {
        one.column: one.category for each in (decide(seen), decide(by_name)) for one in each if one.category
    }
    personal = {
        name: category for name, category in {**guessed, **told}.items() if category and category != "no"
    }
    named = {one.name for one in seen if _may_name(one) and told.get(one.name) != "no"}
    return Look(name, table, dialect, personal, sample_rows, named=frozenset(named))


def _may_name(one: ColumnEvidence) -> bool:
    """Whether it may say who: names among its values, more than chance puts there, or a word for what a person does."""
    names = one.looks.share("given", "surname", "full-name", "half-name", "cjk-name")
    return names >= SOME_NAMES or lexicon.ROLE.search(lexicon.told(one.name[:120])) is not None


def _asked(reader: Reader, statements: list[dict[str, Any]], timeout_seconds: float | None) -> dict[str, Any]:
    if not statements:
        return {}
    answer: dict[str, Any] = reader.read("measure", statements=statements, timeout_seconds=timeout_seconds)
    found: dict[str, Any] = answer["statements"]
    return found


def _row(found: dict[str, Any], id_: str) -> dict[str, Any]:
    rows = found.get(id_, {}).get("rows") or [{}]
    return dict(rows[0])


# -- first: what each column is ------------------------------------------------------------------------------------------------------


def _first(look: Look) -> Iterator[dict[str, Any]]:
    """One statement for the table's rows, and one for each column: an engine that fails at one has the others."""
    d = look.dialect
    yield {"id": f"{look.name}:rows", "sql": f"SELECT count(*) AS n FROM {d.table(look.table)}"}
    for column in look.columns:
        listed = ", ".join(f"{expression} AS {name}" for name, expression in _figures(look, column).items())
        yield {"id": f"{look.name}:column:{column.name}", "sql": f"SELECT {listed} FROM {look.source}"}
        if column.family == "text":
            told = {f"s{n}": _shape(look, column.name, regex) for n, regex in enumerate(SHAPES.values())}
            counted = ", ".join(f"{d.count_where(one)} AS {name}" for name, one in told.items() if one)
            sql = f"SELECT count({d.name(column.name)}) AS n, {counted} FROM {look.some([column.name])}"
            yield {"id": f"{look.name}:shapes:{column.name}", "sql": sql}


def _figures(look: Look, column: CatalogColumn) -> dict[str, str]:
    d, name = look.dialect, look.dialect.name(column.name)
    figures = {"looked_at": "count(*)", "present": f"count({name})", "distincts": f"count(DISTINCT {name})"}
    if column.family in NUMERIC and column.name not in look.personal:
        nan = d.is_nan(name, column.family)
        clean = f"CASE WHEN NOT {nan} THEN {name} END" if nan else name
        figures |= {"least": f"min({clean})", "greatest": f"max({clean})"}
    elif column.family in MOMENTS and column.name not in look.personal:
        figures |= {"least": f"min({name})", "greatest": f"max({name})"}
    elif column.family == "text":
        text = d.as_text(name, column.family)
        figures |= {"shortest": f"min({d.length(text)})", "longest": f"max({d.length(text)})"}
    return figures


def _shape(look: Look, column: str, regex: str) -> str:
    """The condition that a text has a shape; '' where this engine cannot tell."""
    d = look.dialect
    try:
        return regexes.condition(d, d.as_text(d.name(column), "text"), regex, d.syntax)
    except BadInput:
        return ""


def _of_first(look: Look, found: dict[str, Any]) -> Profile:
    columns, left_out = [], [f"{one.name}: {'this role may not read it' if not one.readable else f'a column of type {one.type} is not looked into'}" for one in look.table.columns if one not in look.columns]  # fmt: skip
    rows = int(_row(found, f"{look.name}:rows").get("n") or 0)
    looked_at = rows
    for column in look.columns:
        answer = found.get(f"{look.name}:column:{column.name}", {})
        if "error" in answer:
            left_out.append(f"{column.name}: {answer['error']['what']}")
            continue
        told = dict(answer["rows"][0])
        looked_at = int(told["looked_at"])
        some = _row(found, f"{look.name}:shapes:{column.name}")
        columns.append(_column(look, column, {**some, **told}))
    return Profile(
        table=look.name, called=look.called, rows=rows, looked_at=min(looked_at, rows), columns=tuple(columns), left_out=tuple(left_out),
        keys=tuple(dict.fromkeys(look.table.keys)), primary_key=look.table.primary_key,
        refers=tuple(dict.fromkeys(column for one in look.table.foreign_keys for column in one.columns)),
    )  # fmt: skip


def _column(look: Look, column: CatalogColumn, told: dict[str, Any]) -> Column:
    some = int(told.get("n") or 0)
    shapes = {name: 0 for n, name in enumerate(SHAPES) if some and int(told.get(f"s{n}") or 0) == some}
    numeric = column.family in NUMERIC
    return Column(
        name=column.name, family=column.family, type=column.type, comment=column.comment,
        present=int(told["present"]), distinct=int(told["distincts"]),
        least=_bound(told.get("least"), numeric=numeric), greatest=_bound(told.get("greatest"), numeric=numeric),
        shortest=told.get("shortest"), longest=told.get("longest"),
        shapes=shapes,
        category=look.personal.get(column.name, ""), not_null=column.not_null,
    )  # fmt: skip


def _bound(value: Any, *, numeric: bool) -> float | str | None:
    if value is None:
        return None
    try:
        return float(value) if numeric else str(value)
    except (TypeError, ValueError):
        return None


# -- second: what that makes worth asking --------------------------------------------------------------------------------------------


def _second(look: Look, found: Profile) -> Iterator[dict[str, Any]]:
    d, source = look.dialect, look.source
    for column in found.columns:
        name = d.name(column.name)
        if column.name not in look.named and _may_be_enumeration(column, found.looked_at):
            sql = f"SELECT {name} AS value, count(*) AS n FROM {source} WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY n DESC"
            yield {"id": f"{look.name}:values:{column.name}", "sql": sql}
        format_ = _format_of(column)
        if format_:
            sql = f"SELECT {name} AS value, count(*) AS times FROM {source} WHERE {name} IS NOT NULL GROUP BY {name}"
            yield {
                "id": f"{look.name}:format:{column.name}",
                "sql": sql,
                "check": {"format": format_, "arguments": {}},
            }
        shape = next(iter(column.shapes), "")
        if shape:
            sql = f"SELECT {d.count_where(_shape(look, column.name, SHAPES[shape]))} AS n FROM {source}"
            yield {"id": f"{look.name}:shape:{column.name}", "sql": sql}
    for key in _key_candidates(found):
        sql = f"SELECT count(*) AS n FROM (SELECT DISTINCT * FROM {look.some(key)}) AS kept"
        yield {"id": f"{look.name}:some:{','.join(key)}", "sql": sql}
    for lesser, greater in _order_candidates(found):
        a, b = d.name(lesser), d.name(greater)
        both = d.count_where(f"{a} IS NOT NULL AND {b} IS NOT NULL")
        yield {
            "id": f"{look.name}:order:{lesser},{greater}",
            "sql": f"SELECT {d.count_where(f'{a} > {b}')} AS wrong, {both} AS n FROM {source}",
        }


def _exact_keys(look: Look, found: Profile, some: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of the sets of columns that had no two equal rows among some, the first few: among all."""
    d, first = look.dialect, min(SOME_ROWS, found.rows)
    left = [
        key
        for key in _key_candidates(found)
        if _row(some, f"{look.name}:some:{','.join(key)}").get("n") == first
    ]
    for key in left[:KEYS_COUNTED] if not found.sampled else ():
        named = ", ".join(map(d.name, key))
        sql = f"SELECT count(*) AS n FROM (SELECT {named} FROM {d.table(look.table)} GROUP BY {named}) AS groups_of"
        yield {"id": f"{look.name}:key:{','.join(key)}", "sql": sql}


def _may_be_enumeration(column: Column, rows: int) -> bool:
    few = column.distinct is not None and 0 < column.distinct <= FEW and rows >= 50 * column.distinct
    return few and column.family == "text" and not column.category and (column.longest or 0) <= LONGEST_WORD


def _format_of(column: Column) -> str:
    if column.family != "text" or not column.present:
        return ""
    return next(
        (name for name, pattern in FORMATS.items() if re.search(pattern, column.name, re.IGNORECASE)), ""
    )


def unique(column: Column, rows: int) -> bool:
    """Whether no two rows have the same value, and every row has one."""
    return rows > 0 and column.present == rows and column.distinct == rows


def _tells(column: Column, rows: int) -> bool:
    """Whether a column that is unique is so by more than chance: two amounts or two moments of many seldom are the same."""
    if not unique(column, rows) or column.family == "float":
        return False
    return column.family not in MOMENTS or _in_step(column)


def _in_step(column: Column) -> bool:
    """Whether moments follow each other at even steps, as hours and days do that each have their row."""
    try:
        first, last = (datetime.fromisoformat(str(one)) for one in (column.least, column.greatest))
    except ValueError:
        return False
    steps = (column.distinct or 0) - 1
    return steps > 0 and ((last - first).total_seconds() / steps) % 60 == 0


def _key_candidates(found: Profile) -> list[tuple[str, ...]]:
    """Sets of columns that may be a key where no column is one by itself: enough distinct values together, the narrowest sets first."""
    if (
        found.keys
        or found.looked_at < 2  # noqa: PLR2004 - told beside it
        or any(_tells(one, found.looked_at) for one in found.columns)
    ):
        return []
    usable = [
        one
        for one in found.columns
        if one.present == found.looked_at
        and (one.distinct or 0) > 1
        and not unique(one, found.looked_at)
        and one.family not in ("float", "boolean", "decimal")
    ]
    usable.sort(key=lambda one: (not _names_a_thing(one.name), -(one.distinct or 0)))
    candidates: list[tuple[int, tuple[Column, ...]]] = []
    for width in range(2, WIDEST_KEY + 1):
        for columns in combinations(usable[:12], width):
            if _product(columns) >= found.looked_at:
                candidates.append((width, columns))  # noqa: PERF401 - two loops read better
    candidates.sort(
        key=lambda one: (
            one[0],
            -sum(_names_a_thing(column.name) for column in one[1]),
            -min(_product(one[1]), 10**9),
        )
    )
    return [tuple(column.name for column in columns) for _, columns in candidates[:KEYS_TRIED]]


def _product(columns: Iterable[Column]) -> int:
    product = 1
    for column in columns:
        product *= column.distinct or 1
    return product


def _names_a_thing(name: str) -> bool:
    return bool(
        re.search(
            r"(^|_)(id|key|no|nr|num|number|code|uuid|origin|time|hour|date|ts|flight|carrier|line|seq)s?($|_)",
            name,
            re.IGNORECASE,
        )
    )


def _order_candidates(found: Profile) -> list[tuple[str, str]]:
    """(the lesser, the greater): names that say so; of moments, every pair."""
    families = {one.name: one.family for one in found.columns if one.present and not one.category}
    told = _told_orders([name for name, family in families.items() if family in (*MOMENTS, *NUMERIC)])
    pairs = [
        (a, b) for a, b in told if families[a] == families[b] or {families[a], families[b]} <= set(NUMERIC)
    ]
    for a, b in combinations([name for name, family in families.items() if family in MOMENTS], 2):
        if families[a] == families[b] and not {(a, b), (b, a)} & set(pairs):
            pairs += [(a, b), (b, a)]
    return pairs[:ORDERS_TRIED]


def _told_orders(names: Sequence[str]) -> list[tuple[str, str]]:
    """Names that differ by a word for what is earlier, and one for what is later: 'valid_from' and 'valid_to'."""
    later: dict[str, list[str]] = {}
    for name in names:
        for stem in _stems(name, LATER):
            later.setdefault(stem, []).append(name)
    return [(name, other) for name in names for stem in _stems(name, EARLIER) for other in later.get(stem, ()) if other != name]  # fmt: skip


def _stems(name: str, words: Iterable[str]) -> set[str]:
    """A name with '*' in place of each of the words that it has."""
    lower = name.lower()
    told = (re.sub(rf"(^|_){word}(?=_|$)", r"\1*", lower) for word in words if word in lower)
    return {stem for stem in told if stem != lower}


def _of_second(look: Look, found: Profile, answers: dict[str, Any]) -> Profile:
    columns = tuple(_with_values(look, one, answers) for one in found.columns)
    keys = list(found.keys) + [
        (one.name,)
        for one in columns
        if _tells(one, found.looked_at) and not found.sampled and (one.name,) not in found.keys
    ]
    if not keys and not found.sampled:
        keys = _minimal(
            key
            for key in _key_candidates(found)
            if _row(answers, f"{look.name}:key:{','.join(key)}").get("n") == found.rows
        )[:1]
    ordered = []
    for lesser, greater in _order_candidates(found):
        told = _row(answers, f"{look.name}:order:{lesser},{greater}")
        if told and not told["wrong"] and told["n"]:
            ordered.append((lesser, greater, int(told["n"])))
    return found.model_copy(update={"columns": columns, "keys": tuple(keys), "ordered": tuple(ordered)})


def _minimal(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Without those that hold another: a key with a column more is no news."""
    found: list[tuple[str, ...]] = []
    for key in keys:
        if not any(set(one) <= set(key) for one in found):
            found.append(key)
    return found


def _with_values(look: Look, column: Column, answers: dict[str, Any]) -> Column:
    changes: dict[str, Any] = {}
    rows = answers.get(f"{look.name}:values:{column.name}", {}).get("rows") or []
    told = [(str(one["value"]), int(one["n"])) for one in rows]
    if told and not _name_somebody(column.name, [value for value, _ in told]):
        changes["values"] = tuple(told)
    shape = next(iter(column.shapes), "")
    shaped = _row(answers, f"{look.name}:shape:{column.name}").get("n")
    changes["shapes"] = {shape: int(shaped)} if shape and shaped else {}
    checked = _row(answers, f"{look.name}:format:{column.name}")
    if checked.get("checked") and not checked.get("failing"):
        changes["format"] = _format_of(column)
    return column.model_copy(update=changes) if changes else column


def _name_somebody(name: str, values: Sequence[str]) -> bool:
    """Whether values that a sample did not have are somebody's after all."""
    if any(next(iter(personal_text.find(value)), None) is not None for value in values):
        return True
    return _may_name(ColumnEvidence(name=name, looks=look(values)))


# -- third: references between the tables --------------------------------------------------------------------------------------------


def _references(looks: Sequence[Look], found: Mapping[str, Profile]) -> Iterator[dict[str, Any]]:
    for child, parent, pairs in _reference_candidates(looks, found):
        d = child.dialect
        named = [(f"c.{d.name(ours)}", d.name(theirs)) for ours, theirs in pairs]
        source, orphan = d.orphans(f"{d.table(child.table)} AS c", d.table(parent.table), named)
        there = " AND ".join(f"{column} IS NOT NULL" for column, _ in named)
        yield {
            "id": _reference_id(child, parent, pairs),
            "sql": f"SELECT count(*) AS n FROM {source} WHERE {there} AND {orphan}",
        }


def _reference_id(child: Look, parent: Look, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{child.name}:reference:{parent.name}:{','.join(f'{a}={b}' for a, b in pairs)}"


def _reference_candidates(
    looks: Sequence[Look], found: Mapping[str, Profile]
) -> list[tuple[Look, Look, tuple[tuple[str, str], ...]]]:
    """(child, parent, columns): what names say, and short text whose values may be a parent's."""
    candidates = []
    for child in looks:
        for parent in looks:
            for key in found[parent.name].keys:
                told = _pairs(found[child.name], found[parent.name], key) if child.name != parent.name else []
                candidates += [(child, parent, pairs) for pairs in told]
    return candidates[:REFERENCES_TRIED]


def _pairs(child: Profile, parent: Profile, key: tuple[str, ...]) -> list[tuple[tuple[str, str], ...]]:
    ours = {one.name: one for one in child.columns if one.present}
    theirs = [parent.column(name) for name in key]
    if any(one is None for one in theirs):
        return []
    if len(key) > 1:
        same = all(
            name in ours and _comparable(ours[name], one) for name, one in zip(key, theirs, strict=True)
        )
        return (
            [tuple((name, name) for name in key)]
            if same and set(key) != set(child.keys[0] if child.keys else ())
            else []
        )
    (target,) = [one for one in theirs if one is not None]
    return [
        ((one.name, target.name),)
        for one in ours.values()
        if _comparable(one, target)
        and (_named_alike(one.name, target.name, parent.name) or _may_be_code_of(one, target))
    ]


def _comparable(one: Column, other: Column | None) -> bool:
    return (
        other is not None
        and (one.family == other.family or {one.family, other.family} <= {"integer", "decimal"})
        and one.family in ("text", "uuid", "integer", "decimal", *MOMENTS)
    )


def _named_alike(ours: str, theirs: str, table: str) -> bool:
    single = re.sub(r"(?<=[^s])s$", "", re.sub(r"ies$", "y", table.rsplit(".", 1)[-1].lower()))
    ours, theirs = ours.lower(), theirs.lower()
    generic = theirs in ("id", "key", "code", "name", "year", "no", "number", "date", "type")
    return (ours == theirs and not generic) or (
        single in ours and ours.endswith((theirs, "_id", "_key", "_code"))
    )


def _may_be_code_of(one: Column, target: Column) -> bool:
    """Short codes of the same lengths, fewer of them than there are: 'dest' may be an airport."""
    if one.family != "text" or target.longest is None or one.longest is None:
        return False
    return (
        target.longest <= 12  # noqa: PLR2004 - told beside it
        and (one.shortest, one.longest) == (target.shortest, target.longest)
        and 2 <= (one.distinct or 0) <= (target.distinct or 0)  # noqa: PLR2004 - told beside it
    )


def _with_references(
    look: Look, looks: Sequence[Look], found: Mapping[str, Profile], answers: dict[str, Any]
) -> Profile:
    own, references = found[look.name], []
    for child, parent, pairs in _reference_candidates(looks, found):
        told = _row(answers, _reference_id(child, parent, pairs))
        if child.name != look.name or told.get("n") is None:
            continue
        rows = min(one.present for one in own.columns if one.name in {name for name, _ in pairs})
        columns, theirs = tuple(zip(*pairs, strict=True))
        kept = any(
            (one.columns, one.references) == (columns, theirs) and one.table == parent.table.name
            for one in look.table.foreign_keys
        )
        named = all(_named_alike(a, b, parent.called) for a, b in pairs) or len(pairs) > 1
        if kept or int(told["n"]) * 100 <= rows * (25 if named else 5):
            references.append(
                Reference(
                    table=look.name,
                    columns=columns,
                    to_table=parent.called,
                    to_columns=theirs,
                    orphans=int(told["n"]),
                    rows=rows,
                    guaranteed=kept,
                )
            )
    return own.model_copy(update={"references": tuple(references)})
