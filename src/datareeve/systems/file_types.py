"""The types of columns that are written as text: found over what was looked at, and kept exactly while reading.

DuckDB's own casts round silently (12.5 to a BIGINT is 13, 00123 is 123, a date forgets its time). So columns are read as text, cast, and
compared with their text: what is not the same is the error of that row. On a column store this costs next to nothing.
"""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from datareeve.systems.mover import identifier, literal
from datareeve.systems.row_source import SourceColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.systems.mover import Mover

DIGITS = 38  # of a DECIMAL
EXACT_IN_A_DOUBLE = 15  # digits that survive a binary double
NUMBER = r"-?(0|[1-9]\d*)"
STAMP = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6}0*)?"
ZONE = r"(Z|[+-]\d\d(:?\d\d)?| UTC)"
SHAPES = {  # in the order they are tried; a value has the first that fits
    "whole": rf"{NUMBER}",
    "decimal": r"-?(0|[1-9]\d*)?\.\d+",
    "double": r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+|[-+]?(nan|NaN|NAN|inf|Inf|INF|-inf|infinity|Infinity|INFINITY)",
    "date": r"\d{4}-\d\d-\d\d",
    "timestamp": STAMP,
    "zoned": STAMP + ZONE,
    "boolean": r"true|false|True|False|TRUE|FALSE",
    "time": r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?",
    "grouped": r"-?[1-9]\d{0,2}(,\d{3})+\.\d+|-?[1-9]\d{0,2}(,\d{3}){2,}",
    "grouped?": r"-?[1-9]\d{0,2},\d{3}",
    "comma": r"-?([1-9]\d{0,2}(\.\d{3})+|0|[1-9]\d*),\d+",
    "day first?": r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}",
}
CASTABLE = {
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "zoned": "TIMESTAMPTZ",
}  # the 30th of February has the shape only
BIT = {shape: 1 << place for place, shape in enumerate(("blank", *SHAPES, "text"))}
ZONED = {"TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"}
AT_A_TIME = 100  # columns that one statement looks at
DIGITAL = {"whole", "decimal", "grouped", "grouped?", "comma", "double"}
PLAIN = {"blank", "whole", "decimal", "double"}


@dataclass(frozen=True)
class Told:
    """What a person said of how values are written."""

    decimal: str = ""
    date_format: str = ""
    timestamp_format: str = ""


@dataclass(frozen=True)
class Typed:
    """How a column of text becomes one of its type. `pattern`: the texts that are exact though written otherwise than DuckDB would."""

    name: str
    type: str = "VARCHAR"
    told: str = "text"
    pattern: str = ""
    text: str = "{v}"  # what of the text is cast
    cast: str = ""  # '' CAST({v} AS type)
    loses: str = ""
    warning: str = ""
    double: bool = False  # read as a binary double, as JSON's numbers are: exact up to 15 digits

    def casted(self, value: str, *, careful: bool = False) -> str:
        """The value as its type; carefully: NULL where it is none."""
        if self.type == "VARCHAR":
            return value
        if self.double and not careful:
            return f"CAST({value} AS {self.type})"
        text = self.text.format(v=value)
        sql = self.cast.format(v=text) if self.cast else f"CAST({text} AS {self.type})"
        return sql.replace("CAST(", "TRY_CAST(").replace("strptime(", "try_strptime(") if careful else sql

    def exact(self, value: str, casted: str) -> list[str]:
        """The ways in which the cast value is what the text says."""
        if self.type == "VARCHAR":
            return [f"NOT contains({value}, chr(0))"]
        if self.double and (digits := _parts(self.type)):
            bound = f"1e{EXACT_IN_A_DOUBLE - digits[1]}"
            return [f"CAST({casted} AS DOUBLE) = {value} AND abs({value}) < {bound}"]
        if self.type == "JSON" or self.cast:
            return [f"{casted} IS NOT NULL"]
        if self.type == "DOUBLE":
            return [f"NOT isinf({casted})", f"{value} ILIKE '%inf%'"]
        pattern = literal(f" *({self.pattern}) *")
        ways = [f"CAST({casted} AS VARCHAR) = {value}", f"regexp_full_match({value}, {pattern})"]
        # A moment in a zone is written by a calendar of zones, which takes five times as long as its pattern.
        return ways[::-1] if self.type in ZONED else ways

    @property
    def column(self) -> SourceColumn:
        """As a load sees it."""
        return SourceColumn(self.name, self.type, self.told, loses=self.loses)


@dataclass
class Looked:
    """What was seen of one column."""

    name: str
    before: int = 0  # digits before the sign
    after: int = 0
    digits: int = 0
    huge: bool = False  # whole numbers beyond 64 bits
    doubles: bool = True  # every decimal is what a binary double prints
    shapes: set[str] = field(default_factory=set)


# -- reading -----------------------------------------------------------------------------------------------------------------------------


def strictly(columns: Sequence[Typed], source: str, constants: dict[str, str] | None = None) -> str:
    """The rows of a relation of texts as their types, for a FROM clause; a value that is not exact is an error."""
    inner = ", ".join(
        f"{identifier(one.name)} AS v{i}" + (f", {one.casted(identifier(one.name))} AS c{i}" if one.type != "VARCHAR" else "")
        for i, one in enumerate(columns)
    )  # fmt: skip
    outer = [f"{_strict(one, i)} AS {identifier(one.name)}" for i, one in enumerate(columns)]
    outer += [f"{value} AS {identifier(name)}" for name, value in (constants or {}).items()]
    return f"(SELECT {', '.join(outer)} FROM (SELECT {inner} FROM {source}))"


def _strict(one: Typed, i: int) -> str:
    kept = f"v{i}" if one.type == "VARCHAR" else f"c{i}"
    ways = [*one.exact(f"v{i}", f"c{i}"), *_or_blank(one, i)]
    whens = " ".join(
        f"WHEN {way} THEN {kept}" for way in ways
    )  # the cheap and likely one first: the others are seldom asked
    return f"CASE {whens} WHEN v{i} IS NULL THEN NULL ELSE error('inexact') END"


def _or_blank(one: Typed, i: int) -> list[str]:
    return [f"trim(v{i}) = ''"] if one.text.startswith("nullif") else []


def apart(columns: Sequence[Typed], source: str, place: str, row: str) -> tuple[str, str]:
    """The rows that are exact, and those that are not: (relation, relation of place, reason, row)."""
    columns = [replace(one, double=False) for one in columns]  # told apart by their texts
    inner = ", ".join(
        f"{one.casted(identifier(one.name), careful=True)} AS c{i}, {identifier(one.name)} AS v{i}"
        for i, one in enumerate(columns)
    )
    oks = [
        f"coalesce(v{i} IS NULL OR (c{i} IS NOT NULL AND ({' OR '.join(one.exact(f'v{i}', f'c{i}'))})){''.join(' OR ' + way for way in _or_blank(one, i))}, false)"
        for i, one in enumerate(columns)
    ]
    whens = " ".join(
        f"WHEN NOT {ok} THEN {literal(_reason(one))}" for ok, one in zip(oks, columns, strict=True)
    )
    base = f"(SELECT {inner}, {place} AS place, {row} AS row FROM {source})"
    base = f"(SELECT *, CASE {whens} ELSE '' END AS reason FROM {base})"
    out = ", ".join(f"c{i} AS {identifier(one.name)}" for i, one in enumerate(columns))
    return (
        f"(SELECT {out} FROM {base} WHERE reason = '')",
        f"(SELECT place, reason, row FROM {base} WHERE reason <> '')",
    )


def _reason(one: Typed) -> str:
    if one.type == "VARCHAR":
        return f"{one.name}: holds a NUL character"
    return f"{one.name}: is not {one.told} as {one.type}"


def driver_errors() -> tuple[type[Exception], ...]:
    """What DuckDB raises where it cannot read something; its words may quote rows, and are not passed on."""
    import duckdb  # noqa: PLC0415 - an extra

    return (duckdb.Error, UnicodeDecodeError)


# -- finding -----------------------------------------------------------------------------------------------------------------------------


def looked_at(mover: Mover, relation: str, names: Sequence[str]) -> dict[str, Looked]:
    """What the texts of a relation look like, by column."""
    found: dict[str, Looked] = {}
    for start in range(0, len(names), AT_A_TIME):
        some = names[start : start + AT_A_TIME]
        kept = mover.name("looked_at")
        texts = ", ".join(f"trim({identifier(name)}, ' ') AS v{i}" for i, name in enumerate(some))
        mover.execute(f"CREATE TEMP TABLE {kept} AS SELECT {texts} FROM {relation}")
        try:
            for i, looked in enumerate(_looked(mover, kept, some)):
                found[some[i]] = looked
        finally:
            mover.execute(f"DROP TABLE {kept}")
    return found


def _looked(mover: Mover, kept: str, names: Sequence[str]) -> list[Looked]:
    found = _at_once(mover, kept, names)
    unclear = [i for i, one in enumerate(found) if not one.shapes]
    if unclear:
        shapes = ", ".join(f"coalesce(bit_or({_shape(f'v{i}')}), 0)" for i in unclear)
        row = mover.row(f"SELECT {shapes} FROM {kept}")
        for i, bits in zip(unclear, row, strict=True):
            found[i] = Looked(names[i], shapes={shape for shape, bit in BIT.items() if bits & bit})
    numbers = [i for i, one in enumerate(found) if one.shapes & DIGITAL and not one.shapes & {"text"}]
    if numbers:
        asked = ", ".join(_figures(f"v{i}", written=not found[i].shapes <= PLAIN) for i in numbers)
        figures = mover.row(f"SELECT {asked} FROM {kept}")
        for place, i in enumerate(numbers):
            before, after, digits, huge, doubles = figures[place * 5 : place * 5 + 5]
            found[i] = replace(
                found[i],
                before=before or 0,
                after=after or 0,
                digits=digits or 0,
                huge=bool(huge),
                doubles=doubles is not False,
            )
    return found


def _at_once(mover: Mover, kept: str, names: Sequence[str]) -> list[Looked]:
    """Columns that one look settles: with a text that begins with a letter, or all whole numbers. The others have no shapes."""
    asked = ", ".join(
        f"bool_or(v{i} >= ':' AND lower(v{i}) NOT IN ('true', 'false', 'nan', 'inf', 'infinity')), bool_and(regexp_full_match(v{i}, {literal(SHAPES['whole'])})), count(v{i})"
        for i in range(len(names))
    )
    row = mover.row(f"SELECT {asked} FROM {kept}")
    found = []
    for i, name in enumerate(names):
        text, whole, values = row[i * 3 : i * 3 + 3]
        found.append(Looked(name, shapes={"text"} if text else {"whole"} if whole and values else set()))
    return found


def _shape(value: str) -> str:
    tests = "".join(
        f" WHEN regexp_full_match({value}, {literal(pattern)})"
        + (f" AND TRY_CAST({value} AS {CASTABLE[shape]}) IS NOT NULL" if shape in CASTABLE else "")
        + f" THEN {BIT[shape]}"
        for shape, pattern in SHAPES.items()
        if shape != "boolean"
    )
    words = f"CASE WHEN lower({value}) IN ('true', 'false') THEN {BIT['boolean']} WHEN lower({value}) IN ('nan', 'inf', 'infinity') THEN {BIT['double']} ELSE {BIT['text']} END"
    first = f"WHEN {value} >= ':' THEN {words}"  # beyond the digits: most texts need no pattern
    return f"CASE WHEN {value} IS NULL THEN 0 WHEN trim({value}) = '' THEN {BIT['blank']} {first}{tests} ELSE {BIT['text']} END"


def _figures(value: str, *, written: bool) -> str:
    """Digits before and after the sign, of all; whether some is beyond 64 bits; whether all are what binary doubles print."""
    length, sign = f"strlen({value})", f"starts_with({value}, '-')::INT"
    if written:  # with separators, or a decimal comma
        shape, comma = f"({_shape(value)})", BIT["comma"]
        point = f"(CASE WHEN {shape} = {comma} THEN ',' ELSE '.' END)"
        before = f"strlen(regexp_replace(split_part({value}, {point}, 1), '[^0-9]', '', 'g'))"
        after = f"CASE WHEN contains({value}, {point}) THEN {length} - instr({value}, {point}) ELSE 0 END"
    else:
        place = f"instr({value}, '.')"
        before = f"(CASE WHEN {place} = 0 THEN {length} ELSE {place} - 1 END - {sign})"
        after = f"CASE WHEN {place} = 0 THEN 0 ELSE {length} - {place} END"
    return (
        f"max({before}), max({after}), max({before} + {after}), "
        f"bool_or(CASE WHEN {length} > 18 AND NOT contains({value}, '.') THEN TRY_CAST({value} AS BIGINT) IS NULL ELSE false END), "
        f"bool_and(CASE WHEN {length} <= {EXACT_IN_A_DOUBLE} THEN true ELSE CAST(TRY_CAST({value} AS DOUBLE) AS VARCHAR) = {value} END)"
    )


def together(one: Looked, other: Looked) -> Looked:
    """What was seen in two files."""
    return Looked(
        one.name, max(one.before, other.before), max(one.after, other.after), max(one.digits, other.digits),
        one.huge or other.huge, one.doubles and other.doubles, one.shapes | other.shapes,
    )  # fmt: skip


def typed(seen: Looked, told: Told) -> Typed:
    """The narrowest type that holds everything seen, exactly where there is one."""
    shapes, name = seen.shapes - {"blank"}, seen.name
    found = (
        Typed(name, told="no value yet") if not shapes else _number(seen, shapes, told) or _moment(name, shapes, told)
    )  # fmt: skip
    found = found or Typed(name, warning=_unclear(name, shapes))
    return _allowing_blanks(found) if "blank" in seen.shapes and found.type != "VARCHAR" else found


def _allowing_blanks(one: Typed) -> Typed:
    text = one.text.replace("{v}", "trim({v})")
    return Typed(one.name, one.type, one.told, one.pattern, f"nullif({text}, '')", one.cast, one.loses, one.warning)  # fmt: skip


def _number(seen: Looked, shapes: set[str], told: Told) -> Typed | None:  # noqa: PLR0911 - one a way of writing
    name = seen.name
    if shapes == {"whole"}:
        return _whole(seen)
    if told.decimal == "," and shapes <= {"whole", "decimal", "comma", "grouped?"}:
        if "grouped?" in shapes:  # 1,234 is then a fraction of three digits
            seen = replace(seen, after=max(seen.after, 3))
        return _written(seen, "replace(replace({v}, '.', ''), ',', '.')", r"-?[\d.]*(,\d{{1,{s}}}0*)?", "a number with a decimal comma")  # fmt: skip
    if shapes <= {"whole", "decimal"}:
        return _decimal(seen)
    if shapes <= {"whole", "decimal", "double"}:
        lost = f"digits beyond {EXACT_IN_A_DOUBLE}" if seen.digits > EXACT_IN_A_DOUBLE and not seen.doubles else ""  # fmt: skip
        return Typed(name, "DOUBLE", "a number", loses=lost)
    if "comma" in shapes and shapes <= {"whole", "comma", "grouped?"}:
        return _written(seen, "replace(replace({v}, '.', ''), ',', '.')", r"-?[\d.]*(,\d{{1,{s}}}0*)?", "a number with a decimal comma")  # fmt: skip
    if ("grouped" in shapes or (told.decimal == "." and "grouped?" in shapes)) and shapes <= {"whole", "decimal", "grouped", "grouped?"}:  # fmt: skip
        return _written(seen, "replace({v}, ',', '')", r"-?[\d,]*(\.\d{{1,{s}}}0*)?", "a number with thousands separators")  # fmt: skip
    return None


def _whole(seen: Looked) -> Typed:
    if seen.before > DIGITS:
        return Typed(seen.name, told=f"a whole number of {seen.before} digits")
    if seen.huge:
        return Typed(seen.name, f"DECIMAL({DIGITS},0)", "a whole number beyond 64 bits", NUMBER)
    return Typed(seen.name, "BIGINT", "a whole number", NUMBER)


def _decimal(seen: Looked) -> Typed:
    if seen.digits > EXACT_IN_A_DOUBLE and seen.doubles and seen.after > EXACT_IN_A_DOUBLE - 4:
        return Typed(seen.name, "DOUBLE", "a number as a binary double prints it")
    if not (kind := _fitting(seen)):
        return Typed(seen.name, told=f"a number of {seen.before + seen.after} digits")
    return Typed(seen.name, kind, "a decimal number", rf"-?\d*(\.\d{{1,{seen.after}}}0*)?")


def _written(seen: Looked, text: str, pattern: str, told: str) -> Typed:
    if not (kind := _fitting(seen)):
        return Typed(seen.name, told=f"{told} of {seen.before + seen.after} digits")
    return Typed(seen.name, kind, told, pattern.format(s=max(seen.after, 1)), text)


def _fitting(seen: Looked) -> str:
    """A DECIMAL with room before the point: of 18 digits where they suffice, else of 38."""
    if seen.before + seen.after > DIGITS:
        return ""
    return f"DECIMAL({18 if seen.before + seen.after <= 16 else DIGITS},{seen.after})"  # noqa: PLR2004 - two digits of room


def _moment(name: str, shapes: set[str], told: Told) -> Typed | None:
    if shapes == {"date"}:
        return Typed(name, "DATE", "a date", SHAPES["date"])
    if shapes <= {"date", "timestamp"}:
        return Typed(name, "TIMESTAMP", "a date and time", rf"{SHAPES['date']}|{STAMP}")
    if shapes == {"zoned"}:
        return Typed(name, "TIMESTAMP WITH TIME ZONE", "a moment", STAMP + ZONE)
    if shapes == {"time"}:
        return Typed(name, "TIME", "a time of day", SHAPES["time"])
    if shapes == {"boolean"}:
        return Typed(name, "BOOLEAN", "true or false", SHAPES["boolean"])
    del told
    return None


def formatted(name: str, pattern: str, *, date: bool) -> Typed:
    """A column that is written as a person's `date_format` or `timestamp_format` says."""
    kind = "DATE" if date else "TIMESTAMP WITH TIME ZONE" if "%z" in pattern else "TIMESTAMP"
    return Typed(name, kind, f"written {pattern}", cast=f"CAST(strptime({{v}}, {literal(pattern)}) AS {kind})")  # fmt: skip


def _unclear(name: str, shapes: set[str]) -> str:
    if shapes == {"day first?"}:
        return (
            f"{name}: dates whose day and month may be either way round are kept as text; give `date_format`"
        )
    if "grouped?" in shapes and shapes <= {"whole", "grouped?"}:
        return f"{name}: 1,234 may be a thousand or a fraction: kept as text; give `decimal`"
    if "zoned" in shapes and shapes <= {"date", "timestamp", "zoned"}:
        return f"{name}: some times have a zone and some have none: kept as text"
    return ""


def wider(one: str, other: str) -> str:
    """The type that holds what both hold exactly; VARCHAR where there is none else."""
    if one == other:
        return one
    kinds = {one, other}
    if kinds == {"DATE", "TIMESTAMP"}:
        return "TIMESTAMP"
    if all(_parts(kind) for kind in kinds):
        (p, s), (q, t) = _parts(one), _parts(other)  # type: ignore[misc]  # all() says so
        before, after = max(p - s, q - t), max(s, t)
        return f"DECIMAL({before + after},{after})" if before + after <= DIGITS else "VARCHAR"
    if "DOUBLE" in kinds and kinds <= {"DOUBLE", "FLOAT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER"}:
        return "DOUBLE"
    return "VARCHAR"


WHOLE_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19, "HUGEINT": 38, "UTINYINT": 3, "USMALLINT": 5, "UINTEGER": 10, "UBIGINT": 20}  # fmt: skip


def _parts(kind: str) -> tuple[int, int] | None:
    if kind in WHOLE_DIGITS:
        return WHOLE_DIGITS[kind], 0
    found = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    return (int(found[1]), int(found[2])) if found else None
