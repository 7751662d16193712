"""The types of other tools by the standard's words, and spans of time in seconds."""

from __future__ import annotations

import re

KINDS = (
    ("boolean", r"bool(ean)?(type)?|bit"),
    ("integer", r"(big|small|tiny|medium|u)?int(eger)?(\d+)?(type)?|u?int\d+|(big|small)?serial|int[248]|long(type)?|short(type)?|byte(int|type)?|hugeint"),
    ("number", r"(decimal|numeric|number|float|double|real|money|dec)(\d+)?(precision)?(type)?|float[48]"),
    ("timestamp", r"(timestamp|datetime|smalldatetime)\w*(type)?|timestamptz|datetime64"),
    ("date", r"date(type)?"),
    ("time", r"time(tz|type)?(with(out)?timezone)?"),
    ("string", r"(n?var)?char(acter)?(varying)?(acter)?\d*|text|string(type)?|str|object|n?varchar2?|clob|uuid|bpchar|character|citext|tinytext|mediumtext|longtext"),
)  # fmt: skip
PARTS = {
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
    "month": 2629800.0,
    "quarter": 7889400.0,
    "year": 31557600.0,
}


def logical(name: str) -> str | None:
    """The standard's word for a type of an engine, of pandas or Spark; None where it is none of a column's plain types."""
    plain = re.sub(r"\(.*?\)|<.*?>|\[.*?\]|[\s_]", "", name.lower())
    return next((kind for kind, pattern in KINDS if re.fullmatch(pattern, plain)), None)


def seconds(count: object, part: str) -> float:
    """'3', 'days' in seconds. Errors: ValueError, KeyError."""
    return float(str(count)) * PARTS[part.lower().strip().removesuffix("s")]
