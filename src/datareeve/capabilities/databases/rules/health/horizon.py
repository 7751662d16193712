"""Something keeps vacuum from removing dead rows anywhere on the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.operation import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.databases.health import Health


def find(health: Health) -> Iterator[Finding]:
    """One finding when the oldest snapshot is a million transactions old: names who holds it, and who comes next."""
    for age, who, end in health.horizon[:1]:
        if age >= health.limits.horizon_transactions:
            others = [
                name for other, name, _ in health.horizon[1:] if other >= health.limits.horizon_transactions
            ]
            after = f" Behind it, as old or nearly: {', '.join(others[:3])}." if others else ""
            yield Finding(
                rule="horizon",
                subject=who,
                what=f"It still sees the rows of {age:,} transactions ago.{after}",
                why="No vacuum can remove or freeze what died since then: tables bloat, and transaction ids are used up.",
                instead=f"It ends with {end}.",
                figures={"transactions": age},
                mended_by="databases.end-session" if who.startswith("pid ") else "",
            )
