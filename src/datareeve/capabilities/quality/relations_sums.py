"""What columns say of one another: sums and products, what a value decides, and totals that are the sums of their lines."""

from __future__ import annotations

import math
import operator
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.engines.dialect import MOMENTS
from datareeve.capabilities.quality.relations_columns import (
    GIVEN_OUT,
    OFTEN,
    amounts,
    groups_of,
    referring,
    row_of,
)
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from datareeve.capabilities.quality.profile import Column, Look, Profile
    from datareeve.capabilities.quality.relations_columns import Amount, Answers

AMOUNTS = 8  # columns of numbers whose sums and products are tried
SUMS_TRIED = 200
DECIDED_TRIED = 60
DECIDED_TOLD = 8
ROWS_OF_A_GROUP = 5  # on average, of a value that decides another
CHANCE = 12.0  # exp(-12): how likely chance may do the same
PENNY = 0.005  # what rounding to cents takes or gives


class Sum(NamedTuple):
    """A condition, and the columns that it is about."""

    sql: str
    columns: tuple[str, ...]


class Decision(NamedTuple):
    """That some columns decide another: to be tried."""

    by: tuple[str, ...]
    column: str

    def id(self, look: Look, what: str = "decides") -> str:
        """Of its statement."""
        return f"{look.name}:{what}:{','.join(self.by)}>{self.column}"


class Identity(Value):
    """A condition that is true of every row: '"total" = "price" + "tax"', in the SQL that contracts are drafted in."""

    columns: tuple[str, ...]
    sql: str
    rows: int  # that have all of the values


class Decided(Value):
    """`by` decides `column`: wherever the one is the same, the other is, but for rows that are `beside`."""

    by: tuple[str, ...]
    column: str
    groups: int
    rows: int
    beside: int = 0


class Agrees(Value):
    """The sum of a column is that of another table's, of the rows that refer to it: a total and its lines."""

    column: str
    table: str
    other: str
    rows: int


# -- sums and products -----------------------------------------------------------------------------------------------------------------


def sums(found: Profile) -> list[Sum]:
    """Those that the bounds of the columns do not rule out."""
    told = []
    for a, b, c in permutations(sorted(amounts(found), key=lambda one: -one.distinct)[:AMOUNTS], 3):
        rounding = 0.0 if all(one.family == "integer" for one in (a, b, c)) else PENNY
        if b.name > c.name or min(one.greatest - one.least for one in (a, b, c)) < OFTEN * rounding:
            continue
        told += [
            _sum(f"{b.quoted} {sign} {c.quoted}", (a, b, c), rounding)
            for sign, of in (("+", operator.add), ("*", operator.mul))
            if of(b.least, c.least) - PENNY <= a.least and a.greatest <= of(b.greatest, c.greatest) + PENNY
            and (sign == "+" or min(b.least, c.least) >= 0)
        ]  # fmt: skip
    return told[:SUMS_TRIED]


def _sum(made: str, columns: tuple[Amount, ...], rounding: float) -> Sum:
    whole = columns[0].quoted
    sql = f"abs({whole} - ({made})) <= {rounding}" if rounding else f"{whole} = {made}"
    return Sum(sql, tuple(one.name for one in columns))


def counted(look: Look, what: str, sums: Sequence[Sum], source: str) -> dict[str, Any]:
    """How many rows have the values, and of how many it is not true."""
    from datareeve.capabilities.quality.contracts.drafts import GENERATED  # noqa: PLC0415 - a contract's ways are slow to load
    from datareeve.capabilities.quality.statement_sql import condition_sql  # noqa: PLC0415 - as above

    d, listed = look.dialect, []
    for n, (condition, columns) in enumerate(sums):
        there = " AND ".join(f"{d.name(name)} IS NOT NULL" for name in columns)
        wrong = d.count_where(f"NOT {condition_sql(condition, GENERATED, d)}")
        listed.append(f"{d.count_where(there)} AS n{n}, {wrong} AS w{n}")
    return {"id": f"{look.name}:{what}", "sql": f"SELECT {', '.join(listed)} FROM {source}"}


def held(look: Look, answers: Answers, what: str, sums: Sequence[Sum]) -> dict[Sum, int]:
    """Those that were false of no row, and how many rows they were true of."""
    told = row_of(answers, f"{look.name}:{what}")
    rows = {one: int(told.get(f"n{n}") or 0) for n, one in enumerate(sums) if told.get(f"w{n}") == 0}
    return {one: many for one, many in rows.items() if many >= OFTEN}


# -- what decides what -------------------------------------------------------------------------------------------------------------------


def decisions(found: Profile) -> list[Decision]:
    """Values that come often, by one or by two, and columns that have no more values than they."""
    things = _things(found)
    sets: list[tuple[Column, ...]] = [(one,) for one in things[:10]]
    sets += [two for two in combinations(things[:5], 2) if _often(two, found)]
    told = [
        Decision(names, one.name)
        for by in sets
        if (names := tuple(one.name for one in by))
        for one in found.columns
        if one.name not in names and not one.category and one.family not in MOMENTS
        and 1 < (one.distinct or 0) <= groups_of(by) and (one.longest or 0) <= OFTEN
    ]  # fmt: skip
    return told[:DECIDED_TRIED]


def _things(found: Profile) -> list[Column]:
    """Columns whose values name something that many rows are about: what refers to another table first."""
    refers = referring(found)
    told = [
        one
        for one in found.columns
        if (one.family in ("text", "uuid") or (one.family == "integer" and (one.name in refers or GIVEN_OUT.search(one.name))))
        and not one.category and (one.distinct or 0) > 2 and _often([one], found)  # noqa: PLR2004 - yes and no decide nothing
    ]  # fmt: skip
    return sorted(told, key=lambda one: (one.name not in refers, one.distinct or 0))


def _often(by: Sequence[Column], found: Profile) -> bool:
    return all(one.present for one in by) and groups_of(by) * ROWS_OF_A_GROUP <= found.looked_at


def decides(look: Look, one: Decision, source: str, *, what: str = "decides") -> dict[str, Any]:
    """Groups, rows, rows beside their group's most frequent value, and how often the most frequent value of all is there."""
    d, families = look.dialect, {column.name: column.family for column in look.columns}
    exact = [d.exact(d.name(name), families[name]) for name in (*one.by, one.column)]
    listed = ", ".join(f"{name} AS g{n}" for n, name in enumerate(exact))
    there = " AND ".join(f"{d.name(name)} IS NOT NULL" for name in (*one.by, one.column))
    counted = f"(SELECT {listed}, count(*) AS many FROM {source} WHERE {there} GROUP BY {', '.join(exact)}) AS by_value"
    groups = ", ".join(f"g{n}" for n in range(len(one.by)))
    each = f"SELECT sum(many) AS n, max(many) AS most FROM {counted} GROUP BY {groups}"
    whole = (
        f"SELECT max(many) FROM (SELECT sum(many) AS many FROM {counted} GROUP BY g{len(one.by)}) AS alone"
    )
    sql = f"SELECT count(*) AS groups_of, coalesce(sum(n), 0) AS n, coalesce(sum(n - most), 0) AS beside, ({whole}) AS top FROM ({each}) AS by_group"
    return {"id": one.id(look, what), "sql": sql}


def _holds(told: Mapping[str, Any]) -> bool:
    """Whether next to no row is beside, by more than chance: each row but a group's first might have had another value.

    Where some are beside, the groups must explain what the most frequent value of all does not.
    """
    groups, rows, top, beside = (int(told.get(name) or 0) for name in ("groups_of", "n", "top", "beside"))
    if rows < ROWS_OF_A_GROUP * groups or not 0 < top < rows:
        return False
    explained = beside * 100 <= rows and beside * 10 <= rows - top
    return explained and (rows - groups) * -math.log(top / rows) >= CHANCE


def likely(look: Look, found: Profile, answers: Answers) -> list[Decision]:
    """What held at some rows, the fewest that say it all."""
    held = [one for one in decisions(found) if _holds(row_of(answers, one.id(look)))]
    return _needed(held)[:DECIDED_TOLD]


def _needed(held: Sequence[Decision]) -> list[Decision]:
    """Without what follows from others: two columns where one is enough, what another in between decides, and the way back."""
    told: list[Decision] = []
    for one in held:
        alone = any(other.column == one.column and set(other.by) < set(one.by) for other in held)
        steps = [Decision((other.column,), one.column) for other in held if other.by == one.by]
        between = any(step in held and (step in told or not _mutual(one.by, step.by, held)) for step in steps)
        back = len(one.by) == 1 and Decision((one.column,), one.by[0]) in told
        if not (alone or between or back):
            told.append(one)
    return told


def _mutual(by: tuple[str, ...], other: tuple[str, ...], held: Sequence[Decision]) -> bool:
    """Whether the one decides the other and is decided by it: a code and its name."""
    return len(by) == 1 and Decision(other, by[0]) in held


def decided(look: Look, found: Profile, some: Answers, all_: Answers) -> Iterator[Decided]:
    """What decides what, of all rows that were looked at."""
    for one in likely(look, found, some):
        told = row_of(all_, one.id(look, "decides all"))
        if _holds(told):
            counts = {"groups": int(told["groups_of"]), "rows": int(told["n"]), "beside": int(told["beside"])}
            yield Decided(by=one.by, column=one.column, **counts)


# -- sums of what refers to a table ------------------------------------------------------------------------------------------------------


def agreements(parent: Profile, profiles: Iterable[Profile]) -> tuple[Agrees, ...]:
    """Totals that are the sums of their lines, as far as both sums are told."""
    children = [one for one in profiles if any(parent.name == ref.to_table for ref in one.references)]
    told = [
        Agrees(column=column, table=child.name, other=other, rows=child.rows)
        for child in children
        for column, ours in _totals(parent).items()
        for other, theirs in _totals(child).items()
        if child.name != parent.name and math.isclose(ours, theirs, rel_tol=1e-11, abs_tol=PENNY) and abs(ours) > OFTEN * PENNY
    ]  # fmt: skip
    return tuple(told)


def _totals(found: Profile) -> dict[str, float]:
    present = {one.name: one.present for one in found.columns}
    return (
        {}
        if found.sampled
        else {name: mean * present[name] for name, (mean, _) in found.relations.spread.items()}
    )
