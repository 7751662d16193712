"""`databases.reindex`: indexes that are bloated, invalid or sorted by a collation that has changed, built anew without blocking."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.databases import maintenance, sql
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Prediction, Step, Systems
from datareeve.core.value import Value

PAGE_BYTES = 8192
PAGE_OVERHEAD = 40  # of a btree page: its header and its special space (nbtree/README)
ENTRY_OVERHEAD = 12  # of an entry: its item and its header; the rest is aligned to 8
LEFTOVER = "a rebuild that was interrupted left it: no query uses it, and every write maintains it"


class Index(Value):
    """An index as it is on disk."""

    schema_name: str
    name: str
    table_name: str
    table_schema: str
    method: str = "btree"
    is_valid: bool = True
    is_exclusion: bool = False
    bytes: int = 0
    entries: int = 0
    pages: int = 0
    filenode: int = 0
    fillfactor: int = 90
    width: float | None = None  # of an entry's columns, by the statistics
    columns_known: bool = False  # whether there are statistics for all of them
    is_leftover: bool = False
    is_building: bool = False
    changed_collations: tuple[str, ...] = ()
    may_maintain: bool = True

    @property
    def shown(self) -> str:
        """Schema and name."""
        return f"{self.schema_name}.{self.name}"

    @property
    def table(self) -> str:
        """Its table, with schema."""
        return f"{self.table_schema}.{self.table_name}"

    @property
    def quoted(self) -> str:
        """As it is written in a statement."""
        return sql.identifier(self.schema_name, self.name)

    @property
    def slack_percent(self) -> float:
        """The share of its pages that its entries would not need in a new index: an estimate that never takes deduplication into account.

        Entries that are stored once for many rows take less room, so that the true share is larger. 0 where it cannot be told.
        """
        if self.method != "btree" or not self.columns_known or self.width is None or not self.pages:
            return 0.0
        entry = -(-(self.width + 8) // 8) * 8 + 4
        a_page = (PAGE_BYTES - PAGE_OVERHEAD) * self.fillfactor / 100 / max(entry, ENTRY_OVERHEAD)
        needed = (
            2 + self.entries / max(a_page, 1.0) * 1.01
        )  # a meta page, a root, and a hundredth for inner pages
        return max(0.0, 100 * (1 - needed / self.pages))


class ReindexFacts(Value):
    """The indexes, and the room there is."""

    indexes: tuple[Index, ...]
    free_bytes: int | None = None
    standby: str = ""


class Reindex(Operation[ReindexFacts]):
    """Rebuild indexes that are bloated, invalid, or sorted by a collation that has changed, without blocking writers.

    Takes the named index, those of the named table, or all that need it. Each is rebuilt beside itself with REINDEX INDEX CONCURRENTLY,
    with a lock timeout, tried again, and what interrupted rebuilds left (_ccnew, _ccold) is dropped. The room on disk is looked at
    before; sizes are measured before and after. There is nothing to undo: the new index holds what the old one held.
    """

    name: ClassVar[str] = "databases.reindex"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "rebuild bloated indexes",
        "reindex concurrently",
        "repair invalid indexes by rebuilding them",
        "rebuild indexes after a collation or glibc upgrade",
        "clean up _ccnew leftovers of a failed reindex",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    index: str | None = Field(None, description="an index's name, without schema; default: all that need it")
    table: str | None = Field(None, description="a table's name, without schema: its indexes that need it")
    schema_name: str | None = Field(None, description="the schema; default: public where something is named, else all")  # fmt: skip
    slack_percent: float = Field(40.0, gt=0, lt=100, description="an index is bloated from this share of empty room on")  # fmt: skip
    at_least_mb: float = Field(10.0, ge=0, description="smaller indexes are not called bloated")

    def observe(self, systems: Systems) -> ReindexFacts:
        """The indexes as they are."""
        reader = systems[self.system]
        named = self.index or self.table
        schema = self.schema_name or ("public" if named else None)
        where = {"schemas": [schema] if schema else [], "index": self.index, "table": self.table}
        rows = reader.read("query", sql=sql.load("maintenance_indexes"), parameters=where)
        free = maintenance.free_bytes(systems, self.system)
        return ReindexFacts(indexes=rows, free_bytes=free, standby=maintenance.standby(reader))

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: ReindexFacts) -> Plan:
        """A step for each index, the smallest first, for they give room for the next; then the collations are marked as seen."""
        if facts.standby:
            return maintenance.quiet(self, blocker=facts.standby)
        if self.index and not facts.indexes:
            return maintenance.quiet(self, blocker=f"There is no index {self.schema_name or 'public'}.{self.index}.")  # fmt: skip
        wanted = sorted((i for i in facts.indexes if self._need(i)), key=lambda i: (i.bytes, i.shown))
        blockers = tuple(b for i in wanted if (b := self._blocker(i, facts)))
        chosen = [i for i in wanted if not self._blocker(i, facts)]
        findings = () if facts.free_bytes is not None or not chosen else (maintenance.unseen_disk(chosen[-1].shown, _room(chosen[-1])),)  # fmt: skip
        if not chosen:
            reason = "" if blockers else self._quiet(facts)
            return maintenance.quiet(self, reason).model_copy(update={"summary": reason or blockers[0], "blockers": blockers})  # fmt: skip
        steps = (*(self._step(i) for i in chosen), *self._refreshing(chosen, facts))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Rebuild {', '.join(i.shown for i in chosen)}.",
            requirements=tuple(self._there(i) for i in chosen if not i.is_leftover),
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=findings,
            blockers=blockers,
            figures={"indexes": len(chosen), "bytes": sum(i.bytes for i in chosen)},
        )

    def _need(self, index: Index) -> str:
        """Why an index is to be rebuilt; '' where it is not."""
        if index.is_building:
            return ""
        if index.is_leftover:
            return LEFTOVER
        if not index.is_valid:
            return "a failed build left it invalid: no query uses it, and every write maintains it"
        if index.changed_collations:
            return f"the system's order of {', '.join(index.changed_collations)} has changed since it was sorted: lookups may miss rows"
        if index.slack_percent >= self.slack_percent and index.bytes >= (
            0 if self.index else self.at_least_mb * 1e6
        ):
            return f"about {index.slack_percent:.0f} % of it is empty room"
        return ""

    def _blocker(self, index: Index, facts: ReindexFacts) -> str:
        if not index.may_maintain:
            return maintenance.lacks_owner(index.table)
        if index.is_exclusion:
            return f"{index.shown} carries an exclusion constraint, which cannot be rebuilt concurrently: REINDEX INDEX it in a quiet window."
        return "" if index.is_leftover else maintenance.room(_room(index), facts.free_bytes, f"Rebuilding {index.shown}")  # fmt: skip

    def _quiet(self, facts: ReindexFacts) -> str:
        if any(i.is_building for i in facts.indexes):
            return "What is invalid is being built at this moment."
        if self.index:
            (one,) = facts.indexes[:1]
            return f"{one.shown} is valid, its collations are as they were, and {one.slack_percent:.0f} % of it is empty."
        return f"{len(facts.indexes)} indexes were looked at: none is invalid, none bloated, and no collation has changed."

    # -- the steps -----------------------------------------------------------------------------------------------------------------

    def _step(self, index: Index) -> Step:
        return self._dropping(index) if index.is_leftover else self._rebuilding(index)

    def _rebuilding(self, index: Index) -> Step:
        return Step(
            id=f"reindex {index.shown}",
            call=Call(system=self.system, action="reindex", arguments={"index": index.quoted}),
            why=f"{index.shown} is built anew, for {self._need(index)}.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, f"{index.shown} is valid and built anew", "maintenance_rebuilt", index=index.quoted, filenode=index.filenode),
            no_undo="The new index holds what the old one held; there is nothing to take back.",
            predicted=Prediction(bytes=self._after(index) - index.bytes, lock=f"SHARE UPDATE EXCLUSIVE on {index.table}", basis="estimated from the statistics"),
            touches=(f"{self.system}:{index.table}",),
            schemas=(index.schema_name,),
        )  # fmt: skip

    def _after(self, index: Index) -> int:
        return int(index.bytes * (1 - index.slack_percent / 100))

    def _dropping(self, index: Index) -> Step:
        arguments = {"sql": f"DROP INDEX CONCURRENTLY IF EXISTS {index.quoted}"}
        return Step(
            id=f"drop-leftover {index.shown}",
            call=Call(system=self.system, action="execute", arguments=arguments),
            why=f"{index.shown} goes, for {LEFTOVER}.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, f"{index.shown} is gone", "maintenance_index_is_there", expected=False, index=index.quoted, table=sql.identifier(index.table_schema, index.table_name)),
            no_undo="It is half an index, which serves nobody; it is not made again.",
            predicted=Prediction(bytes=-index.bytes, lock=f"SHARE UPDATE EXCLUSIVE on {index.table}", basis="pg_relation_size"),
            touches=(f"{self.system}:{index.table}",),
            schemas=(index.schema_name,),
        )  # fmt: skip

    def _refreshing(self, chosen: list[Index], facts: ReindexFacts) -> tuple[Step, ...]:
        """Once all indexes of a changed collation are rebuilt, the server is told so; where one is left out, it must go on warning."""
        left_out = {c for i in facts.indexes if i not in chosen for c in i.changed_collations}
        whole = self.index is None and self.table is None and self.schema_name is None
        names = sorted({c for i in chosen for c in i.changed_collations} - left_out) if whole else []
        return tuple(self._refresh(name, chosen) for name in names)

    def _refresh(self, collation: str, chosen: list[Index]) -> Step:
        users = [i for i in chosen if collation in i.changed_collations]
        return Step(
            id=f"refresh {collation}",
            call=Call(system=self.system, action="execute", arguments={"sql": f"ALTER COLLATION {collation} REFRESH VERSION"}),
            why=f"All {len(users)} indexes sorted by {collation} are rebuilt, so that its warning has no reason left.",
            effect=Effect.REVERSIBLE,
            probe=maintenance.claim(self.system, f"{collation} has the version of the system's library", "maintenance_collation_changed", expected=False, collation=collation),
            no_undo="The older version is not installed any more; it cannot be what indexes are sorted by.",
            touches=tuple(f"{self.system}:{i.table}" for i in users),
            schemas=tuple(sorted({i.schema_name for i in users})),
        )  # fmt: skip

    def _there(self, index: Index) -> Claim:
        table = sql.identifier(index.table_schema, index.table_name)
        return maintenance.claim(self.system, f"{index.shown} is there", "maintenance_index_is_there", index=index.quoted, table=table)  # fmt: skip


def _room(index: Index) -> int:
    return int(index.bytes * maintenance.ROOM_FACTOR)
