"""`databases.load-test-pool`: the pool's size beside half and twice of it, under pgbench, on a disposable copy."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases import pooling
from datareeve.capabilities.databases.operations.configure_pool import DIRECTORY, ConfigurePool
from datareeve.core import clock
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value, fingerprint

CLIENTS_A_CONNECTION = 4  # so that the larger pools are full, too
MOST_CLIENTS = 400
SAME = 0.05  # throughputs that differ by less are the same
CARRIED = (
    "pool_mode",
    "auth_type",
    "server_tls_sslmode",
    "server_lifetime",
    "server_idle_timeout",
    "max_prepared_statements",
)


class LoadTestFacts(Value):
    """What load-test-pool looks at."""

    size: int | None
    size_from: str  # where the size comes from, in words
    settings: dict[str, str]  # of the pool as it is configured
    installed: bool
    bytes: int
    record: dict[str, Any] | None = None  # of an earlier test with these very arguments
    record_age_hours: float = 0.0


class LoadTestPool(Operation[LoadTestFacts]):
    """Load-test the pooler with its size, half of it and twice of it.

    Runs pgbench with the recorded workload (or pgbench's own transactions) through a PgBouncer of each size in turn, on a disposable copy
    of the database, and gives transactions a second, latency percentiles, and what SHOW POOLS said meanwhile: clients waiting, the longest
    wait, connections at work. Production takes no load unless `where` says so, and then only reads. Nothing of it is left running. Undo
    removes the record of the test.
    """

    name: ClassVar[str] = "databases.load-test-pool"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "load test the pool",
        "run pgbench through it",
        "compare the size with half and twice under load",
        "stress test the pooler with pgbench",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    size: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="the size to test; default: the configured one, else the computed one",
    )
    clients: int | None = Field(
        None, ge=1, le=2000, description="clients at once; default: eight for each connection of the size"
    )
    seconds: float = Field(5.0, ge=1, le=600, description="how long each size is under load")
    rate: float | None = Field(
        None, gt=0, description="transactions a second that come by chance; default: as many as go through"
    )
    where: Literal["copy", "here"] = Field(
        "copy", description="copy: on a disposable copy; here: on the database itself, reads alone"
    )
    script: Literal["workload", "pgbench"] = Field(
        "workload", description="the recorded workload, or pgbench's own transactions"
    )
    max_age_hours: float = Field(
        24.0, ge=0, description="a younger test of the same is enough; 0 always tests"
    )

    @property
    def pool(self) -> str:
        """The pool's name in the estate."""
        return f"{self.system}-pool"

    # -- looking -----------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> LoadTestFacts:
        """The pool's configuration or else its computed size, and the record of an earlier test."""
        front, files = systems[self.pool], systems["files"]
        text = files.read("text", path=f"{DIRECTORY}/{self.pool}.ini")
        size, size_from = self._size(systems, text)
        about = pooling.parse(text or "").get("pgbouncer", {})
        size_sql = "SELECT pg_database_size(current_database())"
        facts = LoadTestFacts(
            size=size,
            size_from=size_from,
            settings={key: about[key] for key in CARRIED if key in about},
            installed=front.read("installed") is not None,
            bytes=systems[self.system].read("query", sql=size_sql, shape="scalar"),
        )
        record = front.read("load_tested", digest=self._digest(facts)) if size else None
        age = (clock.now() - datetime.fromisoformat(record["at"])).total_seconds() / 3600 if record else 0.0
        return facts.model_copy(update={"record": record, "record_age_hours": age})

    def _size(self, systems: Systems, text: str | None) -> tuple[int | None, str]:
        if self.size:
            return self.size, "as given"
        if configured := pooling.pool_size(text):
            return configured, "as configured"
        operation = ConfigurePool(system=self.system)
        figures = operation.plan(operation.observe(systems)).figures
        return figures.get("pool_size"), f"computed: {figures.get('pool_size_reason', '')}"

    # -- deciding ----------------------------------------------------------------------------------------------

    def plan(self, facts: LoadTestFacts) -> Plan:
        """One step; nothing where the same was tested lately."""
        blockers = self._blockers(facts)
        quiet = self._quiet(facts) if not blockers else ""
        sizes = ", ".join(map(str, self.sizes(facts)))
        summary = f"Load-test {self.pool} with {sizes} connections and {self.clients_of(facts)} clients."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or " ".join(blockers) or summary,
            nothing_to_do=quiet,
            steps=() if quiet or blockers else (self._step(facts),),
            checks=() if quiet or blockers else (self._tested(facts),),
            findings=self._findings(facts) if quiet else (),
            figures={
                "pool_size": facts.size,
                "pool_size_from": facts.size_from,
                **(facts.record or {} if quiet else {}),
            },
            blockers=blockers,
        )

    def sizes(self, facts: LoadTestFacts) -> tuple[int, ...]:
        """Half, once and twice; without what falls together."""
        size = facts.size or 1
        return tuple(dict.fromkeys((max(size // 2, 1), size, 2 * size)))

    def clients_of(self, facts: LoadTestFacts) -> int:
        """As given, or enough to fill twice the size."""
        return self.clients or min(2 * CLIENTS_A_CONNECTION * (facts.size or 1), MOST_CLIENTS)

    def _wish(self, facts: LoadTestFacts) -> dict[str, Any]:
        return {
            "sizes": list(self.sizes(facts)),
            "clients": self.clients_of(facts),
            "seconds": self.seconds,
            "settings": facts.settings,
            "where": self.where,
            "rate": self.rate,
            "script": self.script,
        }

    def _digest(self, facts: LoadTestFacts) -> str:
        return fingerprint([self.system, self._wish(facts)])[:16]

    def _quiet(self, facts: LoadTestFacts) -> str:
        if facts.record is None or facts.record_age_hours >= self.max_age_hours:
            return ""
        told = "; ".join(
            f"{row['size']}: {row['tps']:,.0f} transactions/s, p95 {row['latency_ms_p95']} ms"
            for row in facts.record["sizes"]
        )
        return f"{self.pool} was tested less than {self.max_age_hours:g} hours ago. Connections: {told}."

    def _blockers(self, facts: LoadTestFacts) -> tuple[str, ...]:
        blockers = []
        if not facts.installed:
            blockers.append("PgBouncer is not installed here: install your system's pgbouncer package.")
        if self.where == "here" and "auth_type" not in facts.settings:
            blockers.append(
                "Here the pool is tested as it is configured: databases.configure-pool comes first."
            )
        if facts.size is None:
            blockers.append(
                f"The pool's size is not known: give size, or systems.{self.system}.host in estate.yaml."
            )
        return tuple(blockers)

    def _step(self, facts: LoadTestFacts) -> Step:
        sizes = len(self.sizes(facts))
        on = (
            "a disposable copy"
            if self.where == "copy"
            else f"{self.system} itself, whose other users will feel it"
        )
        digest = self._digest(facts)
        return Step(
            id="load-test",
            call=self._call("load_test", digest=digest, **self._wish(facts)),
            why=f"On {on}: which size serves most, and how long clients wait for a connection ({facts.size_from}).",
            effect=Effect.REVERSIBLE,
            probe=self._tested(facts),
            undo=(self._call("forget_load_test", digest=digest),),
            predicted=Prediction(
                bytes=facts.bytes if self.where == "copy" else 0,
                seconds=sizes * (self.seconds + 2),
                basis="the copy's size, for as long as the test takes",
            ),
            touches=(f"{self.system}:load-test",),
        )

    def _tested(self, facts: LoadTestFacts) -> Claim:
        call = self._call("load_tested", digest=self._digest(facts))
        text = f"{self.pool} was tested with {', '.join(map(str, self.sizes(facts)))} connections"
        return Claim(text=text, call=call, expected="sizes", comparison="contains")

    def _call(self, action: str, **arguments: Any) -> Call:
        return Call(system=self.pool, action=action, arguments=arguments)

    # -- telling -----------------------------------------------------------------------------------------------

    def _findings(self, facts: LoadTestFacts) -> tuple[Finding, ...]:
        """Whether half of the connections would do, or twice would serve more."""
        rows = {row["size"]: row for row in (facts.record or {}).get("sizes", ())}
        own, half, twice = (
            rows.get(size) for size in (facts.size, max((facts.size or 0) // 2, 1), 2 * (facts.size or 0))
        )
        found = []
        if own and half and half is not own and half["tps"] >= own["tps"] * (1 - SAME) and not self.rate:
            found.append(
                self._other(own, half, "pool-half-is-enough", "Half of the connections serve as much")
            )
        elif own and twice and twice["tps"] > own["tps"] * (1 + SAME):
            found.append(
                self._other(own, twice, "pool-twice-serves-more", "Twice the connections serve more")
            )
        return tuple(found)

    def _other(self, own: dict[str, Any], other: dict[str, Any], rule: str, what: str) -> Finding:
        tell = (
            f"{row['size']}: {row['tps']:,.0f} transactions/s, p95 {row['latency_ms_p95']} ms"
            for row in (own, other)
        )
        return Finding(
            rule=rule,
            subject=self.pool,
            what=f"{what} under this load: {'; '.join(tell)}.",
            why="All clients asked without a pause, which is more than the peak that the size is computed for.",
            instead=f"databases.configure-pool with size {other['size']}.",
            severity=Severity.INFO,
            figures={"tps": own["tps"], "tps_other": other["tps"], "size_other": other["size"]},
        )
