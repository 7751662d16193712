"""A request that is refused for its own sake, and sent again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.ai.costs import Seen, query, saving, within
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding


def find(seen: Seen) -> Iterator[Finding]:
    """By key and question."""
    for row in seen.failing:
        where = f"{within(seen.period)} AND virtual_key = '{quoted(row['virtual_key'])}' AND digest = '{quoted(row['digest'])}'"
        yield saving(
            seen,
            "failing-again",
            f"{row['key_name']} {row['digest'][:12]}",
            what=f"{row['key_name']} sent one question to {row['asked_model']} {row['requests']:,} times, and each was refused with status {row['http_status']} ({row['error'] or 'no code'}).",
            why="What is wrong with the request itself does not get right by sending it again; it uses up limits, and time.",
            instead=f"Correct the request, or give up at status {row['http_status']}: the official SDKs do.",
            microusd=row["cost_microusd"],
            computed="cost of those requests; mostly nothing, the harm is in limits and time",
            proof=query("at, http_status, error, attempts", "usage", where, "ORDER BY at"),
            figures={"requests": row["requests"], "attempts": row["attempts"], "status": row["http_status"]},
        )
