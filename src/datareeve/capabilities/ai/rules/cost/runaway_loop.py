"""One question of one key, over and over: a loop that does not end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.costs import Seen, query, saving
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted
from datareeve.capabilities.ai.rules.cost.excessive_calls import bounded
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

TEN_MINUTES = 600
MANY = 200


def find(seen: Seen) -> Iterator[Finding]:
    """Of each key and question the worst ten minutes."""
    told = set()
    for row in seen.loops:
        if (row["virtual_key"], row["digest"]) in told:
            continue
        told.add((row["virtual_key"], row["digest"]))
        every = [
            one
            for one in seen.loops
            if (one["virtual_key"], one["digest"]) == (row["virtual_key"], row["digest"])
        ]
        cost = sum(one["cost_microusd"] for one in every)
        when = datetime.fromtimestamp(row["since"], UTC).strftime("%Y-%m-%d %H:%M UTC")
        where = f"virtual_key = '{quoted(row['virtual_key'])}' AND digest = '{quoted(row['digest'])}' AND at >= {row['since']:.0f} AND at < {row['since'] + TEN_MINUTES:.0f}"
        yield saving(
            seen,
            "runaway-loop",
            f"{row['key_name']} {row['digest'][:12]}",
            what=f"{row['key_name']} sent one and the same question to {row['asked_model']} {row['requests']:,} times within ten minutes from {when}.",
            why="A loop that does not look at its answer, or a retry without a pause."
            + (f" The cache answered {row['cached']:,} of them." if row["cached"] else ""),
            instead=f"Look at what runs with {row['key_name']}; bound it: `{bounded(row['key_name'], 60)}`",
            microusd=cost,
            computed="cost of all requests with that digest in such ten minutes",
            proof=query("at, status, cached, cost_microusd", "usage", where, "ORDER BY at"),
            figures={"requests": row["requests"], "times": len(every)},
            severity=Severity.CRITICAL if row["requests"] >= MANY and not row["cached"] else Severity.WARNING,
        )
