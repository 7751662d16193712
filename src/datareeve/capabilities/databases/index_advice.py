"""Which indexes a workload could use, and what the planner's statistics say of their worth. Pure: facts in, candidates out.

A candidate is made for each way that a statement reaches a table: the columns it compares with values come first, the most selective
before the others, then one range or the order asked for. An estimate only decides what is tried; a copy decides what is advised
(`index_trial`).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from datareeve.capabilities.databases import query_shape, sql
from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.capabilities.databases.workload import Workload  # noqa: TC001 - pydantic reads it
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.capabilities.databases.query_shape import Access

SMALL_TABLE_ROWS = 500  # below this, reading the whole table is as fast
ENOUGH_ROWS = 10  # an index that leaves so few rows needs no further column
MOST_COLUMNS = 4
MOST_FAMILIES = 60  # the longest; the rest of a workload does not decide about indexes
PAGE_COST, RANDOM_COST, ROW_COST = (
    1.0,
    1.5,
    0.0125,
)  # in the planner's units; random reads of a mostly cached table
DESCENT_COST = 3.0  # from an index's root to a leaf


class Table(Value):
    """A table as the planner knows it. `distinct_values` as pg_stats has it: negative is a share of the rows, 0 unknown."""

    schema_name: str
    name: str
    rows: int
    pages: int
    bytes: int
    distinct_values: dict[str, float]

    def distinct(self, column: str) -> float:
        """How many values a column has."""
        known = self.distinct_values.get(column, 0.0)
        return -known * self.rows if known < 0 else known or 1.0

    @property
    def scan_cost(self) -> float:
        """Reading it all."""
        return self.pages * PAGE_COST + self.rows * ROW_COST


class ExistingIndex(Value):
    """An index that is there. `keys` as pg_get_indexdef writes them."""

    schema_name: str
    table_name: str
    name: str
    method: str
    keys: tuple[str, ...]
    has_included: bool
    is_partial: bool
    has_direction: bool
    is_unique: bool
    is_valid: bool
    has_constraint: bool
    bytes: int
    scans: int

    def serves(self, columns: tuple[str, ...], *, any_order: int = 0) -> bool:
        """Whether its first keys are these columns, for every row of the table; the first `any_order` of them in any order."""
        plain = self.is_valid and self.method == "btree" and not self.is_partial
        wanted = [_as_written(column) for column in columns]
        keys = list(self.keys[: len(columns)])
        return (
            plain
            and sorted(keys[:any_order]) == sorted(wanted[:any_order])
            and keys[any_order:] == wanted[any_order:]
        )


class ForeignKey(Value):
    """A foreign key's referring side."""

    schema_name: str
    table_name: str
    name: str
    referred: str
    columns: tuple[str, ...]


class Scan(Value):
    """One scan of a table in the plan of a family."""

    table: str
    schema_name: str | None
    node: str
    index: str | None
    cost: float
    rows: float


class FamilyPlan(Value):
    """How the planner answers a family now."""

    fingerprint: str
    cost: float
    scans: tuple[Scan, ...]


class Candidate(Value):
    """An index that the workload could use, with its estimated saving by family, as a share (0 to 1) of the family's time."""

    schema_name: str
    table: str
    columns: tuple[str, ...]
    shares: dict[str, float]
    is_estimated: bool = True  # False: the estimate cannot say, as for joins; only a trial can

    def operation(self, system: str) -> CreateIndex:
        """The operation that creates it."""
        return CreateIndex(
            system=system, schema_name=self.schema_name, table=self.table, columns=self.columns
        )

    @property
    def subject(self) -> str:
        """'public.flights (tailnum, time_hour)'."""
        return f"{self.schema_name}.{self.table} ({', '.join(self.columns)})"


class Situation(Value):
    """What advice rests on."""

    workload: Workload
    tables: tuple[Table, ...]
    indexes: tuple[ExistingIndex, ...]
    foreign_keys: tuple[ForeignKey, ...]
    plans: tuple[FamilyPlan, ...]

    def table(self, name: str) -> Table | None:
        """The table that an unqualified name means: public's, or the only one of that name."""
        named = [table for table in self.tables if table.name == name]
        public = [table for table in named if table.schema_name == "public"]
        return public[0] if public else named[0] if len(named) == 1 else None

    def cost_now(self, fingerprint: str, table: Table) -> tuple[float, float]:
        """(cost of the family's scans of the table, cost of its whole plan); reading it all where the plan is not known."""
        plan = next((plan for plan in self.plans if plan.fingerprint == fingerprint), None)
        if plan is None:
            return table.scan_cost, table.scan_cost
        return max((scan.cost for scan in plan.scans if scan.table == table.name), default=0.0), plan.cost

    def weight(self, fingerprint: str) -> float:
        """The family's part of the workload: its time, or where the source has none its calls times its planned cost."""
        family = self.workload.family(fingerprint)
        if family.total_ms is not None:
            return family.total_ms
        plan = next((plan for plan in self.plans if plan.fingerprint == fingerprint), None)
        return family.calls * (plan.cost / 100 if plan else 1.0)

    def is_indexed(self, fingerprint: str, table: str) -> bool:
        """Whether the family reaches the table by an index now."""
        plan = next((plan for plan in self.plans if plan.fingerprint == fingerprint), None)
        return plan is not None and all(
            "Seq Scan" not in scan.node for scan in plan.scans if scan.table == table
        )

    @property
    def total_weight(self) -> float:
        """The whole workload's."""
        return sum(self.weight(family.fingerprint) for family in self.workload.families) or 1.0


def _as_written(column: str) -> str:
    return column.strip("()") + ")" if column.startswith("(") else sql.identifier(column)


# -- candidates -------------------------------------------------------------------------------------------------------------------


def candidates(situation: Situation) -> tuple[Candidate, ...]:
    """Every index worth trying, the largest estimated saving first; those that an existing index serves are left out."""
    names = {table.name for table in situation.tables}
    columns = query_shape.columns_of(
        {n: t.distinct_values for n in names if (t := situation.table(n)) is not None}
    )
    found: dict[tuple[str, tuple[str, ...]], Candidate] = {}
    reached = [
        (family.fingerprint, access)
        for family in situation.workload.families[:MOST_FAMILIES]
        if family.parsed
        for access in query_shape.accesses(family.sql, columns)
    ]
    for fingerprint, access in reached:
        table = situation.table(access.table)
        if table is None or table.rows < SMALL_TABLE_ROWS:
            continue
        for keys in dict.fromkeys(_keys(access, table, [a for _, a in reached])):
            if not _is_served(situation, table, keys, access):
                _note(found, situation, table, keys, fingerprint, access)
    worth = {
        key: sum(share * situation.weight(f) for f, share in c.shares.items()) for key, c in found.items()
    }
    return tuple(found[key] for key in sorted(found, key=lambda key: (-worth[key], len(key[1]), key)))


def _keys(access: Access, table: Table, all_accesses: list[Access]) -> Iterator[tuple[str, ...]]:
    """The keys that could serve an access."""
    selective = sorted(
        (c for c in access.equal if _distinct(table, c) > 1), key=lambda c: (-_distinct(table, c), c)
    )
    shared = sorted(
        selective,
        key=lambda c: -sum(1 for other in all_accesses if other.table == access.table and c in other.equal),
    )
    for equal in (selective, shared):
        enough = _until_few(table, equal)
        yield tuple(enough)
        yield from ((*enough, column)[:MOST_COLUMNS] for column in access.ranged if column not in enough)
        tail = [column for column in access.ordered if column not in equal]
        yield (*equal, *tail)[:MOST_COLUMNS] if tail else tuple(enough)
        yield tuple(equal[:1])
    for column in access.joined:
        yield (column,)
        yield (column, *(c for c in selective[:1] if c != column))


def _until_few(table: Table, columns: list[str]) -> list[str]:
    taken: list[str] = []
    for column in columns[:MOST_COLUMNS]:
        if _matching(table, taken) <= ENOUGH_ROWS:
            break
        taken.append(column)
    return taken


def _distinct(table: Table, column: str) -> float:
    return table.distinct(column.strip("()").rpartition("(")[2])


def _matching(table: Table, equal: Iterable[str]) -> float:
    rows = float(table.rows)
    for column in equal:
        rows /= max(_distinct(table, column), 1.0)
    return max(rows, 1.0)


def _is_served(situation: Situation, table: Table, keys: tuple[str, ...], access: Access) -> bool:
    """Whether an index is there that has these keys first; among columns compared with one value the order does not matter."""
    leading = _leading_equal(keys, access)
    own = (i for i in situation.indexes if (i.schema_name, i.table_name) == (table.schema_name, table.name))
    return not keys or any(index.serves(keys, any_order=leading) for index in own)


def _leading_equal(keys: tuple[str, ...], access: Access) -> int:
    leading = 0
    while leading < len(keys) and keys[leading] in access.equal:
        leading += 1
    return leading


def _note(  # noqa: PLR0913, PLR0917 - what one access teaches
    found: dict[tuple[str, tuple[str, ...]], Candidate],
    situation: Situation,
    table: Table,
    keys: tuple[str, ...],
    fingerprint: str,
    access: Access,
) -> None:
    known = found.get((table.name, keys))
    leads = keys[0] in {*access.equal, *access.ranged, *access.ordered}
    share = _saving(situation, table, keys, fingerprint, access) if leads else 0.0
    shares = {
        **(known.shares if known else {}),
        fingerprint: max(share, known.shares.get(fingerprint, 0.0) if known else 0.0),
    }
    estimated = leads or (known is not None and known.is_estimated)
    found[table.name, keys] = Candidate(
        schema_name=table.schema_name, table=table.name, columns=keys, shares=shares, is_estimated=estimated
    )


def _saving(
    situation: Situation, table: Table, keys: tuple[str, ...], fingerprint: str, access: Access
) -> float:
    """The share of a family's planned cost that an index would save."""
    scan, whole = situation.cost_now(fingerprint, table)
    if whole <= 0:
        return 0.0
    return max(0.0, (scan - _cost_with(table, keys, access)) / whole)


def _cost_with(table: Table, keys: tuple[str, ...], access: Access) -> float:
    leading = _leading_equal(keys, access)
    rows = _matching(table, keys[:leading])
    rest = keys[leading:]
    if rest and rest[0] in access.ranged:
        rows *= 0.3  # a range's share of the rows, as the planner guesses without a value
    if access.limited and rest and rest == access.ordered[: len(rest)] and len(access.equal) == leading:
        rows = min(rows, 20.0)  # the first page, in order
    return DESCENT_COST + rows * (RANDOM_COST + ROW_COST)


# -- choosing by the estimate alone -----------------------------------------------------------------------------------------------


def chosen_by_estimate(situation: Situation, at_least_percent: float) -> tuple[tuple[Candidate, float], ...]:
    """Candidates that each save a clear share of the workload beyond what those before save: (candidate, percent of the workload).

    Without a trial, twice the asked-for share is wanted (estimates of cached tables are optimistic), and only statements that read a
    whole table count: whether another index would be better than the one in use, only a trial can tell.
    """
    left = [
        _where_unindexed(situation, candidate)
        for candidate in candidates(situation)
        if candidate.is_estimated
    ]
    taken: list[tuple[Candidate, float]] = []
    best: dict[str, float] = {}
    while left:
        gains = [_gain(situation, candidate, best) for candidate in left]
        largest = max(range(len(left)), key=lambda i: (gains[i], -len(left[i].columns), left[i].columns))
        percent = gains[largest] * 100 / situation.total_weight
        if percent < 2 * at_least_percent:
            break
        candidate = left.pop(largest)
        taken.append((candidate, round(percent, 1)))
        for fingerprint, share in candidate.shares.items():
            best[fingerprint] = max(best.get(fingerprint, 0.0), share)
    return tuple(taken)


def _where_unindexed(situation: Situation, candidate: Candidate) -> Candidate:
    shares = {
        f: share for f, share in candidate.shares.items() if not situation.is_indexed(f, candidate.table)
    }
    return candidate.model_copy(update={"shares": shares})


def _gain(situation: Situation, candidate: Candidate, best: dict[str, float]) -> float:
    return sum(
        max(0.0, share - best.get(f, 0.0)) * situation.weight(f) for f, share in candidate.shares.items()
    )


# -- what is there already --------------------------------------------------------------------------------------------------------


def redundant(indexes: tuple[ExistingIndex, ...]) -> tuple[tuple[ExistingIndex, ExistingIndex], ...]:
    """(index, the other that does its work) for each that stands behind no constraint and guarantees nothing."""
    pairs = []
    gone: set[tuple[str, str]] = set()
    for index in sorted(indexes, key=lambda i: (len(i.keys), i.schema_name, i.name)):
        if (
            index.is_unique
            or index.has_constraint
            or index.is_partial
            or index.has_included
            or index.has_direction
            or not index.is_valid
        ):
            continue
        others = (o for o in indexes if o is not index and (o.schema_name, o.name) not in gone)
        same = [
            o
            for o in others
            if (o.schema_name, o.table_name) == (index.schema_name, index.table_name) and _covers(o, index)
        ]
        if same:
            pairs.append((index, same[0]))
            gone.add((index.schema_name, index.name))
    return tuple(pairs)


def _covers(other: ExistingIndex, index: ExistingIndex) -> bool:
    plain = (
        other.is_valid and not other.is_partial and not other.has_direction and other.method == index.method
    )
    if index.method != "btree":
        return plain and other.keys == index.keys
    return plain and other.keys[: len(index.keys)] == index.keys


def unindexed_foreign_keys(situation: Situation) -> tuple[ForeignKey, ...]:
    """Foreign keys that no index leads with, on tables that are not small."""
    served = {
        (i.schema_name, i.table_name, frozenset(i.keys[:n]))
        for i in situation.indexes
        if i.is_valid and not i.is_partial
        for n in range(1, len(i.keys) + 1)
    }
    large = {(t.schema_name, t.name) for t in situation.tables if t.rows >= SMALL_TABLE_ROWS}
    return tuple(
        key
        for key in situation.foreign_keys
        if (key.schema_name, key.table_name) in large
        and (key.schema_name, key.table_name, frozenset(map(sql.identifier, key.columns))) not in served
    )


def described(names: Iterable[str]) -> str:
    """A few names, then how many more."""
    listed = list(chain(names))
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")  # noqa: PLR2004 - a readable list
