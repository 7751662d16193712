"""Requests that nobody waits for: crowds of unstreamed ones, which a batch answers within a day at half the price."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.ai.costs import Seen, query, saving, within
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

CROWD = 30  # requests of one kind that one key sent within a minute


def find(seen: Seen) -> Iterator[Finding]:
    """By key and model."""
    for row in seen.bulk:
        target = f"{row['provider']}/{row['model']}"
        share = seen.batch_share.get(target)
        saved = row["cost_microusd"] * (1 - share) if share is not None else 0.0
        if not seen.matters(saved):
            continue
        where = (
            f"{within(seen.period)} AND key_name = '{quoted(row['key_name'])}' AND model = '{quoted(row['model'])}' AND endpoint = '{quoted(row['endpoint'])}'"
            " AND NOT stream AND NOT cached AND status = 'ok'"
        )
        yield saving(
            seen,
            "batchable",
            f"{row['key_name']} {target}",
            what=f"{row['key_name']} sent {row['requests']:,} unstreamed requests to {target} in {row['minutes']:,} minutes of at least {CROWD} each.",
            why=f"It looks like work that nobody waits for. A batch is answered within a day, for {share:.0%} of the price.",
            instead="Send them as a batch, through the gateway as well: /v1/batches (OpenAI) or /v1/messages/batches (Anthropic). Whoever needs the answer at once stays as it is.",
            microusd=saved,
            computed=f"cost of the requests in such minutes, times 1 - {share:.2f}: the batch price of {target} in the price list",
            proof=query(
                "floor(at / 60) * 60 AS minute, count(*) AS requests, sum(cost_microusd) AS microusd",
                "usage",
                where,
                f"GROUP BY 1 HAVING count(*) >= {CROWD} ORDER BY 1",
            ),
            figures={"requests": row["requests"], "minutes": row["minutes"], "batch_share": share},
        )
