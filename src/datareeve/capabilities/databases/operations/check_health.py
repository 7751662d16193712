"""`databases.check-health`: one look at a server, figures and findings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases.health import Health, Limits, look
from datareeve.capabilities.databases.rules.health import findings
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems


class CheckHealth(Operation[Health]):
    """Check the health of a PostgreSQL database.

    One look, in at most twelve reads: connections, long and blocked transactions, cache, transactions and queries per second, latency,
    checkpoints, WAL and its archive, replication, dead rows, wraparound, sequences, invalid indexes, size and growth, disk, newest backup.
    Changes nothing and shows no query text. Gives `health`: healthy, degraded or down.
    """

    name: ClassVar[str] = "databases.check-health"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "is the database healthy",
        "check database health",
        "database status and health metrics",
        "who blocks whom",
        "find long transactions and sessions idle in transaction",
        "how full are disk and connections",
        "cache hit ratio and transactions per second",
        "monitor database performance",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    transaction_seconds: float = Field(300.0, ge=0, description="a transaction open for longer is reported")
    idle_seconds: float = Field(
        60.0, ge=0, description="a session idle in a transaction for longer is reported"
    )
    blocked_seconds: float = Field(
        10.0, ge=0, description="a session waiting for a lock for longer is reported"
    )

    def observe(self, systems: Systems) -> Health:
        """The look itself, with what the ledger knows of earlier ones."""
        limits = Limits(
            transaction_seconds=self.transaction_seconds,
            idle_seconds=self.idle_seconds,
            blocked_seconds=self.blocked_seconds,
        )
        return look(systems, self.system, limits)

    def plan(self, facts: Health) -> Plan:
        """Figures and findings; there is nothing to do."""
        found = findings(facts)
        health = verdict(facts, found)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(facts, health, found),
            nothing_to_do="Looking changes nothing.",
            findings=found,
            figures={"health": health, **_because(found), **facts.figures},
        )


def verdict(facts: Health, found: tuple[Finding, ...]) -> Literal["healthy", "degraded", "down"]:
    """Down: it does not answer. Degraded: something was found that needs a person. Else healthy."""
    if facts.down:
        return "down"
    return "degraded" if any(finding.severity != Severity.INFO for finding in found) else "healthy"


def _because(found: tuple[Finding, ...]) -> dict[str, str]:
    """Why it is not called healthy: the rules that need a person. Empty where it is: a later look takes back an earlier one's reasons."""
    rules = dict.fromkeys(finding.rule for finding in found if finding.severity != Severity.INFO)
    return {"health_because": ", ".join(rules)}


def _summary(facts: Health, health: str, found: tuple[Finding, ...]) -> str:
    if facts.down:
        return f"{facts.system} is down: {facts.down}"
    rate = facts.figures["transactions_per_second"]
    noticed = f"{len(found)} findings" if len(found) != 1 else "1 finding"
    return f"{facts.system} is {health}, {noticed}; {rate:g} transactions/s {facts.rates_since}."
