"""The types that mean the same on every engine: what they are called there, and what two of them have in common."""

from __future__ import annotations

import re
from typing import NamedTuple


class Kind(NamedTuple):
    """A type. `digits` and `scale` are a decimal's; of whole numbers `digits` are bytes (16: DECIMAL(38,0) outside DuckDB)."""

    name: str
    digits: int = 0
    scale: int = 0


BOOL, DOUBLE, REAL, TEXT, DATE = Kind("bool"), Kind("double"), Kind("real"), Kind("text"), Kind("date")
TIMESTAMP, MOMENT = Kind("timestamp"), Kind("moment")  # without a time zone, and with
NUMERIC = Kind("numeric")  # PostgreSQL's without digits
NULL, UNKNOWN = Kind("null"), Kind("unknown")
INT2, INT4, INT8, INT16 = Kind("int", 2), Kind("int", 4), Kind("int", 8), Kind("int", 16)
MOST_DIGITS = 38
INT_DIGITS = {2: 5, 4: 10, 8: 19, 16: 38}
EXACT_DOUBLE_DIGITS = 15  # so many digits are whole numbers of a double

NAMES: dict[str, Kind] = {
    **dict.fromkeys(("BOOLEAN", "BOOL"), BOOL),
    **dict.fromkeys(("TINYINT", "UTINYINT", "SMALLINT", "INT2", "INT1", "SHORT", "BYTE"), INT2),
    **dict.fromkeys(("INTEGER", "INT", "INT4", "SIGNED", "USMALLINT"), INT4),
    **dict.fromkeys(("BIGINT", "INT8", "LONG", "UINTEGER"), INT8),
    **dict.fromkeys(("HUGEINT", "UBIGINT", "INT128", "UINT64"), INT16),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION", "FLOAT8"), DOUBLE),
    **dict.fromkeys(("REAL", "FLOAT", "FLOAT4"), REAL),
    **dict.fromkeys(("VARCHAR", "TEXT", "STRING", "CHARACTER VARYING", "NVARCHAR"), TEXT),
    "DATE": DATE,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE", "DATETIME", "TIMESTAMP_NTZ", "TIMESTAMPNTZ"), TIMESTAMP),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_LTZ", "TIMESTAMPLTZ"), MOMENT),
    "NUMERIC": NUMERIC,
}  # fmt: skip
WITH_DIGITS = re.compile(r"(?:DECIMAL|NUMERIC|DEC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
WITH_LENGTH = re.compile(r"(VARCHAR|CHARACTER VARYING)\s*\(\s*\d+\s*\)")


def kind_of(told: str) -> Kind:
    """The type by any engine's word for it. What is none of ours is of a kind of its own, that can be passed on and no more."""
    word = re.sub(r"\s+", " ", told.strip().upper())
    if found := WITH_DIGITS.fullmatch(word):
        digits, scale = int(found[1]), int(found[2] or 0)
        return decimal(digits, scale) if digits <= MOST_DIGITS else NUMERIC
    if WITH_LENGTH.fullmatch(word):
        return TEXT
    if word == "DECIMAL":
        return decimal(18, 3)
    return NAMES.get(word, Kind("other:" + word.lower()))


def decimal(digits: int, scale: int) -> Kind:
    """DECIMAL(digits, scale), at most of 38 digits."""
    return Kind("decimal", max(1, min(MOST_DIGITS, max(digits, scale))), scale)


def as_decimal(kind: Kind) -> Kind:
    """A whole number as the decimal that holds it."""
    return decimal(INT_DIGITS[kind.digits], 0) if kind.name == "int" else kind


def is_exact(kind: Kind) -> bool:
    """Whole numbers and decimals."""
    return kind.name in ("int", "decimal")


def is_number(kind: Kind) -> bool:
    """What can be counted with."""
    return kind.name in ("int", "decimal", "double")


def common(one: Kind, other: Kind) -> Kind | None:  # noqa: PLR0911 - one for each way that it is refused or written
    """The type that holds both; None where a person must say which."""
    if other in (one, NULL):
        return one
    if one == NULL:
        return other
    if one.name == other.name == "int":
        return max(one, other)
    if is_exact(one) and is_exact(other):
        left, right = as_decimal(one), as_decimal(other)
        scale = max(left.scale, right.scale)
        return decimal(max(left.digits - left.scale, right.digits - right.scale) + scale, scale)
    if is_number(one) and is_number(other):
        return DOUBLE
    if {one, other} == {DATE, TIMESTAMP}:
        return TIMESTAMP
    return None
