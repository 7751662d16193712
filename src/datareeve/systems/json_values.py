"""Values of a driver as JSON has them, and how many rows one read may bring back: the same for all engines."""

from __future__ import annotations

import datetime as dt
import decimal
from functools import singledispatch
from typing import Any

ROW_CAP = 100_000
EXACT = 2**53  # whole numbers below it survive any JSON reader


@singledispatch
def to_json(value: Any) -> Any:
    """A value from the driver as JSON has it: exact numbers stay numbers, moments become ISO 8601 text."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


@to_json.register
def _(value: decimal.Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() and abs(value) < EXACT else float(value)


@to_json.register(dt.date)
@to_json.register(dt.time)
def _(value: dt.date | dt.time) -> str:
    return value.isoformat()


@to_json.register
def _(value: dt.timedelta) -> float:
    return value.total_seconds()


@to_json.register(list)
@to_json.register(tuple)
def _(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [to_json(part) for part in value]


@to_json.register
def _(value: dict) -> dict[str, Any]:  # type: ignore[type-arg]  # singledispatch takes plain classes
    return {str(key): to_json(part) for key, part in value.items()}


@to_json.register(bytes)
@to_json.register(memoryview)
def _(value: bytes | memoryview) -> str:
    return bytes(value).hex()
