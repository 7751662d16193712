"""What only the rows of a source tell: NULLs, digits, and keys that nobody declared. Counted in one statement; no value comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.scaffold_source import (
    LITE_DECIMAL,
    NAMED_A_KEY,
    Key,
    Seen,
    Source,
    quoted,
)
from datareeve.core.errors import DatareeveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MEASURED_ROWS = 2_000_000  # of a table whose columns' different values are counted
MEASURED_COLUMNS = 8
FEW, OFTEN = 2, 20  # rows whose values all differ, of a column that is called a key, and of any other


def with_counts(source: Source, ask: Callable[[str], Any], relation: str, sign: str) -> Source:
    """With what only the rows tell: NULLs of columns that may be a cursor, digits of decimals, and keys that nobody declared."""
    notes = list(source.notes)
    if source.rows is None or source.rows > MEASURED_ROWS:
        return source.model_copy(
            update={"notes": (*notes, "the table is large: nothing was counted in its rows")}
        )
    wanted = [one for one in source.columns if _is_measured(one, source)]
    candidates = [] if source.keys else _candidates(source)
    listed = ["count(*) AS n"]
    for number, one in enumerate(wanted):
        listed += [
            f"{sql} AS {what}{number}" for what, sql in _figures(one, source.kind, quoted(one.name, sign))
        ]
    listed += [f"count(DISTINCT {quoted(one.name, sign)}) AS u{number}, count({quoted(one.name, sign)}) AS p{number}" for number, one in enumerate(candidates)]  # fmt: skip
    if len(listed) == 1:
        return source
    try:
        found = ask(f"SELECT {', '.join(listed)} FROM {relation}")
    except DatareeveError as error:
        return source.model_copy(update={"notes": (*notes, f"its rows could not be counted: {error.code}")})
    told = {one.name: _told(one, number, found) for number, one in enumerate(wanted)}
    rows = int(found["n"])
    unique = [
        one.name
        for number, one in enumerate(candidates)
        if found[f"u{number}"]
        == found[f"p{number}"]
        == rows
        >= (FEW if NAMED_A_KEY.search(one.name) else OFTEN)
    ]
    keys = (*source.keys, *(Key(columns=(name,), why="measured") for name in unique[:1]))
    columns = tuple(told.get(one.name, one) for one in source.columns)
    return source.model_copy(update={"columns": columns, "keys": keys, "notes": tuple(notes)})


def _is_measured(one: Seen, source: Source) -> bool:
    unbounded = source.kind == "postgresql" and one.type == "numeric"
    told = source.kind == "sqlite" and LITE_DECIMAL.match(one.type)
    return bool(unbounded or told) or (one.family in ("timestamp", "timestamptz") and one.nullable)


def _figures(one: Seen, kind: str, name: str) -> Iterator[tuple[str, str]]:
    yield "there", f"count({name})"
    if kind == "postgresql" and one.type == "numeric":
        finite = f"CASE WHEN {name}::text ~ '^-?[0-9]' THEN {name} END"
        yield "scale", f"max(scale({finite}))"
        yield "digits", f"max(length(trunc(abs({finite}))::text))"

    if kind == "sqlite" and (declared := LITE_DECIMAL.match(one.type)):
        digits, scale = int(declared[1]), int(declared[2] or 0)
        fits = f"typeof({name}) IN ('integer', 'real') AND CAST(printf('%.{scale}f', {name}) AS REAL) = {name} AND abs({name}) < 1e{digits - scale}"
        yield "misfits", f"sum(CASE WHEN {name} IS NULL OR ({fits}) THEN 0 ELSE 1 END)"


def _told(one: Seen, number: int, found: Mapping[str, Any]) -> Seen:
    nulls = int(found["n"]) - int(found[f"there{number}"])
    return one.model_copy(update={"nulls": nulls, **{what: found.get(f"{what}{number}") for what in ("scale", "digits", "misfits")}})  # fmt: skip


def _candidates(source: Source) -> list[Seen]:
    """Columns that may tell one row from another: whole numbers and texts, those first that are called so."""
    likely = [one for one in source.columns if one.family in ("integer", "text", "uuid")]
    return sorted(likely, key=lambda one: not NAMED_A_KEY.search(one.name))[:MEASURED_COLUMNS]
