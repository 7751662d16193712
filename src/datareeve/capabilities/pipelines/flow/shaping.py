"""What the columns of a target are: the source's, what the pipeline says of them, and what is published already.

Types are written down here, pair by pair. What a pair would lose is refused, or recorded among `notes`; nothing is lost without a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from datareeve.core.errors import BadInput
from datareeve.core.value import Value
from datareeve.systems.table_source_postgres import is_native

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.spec import Column, Load
    from datareeve.systems.row_source import SourceColumn

DIGITS = 38


class Shaped(Value):
    """One column of the target."""

    name: str
    source: str  # its name at the source
    read: str  # its type as it is read: DuckDB's
    type: str  # its type in the target's own words
    cast: str = ""  # the DuckDB type that values are made before they are written; '' as they are read
    timezone: str = ""
    told: str = ""  # the source's own word for its type
    nullable: bool = True


class Shape(Value):
    """The columns of a load's target, and how they differ from what is published."""

    columns: tuple[Shaped, ...]
    added: tuple[str, ...] = ()  # not in what is published
    widened: dict[str, str] = Field(default_factory=dict)  # column: its new type
    missing: tuple[str, ...] = ()  # published, and no longer at the source
    notes: tuple[str, ...] = ()  # what is lost, or kept in another form
    native: bool = False  # rows go as they are, from one PostgreSQL to another

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(one.name for one in self.columns)


def shape(  # noqa: PLR0913 - what a shape rests on
    load: Load,
    source: Sequence[SourceColumn],
    existing: Mapping[str, str],
    dialect: str,
    *,
    native: bool,
    own: Sequence[str] = (),
) -> Shape:
    """The shape of a load's target.

    existing: the published table's columns and types; none where there is no table. native: rows go from PostgreSQL to PostgreSQL as they are.
    own: columns that the mode adds. Errors: `BadInput` `pipelines.column`, `pipelines.new-column`, `pipelines.missing-column`,
    `pipelines.type`.
    """
    _known(load, source)
    notes: list[str] = []
    columns = [
        _shaped(load.columns.get(_target_name(load, one)), one, load, dialect, notes, native=native)
        for one in source
        if not _dropped(load, one)
    ]
    _distinct(columns)
    folded = {name.casefold(): name for name in existing}
    added = [one.name for one in columns if existing and one.name.casefold() not in folded]
    if added and load.evolution.new_column == "refuse":
        raise BadInput(
            "pipelines.new-column",
            f"The source has new columns: {', '.join(added)}.",
            "Let them be added or ignored (evolution.new_column), or drop them under `columns`.",
        )
    if added and load.evolution.new_column == "ignore":
        columns, added = [one for one in columns if one.name not in added], []
    names = {one.name.casefold() for one in columns} | {name.casefold() for name in own}
    missing = [name for name in existing if name.casefold() not in names]
    if missing and load.evolution.missing_column == "refuse":
        raise BadInput(
            "pipelines.missing-column",
            f"Columns that are published are no longer at the source: {', '.join(missing)}.",
            "Give evolution.missing_column: null, or bring them back.",
        )
    fitted, widened = _fitted(load, columns, existing, folded, dialect)
    return Shape(
        columns=tuple(fitted),
        added=tuple(added),
        widened=widened,
        missing=tuple(missing),
        notes=tuple(dict.fromkeys(notes)),
    )


def _known(load: Load, source: Sequence[SourceColumn]) -> None:
    there = {one.name for one in source}
    renamed = {spec.source for spec in load.columns.values() if spec.source}
    for name, spec in load.columns.items():
        if (spec.source or name) not in there:
            raise BadInput(
                "pipelines.column",
                f"The source has no column {spec.source or name!r}, of which `columns` speaks.",
                f"It has: {', '.join(sorted(there))[:300]}.",
            )
    names = (there - renamed) | set(load.columns)
    for what, wanted in (
        ("keys", load.keys),
        ("cursor", (load.cursor.column,) if load.cursor else ()),
        ("history.track", load.history.track),
        ("history.changed_at", filter(None, (load.history.changed_at if load.mode == "scd2" else None,))),
    ):
        for name in wanted:
            if name not in names:
                raise BadInput(
                    "pipelines.column",
                    f"`{what}` names {name!r}, and there is no such column.",
                    f"There are: {', '.join(sorted(names))[:300]}.",
                )


def _target_name(load: Load, column: SourceColumn) -> str:
    return next((name for name, spec in load.columns.items() if spec.source == column.name), column.name)


def _dropped(load: Load, column: SourceColumn) -> bool:
    spec = load.columns.get(_target_name(load, column))
    return bool(spec and spec.drop)


def _distinct(columns: Sequence[Shaped]) -> None:
    seen: set[str] = set()
    for one in columns:
        if one.name.casefold() in seen:
            raise BadInput(
                "pipelines.column",
                f"Two columns would be called {one.name!r}.",
                "Rename one of them under `columns`.",
            )
        seen.add(one.name.casefold())


def _shaped(  # noqa: PLR0913 - as above
    spec: Column | None, one: SourceColumn, load: Load, dialect: str, notes: list[str], *, native: bool
) -> Shaped:
    name = _target_name(load, one)
    wanted = duckdb_type(spec.type) if spec and spec.type else ""
    if one.loses and not wanted:
        notes.append(f"{name}: {one.loses}")
    if native and not wanted:
        return Shaped(
            name=name, source=one.name, read=one.type, type=one.told, told=one.told, nullable=one.nullable
        )
    timezone = (spec.timezone if spec else None) or ""
    if timezone and not wanted:
        wanted = "TIMESTAMP WITH TIME ZONE"
    made = wanted or one.type
    type_, cast, note = written(made, dialect)
    if note:
        notes.append(f"{name}: {note}")
    needs = cast or (made if made != one.type else "")
    return Shaped(
        name=name,
        source=one.name,
        read=one.type,
        type=type_,
        cast=needs,
        timezone=timezone,
        told=one.told,
        nullable=one.nullable,
    )


# -- types ---------------------------------------------------------------------------------------------------------------------------------

ALIASES = {
    "int": "INTEGER", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "integer": "INTEGER", "bigint": "BIGINT", "smallint": "SMALLINT",
    "text": "VARCHAR", "string": "VARCHAR", "varchar": "VARCHAR", "bool": "BOOLEAN", "boolean": "BOOLEAN", "float": "DOUBLE", "double": "DOUBLE",
    "double precision": "DOUBLE", "real": "FLOAT", "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP", "datetime": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE", "timestamp with time zone": "TIMESTAMP WITH TIME ZONE", "uuid": "UUID", "json": "JSON", "jsonb": "JSON",
    "bytes": "BLOB", "blob": "BLOB", "bytea": "BLOB", "hugeint": "HUGEINT", "interval": "INTERVAL",
}  # fmt: skip
_DECIMAL = re.compile(r"^(?:decimal|numeric)\((\d+)(?:,\s*(\d+))?\)$", re.IGNORECASE)

POSTGRES = {  # DuckDB's type: PostgreSQL's, the DuckDB type that is written, and what is to be said of it
    "BOOLEAN": ("boolean", "", ""),
    "TINYINT": ("smallint", "SMALLINT", ""),
    "UTINYINT": ("smallint", "SMALLINT", ""),
    "SMALLINT": ("smallint", "", ""),
    "USMALLINT": ("integer", "INTEGER", ""),
    "INTEGER": ("integer", "", ""),
    "UINTEGER": ("bigint", "BIGINT", ""),
    "BIGINT": ("bigint", "", ""),
    "UBIGINT": ("numeric(20,0)", "DECIMAL(20,0)", ""),
    "HUGEINT": ("numeric(38,0)", "DECIMAL(38,0)", ""),
    "UHUGEINT": ("numeric(38,0)", "DECIMAL(38,0)", ""),
    "FLOAT": ("real", "", ""),
    "DOUBLE": ("double precision", "", ""),
    "VARCHAR": ("text", "", ""),
    "UUID": ("uuid", "", ""),
    "BLOB": ("bytea", "", ""),
    "DATE": ("date", "", ""),
    "TIME": ("time without time zone", "", ""),
    "TIME WITH TIME ZONE": ("time with time zone", "", ""),
    "TIMESTAMP": ("timestamp without time zone", "", ""),
    "TIMESTAMP_S": ("timestamp without time zone", "TIMESTAMP", ""),
    "TIMESTAMP_MS": ("timestamp without time zone", "TIMESTAMP", ""),
    "TIMESTAMP_NS": (
        "timestamp without time zone",
        "TIMESTAMP",
        "nanoseconds are cut to microseconds: PostgreSQL has no finer type",
    ),
    "TIMESTAMP WITH TIME ZONE": ("timestamp with time zone", "", ""),
    "INTERVAL": ("interval", "", ""),
    "JSON": ("jsonb", "JSON", ""),
    '"NULL"': ("text", "VARCHAR", "it has no value anywhere: it is taken for text"),
}


def duckdb_type(said: str) -> str:
    """A type as a person writes it, as DuckDB's. Errors: `BadInput` `pipelines.type`."""
    bare = " ".join(said.lower().split())
    if (
        (found := _DECIMAL.match(bare))
        and 0 < int(found[1]) <= DIGITS
        and int(found[2] or 0) <= int(found[1])
    ):
        return f"DECIMAL({int(found[1])},{int(found[2] or 0)})"
    name = ALIASES.get(re.sub(r"^(varchar|char)\(\d+\)$", "text", bare))
    if name is None:
        raise BadInput(
            "pipelines.type",
            f"There is no type {said!r}.",
            f"There are decimal(p,s) up to {DIGITS} digits, and {', '.join(sorted(ALIASES))}.",
        )
    return name


def written(type_: str, dialect: str) -> tuple[str, str, str]:
    """How a DuckDB type is kept in a target: its type there, the DuckDB type that is written, and what is lost."""
    if dialect == "duckdb":
        return (
            ("VARCHAR", "VARCHAR", "it has no value anywhere: it is taken for text")
            if type_ == '"NULL"'
            else (type_, "", "")
        )
    if type_ in POSTGRES:
        return POSTGRES[type_]
    if type_.startswith("DECIMAL"):
        return type_.replace("DECIMAL", "numeric"), "", ""
    if type_.startswith("ENUM"):
        return "text", "VARCHAR", ""
    if type_.endswith("[]") and type_.count("[") == 1:
        element, cast, note = written(type_[:-2], dialect)
        return f"{element}[]", f"{cast}[]" if cast else "", note
    return "jsonb", "JSON", f"{type_.partition('(')[0]} is kept as JSON"


# -- what is published already -------------------------------------------------------------------------------------------------------------

LADDERS = (
    ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    ("FLOAT", "DOUBLE"),
    ("DATE", "TIMESTAMP"),
)
_SHOWN = re.compile(r"^(DECIMAL|numeric)\((\d+),(\d+)\)$", re.IGNORECASE)
WHOLE = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 38}
_BACK = {told: made for made, (told, _, _) in POSTGRES.items() if made not in ("TINYINT", "UTINYINT", "USMALLINT", "UINTEGER", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", '"NULL"', "UHUGEINT")}  # fmt: skip


def _fitted(
    load: Load,
    columns: Sequence[Shaped],
    existing: Mapping[str, str],
    folded: Mapping[str, str],
    dialect: str,
) -> tuple[list[Shaped], dict[str, str]]:
    """The columns with the types that are published, or wider ones where the source's have become wider."""
    fitted, widened = [], {}
    for one in columns:
        published = folded.get(one.name.casefold())
        if published is None or existing[published] == one.type or load.mode == "full":
            fitted.append(one if published is None else one.model_copy(update={"name": published}))
            continue
        there = existing[published]
        _must_be_told(published, there, one)
        named = one.model_copy(update={"name": published})
        wider = _wider(_canonical(there), _canonical(one.type))
        if _holds(there, one.type):  # PostgreSQL takes it as it is
            fitted.append(named)
        elif _limit(there)[0] == _limit(one.type)[0] and load.evolution.wider_type == "widen":
            widened[published] = one.type
            fitted.append(named)
        elif wider == _canonical(there):  # what comes fits into what is there
            fitted.append(
                one.model_copy(update={"name": published, "type": there, "cast": _canonical(there)})
            )
        elif wider and load.evolution.wider_type == "widen":
            made, cast, _ = written(wider, dialect)
            widened[published] = made
            fitted.append(one.model_copy(update={"name": published, "type": made, "cast": cast or wider}))
        elif load.evolution.wider_type == "refuse":
            raise BadInput(
                "pipelines.type",
                f"{published} is published as {there}, and the source has {one.told or one.read}.",
                "Give evolution.wider_type: widen or quarantine, or its type under `columns`.",
            )
        else:  # what fits is taken, what does not is put in quarantine
            fitted.append(
                one.model_copy(update={"name": published, "type": there, "cast": _canonical(there)})
            )
    return fitted, widened


def _must_be_told(name: str, there: str, one: Shaped) -> None:
    """What is not made another type unless it is said how. Errors: `BadInput` `pipelines.type`."""
    if there == "numeric" and not _holds(there, one.type):
        raise BadInput(
            "pipelines.type",
            f"{name} is published as numeric, and the source has {one.told or one.read}.",
            f"Give its type under `columns`: {name}: decimal(38,10), with as many digits as it has.",
        )
    if {_canonical(there), _canonical(one.type)} == {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE"}:
        raise BadInput(
            "pipelines.type",
            f"{name} is published as {there}, and the source has {one.told or one.read}: which time zone is meant is not said.",
            f"Give its type or its time zone under `columns`: {name}: {{timezone: Europe/Berlin}}, or {{type: timestamp}} for UTC.",
        )


_LIMITED = re.compile(r"^(character varying|bit varying|time|timestamp)\((\d+)\)(.*)$")


def _limit(type_: str) -> tuple[str, int | None]:
    """A type of PostgreSQL without its length or digits of a second, and these; None where there is no limit."""
    found = _LIMITED.match("character varying" if type_ == "text" else type_)
    return (
        (found[1] + found[3], int(found[2]))
        if found
        else ("character varying" if type_ == "text" else type_, None)
    )


def _holds(there: str, other: str) -> bool:
    """Whether a type of PostgreSQL takes every value of another one, of its own family."""
    if there == "numeric":
        return bool(_digits(_canonical(other)))
    (family, most), (other_family, of_other) = _limit(there), _limit(other)
    return family == other_family and (most is None or (of_other is not None and of_other <= most))


def _canonical(type_: str) -> str:
    type_ = _limit(type_)[0] if _LIMITED.match(type_) else type_
    if type_ in _BACK:
        return _BACK[type_]
    found = _SHOWN.match(type_)
    if found:
        return f"DECIMAL({found[2]},{found[3]})"
    if type_.startswith(("character", "varchar")) or (
        type_ != "numeric" and type_.islower() and is_native(type_) and not type_.endswith("[]")
    ):
        return "VARCHAR"  # DuckDB has no type of that name, and takes it for text
    return type_


def _wider(one: str, other: str) -> str:
    """The narrowest type that holds both; '' where there is none but text."""
    if one == other:
        return one
    for ladder in LADDERS:
        if one in ladder and other in ladder:
            return ladder[max(ladder.index(one), ladder.index(other))]
    first, second = _digits(one), _digits(other)
    if first and second:
        whole, scale = max(first[0] - first[1], second[0] - second[1]), max(first[1], second[1])
        return f"DECIMAL({whole + scale},{scale})" if whole + scale <= DIGITS else ""
    return ""


def _digits(type_: str) -> tuple[int, int] | None:
    if type_ in WHOLE:
        return WHOLE[type_], 0
    found = _SHOWN.match(type_)
    return (int(found[2]), int(found[3])) if found else None
