"""`databases.check-pool`: one look at a connection pool, figures and findings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases.pool_health import PoolHealth, look
from datareeve.capabilities.databases.rules.pool import findings
from datareeve.core.operation import Effect, Operation, Plan, Severity, Systems


class CheckPool(Operation[PoolHealth]):
    """Check the pooler in front of a database.

    One look at SHOW POOLS, STATS and DATABASES: clients that wait and for how long, connections at work and idle, transactions a second,
    mean wait for a connection, refused logins, whether it is paused. Changes nothing. Samples of it, taken every minute by
    `datareeve serve`, feed alerts and the pool's size. Gives `pool_health`: healthy, degraded, down, or none where no pool is there.
    """

    name: ClassVar[str] = "databases.check-pool"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "check pgbouncer",
        "are clients waiting behind pgbouncer",
        "SHOW POOLS, cl_waiting and maxwait",
        "is the pooler exhausted or paused",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")

    def observe(self, systems: Systems) -> PoolHealth:
        """The look itself, with what the ledger knows of earlier ones."""
        return look(systems, self.system)

    def plan(self, facts: PoolHealth) -> Plan:
        """Figures and findings; there is nothing to do."""
        found = findings(facts)
        health = _verdict(facts, [finding.severity for finding in found])
        summary = _summary(facts, health, len(found))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=found,
            figures={
                "pool_health": health,
                **({"pool_mode": facts.mode} if facts.mode else {}),
                **facts.figures,
            },
        )


def _verdict(facts: PoolHealth, severities: list[Severity]) -> str:
    if facts.absent:
        return "none"
    if facts.down:
        return "down"
    return "degraded" if any(severity != Severity.INFO for severity in severities) else "healthy"


def _summary(facts: PoolHealth, health: str, findings_: int) -> str:
    if facts.absent:
        return f"No pool stands in front of {facts.system}: databases.configure-pool makes one."
    if facts.down:
        return f"{facts.pool} is down: {facts.down}"
    noticed = f"{findings_} findings" if findings_ != 1 else "1 finding"
    return (
        f"{facts.pool} is {health}, {noticed}; {facts.figure('pool_servers_active'):.0f} of {facts.figure('pool_size'):.0f} connections at"
        f" work, {facts.figure('pool_clients_waiting'):.0f} clients waiting."
    )
