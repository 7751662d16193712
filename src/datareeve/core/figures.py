"""Figures as people read them: money with the digits that matter, percentages with one decimal, thousands apart, never an exponent.

What a figure is, its name says: `usd_month` and `spent_usd` are US dollars, `error_percent` is a share of a hundred.
"""

from __future__ import annotations

import math
from decimal import Decimal

DIGITS = 4  # that are told of what is neither money nor a percentage


def number(value: float, digits: int = DIGITS) -> str:
    """A number with so many digits that count; whole ones, and thousands, with all that stand before the point."""
    if isinstance(value, int) or not math.isfinite(value):
        return f"{value:,}"
    if value == round(value) or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{Decimal(f'{value:.{digits}g}'):f}"


def dollars(amount: float, *, sign: bool = False) -> str:
    """US dollars without the word: cents from a dollar on, below as many decimals as the amount needs."""
    plus = "+" if sign else ""
    if abs(amount) >= 1 or amount == 0 or not math.isfinite(amount):
        return f"{amount:{plus},.2f}"
    return f"{Decimal(f'{amount:.{DIGITS}g}'):{plus}f}"


def money(amount: float, *, sign: bool = False) -> str:
    """An amount of US dollars."""
    return f"{dollars(amount, sign=sign)} USD"


def percent(value: float, *, sign: bool = False) -> str:
    """A percentage without its sign: one decimal at most. What is not all is not rounded to 100, what is there not to 0."""
    plus = "+" if sign else ""
    if 0 < abs(value) < 0.05:  # noqa: PLR2004 - half of the last decimal
        return "<0.1" if value > 0 else ">-0.1"
    if 99.9 < value < 100:  # noqa: PLR2004
        value = 99.9
    return f"{value:{plus},.1f}".removesuffix(".0")


def is_money(name: str) -> bool:
    """Whether a figure of that name is US dollars."""
    words = name.split("_")
    return "usd" in words and "percent" not in words


def is_percent(name: str) -> bool:
    """Whether a figure of that name is a percentage."""
    return "percent" in name.split("_")


def written(name: str, value: float) -> str:
    """A figure by its name, without a unit."""
    if is_percent(name):
        return percent(value)
    return dollars(value) if is_money(name) else number(value)
