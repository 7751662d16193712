"""`databases.repack-table`: a bloated table and its indexes written anew with pg_repack, while it is read and written."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import maintenance, sql
from datareeve.capabilities.databases.operations.vacuum_table import Table  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

BYTES_PER_SECOND = (
    25e6  # a cautious guess: pg_repack reads, sorts and writes, and applies what was changed meanwhile
)
ROOM = 2.0  # the table and its indexes once more, and the log of what is written meanwhile


class RepackTableFacts(Value):
    """The table, the tool, and the room there is."""

    table: Table | None = None
    has_key: bool = False
    client: str | None = None
    client_version: str | None = None
    extension_version: str | None = None
    available_version: str | None = None
    is_superuser: bool = False
    free_bytes: int | None = None
    standby: str = ""


class RepackTable(Operation[RepackTableFacts]):
    """Give a bloated table's disk back with pg_repack, while it is read and written.

    Needs the extension and its client, of one version; where they are missing it says so and names the other ways. The table needs a
    primary key, and the disk room for a second copy: looked at before. Nobody's session is cancelled for the last short lock; where it
    does not come, the table stays as it was. Sizes are measured before and after. There is nothing to undo: rows are the same.
    """

    name: ClassVar[str] = "databases.repack-table"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "repack the table orders with pg_repack",
        "give bloated table space back online",
        "shrink a table without locking it",
        "remove table bloat without downtime",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str = Field(description="table name, without schema")
    schema_name: str = Field("public", description="the table's schema")
    slack_percent: float = Field(20.0, ge=0, lt=100, description="it is repacked from this share of empty room on")  # fmt: skip
    wait_seconds: int = Field(60, ge=1, le=3600, description="how long the last swap may wait for its lock")

    def observe(self, systems: Systems) -> RepackTableFacts:
        """The table as it is, and what there is of pg_repack."""
        reader = systems[self.system]
        where = {"schemas": [self.schema_name], "table": self.table}
        rows = reader.read("query", sql=sql.load("maintenance_tables"), parameters=where)
        return RepackTableFacts(
            table=rows[0] if rows else None,
            has_key=bool(reader.read("query", sql=sql.load("maintenance_keys"), parameters={"table": self._name}, shape="scalar")),
            is_superuser=reader.read("server")["superuser"],
            free_bytes=maintenance.free_bytes(systems, self.system),
            standby=maintenance.standby(reader),
            **reader.read("repack_parts"),
        )  # fmt: skip

    def plan(self, facts: RepackTableFacts) -> Plan:
        """The extension where it is not created yet, then the table."""
        table = facts.table
        if table is None:
            return maintenance.quiet(self, blocker=facts.standby or f"There is no table {self._shown}.")
        if facts.has_key and table.has_statistics and table.slack_percent < max(self.slack_percent, 0.01):
            return maintenance.quiet(self, f"{table.shown} has about {table.slack_percent:.0f} % of empty room: less than {self.slack_percent:g} %.")  # fmt: skip
        if blocker := self._blocker(table, facts):
            return maintenance.quiet(self, blocker=blocker)
        findings = (
            () if facts.free_bytes is not None else (maintenance.unseen_disk(table.shown, _room(table)),)
        )
        steps = (*self._extension(facts), self._step(table))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Repack {table.shown}: about {table.slack_percent:.0f} % of its {table.pages:,} pages are empty.",
            requirements=(self._has_key(), *self._not_created(facts)),
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=findings,
            figures={"bytes": table.total_bytes, "slack_percent": round(table.slack_percent, 1)},
        )

    def _blocker(self, table: Table, facts: RepackTableFacts) -> str:
        if facts.standby or table.is_partitioned:
            return facts.standby or f"{table.shown} is partitioned: name a partition; the parent has no rows."
        if not facts.has_key:
            return f"{table.shown} has no primary key, which pg_repack tells rows by: databases.add-primary-key gives it one."
        if not table.has_statistics:
            return f"How much of {table.shown} is empty is not known: it has no statistics. databases.analyze-table gathers them."
        if missing := _missing(facts):
            return f"{missing} Other ways: databases.vacuum-table --full in a window in which nobody needs {table.shown}, or databases.reindex where its indexes are what is bloated."
        if not facts.is_superuser:
            return "pg_repack is run by a superuser, which this role is not."
        return maintenance.room(_room(table), facts.free_bytes, f"Repacking {table.shown}")

    def _extension(self, facts: RepackTableFacts) -> tuple[Step, ...]:
        if facts.extension_version:
            return ()
        step = Step(
            id="extension pg_repack",
            call=self._execute("CREATE EXTENSION IF NOT EXISTS pg_repack"),
            why="pg_repack's functions must be in the database that holds the table.",
            effect=Effect.REVERSIBLE,
            probe=self._created(),
            undo=(self._execute("DROP EXTENSION IF EXISTS pg_repack"),),
            touches=(f"{self.system}:extensions",),
            schemas=("repack",),
        )
        return (step,)

    def _step(self, table: Table) -> Step:
        rewritten = maintenance.claim(self.system, f"{table.shown} was written anew", "maintenance_rewritten", relation=self._name, filenode=table.filenode)  # fmt: skip
        return Step(
            id=f"repack {table.shown}",
            call=Call(system=self.system, action="repack", arguments={"table": self._name, "wait_seconds": self.wait_seconds}),
            why=f"About {table.slack_percent:.0f} % of its pages are empty, and every scan and backup reads them.",
            effect=Effect.REVERSIBLE,
            probe=rewritten,
            no_undo="Rows are what they were, in fewer pages; there is nothing to take back.",
            predicted=Prediction(
                bytes=-int(table.bytes * table.slack_percent / 100), seconds=round(table.total_bytes / BYTES_PER_SECOND, 1),
                lock=f"ACCESS EXCLUSIVE on {table.shown}, for a moment at the beginning and at the end", basis="estimated from the statistics; 25 MB/s",
            ),
            touches=(f"{self.system}:{table.shown}",),
            schemas=(table.schema_name,),
        )  # fmt: skip

    def _has_key(self) -> Claim:
        return maintenance.claim(self.system, f"{self._shown} is there and has a key", "maintenance_keys", table=self._name)  # fmt: skip

    def _not_created(self, facts: RepackTableFacts) -> tuple[Claim, ...]:
        return () if facts.extension_version else (self._created(expected=False),)

    def _created(self, *, expected: bool = True) -> Claim:
        text = (
            "the extension pg_repack is created" if expected else "the extension pg_repack is not created yet"
        )
        return maintenance.claim(
            self.system, text, "maintenance_extension", expected=expected, name="pg_repack"
        )

    def _execute(self, statement: str) -> Call:
        return Call(system=self.system, action="execute", arguments={"sql": statement})

    @property
    def _name(self) -> str:
        return sql.identifier(self.schema_name, self.table)

    @property
    def _shown(self) -> str:
        return f"{self.schema_name}.{self.table}"


def _missing(facts: RepackTableFacts) -> str:
    """What is not there of pg_repack; '' where all is."""
    if not (facts.extension_version or facts.available_version):
        return "The extension pg_repack is not installed on the server (on Debian: postgresql-15-repack)."
    if facts.client is None:
        return "The program pg_repack is not installed on this machine (on Debian: postgresql-15-repack)."
    version = facts.extension_version or facts.available_version
    if facts.client_version != version:
        return f"The program pg_repack is {facts.client_version}, the extension {version}: they must be the same."
    return ""


def _room(table: Table) -> int:
    return int(table.total_bytes * ROOM)
