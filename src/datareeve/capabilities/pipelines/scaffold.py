"""How a source is loaded best, decided from what was seen of it, each decision with its reason. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.scaffold_source import LITE_DECIMAL
from datareeve.capabilities.pipelines.spec import Mode  # noqa: TC001 - pydantic reads it
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.capabilities.pipelines.scaffold_source import Seen, Source

LAG = "10m"
DIGITS = 38  # of a decimal of DuckDB
CHANGED = re.compile(r"(?i)^(last_?)?(updated?|modified|changed?|mtime|lastmod)(_?(at|on|time|ts|date|timestamp|utc))?$|_(updated|modified|changed)(_(at|on|time|ts|date))?$|^(updated|modified|changed|last(modified|updated|changed))(At|On|Time|Date)?$")  # fmt: skip
MADE = re.compile(r"(?i)^(created?|inserted|recorded|logged|event|occurred|received|ingested)(_?(at|on|time|ts|date|timestamp|utc))$|^(created|inserted)$")  # fmt: skip
UNBOUNDED = re.compile(r"^numeric$")
WIDE = re.compile(r"^(?:decimal|numeric)\((\d+),(\d+)\)", re.IGNORECASE)
NESTED = re.compile(r"^(struct|map|union|row)\b|\[\]\[\]$", re.IGNORECASE)
NO_TYPE = re.compile(r"^(money|xml|tsvector|tsquery|inet|cidr|macaddr8?|bit|bit varying|point|line|lseg|box|path|polygon|circle|hstore|geometry|geography|int4range|int8range|numrange|tsrange|tstzrange|daterange|year)\b")  # fmt: skip


class Reasoned(Value):
    """A decision, and why."""

    value: str
    why: str


class Decided(Value):
    """How a load is written."""

    mode: Mode
    mode_why: str
    keys: tuple[str, ...] = ()
    keys_why: str = ""
    cursor: str | None = None
    cursor_why: str = ""
    lag: str | None = None
    lag_why: str = ""
    instead: str = ""  # another way that a person may want
    types: dict[str, Reasoned] = {}  # noqa: RUF012 - by column
    lacks: tuple[str, ...] = ()  # what a person must say first


def decide(
    source: Source,
    *,
    target: str,
    mode: Mode | None = None,
    keys: Sequence[str] = (),
    cursor: str | None = None,
) -> Decided:
    """Keys, cursor, mode and types; `target` is the kind of the target. What was given is kept."""
    lacks = [f"{column!r} is no column of the source: {', '.join(one.name for one in source.columns)[:300]}." for column in (*keys, *filter(None, [cursor])) if source.column(column) is None]  # fmt: skip
    found_keys, keys_why = _keys(source, keys)
    changed = None if mode in ("full", "snapshot") else _changed(source, cursor)
    if mode is None:
        mode, mode_why, instead = _mode(source, found_keys, changed, cursor)
    else:
        mode_why, instead = "As it was asked for.", ""
    if mode in ("upsert", "scd2") and not found_keys:
        lacks.append(
            f"Mode {mode} needs keys, and nothing was found that tells one row from another: give --keys."
        )
    told, why = (None, "") if mode in ("full", "snapshot") else _cursor(source, mode, cursor, changed)
    merges = told is not None and mode in ("upsert", "scd2") and _is_moment(source, told)
    return Decided(
        mode=mode,
        mode_why=mode_why,
        keys=found_keys,
        keys_why=keys_why,
        cursor=told,
        cursor_why=why,
        lag=LAG if merges else None,
        lag_why="transactions that commit later than the moment they write are read all the same"
        if merges
        else "",
        instead=instead,
        types=_types(source, target),
        lacks=tuple(lacks),
    )


# -- keys --------------------------------------------------------------------------------------------------------------------------------


def _keys(source: Source, given: Sequence[str]) -> tuple[tuple[str, ...], str]:
    if given:
        columns = [source.column(name) for name in given]
        return tuple(one.name if one else name for one, name in zip(columns, given, strict=True)), "As given."
    for key in source.keys:
        if key.why == "primary":
            return key.columns, "The primary key."
        if key.why == "unique":
            return key.columns, f"Unique and never NULL: the index {_plain(key.told)} keeps it so."
        there = (
            f"the {source.page} rows of one page"
            if source.kind == "http"
            else f"all {source.rows:,} rows that are there now"
        )
        return key.columns, f"A GUESS: in {there} each value comes once. Nothing keeps it so: look whether it is meant to."  # fmt: skip
    return (), ""


# -- what grows ---------------------------------------------------------------------------------------------------------------------------


def _is_moment(source: Source, name: str) -> bool:
    column = source.column(name)
    return column is not None and column.family in ("timestamp", "timestamptz")


def _changed(source: Source, given: str | None) -> Seen | None:
    """The column that says when a row was last changed: never NULL, of the type of a moment, and called so."""
    if given is not None:
        return None
    found = [one for one in source.columns if CHANGED.search(one.name) and one.family in ("timestamp", "timestamptz") and _present(one)]  # fmt: skip
    return min(found, key=lambda one: one.family != "timestamptz", default=None)


def _present(column: Seen) -> bool:
    return not column.nullable or column.nulls == 0


def _numbered(source: Source) -> Seen | None:
    return next((one for one in source.columns if one.numbered and one.family == "integer"), None)


def _made(source: Source) -> Seen | None:
    return next((one for one in source.columns if MADE.search(one.name) and one.family in ("timestamp", "timestamptz") and _present(one)), None)  # fmt: skip


def _mode(
    source: Source, keys: tuple[str, ...], changed: Seen | None, cursor: str | None
) -> tuple[Mode, str, str]:
    """(mode, why, what may be wanted instead)."""
    if cursor is not None:
        return ("upsert", "The cursor's new rows take the place of those with their keys.", "") if keys else ("append", "There are no keys: what the cursor says is new is added.", "")  # fmt: skip
    if source.kind == "http":
        since = _plain(changed.name) if changed else "a column that says when a row was changed"
        return "full", "Everything is asked for each time.", f"Where the API filters by time: `mode: upsert`, {since} as `cursor`, and `parameters: {{since: '{{cursor}}'}}` under `http`."  # fmt: skip
    if changed is not None and keys:
        return "upsert", f"Rows that are new or changed, by {_plain(changed.name)}, take the place of those with their keys.", "Rows deleted at the source stay; `deletes: remove` takes them out too, and reads all keys each time."  # fmt: skip
    numbered = _numbered(source)
    if numbered is not None and source.changed == 0:
        return "append", "The server has counted inserts into this table, and not one update or delete: new rows are added.", ""  # fmt: skip
    if source.kind == "folder":
        return "full", "Every file is read each time.", "Where files are only ever added and never written again: `mode: append` reads each once."  # fmt: skip
    size = f", {source.rows:,} row{'' if source.rows == 1 else 's'}," if source.rows is not None else ""
    instead = f"Where rows are only ever added: `mode: append` with `cursor: {_plain(numbered.name)}`." if numbered else "Where a column says when a row was last changed: `mode: upsert` with it as `cursor`."  # fmt: skip
    return "full", f"No column says which rows were changed: all of it{size} is read each time.", instead


def _cursor(source: Source, mode: Mode, given: str | None, changed: Seen | None) -> tuple[str | None, str]:
    if given is not None:
        column = source.column(given)
        return (column.name if column else given), "As given."
    scans = _scans(source)
    if changed is not None:
        nulls = (
            ""
            if not changed.nullable
            else " It may be NULL, and is in no row now: a row with NULL would never be seen."
        )
        trusts = "It is trusted that whatever changes a row sets it."
        return changed.name, f"Called as what says when a row was last changed, and of type {_plain(changed.type)}. {trusts}{nulls}{scans(changed.name)}"  # fmt: skip
    grows = _numbered(source) if mode == "append" else None
    if grows is not None:
        return grows.name, f"The engine gives its values out, one after another.{scans(grows.name)}"
    made = _made(source) if mode == "append" else None
    if made is not None:
        return made.name, f"Called as what says when a row was made. It is trusted that no row comes later than one with a later moment.{scans(made.name)}"  # fmt: skip
    return None, ""


def _scans(source: Source) -> Callable[[str], str]:
    def told(name: str) -> str:
        if source.kind in ("folder", "duckdb", "http") or name in source.indexed:
            return ""
        return " No index begins with it: each load reads the whole table to find what is new."

    return told


# -- types --------------------------------------------------------------------------------------------------------------------------------


def _types(source: Source, target: str) -> dict[str, Reasoned]:
    """The columns whose type would lose something, or differ from one load to the next, with one that does not."""
    found = {one.name: _type(one, source.kind, target) for one in source.columns}
    return {name: one for name, one in found.items() if one is not None}


def _type(column: Seen, kind: str, target: str) -> Reasoned | None:  # noqa: PLR0911 - a case each
    type_ = column.type.strip()
    if kind == "postgresql" and UNBOUNDED.match(type_):
        return _unbounded(column)
    wide = WIDE.match(type_)
    if wide and int(wide[1]) > DIGITS:
        return Reasoned(value="text", why=f"{_plain(type_)} has more digits than the {DIGITS} of a decimal: kept as text, exactly.")  # fmt: skip
    if kind == "sqlite" and (declared := LITE_DECIMAL.match(type_)):
        return _kept_as_float(column, int(declared[1]), int(declared[2] or 0))
    if kind in ("postgresql", "mysql") and NO_TYPE.match(type_.lower()):
        return Reasoned(value="text", why=f"{_plain(type_)} has no type of its own elsewhere: kept as text.")
    if target == "postgresql" and NESTED.search(type_):
        return Reasoned(
            value="json", why=f"{_plain(type_.split('(')[0])} has no type in PostgreSQL: kept as JSON."
        )
    if target == "postgresql" and type_.upper() == "TIMESTAMP_NS":
        return Reasoned(
            value="timestamp", why="PostgreSQL keeps microseconds: the last three digits are cut off."
        )
    return None


def _kept_as_float(column: Seen, digits: int, scale: int) -> Reasoned | None:
    """A decimal of SQLite, which is one by name only."""
    if column.misfits is None or not scale <= digits <= DIGITS:
        return None
    if column.misfits:
        return Reasoned(value="double", why=f"Declared {_plain(column.type)}, and {column.misfits:,} of its values are not: kept as the binary floats that SQLite has.")  # fmt: skip
    return Reasoned(value=f"decimal({digits},{scale})", why="SQLite keeps it as a binary float, whatever it is declared as: made the decimal that is meant, which every value is.")  # fmt: skip


def _unbounded(column: Seen) -> Reasoned:
    if column.digits is None or column.scale is None:
        return Reasoned(value="text", why="numeric without a precision: kept as text, exactly. If you know its digits, write decimal(p,s).")  # fmt: skip
    if column.digits + column.scale > DIGITS:
        return Reasoned(value="text", why=f"numeric with {column.digits + column.scale} digits, more than the {DIGITS} of a decimal: kept as text, exactly.")  # fmt: skip
    return Reasoned(value=f"decimal({DIGITS},{column.scale})", why=f"numeric without a precision; {column.scale} digits after the point are the most that any value has now. A value with more is not rounded but rejected.")  # fmt: skip


def _plain(text: str) -> str:
    """A name within a comment: one line, whatever it holds."""
    return "".join(one if one.isprintable() else "?" for one in text)[:100]
