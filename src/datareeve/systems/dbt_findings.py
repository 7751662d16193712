"""What came of a dbt command, as findings: a sentence a node that failed, with counts and names and without what dbt quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.systems.dbt_artifacts import Manifest, Node, NodeResult, Results

MOST = 100  # findings of one command; the figures count them all


def findings(system: str, found: Results, project: Manifest | None) -> list[dict[str, Any]]:
    """A finding for each node that failed or warned, failures first."""
    bad = [node for node in found.nodes if node.status in ("error", "fail", "runtime error", "warn")]
    nodes = project.nodes if project else {}
    ordered = sorted(bad, key=lambda node: node.status == "warn")
    return [_finding(system, node, nodes.get(node.id)) for node in ordered[:MOST]]


def _finding(system: str, result: NodeResult, node: Node | None) -> dict[str, Any]:
    name = node.name if node else result.id
    tested = result.failures is not None and result.status in ("fail", "warn")
    return {
        "rule": "dbt-test-failed" if tested else "dbt-node-failed",
        "subject": f"{system}: {name}",
        "what": _what(name, result, node, tested=tested),
        "why": "dbt's own message may quote rows, and stays in its target/ folder.",
        "instead": f"Read {result.compiled}, or run dbt retry there."
        if result.compiled
        else "Run its compiled SQL there.",
        "severity": "warning" if result.status == "warn" else "critical",
        "figures": {
            key: value
            for key, value in (
                ("failures", result.failures),
                ("error", result.error),
                ("code", result.code),
                ("seconds", result.seconds),
            )
            if value not in (None, "")
        },
    }


def _what(name: str, result: NodeResult, node: Node | None, *, tested: bool) -> str:
    kind = node.kind if node else "node"
    where = f" ({node.file})" if node and node.file else ""
    if tested:
        said = "warned" if result.status == "warn" else "failed"
        count = f"{result.failures:,} failure{'' if result.failures == 1 else 's'}"
        return f"The {kind} {name}{where} {said}: {count}, as dbt counts them."
    told = ", ".join(part for part in (result.error, result.code) if part) or "no error that dbt names"
    return f"The {kind} {name}{where} failed: {told}."
