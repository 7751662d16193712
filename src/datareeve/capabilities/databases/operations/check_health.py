"""`databases.check-health`: one look at a server, figures and findings."""

from __future__ import annotations

import hashlib
from typing import ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases import engines, health_page
from datareeve.capabilities.databases.engines import Look
from datareeve.capabilities.databases.engines.looked import health_plan
from datareeve.capabilities.databases.health import Health, Limits
from datareeve.capabilities.databases.rules.health import findings
from datareeve.core.errors import BadInput
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Severity,
    Step,
    Systems,
)


class CheckHealth(Operation[Health | Look]):
    """Check the health of a database.

    One look, in at most twenty reads: connections and saturation, who blocks whom as a tree, long, idle and prepared transactions, cache,
    throughput and latency, checkpoints, WAL and its archive, standbys and slots, dead rows, bloat of tables and indexes, what holds vacuum
    back, wraparound, sequences, statistics, unsafe settings, newest backup, size and growth, and the day when the disk is full.
    Of MariaDB and MySQL: connections, buffer pool, redo log, purge, locks, replication, tables; of SQLite and DuckDB: whether the file is whole,
    its references, free space and log; each says what its engine does not tell.
    Changes nothing and shows no query text. Gives `health`: healthy, degraded or down. With `html` what was seen of a PostgreSQL database is also
    written as one page that needs no network; that file is the only effect, and undo takes it back.
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
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb")

    system: str = Field(description="the database's name in the estate")
    transaction_seconds: float = Field(300.0, ge=0, description="a transaction open for longer is reported")
    idle_seconds: float = Field(
        60.0, ge=0, description="a session idle in a transaction for longer is reported"
    )
    blocked_seconds: float = Field(
        10.0, ge=0, description="a session waiting for a lock for longer is reported"
    )
    prepared_seconds: float = Field(
        300.0, ge=0, description="a prepared transaction older than this is reported"
    )
    measure_bloat: bool = Field(
        default=True,
        description="let pgstattuple, where it is installed, measure the few worst tables and indexes; else bloat is an estimate",
    )
    sampling: bool = Field(
        default=False,
        description="one look among many: what makes the server look at every sequence, index or file is asked every five minutes",
    )
    html: str | None = Field(
        None, description="write a page of it too, to this file below the project, as data/health.html"
    )

    def observe(self, systems: Systems) -> Health | Look:
        """The look itself, with what the ledger knows of earlier ones. Errors: `BadInput` `health.page` for a page of another engine."""
        limits = Limits(
            transaction_seconds=self.transaction_seconds,
            idle_seconds=self.idle_seconds,
            blocked_seconds=self.blocked_seconds,
            prepared_seconds=self.prepared_seconds,
            measure_bloat=self.measure_bloat,
            sampling=self.sampling,
        )
        seen: Health | Look = engines.of(systems[self.system].kind).look(systems, self.system, limits)
        return seen if self.html is None else self._with_page(systems, seen, self.html)

    def _with_page(self, systems: Systems, seen: Health | Look, path: str) -> Health:
        if isinstance(seen, Look):
            raise BadInput(
                "health.page",
                f"A page is made of PostgreSQL's health; {self.system} is {seen.kind}.",
                "Leave out html.",
            )
        files = systems["files"]
        page = health_page.gather(systems["ledger"], seen)
        standing = {
            "before": files.read("digest", path=path),
            "seen": health_page.seen_at(files.read("text", path=path)),
        }
        return seen.model_copy(update={"page": page.model_copy(update=standing)})

    def plan(self, facts: Health | Look) -> Plan:
        """Figures and findings; there is nothing to do but, with `html`, to write the page where it is older than a minute."""
        if isinstance(facts, Look):
            return health_plan(self.name, self.inputs(), facts)
        found = findings(facts)
        health = verdict(facts, found)
        steps = self._steps(facts, found, health)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(facts, health, found),
            nothing_to_do="" if steps else "Looking changes nothing.",
            steps=steps,
            findings=found,
            figures={"health": health, **_because(found), **_not_seen(facts), **facts.figures},
        )

    def _steps(self, facts: Health, found: tuple[Finding, ...], health: str) -> tuple[Step, ...]:
        if self.html is None or facts.page is None or health_page.is_fresh(facts.page.seen, facts.at):
            return ()
        text = health_page.render(facts, found, health)
        digest = hashlib.sha256(text.encode()).hexdigest()
        there = Call(system="files", action="digest", arguments={"path": self.html})
        before = {"path": self.html, "digest": facts.page.before}
        return (
            Step(
                id=f"write {self.html}",
                call=Call(system="files", action="write", arguments={"path": self.html, "text": text}),
                why="The health of the database can be kept open, and passed on, as one page.",
                effect=Effect.REVERSIBLE,
                probe=Claim(text=f"{self.html} is the page of this look", call=there, expected=digest),
                undo=(Call(system="files", action="restore", arguments=before),),
                touches=(f"files:{self.html}",),
                paths=(self.html,),
            ),
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


def _not_seen(facts: Health) -> dict[str, str]:
    """What could not be asked, once and as a figure: it is no alarm."""
    return {"health_not_seen": "; ".join(facts.unseen)} if facts.unseen else {}


def _summary(facts: Health, health: str, found: tuple[Finding, ...]) -> str:
    if facts.down:
        return f"{facts.system} is down: {facts.down}"
    rate = facts.figures.get("transactions_per_second", 0.0)
    noticed = f"{len(found)} findings" if len(found) != 1 else "1 finding"
    return f"{facts.system} is {health}, {noticed}; {rate:g} transactions/s {facts.rates_since}."
