"""Which of a statement's forms is asked first, which next, and what its answer means. Pure.

What is close together is asked by bits; else what breaks the rule is listed, and counted by that; only where there is more than a list takes
is it counted by a statement that names nothing. So a table is read once for each rule, whether rows break it or not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.engines.dialect import LISTED
from datareeve.capabilities.quality.verdicts import KEYS_SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.quality.compiling import Statement

UNDIVIDED = (".timeout", ".memory", ".lock-timeout")  # what another form, or a part, would run into as well
CLOSE = 64  # a span of so many times the number of values is worth a bit for each
WIDEST = 200_000_000


def first(one: Statement) -> str:
    """The SQL that is asked."""
    return one.close.sql if one.close else one.listing or one.sql


def next_after(one: Statement, got: Mapping[str, Any]) -> Statement | None:
    """The statement without the form that could not be answered, or not wholly; None where it was."""
    if one.close:  # what has no room for its bits may have it for its keys: those are spilled
        may = may_go_on(got) or str((got.get("error") or {}).get("code")).endswith(".memory")
        return one.model_copy(update={"close": None}) if may else None
    if one.listing:
        is_more = len(got.get("rows", ())) > LISTED
        return one.model_copy(update={"listing": ""}) if is_more or may_go_on(got) else None
    return None


def understood(one: Statement, got: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as that of `sql`: of a list, with how many rows break the rule, and what was `listed`."""
    if one.close or not one.listing or "rows" not in got:
        return dict(got)
    rows = got["rows"]
    failing = sum(_times(row) - 1 for row in rows) if one.grouped else len(rows)
    return {**got, "rows": [{"failing": failing}], "listed": most_first(one, rows)}


def most_first(one: Statement, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keys by how many rows have them."""
    return sorted(rows, key=_times, reverse=True) if one.grouped else rows


def close_keys(one: Statement, got: Mapping[str, Any]) -> str:
    """The SQL that names what `close` has counted: a block has one key at least."""
    blocks = got["rows"][0].get("blocks") if got.get("rows") else None
    if one.close is None or not blocks:
        return ""
    return one.close.keys.replace("{blocks}", ", ".join(map(str, blocks[:KEYS_SHOWN])))


def _times(row: Mapping[str, Any]) -> int:
    return int(list(row.values())[-1])


def may_go_on(got: Mapping[str, Any]) -> bool:
    """Whether a statement failed for a reason of its own, and not for want of time or memory."""
    error = got.get("error")
    return error is not None and not str(error["code"]).endswith(UNDIVIDED)


def with_span(one: Statement, got: Mapping[str, Any]) -> Statement:
    """With the ends of the numbers that it is about; without `close` where they do not lie close enough."""
    row = got["rows"][0] if got.get("rows") else {}
    numbers = [n for n in (0, 1) if f"low{n}" in row]
    if one.close is None or not numbers or any(row[f"low{n}"] is None for n in numbers):
        return one.model_copy(update={"close": None})
    lows = [int(row[f"low{n}"]) for n in numbers]
    spans = [int(row[f"high{n}"]) - low + 1 for n, low in zip(numbers, lows, strict=True)]
    if math.prod(spans) > min(WIDEST, CLOSE * int(row["n"])):
        return one.model_copy(update={"close": None})
    ends = {f"{{low{n}}}": f"({low})" for n, low in zip(numbers, lows, strict=True)}
    ends |= {f"{{span{n}}}": str(span) for n, span in zip(numbers, spans, strict=True)}
    filled = {name: _filled(getattr(one.close, name), ends) for name in ("sql", "keys")}
    return one.model_copy(update={"close": one.close.model_copy(update=filled)})


def _filled(sql: str, ends: Mapping[str, str]) -> str:
    for place, end in ends.items():
        sql = sql.replace(place, end)
    return sql
