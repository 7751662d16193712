"""How figures are said, everywhere the same: '1 row', '4,000 rows', and a pass rate that no rounding makes better than it is."""

from __future__ import annotations

import math

PLURALS = {"query": "queries", "entry": "entries"}


def counted(number: int, noun: str) -> str:
    """'1 row', '4,000 rows', '2 queries'."""
    return f"{number:,} {noun if number == 1 else PLURALS.get(noun, f'{noun}s')}"


def pass_rate(passed: int, ran: int, target: float = 100.0) -> float | None:
    """What passed of what was run, in percent with one decimal; with more where one would tell a missed target as met, or the other way round."""
    if not ran:
        return None
    exact = 100.0 * passed / ran

    def says(rate: float) -> tuple[bool, ...]:
        return (rate > target, rate >= target, rate >= 100.0)  # noqa: PLR2004 - all of it

    said = (round(exact, 1), math.floor(exact * 10) / 10, round(exact, 2), round(exact, 3))
    return next((one for one in said if says(one) == says(exact)), exact)
