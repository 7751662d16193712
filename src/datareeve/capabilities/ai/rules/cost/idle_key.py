"""Virtual keys that nobody uses: they cost nothing, until somebody else finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.costs import Seen, query, saving
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

DAY = 86_400


def find(seen: Seen) -> Iterator[Finding]:
    """Valid, older than the time that is looked at, and not used in it."""
    since = seen.period.until - seen.idle_days * DAY
    for key in seen.keys:
        if key["state"] != "valid" or key["added_at"] > since or key["id"] in seen.used_keys:
            continue
        budgets = [
            name for name, budget in seen.declared.settings.budgets.items() if budget.key == key["name"]
        ]
        yield saving(
            seen,
            "idle-key",
            key["id"],
            what=f"Nobody has used the key of {key['name']} ({key['id']}) in {seen.idle_days} days.",
            why="A key that nobody needs can only leak, and whoever finds it spends your money."
            + (f" Budget {budgets[0]} is held for it." if budgets else ""),
            instead=command("ai.revoke-virtual-key", key=key["id"]),
            microusd=0,
            computed="no hour of usage with this key in that time",
            proof=query("max(hour) AS last_used", "usage_hourly", f"virtual_key = '{quoted(key['id'])}'"),
            mended_by="ai.revoke-virtual-key",
            severity=Severity.INFO,
        )
