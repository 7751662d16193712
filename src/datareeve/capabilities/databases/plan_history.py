"""The history of plans: which family of statements is planned in another way than before, what changed around it, and what it costs.

A *capture* is the plans of the workload's families at one moment with what they rested on: planner settings, statistics, indexes, the
version. Captures are kept in the ledger when something changed. Everything here is pure.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KIND = "query-plans"  # the ledger's entries
GREW = 2.0  # a table with so many times the rows is another table to the planner
STALE = 0.2  # of a table's rows changed since they were last analysed
SLOWER, CHEAPER = 1.1, 0.9


class IndexState(Value):
    """An index as the planner knows it."""

    valid: bool
    definition: str


class TableState(Value):
    """What the planner knows of a table."""

    rows: float  # -1: never counted
    bytes: int
    live: int | None = None
    modified: int | None = None
    analyzed_at: str | None = None
    has_statistics: bool | None = None  # None: the role may not know
    indexes: dict[str, IndexState] = Field(default_factory=dict)


class PlanTaken(Value):
    """One plan of a family: its shape, the planner's cost and rows, and the tree without constants."""

    shape: str
    cost: float
    rows: float
    tree: dict[str, Any]


class FamilyPlans(Value):
    """The plans of a family for up to three recorded executions, and its calls until then."""

    fingerprint: str
    sql: str
    calls: int
    total_ms: float | None
    plans: tuple[PlanTaken, ...]

    @property
    def shapes(self) -> frozenset[str]:
        """The shapes of its plans."""
        return frozenset(plan.shape for plan in self.plans)


class Capture(Value):
    """The plans of a moment."""

    version_num: int
    settings: dict[str, str]
    tables: dict[str, TableState]
    families: tuple[FamilyPlans, ...]

    def family(self, fingerprint: str) -> FamilyPlans | None:
        """The plans of that family."""
        return next((one for one in self.families if one.fingerprint == fingerprint), None)


class Kept(Value):
    """A capture of the ledger."""

    at: str
    capture: Capture


CauseKind = Literal[
    "setting",
    "index-gone",
    "index-invalid",
    "index-new",
    "statistics-gone",
    "statistics-old",
    "growth",
    "version",
]


class Cause(Value):
    """Something that changed between two plans, and that can have changed them."""

    kind: CauseKind
    subject: str
    what: str
    before: str = ""
    after: str = ""
    proven: bool = False  # with it put back, the planner takes the old plan again


class Change(Value):
    """A family whose plan is not what it was."""

    fingerprint: str
    sql: str
    seen_at: str  # the capture that had the old plan
    before: PlanTaken
    after: PlanTaken
    causes: tuple[Cause, ...]
    settings: dict[str, tuple[str, str]] = Field(
        default_factory=dict
    )  # of the planner, that changed: before and after
    ms_before: float | None = None  # a call, by the workload's source
    ms_after: float | None = None


# -- changes -----------------------------------------------------------------------------------------------------------------------


def changes(history: Sequence[Kept], now: Capture, since: str) -> Iterator[Change]:
    """Families whose plans of now share no shape with the last different capture, changed after the moment `since`."""
    for family in now.families:
        seen = [(kept, one) for kept in history if (one := kept.capture.family(family.fingerprint))]
        other = next((n for n in range(len(seen) - 1, -1, -1) if not seen[n][1].shapes & family.shapes), None)
        if other is None:
            continue
        old_at, old = seen[other]
        changed = seen[other + 1][0] if other + 1 < len(seen) else None
        if changed is not None and changed.at < since:
            continue
        yield _change(family, old, _last_before(history, old_at, changed), now, changed)


def _last_before(history: Sequence[Kept], old: Kept, changed: Kept | None) -> Kept:
    """The newest capture in which the old plan was still taken: its settings and tables are what the old plan rested on."""
    still = [kept for kept in history if kept.at >= old.at and (changed is None or kept.at < changed.at)]
    return still[-1] if still else old


def _change(family: FamilyPlans, old: FamilyPlans, at: Kept, now: Capture, changed: Kept | None) -> Change:
    before, after = old.plans[0], family.plans[0]
    around = changed.capture if changed is not None else now
    calls = family.calls - old.calls
    spent = (family.total_ms or 0.0) - (old.total_ms or 0.0)
    return Change(
        fingerprint=family.fingerprint,
        sql=family.sql,
        seen_at=at.at,
        before=before,
        after=after,
        causes=tuple(causes(at.capture, around, before, after)),
        settings={c.subject: (c.before, c.after) for c in _settings(at.capture.settings, around.settings)},
        ms_before=round(old.total_ms / old.calls, 3) if old.total_ms is not None and old.calls else None,
        ms_after=round(spent / calls, 3) if calls > 0 and spent > 0 else None,
    )


# -- causes ------------------------------------------------------------------------------------------------------------------------


def causes(before: Capture, after: Capture, old: PlanTaken, new: PlanTaken) -> Iterator[Cause]:
    """What changed that can have changed a plan, the likeliest first."""
    tables = sorted({name for plan in (old, new) for name in tables_of(plan.tree)})
    known = [
        (name, before.tables[name], after.tables[name])
        for name in tables
        if name in before.tables and name in after.tables
    ]
    for name, was, is_ in known:
        yield from _indexes(name, was, is_, old, new)
    yield from _settings(before.settings, after.settings)
    for name, was, is_ in known:
        yield from _statistics(name, was, is_)
    if before.version_num // 10000 != after.version_num // 10000:
        was_version, is_version = before.version_num // 10000, after.version_num // 10000
        yield Cause(kind="version", subject="server", what=f"PostgreSQL {was_version} became {is_version}")


def _indexes(table: str, was: TableState, is_: TableState, old: PlanTaken, new: PlanTaken) -> Iterator[Cause]:
    used, uses = indexes_of(old.tree), indexes_of(new.tree)
    for name, index in was.indexes.items():
        there = is_.indexes.get(name)
        if name not in used or (there is not None and there.valid):
            continue
        kind: CauseKind = "index-gone" if there is None else "index-invalid"
        said = "is gone" if there is None else "is invalid"
        yield Cause(kind=kind, subject=table, what=f"index {name} on {table} {said}", before=index.definition)
    for name, index in is_.indexes.items():
        if name in uses and name not in was.indexes:
            yield Cause(
                kind="index-new",
                subject=table,
                what=f"index {name} on {table} is new",
                after=name,
                before=index.definition,
            )


def _settings(before: dict[str, str], after: dict[str, str]) -> Iterator[Cause]:
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            what = f"{name} was {before[name]} and is {after[name]}"
            yield Cause(kind="setting", subject=name, what=what, before=before[name], after=after[name])


def _statistics(table: str, was: TableState, is_: TableState) -> Iterator[Cause]:
    if is_.has_statistics is False and was.has_statistics:
        yield Cause(kind="statistics-gone", subject=table, what=f"the statistics of {table} are gone")
    elif is_.rows < 0 <= was.rows:
        yield Cause(
            kind="statistics-gone",
            subject=table,
            what=f"{table} has not been analysed since it was made anew",
        )
    elif is_.live and is_.modified and is_.modified > STALE * is_.live and is_.modified > (was.modified or 0):
        what = f"{is_.modified:,} of {is_.live:,} rows of {table} changed since it was analysed"
        yield Cause(kind="statistics-old", subject=table, what=what)
    if was.rows > 0 and is_.rows > 0 and not 1 / GREW < is_.rows / was.rows < GREW:
        what = f"{table} had {was.rows:,.0f} rows and has {is_.rows:,.0f}"
        yield Cause(kind="growth", subject=table, what=what)


# -- trees -------------------------------------------------------------------------------------------------------------------------


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, from the top."""
    yield tree
    for child in tree.get("Plans", ()):
        yield from nodes(child)


def tables_of(tree: dict[str, Any]) -> set[str]:
    """The tables that a plan reads, with their schemas."""
    return {
        f"{n['Schema']}.{n['Relation Name']}" for n in nodes(tree) if "Schema" in n and "Relation Name" in n
    }


def indexes_of(tree: dict[str, Any]) -> set[str]:
    """The indexes that a plan uses."""
    return {node["Index Name"] for node in nodes(tree) if "Index Name" in node}


def outline(tree: dict[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan as lines: nodes with what they read, and no figures."""
    join = tree.get("Join Type", "")
    kind = tree["Node Type"] if join in {"", "Inner"} else f"{tree['Node Type']} ({join})"
    using = f" using {tree['Index Name']}" if "Index Name" in tree else ""
    table = f" on {tree['Relation Name']}" if "Relation Name" in tree else ""
    yield f"{'  ' * depth}{'-> ' if depth else ''}{kind}{using}{table}"
    for child in tree.get("Plans", ()):
        yield from outline(child, depth + 1)
    if left := tree.get("Nodes Left Out"):
        yield f"{'  ' * (depth + 1)}-> … {left:,} more"


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Two plans as two columns of text."""
    left, right = list(outline(before)), list(outline(after))
    wide = max(map(len, [*left, "before"])) + 3
    pairs = zip_longest(["before", *left], ["now", *right], fillvalue="")
    return "\n".join(f"{old.ljust(wide)}{new}".rstrip() for old, new in pairs)
