"""`quality.reconcile`: are two tables in two systems the same, and which rows are not."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.likely_personal import likely_personal
from datareeve.capabilities.quality.reconcile import outcome, planning, tables
from datareeve.capabilities.quality.reconcile.pairing import Choices
from datareeve.capabilities.quality.reconcile.planning import Prepared, Wanted
from datareeve.capabilities.quality.reconcile.tables import Table  # noqa: TC001 - pydantic reads it
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
from datareeve.core.personal_data.declared import NOT_PERSONAL
from datareeve.core.value import Value

NAMED = 10  # columns in a claim


class ReconcileFacts(Value):
    """The two tables, and how the estate wants to be read."""

    left: Table
    right: Table
    personal: tuple[str, ...] = ()  # columns of either, by the estate's datasets
    subject_keys: tuple[str, ...] = ()  # as above
    statement_seconds: float | None = None
    busy_share: float = 1.0


class Reconcile(Operation[ReconcileFacts]):
    """Reconcile a table between two systems: say whether both hold the same rows, and which ones differ.

    Each system counts its rows and sums their checksums by segment of the key, both at the same time; only segments that differ are divided further, down to
    the keys, of which at most twenty a kind are told; of a key that is personal data only counts. Equal tables cost one scan each, however large, and no
    row is copied. Numbers, moments, text and bytes have one form on PostgreSQL, MariaDB, SQLite, DuckDB and in files, so that equal values are equal across
    them; columns that cannot be compared are named beforehand. What differs is looked at a second time, so that a late copy is told as that. Reads only; the
    run fails where the tables differ.
    """

    name: ClassVar[str] = "quality.reconcile"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "reconcile the orders table between production and the warehouse",
        "compare a table in two databases row by row",
        "did the migration copy every row",
        "which rows differ between source and target",
        "data diff across systems",
        "are both copies of the table identical",
        "verify that the replica and the warehouse agree",
    )
    sampled_as: ClassVar[str] = "left"

    left: str = Field(description="the first system's name in the estate")
    right: str = Field(description="the second system's name; may be the same")
    table: str = Field(min_length=1, description="the table, as schema.table or table")
    right_table: str | None = Field(None, description="what it is called on the right; default: the same")
    key: tuple[str, ...] | None = Field(
        None,
        description="the columns that tell rows apart; default: a primary or unique key of either side; [] compares whole rows",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="columns that have another name on the right: {left: right}; others are found by name, whatever the case",
    )
    leave_out: tuple[str, ...] = Field((), description="columns that are not compared")
    until_column: str | None = Field(
        None,
        description="a moment in every row, such as updated_at: both sides are compared up to the same one",
    )
    until: str | None = Field(
        None, description="that moment; default: the newest that both sides have reached"
    )
    float_decimals: int | None = Field(
        None, ge=0, le=15, description="floats are compared to so many decimal places; default: exactly"
    )
    trim: bool = Field(default=False, description="spaces at the ends of text do not matter")
    ignore_case: bool = Field(default=False, description="the case of ASCII letters in text does not matter")
    json_as_text: bool = Field(
        default=False, description="compare JSON as text; default: it is left out, and said so"
    )
    max_differing: int = Field(
        10_000,
        ge=1,
        le=100_000,
        description="after so many rows that differ, what is left is told as a bound",
    )
    second_looks: int = Field(1, ge=0, le=10, description="how often what differs is looked at again")
    pause_seconds: float = Field(0.0, ge=0, le=3600, description="the wait before each further look")
    statement_seconds: float | None = Field(
        None,
        gt=0,
        description="the longest that one statement may run; default: the estate's. Segments become smaller where it is too short",
    )

    def observe(self, systems: Systems) -> ReconcileFacts:
        """What both catalogs say, and what the estate says of personal data. Errors: `engine.cannot`, `reconcile.table`."""
        settings = systems["quality"].read("settings")
        left = tables.read(systems[self.left], self.table)
        right = tables.read(systems[self.right], self.right_table or self.table)
        datasets = systems["estate"].read("get", where=["datasets"]) or {}
        return ReconcileFacts(
            left=left,
            right=right,
            personal=tuple(sorted({name for one in (left, right) for name in _personal(datasets, one)})),
            subject_keys=tuple(
                sorted({name for one in (left, right) for name in _subject_keys(datasets, one)})
            ),
            statement_seconds=self.statement_seconds or settings["statement_seconds"],
            busy_share=settings["busy_share"],
        )

    def plan(self, facts: ReconcileFacts) -> Plan:
        """One step; what cannot be compared, as findings; a blocker where nothing can be."""
        choices = Choices(
            decimals=self.float_decimals,
            trim=self.trim,
            fold=self.ignore_case,
            json_as_text=self.json_as_text,
        )
        wanted = Wanted(key=self.key, columns=self.columns, leave_out=self.leave_out, choices=choices, personal=frozenset(facts.personal), subject_keys=frozenset(facts.subject_keys), until_column=self.until_column or "")  # fmt: skip
        prepared = planning.prepare(facts.left, facts.right, wanted)
        place = f"{facts.left.label} and {facts.right.label}"
        compared = len(prepared.pairing.pairs)
        keyed = (
            f"by {', '.join(prepared.key)}" if prepared.key else "as a whole: no key is known on both sides"
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Compare {counted(compared, 'column')} of {place}, {keyed}." if not prepared.problems else f"{place} cannot be compared.",
            steps=() if prepared.problems else (self._step(facts, prepared),),
            checks=() if prepared.problems else (self._equal(facts, prepared),),
            findings=_beforehand(facts, prepared),
            figures={"columns_compared": compared, "columns_left_out": len(prepared.pairing.left_out)},
            blockers=tuple(f"{problem[0].upper()}{problem[1:]}." for problem in prepared.problems),
        )  # fmt: skip

    def _step(self, facts: ReconcileFacts, prepared: Prepared) -> Step:
        compared = planning.compared(
            facts.left, facts.right, prepared, until_column=self.until_column or "", until=self.until or "", most_differing=self.max_differing,
            looks=self.second_looks, pause_seconds=self.pause_seconds, statement_seconds=facts.statement_seconds, busy_share=facts.busy_share,
        )  # fmt: skip
        both = (facts.left, facts.right)
        rows, size = (
            sum(getattr(one.table, name) or 0 for one in both) for name in ("estimated_rows", "bytes")
        )
        return Step(
            id="reconcile",
            call=Call(system="quality", action="do", arguments={"work": outcome.WORK, "given": {"compared": compared.model_dump(mode="json")}}),
            why="Two copies of a table are only worth as much as the proof that they are the same; both systems reckon it themselves.",
            effect=Effect.READ,
            probe=self._told(facts, "compared", "was compared"),
            no_undo="Nothing is changed; what was found stays in the quality store.",
            predicted=Prediction(
                rows=rows, bytes=size or None, seconds=planning.estimated_seconds(both, len(prepared.pairing.pairs)),
                basis="one scan of each, at the same time; the catalog's estimates",
            ),
        )  # fmt: skip

    def _equal(self, facts: ReconcileFacts, prepared: Prepared) -> Claim:
        left_out = sorted(prepared.pairing.left_out)
        beside = (
            f", {', '.join(left_out[:NAMED])}{' and others' if len(left_out) > NAMED else ''} not compared"
        )
        return self._told(facts, "equal", f"left and right are equal{beside if left_out else ''}")

    def _told(self, facts: ReconcileFacts, figure: str, text: str) -> Claim:
        document = outcome.document("{run}", facts.left.label, facts.right.label)
        call = Call(
            system="quality",
            action="told",
            arguments={"kind": outcome.WORK, "document": document, "figure": figure},
        )
        return Claim(text=f"{facts.left.label} and {facts.right.label}: {text}", call=call, expected=True, remedy="The findings name the rows by their keys, and the columns.")  # fmt: skip


def _personal(datasets: dict[str, Any], table: Table) -> set[str]:
    """The columns of a table that the estate calls personal, and those whose names do where it says nothing of them."""
    told = {column: category for one in _datasets(datasets, table) for column, category in (one.get("personal") or {}).items()}  # fmt: skip
    named = {column for column, category in told.items() if category not in (NOT_PERSONAL, False)}
    return named | (likely_personal(table.table) - told.keys())


def _subject_keys(datasets: dict[str, Any], table: Table) -> set[str]:
    """The columns of a table that say whose data a row is: a customer's number is that customer's."""
    return {str(one["subject_key"]) for one in _datasets(datasets, table) if one.get("subject_key")}


def _datasets(datasets: dict[str, Any], table: Table) -> list[dict[str, Any]]:
    names = {table.table.name, table.table.place[-1]}
    return [one for one in datasets.values() if one.get("system") == table.system and one.get("table") in names]  # fmt: skip


def _beforehand(facts: ReconcileFacts, prepared: Prepared) -> tuple[Finding, ...]:
    """What cannot be compared, and what is compared in a way that one should know."""
    place = f"{facts.left.label} and {facts.right.label}"
    left_out = [
        Finding(rule="column-not-compared", subject=f"{place} ({name})", what=f"{name} is not compared: {why}.", severity=Severity.INFO if why.endswith(planning.ON_PURPOSE) else Severity.WARNING)
        for name, why in prepared.pairing.left_out.items()
    ]  # fmt: skip
    notes = [
        Finding(rule="compared-in-a-common-form", subject=f"{place} ({pair.left.name})", what=f"{pair.left.name} is compared {pair.note}." if pair.note.startswith(("to ", "as ")) else f"{pair.left.name}: {pair.note}.", severity=Severity.INFO)
        for pair in prepared.pairing.pairs
        if pair.note
    ]  # fmt: skip
    untold = [Finding(rule="keys-not-told", subject=place, what=f"{', '.join(prepared.key)} is personal data or a subject's key, as the estate says: rows are counted, and their keys not told.", severity=Severity.INFO)] if prepared.key_is_personal else []  # fmt: skip
    return (*left_out, *untold, *notes)
