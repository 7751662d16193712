"""Two functions that SQLite is lent while a table of it is reconciled with one of another engine: the form of a value, and MD5.

SQLite has neither. A column of any type may hold a value of any other there, so the form is asked value by value; what does not fit the
column's form is marked with `?` and its type, which no form of another engine begins with. The forms are those of
`capabilities.quality.reconcile.forms`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import uuid
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
BOOLEANS = {"true": "1", "t": "1", "false": "0", "f": "0", "1": "1", "0": "0"}
MICROSECOND = dt.timedelta(microseconds=1)


def lend(connection: sqlite3.Connection) -> None:
    """Add the functions to a connection."""
    connection.create_function("datareeve_form", 3, form_of, deterministic=True)
    connection.create_function("datareeve_md5", 1, md5, deterministic=True)


def md5(text: str | int) -> int:
    """The first 60 bits of the MD5 of a text."""
    digest = hashlib.md5(str(text).encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 4


def form_of(form: str, value: Any, places: int) -> str | None:
    """The form of a value. `places`: decimal places of a decimal, a float or a second; -1: all."""
    if value is None:
        return None
    with suppress(ValueError, OverflowError, InvalidOperation):
        found = FORMS[form](value, places)
        if found is not None:
            return found
    return f"?{type(value).__name__}:{value.hex() if isinstance(value, bytes) else value}"


def _text(value: Any, _places: int) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any, _places: int) -> str | None:
    if isinstance(value, str):
        return BOOLEANS.get(value.lower())
    return str(int(value)) if isinstance(value, (int, float)) and value == int(value) else None


def _decimal(value: Any, places: int) -> str | None:
    """A REAL is taken to as many places as the other side keeps: it has no more than fifteen digits."""
    if isinstance(value, bytes):
        return None
    number = Decimal(repr(value) if isinstance(value, float) else str(value).strip())
    if not number.is_finite():
        return {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}[str(number).lower()]
    if isinstance(value, float) and places >= 0:
        number = round(number, places)
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _float(value: Any, places: int) -> str | None:
    if isinstance(value, (bytes, str)):
        return None
    number = float(value)
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    return exact_float(number) if places < 0 else rounded_float(number, places)


def rounded_float(number: float, places: int) -> str:
    """To so many decimal places, half up, in IEEE arithmetic."""
    size = abs(number) * float(f"1e{places}")
    sign = "-" if number < 0 else ""
    if size < 0.5:  # noqa: PLR2004 - half of the last place
        return "0"
    return f"{sign}{math.floor(size + 0.5)}" if size < 2.0**62 else exact_float(number)


def exact_float(number: float) -> str:
    """Sign, whole part, 62 binary places; numbers beyond are shifted by 60 binary digits at a time, and say how often."""
    size, window = abs(number), 0
    if size == 0:
        return "0"
    while size >= 2.0**62:
        size, window = size * 2.0**-60, window + 1
    while size < 2.0**-10:
        size, window = size * 2.0**60, window - 1
    whole = math.floor(size)
    tag = f"@{window}" if window else ""
    return f"{'-' if number < 0 else ''}{whole}.{math.floor((size - whole) * 2.0**62)}{tag}"


def _date(value: Any, _places: int) -> str | None:
    if not isinstance(value, str):
        return None
    return str((dt.date.fromisoformat(value) - EPOCH.date()).days)


def _moment(value: Any, places: int) -> str | None:
    if not isinstance(value, str):
        return None
    moment = dt.datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return str(_coarse((moment - EPOCH) // MICROSECOND, places))


def _time(value: Any, places: int) -> str | None:
    if not isinstance(value, str):
        return None
    time = dt.time.fromisoformat(value)
    micros = ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000_000 + time.microsecond
    return str(_coarse(micros, places))


def _coarse(micros: int, places: int) -> int:
    step: int = 10 ** (6 - places)
    return micros - micros % step


def _uuid(value: Any, _places: int) -> str | None:
    if isinstance(value, bytes):
        return str(uuid.UUID(bytes=value))
    return value.lower() if isinstance(value, str) else None


def _bytes(value: Any, _places: int) -> str | None:
    return value.hex() if isinstance(value, bytes) else None


FORMS = {
    "integer": _integer, "boolean": _integer, "decimal": _decimal, "float": _float, "text": _text, "date": _date, "moment": _moment,
    "time": _time, "uuid": _uuid, "bytes": _bytes, "json": _text,
}  # fmt: skip
