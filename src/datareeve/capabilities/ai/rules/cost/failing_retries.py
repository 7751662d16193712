"""A model that needs many attempts for an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.ai.costs import Seen, query, saving
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

LEAST_SHARE = 0.05
LEAST_ATTEMPTS = 20


def find(seen: Seen) -> Iterator[Finding]:
    """By model: attempts beyond the first."""
    for row in seen.by_model:
        sent = row["requests"] - row["cached"]
        more = row["attempts"] - sent
        if not row["model"] or more < LEAST_ATTEMPTS or more < LEAST_SHARE * sent:
            continue
        provider, _, model = row["model"].partition("/")
        where = f"provider = '{quoted(provider)}' AND model = '{quoted(model)}' AND hour >= {seen.period.since:.0f}"
        yield saving(
            seen,
            "failing-retries",
            row["model"],
            what=f"{row['model']} needed {row['attempts']:,} attempts for {sent:,} requests: {100 * more / sent:.0f} % more.",
            why="Each attempt that fails is time that somebody waits, counts against the provider's limits, and may be charged.",
            instead="Look which errors: `datareeve run ai.usage --by model,status`. A lower rate (ai.set-limits), a second key (ai.add-key) or a fallback (ai.set-fallback) mends most of them.",
            microusd=0,
            computed="sum of attempts less requests that were sent",
            proof=query(
                "status, sum(requests) AS requests, sum(attempts) AS attempts",
                "usage_hourly",
                where,
                "GROUP BY status",
            ),
            figures={"attempts": row["attempts"], "requests": sent, "failed": row["failed"]},
        )
