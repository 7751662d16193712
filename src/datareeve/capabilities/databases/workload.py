"""The workload as operations see it: families of statements without values, loops of queries, and measurements to compare.

Everything here is pure; `read` alone asks a system.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader


class Source(Value):
    """Where a workload comes from, and what of it was left out."""

    kind: str  # trace, log, sql, pg_stat_statements, activity or none
    place: str
    why_empty: str = ""
    sessions: int = 0
    seconds: float | None = None  # from the first statement to the last
    statements: int = 0
    skipped: int = 0
    wrong_encoding: int = 0
    unparsed: int = 0
    control: int = 0
    other: int = 0
    truncated: int = 0
    own: int = 0  # calls of statements that Datareeve itself sent, left out
    hidden: int = 0  # calls whose text this role may not see
    evicted: int = 0  # times that pg_stat_statements dropped its rarest entries
    samples: int = 0
    notes: tuple[str, ...] = ()  # what the figures leave out
    exact: bool = False  # the time of every execution is known
    reset: float | None = None  # seconds since 1970, from which on it counts
    dialect: str = "postgres"  # sqlglot's name for the SQL of its statements

    def sentence(self) -> str:
        """Where it comes from, for a report."""
        if self.why_empty:
            return f"{self.why_empty}."
        span = f" over {self.seconds:.0f} s" if self.seconds else ""
        told = {
            "lines not understood": self.skipped,
            "lines in a wrong encoding": self.wrong_encoding,
            "statements not parsed": self.unparsed,
        }
        left = "".join(f", {count:,} {what}" for what, count in told.items() if count)
        cut = "; the rest of the file was not read" if self.truncated else ""
        noted = "".join(f" Note: {note}." for note in self.notes)
        return f"The workload is {self.statements:,} statements{span} from {self.place} ({self.kind}{left}{cut}).{noted}"


class Family(Value):
    """Statements that differ only in their values. Times in milliseconds, None where the source has none."""

    fingerprint: str
    sql: str
    calls: int
    total_ms: float | None
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    rows: int | None
    is_write: bool
    parsed: bool
    tables: tuple[str, ...]
    leading_wildcard: bool
    examples: int
    example_ref: str
    min_ms: float | None = None
    max_ms: float | None = None
    p95_at_most_ms: float | None = None  # what the 95th percentile is surely not above, where it is not known
    squares: float | None = None  # sum of the squared milliseconds of all calls
    nested: bool = False  # only run inside of functions; its time is in its caller's too
    resources: dict[str, float] = Field(
        default_factory=dict
    )  # blocks, WAL bytes, planning, where the source has them
    waits: dict[str, int] = Field(default_factory=dict)  # what it waited for, in samples
    base_tables: tuple[str, ...] = ()  # its tables with views resolved and partitions as their parent

    @property
    def short(self) -> str:
        """The statement in at most 90 characters."""
        return self.sql if len(self.sql) <= SHORT else f"{self.sql[: SHORT - 1]}…"


SHORT = 90


class Loop(Value):
    """N+1: after `parent` gave rows, the `children` were asked for each of them."""

    parent: str
    children: tuple[str, ...]
    loops: int
    calls: int
    rows: int
    total_ms: float


class Workload(Value):
    """What an application asks of a database."""

    source: Source
    families: tuple[Family, ...]
    loops: tuple[Loop, ...]

    @property
    def total_ms(self) -> float:
        """Time spent in all families."""
        return sum(family.total_ms or 0.0 for family in self.families)

    def family(self, fingerprint: str) -> Family:
        """The family of that fingerprint."""
        return next(family for family in self.families if family.fingerprint == fingerprint)


def read(system: Reader) -> Workload:
    """The workload of a database."""
    return Workload.model_validate(system.read("workload"))


# -- N+1 --------------------------------------------------------------------------------------------------------------------------


def loop_findings(workload: Workload) -> tuple[Finding, ...]:
    """A finding for each loop: seen in the sessions' order, or else suspected from the numbers of calls and rows."""
    if workload.source.sessions:
        return tuple(_seen(workload, loop) for loop in workload.loops)
    return suspected_loops(workload)


def suspected_loops(workload: Workload) -> tuple[Finding, ...]:
    """Loops inferred from counts alone."""
    return tuple(_suspected(parent, child) for parent, child in _ratios(workload))


def _seen(workload: Workload, loop: Loop) -> Finding:
    parent, children = workload.family(loop.parent), [workload.family(child) for child in loop.children]
    deeper = {inner.parent for inner in workload.loops} & set(loop.children)
    nested = ". Each of them begins a loop of its own" if deeper else ""
    return Finding(
        rule="n-plus-one",
        subject=" and ".join(", ".join(child.tables) or child.fingerprint for child in children),
        what=f"{loop.loops:,} times: {_shape(loop, parent, children)}: {'; '.join(c.short for c in children)}{nested}",
        why=f"{loop.calls:,} queries took {loop.total_ms:,.0f} ms, and as many round trips, where {loop.loops:,} would do.",
        instead=_instead(parent, children),
        figures={
            "parent": parent.fingerprint,
            "children": list(loop.children),
            "loops": loop.loops,
            "calls": loop.calls,
            "rows": loop.rows,
            "total_ms": loop.total_ms,
        },
    )


def _shape(loop: Loop, parent: Family, children: list[Family]) -> str:
    """'1 query on orders gives 50 rows, then 50 x 2 queries on items, customers'."""
    on = f" on {', '.join(parent.tables)}" if parent.tables else ""
    gives = f" gives {loop.rows / loop.loops:.0f} rows" if loop.rows else ""
    rounds = loop.calls / loop.loops / len(children)
    asked = f"{rounds:.0f} x {len(children)} queries" if len(children) > 1 else f"{rounds:.0f} queries"
    to = ", ".join(dict.fromkeys(", ".join(child.tables) or child.fingerprint for child in children))
    return f"1 query{on}{gives}, then {asked} on {to}"


def _instead(parent: Family, children: list[Family]) -> str:
    outer = parent.tables[0] if len(parent.tables) == 1 else "the first query"
    joins = [f"JOIN {child.tables[0]}" for child in children if len(child.tables) == 1]
    joined = f"{' and '.join(joins)} in the query on {outer}" if joins else "Join in the first query"
    return f"{joined}, or collect the keys and ask once with WHERE key = ANY($1)."


RATIO_ERROR = 0.05  # a loop asks once for each row; other queries' counts come this close by chance now and then, so one parent only
LOOKUP = re.compile(r"\bWHERE\b.*?[\w\"]+ = \$\d", re.DOTALL)  # asks by a key
LEAST_CALLS = 100  # below this, equal counts are an accident


def _ratios(workload: Workload) -> list[tuple[Family, Family]]:
    """Pairs where a lookup of one row was called about as often as another query gave rows: each child with its likeliest parent."""
    reads = [f for f in workload.families if not f.is_write and f.parsed and f.rows is not None and f.calls]
    parents = [f for f in reads if (f.rows or 0) >= 3 * f.calls]
    pairs = []
    for child in reads:
        if (child.rows or 0) > child.calls or not LOOKUP.search(child.sql):
            continue
        close = [
            p
            for p in parents
            if p is not child and abs((p.rows or 0) - child.calls) <= RATIO_ERROR * child.calls
        ]
        if len(close) == 1 and child.calls >= LEAST_CALLS:
            pairs.append((close[0], child))
    return pairs


def _suspected(parent: Family, child: Family) -> Finding:
    return Finding(
        rule="n-plus-one-suspected",
        subject=", ".join(child.tables) or child.fingerprint,
        what=f"{child.calls:,} lookups of one row stand against {parent.rows:,} rows from {parent.short}: {child.short}",
        why="So many equal lookups are usually a loop over another query's rows. The source has no sessions, so this is inferred from counts.",
        instead=_instead(parent, [child]),
        severity=Severity.INFO,
        figures={
            "parent": parent.fingerprint,
            "children": [child.fingerprint],
            "calls": child.calls,
            "total_ms": child.total_ms,
        },
    )


# -- measurements -----------------------------------------------------------------------------------------------------------------


class Timing(Value):
    """One family, replayed: the median milliseconds of each of its cases."""

    fingerprint: str
    calls: int
    ms: tuple[float, ...]
    failed: dict[str, int]

    @property
    def mean_ms(self) -> float:
        """Mean over the cases."""
        return sum(self.ms) / len(self.ms)


class Measurement(Value):
    """The reads of a workload, replayed at one moment."""

    families: tuple[Timing, ...]
    left_out: dict[str, int]

    @property
    def timed(self) -> tuple[Timing, ...]:
        """The families that at least one case ran of."""
        return tuple(family for family in self.families if family.ms)

    def figures(self) -> dict[str, Any]:
        """Percentiles over all calls (each call takes the time of a case of its family), queries a second in one session, and each family."""
        weighted = sorted((ms, family.calls / len(family.ms)) for family in self.timed for ms in family.ms)
        total = sum(ms * weight for ms, weight in weighted)
        calls = sum(weight for _, weight in weighted)
        return {
            **{f"p{p}_ms": percentile(weighted, p) for p in (50, 95, 99)},
            "queries_per_second": round(calls * 1000 / total, 1) if total else None,
            "workload_ms": round(total, 1),
            "families": {family.fingerprint: round(family.mean_ms, 3) for family in self.timed},
        }


def percentile(weighted: list[tuple[float, float]], percent: float) -> float | None:
    """The nearest-rank percentile of (value, weight) pairs in ascending order; None where there are none."""
    wanted = sum(weight for _, weight in weighted) * percent / 100
    reached = 0.0
    for value, weight in weighted:
        reached += weight
        if reached >= wanted - 1e-9:
            return round(value, 3)
    return None


def compare(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Two measurements' figures side by side, over the families that both timed: {p95_ms: {before, after, ratio}, ..., families}.

    A ratio below 1 is an improvement, except for `queries_per_second`. Families are in order of the time they lost or gained.
    """
    numbers = ("p50_ms", "p95_ms", "p99_ms", "workload_ms", "queries_per_second")
    both = sorted(set(before["families"]) & set(after["families"]))
    families = {key: _beside(before["families"][key], after["families"][key]) for key in both}
    largest = sorted(families, key=lambda key: (-abs(families[key]["after"] - families[key]["before"]), key))
    return {
        **{name: _beside(before[name], after[name]) for name in numbers},
        "families": {key: families[key] for key in largest},
    }


def _beside(before: float | None, after: float | None) -> dict[str, Any]:
    return {
        "before": before,
        "after": after,
        "ratio": round(after / before, 4) if before and after is not None else None,
    }
