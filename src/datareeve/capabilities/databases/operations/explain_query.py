"""`databases.explain-query`: the plan of a statement as a tree, with its most expensive nodes marked, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.core.errors import BadInput
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

WORST = 0.25  # of the plan's cost, in a node itself, is worth a mark
LARGE_SCAN_COST = 1000.0  # about 800 pages
CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "Sort Key",
    "Group Key",
)


class ExplainQueryFacts(Value):
    """The planner's plan as EXPLAIN (FORMAT JSON) gives it, with `?` in place of constants."""

    root: dict[str, Any]


class ExplainQuery(Operation[ExplainQueryFacts]):
    """Explain how a query is answered: its plan as a tree, the expensive nodes marked.

    Takes a statement or the fingerprint of a family of the workload. It is planned, not run: rows and costs are the planner's estimates.
    Constants of conditions are shown as `?`.
    """

    name: ClassVar[str] = "databases.explain-query"
    examples: ClassVar[tuple[str, ...]] = (
        "explain this query",
        "EXPLAIN ANALYZE SELECT * FROM table",
        "show the query plan",
        "why is this query slow",
        "does this query use an index",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    sql: str | None = Field(
        None, description="one statement; parameters may be left open as $1 (PostgreSQL 16 and newer)"
    )
    fingerprint: str | None = Field(
        None, description="a family of the workload, as databases.find-slow-queries lists them"
    )

    def observe(self, systems: Systems) -> ExplainQueryFacts:
        """The plan. Errors: `BadInput` `explain.which` where neither or both are given."""
        if (self.sql is None) == (self.fingerprint is None):
            raise BadInput(
                "explain.which",
                "Give either a statement or a fingerprint.",
                "--sql 'SELECT ...' or --fingerprint 0123456789ab",
            )
        plan = systems[self.system].read("plan_of", sql=self.sql, fingerprint=self.fingerprint)
        return ExplainQueryFacts(root=plan)

    def inputs(self) -> dict[str, Any]:
        """The inputs, without the statement's text: its values are nobody's business afterwards."""
        return {**super().inputs(), "sql": None if self.sql is None else "(given)"}

    def plan(self, facts: ExplainQueryFacts) -> Plan:
        """The tree and what stands out in it; nothing is changed."""
        root = facts.root
        findings = tuple(_full_scans(root))
        summary = f"{root['Node Type']}, estimated cost {root['Total Cost']:,.0f} for {root['Plan Rows']:,.0f} rows."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=findings,
            figures={
                "tree": "\n".join(_tree(root, root["Total Cost"], 0)),
                "cost": root["Total Cost"],
                "rows": root["Plan Rows"],
            },
        )


def _own_cost(node: dict[str, Any]) -> float:
    # A child's cost is a part of its parent's; below a LIMIT a parent may cost less than its child, which is read in part.
    return max(
        0.0, float(node["Total Cost"]) - sum(float(child["Total Cost"]) for child in node.get("Plans", ()))
    )


def _tree(node: dict[str, Any], whole: float, depth: int) -> Iterator[str]:
    own = _own_cost(node)
    mark = f"   <-- {own / whole:.0%} of the cost" if whole and own / whole >= WORST else ""
    pad = "   " * depth
    yield f"{pad}{'-> ' if depth else ''}{_title(node)}  (cost {node['Total Cost']:,.0f}, rows {node['Plan Rows']:,.0f}){mark}"
    for key in CONDITIONS:
        if key in node:
            value = ", ".join(node[key]) if isinstance(node[key], list) else node[key]
            yield f"{pad}   {'   ' if depth else ''}{key}: {value}"
    for child in node.get("Plans", ()):
        yield from _tree(child, whole, depth + 1)


def _title(node: dict[str, Any]) -> str:
    using = f" using {node['Index Name']}" if "Index Name" in node else ""
    table = f" on {node.get('Schema', 'public')}.{node['Relation Name']}" if "Relation Name" in node else ""
    return f"{node['Node Type']}{using}{table}"


def _full_scans(node: dict[str, Any]) -> Iterator[Finding]:
    """Scans of a whole large table of which a condition then keeps a part."""
    if node["Node Type"] == "Seq Scan" and "Filter" in node and node["Total Cost"] > LARGE_SCAN_COST:
        yield Finding(
            rule="full-scan",
            subject=f"{node.get('Schema', 'public')}.{node['Relation Name']}",
            what=f"All of the table is read to find about {node['Plan Rows']:,.0f} rows where {node['Filter']}.",
            why="The time grows with the table, not with the answer.",
            instead="databases.advise-indexes tries indexes for it on a copy.",
            severity=Severity.WARNING,
            figures={"cost": node["Total Cost"], "rows": node["Plan Rows"]},
        )
    for child in node.get("Plans", ()):
        yield from _full_scans(child)
