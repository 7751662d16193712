"""A key that sends far more in some hours than it usually does."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.costs import Seen, query, saving
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

TIMES_USUAL = 10
LEAST_REQUESTS = 500
LEAST_HOURS = 12  # of use, before anything is usual


def bounded(key_name: str, requests: int) -> str:
    """The command that bounds a virtual key."""
    return command("ai.issue-virtual-key", for_name=key_name, change=True, requests_per_minute=requests)


def find(seen: Seen) -> Iterator[Finding]:
    """By key: its hours beyond ten times its median."""
    by_key: dict[str, list[dict[str, Any]]] = {}
    for row in seen.by_hour:
        if row["key"]:
            by_key.setdefault(row["key"], []).append(row)
    for key, hours in by_key.items():
        usual = median(row["requests"] for row in hours)
        wild = [row for row in hours if row["requests"] >= max(TIMES_USUAL * usual, LEAST_REQUESTS)]
        if len(hours) < LEAST_HOURS or not wild:
            continue
        worst = max(wild, key=lambda row: row["requests"])
        each = sum(row["cost_microusd"] for row in wild) / sum(row["requests"] for row in wild)
        beyond = sum(row["cost_microusd"] - usual * each for row in wild)
        yield saving(
            seen,
            "excessive-calls",
            key,
            what=f"{key} sent {worst['requests']:,} requests in the hour from {worst['hour']}; it usually sends {usual:g}. There were {len(wild)} such hours.",
            why="A job that was started twice, a retry without an end, or a loop over everything.",
            instead=f"`{bounded(key, max(round(usual * TIMES_USUAL / 60), 10))}` keeps it from happening again.",
            microusd=max(beyond, 0.0),
            computed=f"cost of those hours beyond the median hour of this key ({usual:g} requests)",
            proof=query(
                "hour, sum(requests) AS requests, sum(cost_microusd) AS microusd",
                "usage_hourly",
                f"key_name = '{quoted(key)}'",
                "GROUP BY hour ORDER BY requests DESC",
            ),
            figures={"requests": worst["requests"], "usual": usual, "hours": len(wild)},
        )
