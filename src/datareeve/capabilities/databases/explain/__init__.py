"""A plan as people read it: nodes with their own share of time or cost, what stands out in them, as text and as one HTML page.

`read_plan` makes `Node`s of what EXPLAIN (FORMAT JSON) gives, run or only planned. A node's *own* time is its time without its children's, in
milliseconds of wall clock: time a loop, times loops, shared by the processes of a Gather (manual, "Using EXPLAIN").
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

CONDITIONS = (
    "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "One-Time Filter", "Order By", "Sort Key",
    "Presorted Key", "Group Key", "Cache Key", "TID Cond",
)  # fmt: skip
GATHERING = {"Append", "Merge Append"}
STOPS_EARLY = {"Limit", "Merge Join"}  # what they read they may read in part
READS_ALL = {"Sort", "Hash", "Aggregate", "Materialize", "Memoize", "SetOp"}
SHOWN = 6  # children of an Append that are drawn; of the others a sum is told
WORST_SHOWN = 3
LEAST_SHARE = 0.01  # of the whole, in a node itself, to be called one of the worst


class Buffers(Value):
    """Blocks of 8 kB that a node and its children touched."""

    hit: int = 0
    read: int = 0
    written: int = 0
    temp: int = 0  # written to temporary files


class Node(Value):
    """One node of a plan. `ms` and `actual_rows` are None where the plan was not run."""

    number: int  # from the top, 1 is the root
    kind: str
    relation: str = ""  # public.flights
    alias: str = ""
    index: str = ""
    role: str = ""  # InitPlan 1, CTE name: where it is no ordinary child
    cost: float
    own_cost: float
    rows: float  # estimated, a loop
    actual_rows: float | None = None  # a loop
    loops: float = 1
    ms: float | None = None  # with its children
    own_ms: float | None = None
    share: float = 0.0  # of the whole: own time, else own cost
    removed: float = 0  # rows thrown away by its filters, a loop
    never_run: bool = False
    cut_short: bool = False  # read only in part, for whoever is above had enough
    buffers: Buffers = Buffers()
    conditions: tuple[tuple[str, str], ...] = ()
    facts: dict[str, Any] = Field(
        default_factory=dict
    )  # of its kind, as EXPLAIN names them: 'Sort Method', 'Hash Batches'
    children: tuple[Node, ...] = ()
    folded: int = 0  # children that are not drawn
    folded_as: str = ""

    @property
    def title(self) -> str:
        """Its kind, with what it reads."""
        using = f" using {self.index}" if self.index else ""
        on = f" on {self.relation}" if self.relation else ""
        return f"{self.kind}{using}{on}"

    @property
    def off(self) -> float | None:
        """How many times the estimate is wrong, at least 1; None where it was not run."""
        if self.actual_rows is None or self.never_run:
            return None
        low, high = sorted((max(self.rows, 1.0), max(self.actual_rows, 1.0)))
        return high / low

    def walk(self) -> Iterator[Node]:
        """It and all below it, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()


class Explained(Value):
    """A whole plan: its nodes, and what was told of the run."""

    root: Node
    nodes: int
    executed: bool
    planning_ms: float | None = None
    execution_ms: float | None = None
    jit_ms: float | None = None
    settings: dict[str, str] = Field(default_factory=dict)

    @property
    def worst(self) -> tuple[Node, ...]:
        """The three nodes that take most themselves, at least 1 % of the whole."""
        found = sorted(self.root.walk(), key=lambda node: (-node.share, node.number))
        return tuple(node for node in found[:WORST_SHOWN] if node.share >= LEAST_SHARE)


def read_plan(answer: dict[str, Any]) -> Explained:
    """A plan as EXPLAIN (FORMAT JSON) gives it: the whole answer, or its top node."""
    top = answer.get("Plan", answer)
    executed = "Actual Loops" in top
    whole = _ms(top, 1) if executed else float(top["Total Cost"])
    reader = _Reader(max(whole or 0.0, 1e-9), executed=executed)
    root = reader.node(top, processes=1)
    jit = answer.get("JIT", {}).get("Timing", {})
    return Explained(
        root=root,
        nodes=reader.count,
        executed=executed,
        planning_ms=answer.get("Planning Time"),
        execution_ms=answer.get("Execution Time"),
        jit_ms=jit.get("Total"),
        settings=answer.get("Settings", {}),
    )


class _Reader:
    """Numbers nodes as it reads them."""

    def __init__(self, whole: float, *, executed: bool) -> None:
        self.whole = whole
        self.executed = executed
        self.count = 0

    def node(self, plan: dict[str, Any], processes: float, *, cut_short: bool = False) -> Node:
        """A node with its children."""
        self.count += 1
        number = self.count
        below = 1 + plan.get("Workers Launched", 0) if plan["Node Type"].startswith("Gather") else processes
        plans = plan.get("Plans", ())
        drawn, folded = _drawn(plan, plans)
        stops = plan["Node Type"] in STOPS_EARLY or plan.get("Join Type") in {"Semi", "Anti"}
        short = stops or (cut_short and plan["Node Type"] not in READS_ALL)
        children = tuple(self.node(child, below, cut_short=short) for child in drawn)
        self.count += sum(_size(child) for child in folded)
        ms = _ms(plan, processes) if self.executed else None
        own_cost = max(0.0, float(plan["Total Cost"]) - sum(float(child["Total Cost"]) for child in plans))
        own_ms = None if ms is None else max(0.0, ms - sum(_ms(child, below) or 0.0 for child in plans))
        return Node(
            number=number,
            **_described(plan),
            own_cost=own_cost,
            ms=ms,
            own_ms=own_ms,
            cut_short=cut_short,
            share=min(1.0, (own_cost if own_ms is None else own_ms) / self.whole),
            children=children,
            folded=len(folded),
            folded_as=_folded_as(folded),
        )


def _drawn(plan: dict[str, Any], plans: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The children that are drawn, and those that are not: of an Append with many, the most expensive are drawn, in their order."""
    if plan["Node Type"] not in GATHERING or len(plans) <= SHOWN + 1:
        return list(plans), []
    ranked = sorted(
        range(len(plans)), key=lambda n: -(plans[n].get("Actual Total Time") or plans[n]["Total Cost"])
    )
    kept = set(ranked[:SHOWN])
    return [p for n, p in enumerate(plans) if n in kept], [p for n, p in enumerate(plans) if n not in kept]


def _size(plan: dict[str, Any]) -> int:
    return 1 + sum(_size(child) for child in plan.get("Plans", ()))


def _folded_as(folded: list[dict[str, Any]]) -> str:
    kinds = Counter(plan["Node Type"] for plan in folded)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())


def _ms(plan: dict[str, Any], processes: float) -> float | None:
    """Wall-clock milliseconds of a node with its children."""
    if "Actual Total Time" not in plan:
        return None
    return float(plan["Actual Total Time"]) * float(plan["Actual Loops"]) / max(processes, 1)


def _described(plan: dict[str, Any]) -> dict[str, Any]:
    schema, table, alias = (plan.get(key, "") for key in ("Schema", "Relation Name", "Alias"))
    return {
        "kind": _kind(plan),
        "relation": f"{schema}.{table}"
        if schema and table
        else table or plan.get("CTE Name", "") or plan.get("Function Name", ""),
        "alias": alias if alias != table else "",
        "index": plan.get("Index Name", ""),
        "role": plan.get("Subplan Name", ""),
        "cost": plan["Total Cost"],
        "rows": plan["Plan Rows"],
        "actual_rows": plan.get("Actual Rows"),
        "loops": plan.get("Actual Loops", 1),
        "never_run": plan.get("Actual Loops") == 0,
        "removed": sum(
            plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter", "Index Recheck")
        ),
        "buffers": Buffers(
            hit=plan.get("Shared Hit Blocks", 0),
            read=plan.get("Shared Read Blocks", 0),
            written=plan.get("Shared Written Blocks", 0),
            temp=plan.get("Temp Written Blocks", 0),
        ),
        "conditions": tuple((key, _text(plan[key])) for key in CONDITIONS if key in plan),
        "facts": {key: plan[key] for key in FACTS if key in plan},
    }


FACTS = (
    "Sort Method", "Sort Space Used", "Sort Space Type", "Hash Batches", "Original Hash Batches", "Peak Memory Usage", "Disk Usage", "HashAgg Batches",
    "Exact Heap Blocks", "Lossy Heap Blocks", "Heap Fetches", "Workers Planned", "Workers Launched", "Subplans Removed", "Cache Hits", "Cache Misses",
    "Cache Evictions", "Join Type", "Strategy", "Disabled",
)  # fmt: skip


def _kind(plan: dict[str, Any]) -> str:
    kind: str = plan["Node Type"]
    join = plan.get("Join Type", "Inner")
    if kind == "Aggregate":
        kind = {"Hashed": "Hash Aggregate", "Sorted": "Group Aggregate", "Mixed": "Mixed Aggregate"}.get(
            plan.get("Strategy", ""), kind
        )
    if plan.get("Operation") and kind == "ModifyTable":
        kind = plan["Operation"]
    partial = f"{plan['Partial Mode']} " if plan.get("Partial Mode", "Simple") != "Simple" else ""
    parallel = "Parallel " if plan.get("Parallel Aware") else ""
    return f"{parallel}{partial}{kind}{'' if join == 'Inner' else f' ({join})'}"


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- the terminal ------------------------------------------------------------------------------------------------------------------

WORST = 0.25  # of the whole, in a node itself, is worth a mark


def as_text(plan: Explained) -> str:
    """The plan as an indented tree."""
    return "\n".join(_lines(plan.root, 0))


def _lines(node: Node, depth: int) -> Iterator[str]:
    what = "cost" if node.own_ms is None else "time"
    mark = f"   <-- {node.share:.0%} of the {what}" if node.share >= WORST else ""
    pad = "   " * depth
    role = f"[{node.role}] " if node.role else ""
    yield f"{pad}{'-> ' if depth else ''}{role}{node.title}  ({_figures(node)}){mark}"
    inner = f"{pad}   {'   ' if depth else ''}"
    yield from (f"{inner}{key}: {value}" for key, value in node.conditions)
    for child in node.children:
        yield from _lines(child, depth + 1)
    if node.folded:
        yield f"{pad}   … and {node.folded:,} more: {node.folded_as}"


def _figures(node: Node) -> str:
    told = [f"cost {node.cost:,.0f}", f"rows {node.rows:,.0f}"]
    if node.never_run:
        return ", ".join([*told, "never run"])
    if node.actual_rows is not None:
        told[1] += f" expected, {node.actual_rows:,.0f} found"
        told += [f"{node.loops:,.0f} loops"] if node.loops > 1 else []
        told += [f"{node.own_ms:,.1f} of {node.ms:,.1f} ms"] if node.own_ms is not None else []
    return ", ".join(told)


# -- the page ----------------------------------------------------------------------------------------------------------------------


def as_page(plan: Explained, *, title: str, statement: str, source: str) -> str:
    """The plan as one HTML page that needs no network and no script."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only where a page is made

    from datareeve.capabilities.databases.rules.plans import marks  # noqa: PLC0415 - the rules know this module

    environment = Environment(
        loader=PackageLoader("datareeve.capabilities.databases", "explain"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"count": count, "ms": milliseconds, "blocks": blocks, "heat": heat}
    said = marks(plan)
    template = environment.get_template("plan.html.j2")
    return template.render(
        plan=plan,
        marks=said,
        title=title,
        statement=statement,
        source=source,
        number_of_marks=sum(map(len, said.values())),
    )


THOUSAND = 1000.0
KILO = 1024


def count(number: float) -> str:
    """A count in at most four digits: '1.2 M'."""
    for power, unit in ((3, " G"), (2, " M"), (1, " k")):
        if abs(number) >= 10 * THOUSAND**power:
            return f"{number / THOUSAND**power:,.0f}{unit}"
    return f"{number:,.0f}"


def milliseconds(ms: float) -> str:
    """A time in the unit that fits: '840 µs', '12.3 ms', '4.56 s'."""
    if ms < 1:
        return f"{ms * THOUSAND:,.0f} µs"
    return f"{ms:,.1f} ms" if ms < THOUSAND else f"{ms / THOUSAND:,.2f} s"


def blocks(number: int) -> str:
    """Blocks of 8 kB as bytes: '12 MB'."""
    size, units = number * 8.0, ["kB", "MB", "GB", "TB"]
    while size >= KILO and len(units) > 1:
        size, units = size / KILO, units[1:]
    return f"{size:,.0f} kB" if units[0] == "kB" else f"{size:,.1f} {units[0]}"


def heat(share: float) -> int:
    """How warm a node's bar is drawn, 0 to 4."""
    return sum(share >= edge for edge in (0.05, 0.15, 0.3, 0.5))
