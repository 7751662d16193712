"""`databases.vacuum-table`: dead rows removed, rows frozen, pages marked as visible to all; at a pace that leaves production alone."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.databases import maintenance, sql
from datareeve.capabilities.databases.maintenance import Holder  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import (
    Call,
    Claim,
    Copy,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Step,
    Systems,
)
from datareeve.core.value import Value

WORTH_DEAD_ROWS = 1000  # below it a table is left to autovacuum, unless it is named
WORTH_DEAD_SHARE = 0.05
WORTH_SLACK_PERCENT = 20.0  # of a table's pages, to be worth a lock on all of it
PAGE_BYTES, PAGE_HEADER, ROW_OVERHEAD = (
    8192,
    24,
    28,
)  # storage page layout, PostgreSQL manual, 73.6: a row's header, its item, padding
WORTH_PAGES = 64  # half a megabyte
HIDDEN_SHARE = 0.5  # of the pages not marked visible to all: index-only scans read the table all the same
FREEZE_AT = (
    0.8  # of autovacuum_freeze_max_age: a vacuum to prevent wraparound is near, and comes when it likes
)
OLD_TRANSACTIONS = 1  # a transaction that others have changed something after keeps what they made dead
FULL_BYTES_PER_SECOND = (
    50e6  # a cautious guess, of a table with indexes on an SSD, until it is measured on a copy
)


class Table(Value):
    """A table as the server counts it."""

    schema_name: str
    name: str
    oid: int = 0
    root: int | None = None  # the oid of the partitioned table that it is a part of
    is_partitioned: bool = False
    rows: int = 0
    rows_unknown: bool = False
    bytes: int = 0
    total_bytes: int = 0
    pages: int = 0
    visible_pages: int = 0
    live_rows: int = 0
    dead_rows: int = 0
    changed_rows: int = 0
    inserted_rows: int = 0
    xid_age: int = 0
    multixact_age: int = 0
    last_vacuum: str | None = None
    vacuumed_at: str | None = None
    last_analyze: str | None = None
    analyzed_at: str | None = None
    parts_analyzed_at: str | None = None  # the latest of its partitions, by autovacuum
    has_statistics: bool = False
    filenode: int | None = None
    row_width: float | None = None  # bytes, by the statistics; None where there are none
    fillfactor: int = 100
    vacuum_phase: str | None = None
    vacuum_percent: float | None = None
    may_maintain: bool = True

    @property
    def shown(self) -> str:
        """Schema and name."""
        return f"{self.schema_name}.{self.name}"

    @property
    def slack_percent(self) -> float:
        """The share of its pages that its rows would not need, by the statistics: an estimate, 0 where there are none."""
        if not self.pages or self.row_width is None:
            return 0.0
        a_page = (PAGE_BYTES - PAGE_HEADER) * self.fillfactor / 100 / (self.row_width + ROW_OVERHEAD)
        needed = self.rows / max(a_page, 1)
        return max(0.0, 100 * (1 - (needed + 1) / self.pages))


class VacuumTableFacts(Value):
    """The tables, who keeps dead rows alive, and the room there is."""

    tables: tuple[Table, ...]
    holders: tuple[Holder, ...] = ()
    freeze_max_age: int = 200_000_000
    free_bytes: int | None = None
    standby: str = ""
    measured_seconds: float | None = None  # of VACUUM FULL, on a copy


class VacuumTable(Operation[VacuumTableFacts]):
    """Vacuum tables that need it, at a pace that leaves production alone.

    Takes the table that is named, or the worst by dead rows and by the age of their transactions. Says what keeps dead rows alive, where a
    vacuum would do nothing. VACUUM FULL, which nobody can read the table during, only when asked for, with its time and the room on disk
    that it needs, and always by a person's approval. There is nothing to undo: rows stay as they are.
    """

    name: ClassVar[str] = "databases.vacuum-table"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "vacuum the table orders",
        "vacuum tables with many dead rows",
        "remove dead tuples from bloated tables",
        "freeze old rows before transaction id wraparound",
        "run VACUUM without hurting production",
        "vacuum full a table to give disk back",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    table: str | None = Field(None, description="table name, without schema; default: the worst ones")
    schema_name: str = Field("public", description="the named table's schema")
    tables: int = Field(3, ge=1, le=50, description="how many of the worst tables, where none is named")
    full: bool = Field(
        default=False, description="write the table anew, locked all the while, and give the disk back"
    )
    freeze: bool = Field(
        default=False, description="freeze all rows, so that no wraparound vacuum comes for long"
    )
    analyze: bool = Field(default=True, description="gather the planner's statistics in the same go")
    index_cleanup: Literal["auto", "on", "off"] = Field(
        "auto", description="off: leave indexes for later, where only freezing is urgent"
    )
    parallel: int | None = Field(None, ge=0, le=32, description="workers for the indexes; 0: none; default: the server's own choice")  # fmt: skip
    skip_locked: bool = Field(default=False, description="leave a table out, rather than wait for its lock")
    cost_delay_ms: float = Field(
        2.0, ge=0, le=100, description="pause whenever cost_limit is used up; 0: at full speed"
    )
    cost_limit: int = Field(
        400, ge=1, le=10_000, description="page accesses between two pauses, by their cost"
    )

    def observe(self, systems: Systems) -> VacuumTableFacts:
        """The tables with what vacuum goes by, and what keeps it from its work."""
        reader = systems[self.system]
        where = {"schemas": [self.schema_name] if self.table else [], "table": self.table}
        return VacuumTableFacts(
            tables=reader.read("query", sql=sql.load("maintenance_tables"), parameters=where),
            holders=maintenance.holders(reader),
            freeze_max_age=reader.read("query", sql=sql.load("maintenance_limits"), shape="row")["freeze_max_age"],
            free_bytes=maintenance.free_bytes(systems, self.system) if self.full else None,
            standby=maintenance.standby(reader),
        )  # fmt: skip

    def rehearse(self, facts: VacuumTableFacts, copy: Copy) -> VacuumTableFacts:
        """How long VACUUM FULL takes, on a copy with all rows."""
        if not (self.full and self.table) or copy.read("copy_kind") != "clone":
            return facts
        began = copy.read("query", sql="SELECT extract(epoch FROM clock_timestamp())", shape="scalar")
        name = sql.identifier(self.schema_name, self.table)
        copy.perform("maintain", sql=f"VACUUM (FULL) {name}", table=name)
        ended = copy.read("query", sql="SELECT extract(epoch FROM clock_timestamp())", shape="scalar")
        return facts.model_copy(update={"measured_seconds": round(ended - began, 3)})

    def learns_on_a_copy(self) -> bool:
        """Only VACUUM FULL is worth a copy: to know how long nobody can read the table."""
        return self.full

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: VacuumTableFacts) -> Plan:
        """One part for each table, or the reason why there is nothing to do."""
        if facts.standby:
            return maintenance.quiet(self, blocker=facts.standby)
        if self.table is None:
            return self._worst(facts)
        found = [t for t in facts.tables if not t.is_partitioned]
        if not facts.tables:
            return maintenance.quiet(self, blocker=f"There is no table {self.schema_name}.{self.table}.")
        if not found:
            return maintenance.quiet(self, blocker=f"{facts.tables[0].shown} is partitioned: name a partition; the parent has no rows.")  # fmt: skip
        return self.plan_of(found[0], facts)

    def _worst(self, facts: VacuumTableFacts) -> Plan:
        if self.full:
            return maintenance.quiet(self, blocker="VACUUM FULL locks a table: name the one it is for.")
        wanted = sorted(
            (t for t in facts.tables if not t.is_partitioned and self._need(t, facts)),
            key=lambda t: (-t.xid_age / facts.freeze_max_age if self._is_old(t, facts) else 0, -t.dead_rows, -t.bytes, t.shown),
        )  # fmt: skip
        findings = self._findings(facts, sum(t.dead_rows for t in wanted))
        if not wanted:
            return maintenance.quiet(self, "No table has dead rows or unfrozen rows worth a vacuum.", findings=findings)  # fmt: skip
        chosen = wanted[: self.tables]
        leaves = [self._for(t).plan_of(t, facts) for t in chosen]
        parts = tuple(leaf.model_copy(update={"part_id": str(n), "findings": ()}) for n, leaf in enumerate(leaves, 1))  # fmt: skip
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Vacuum {', '.join(t.shown for t in chosen)}.",
            parts=parts,
            findings=findings,
            figures={"tables_in_need": len(wanted), "dead_rows": sum(t.dead_rows for t in wanted)},
        )

    def _for(self, table: Table) -> VacuumTable:
        return self.model_copy(update={"table": table.name, "schema_name": table.schema_name})

    def plan_of(self, table: Table, facts: VacuumTableFacts) -> Plan:
        """The plan of one table."""
        findings = self._findings(facts, table.dead_rows)
        need = self._need(table, facts, named=True)
        if blocker := self._blocker(table, facts, need):
            return maintenance.quiet(self, blocker=blocker, findings=findings)
        if reason := self._reason(table, need):
            return maintenance.quiet(self, reason, findings=findings)
        if self.full and facts.free_bytes is None:
            findings = (*findings, maintenance.unseen_disk(table.shown, _room(table)))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Vacuum {table.shown}: {need}.",
            requirements=(self._exists(table),),
            steps=(self._step(table, need, facts),),
            checks=(self._done(table),),
            findings=findings,
            figures={"dead_rows": table.dead_rows, "bytes": table.bytes, "xid_age": table.xid_age},
        )

    def _blocker(self, table: Table, facts: VacuumTableFacts, need: str) -> str:
        """Why it cannot be vacuumed, or would be in vain; '' where it can."""
        if not table.may_maintain:
            return maintenance.lacks_owner(table.shown)
        if self.full and not table.has_statistics:
            return f"How much of {table.shown} is empty is not known: it has no statistics. databases.analyze-table gathers them."
        if self.full and need:
            return maintenance.room(_room(table), facts.free_bytes, f"VACUUM FULL of {table.shown}")
        if need and not self.full and (holder := self._in_vain(table, facts)):
            return f"A vacuum of {table.shown} would do nothing: {holder.who} keeps its {table.dead_rows:,} dead rows alive, as when it was last vacuumed."
        return ""

    def _reason(self, table: Table, need: str) -> str:
        """Why there is nothing to do; '' where there is."""
        if table.vacuum_phase:
            scanned = table.vacuum_percent
            percent = f", {scanned:.0f} % of its pages" if scanned is not None else ""
            return f"{table.shown} is being vacuumed at this moment ({table.vacuum_phase}{percent})."
        if need:
            return ""
        if self.full:
            return f"{table.shown} is as full as its rows need."
        return f"{table.shown} has nothing that a vacuum would change: no dead rows, no new ones."

    def _need(self, table: Table, facts: VacuumTableFacts, *, named: bool = False) -> str:
        """Why this table wants a vacuum; '' where it does not. A named one is judged by any dead row."""
        if self.full and named:
            return f"about {table.slack_percent:.0f} % of its {table.pages:,} pages are empty" if table.slack_percent >= WORTH_SLACK_PERCENT else ""  # fmt: skip
        if self._is_old(table, facts):
            return f"its oldest rows are {table.xid_age:,} transactions old"
        if self.freeze and named and (table.inserted_rows or table.dead_rows or table.last_vacuum is None):
            return "all of its rows shall be frozen"
        least = 1 if named else max(WORTH_DEAD_ROWS, WORTH_DEAD_SHARE * table.live_rows)
        if table.dead_rows >= least and (named or not self._in_vain(table, facts)):
            return f"{table.dead_rows:,} of its rows are dead"
        if table.pages >= (1 if named else WORTH_PAGES) and table.visible_pages < HIDDEN_SHARE * table.pages and table.inserted_rows:  # fmt: skip
            return f"{table.pages - table.visible_pages:,} of its {table.pages:,} pages are not marked as visible to all, so index-only scans read them"
        return ""

    def _is_old(self, table: Table, facts: VacuumTableFacts) -> bool:
        return table.xid_age >= FREEZE_AT * facts.freeze_max_age

    def _in_vain(self, table: Table, facts: VacuumTableFacts) -> Holder | None:
        wanted = table.dead_rows or self._is_old(table, facts)
        return maintenance.held_back(facts.holders, table.vacuumed_at) if wanted else None

    def _findings(self, facts: VacuumTableFacts, dead_rows: int) -> tuple[Finding, ...]:
        holding = facts.holders if dead_rows >= WORTH_DEAD_ROWS else ()
        return tuple(maintenance.holder_finding(one, dead_rows) for one in holding)

    # -- the step ------------------------------------------------------------------------------------------------------------------

    def _step(self, table: Table, need: str, facts: VacuumTableFacts) -> Step:
        return Step(
            id=f"vacuum {table.shown}",
            call=self._call(table, freeze=self._is_old(table, facts)),
            why=f"It is due, for {need}.",
            effect=Effect.IRREVERSIBLE if self.full else Effect.REVERSIBLE,
            probe=self._done(table),
            no_undo="Rows are what they were: only dead ones are gone, and there is nothing to take back.",
            predicted=self._predicted(table, facts),
            touches=(f"{self.system}:{table.shown}",),
            schemas=(table.schema_name,),
            needs_person=self.full,
        )

    def _call(self, table: Table, *, freeze: bool) -> Call:
        pace = {"vacuum_cost_delay": f"{self.cost_delay_ms:g}ms", "vacuum_cost_limit": str(self.cost_limit)}
        if self.full:
            pace = {}  # it holds everybody up: the sooner it is over, the better
        arguments = {"sql": self.statement(table, freeze=freeze), "table": sql.identifier(table.schema_name, table.name), "settings": pace}  # fmt: skip
        return Call(system=self.system, action="maintain", arguments=arguments)

    def statement(self, table: Table, *, freeze: bool = False) -> str:
        """The VACUUM statement."""
        options = ["FULL"] if self.full else []
        options += ["FREEZE"] if self.freeze or freeze else []
        options += ["ANALYZE"] if self.analyze else []
        if not self.full:
            options += [f"INDEX_CLEANUP {self.index_cleanup.upper()}"] if self.index_cleanup != "auto" else []
            options += [f"PARALLEL {self.parallel}"] if self.parallel is not None else []
        options += ["SKIP_LOCKED"] if self.skip_locked else []
        said = f" ({', '.join(options)})" if options else ""
        return f"VACUUM{said} {sql.identifier(table.schema_name, table.name)}"

    def _predicted(self, table: Table, facts: VacuumTableFacts) -> Prediction:
        if not self.full:
            return Prediction(rows=table.dead_rows, lock=f"SHARE UPDATE EXCLUSIVE on {table.shown}", basis="pg_stat_user_tables")  # fmt: skip
        seconds = facts.measured_seconds or round(table.total_bytes / FULL_BYTES_PER_SECOND, 1)
        basis = "measured on a copy" if facts.measured_seconds else "50 MB/s, a cautious guess: not measured"
        lock = f"ACCESS EXCLUSIVE on {table.shown}: nobody reads or writes it meanwhile"
        return Prediction(seconds=seconds, bytes=_room(table), lock=lock, basis=basis)

    def _exists(self, table: Table) -> Claim:
        text = f"{table.shown} is there"
        return maintenance.claim(self.system, text, "maintenance_exists", table=sql.identifier(table.schema_name, table.name))  # fmt: skip

    def _done(self, table: Table) -> Claim:
        # By a moment, not by dead rows: those come back while production goes on. VACUUM FULL is not counted, but makes another file.
        name = sql.identifier(table.schema_name, table.name)
        if self.full:
            return maintenance.claim(self.system, f"{table.shown} was written anew", "maintenance_rewritten", relation=name, filenode=table.filenode)  # fmt: skip
        return maintenance.claim(self.system, f"{table.shown} was vacuumed", "maintenance_vacuumed", table=name, since=table.last_vacuum)  # fmt: skip


def _room(table: Table) -> int:
    return int(table.total_bytes * maintenance.ROOM_FACTOR)
