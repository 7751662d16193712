"""The plan of explain-query where the database is not PostgreSQL: the engine's own tree, without its costs, which are not comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.operation import Finding, Plan, Severity
from datareeve.systems.workload_elsewhere import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE_ROWS = 1000  # estimated; below it reading all of a table is as good as an index


def explain_plan(operation: str, inputs: dict[str, Any], kind: str, answer: dict[str, Any]) -> Plan:
    """The tree and what stands out in it; nothing is changed."""
    nodes = answer["nodes"]
    scans = [node["table"] for node in nodes if node["whole"]]
    summary = (
        f"{len(nodes)} steps; {', '.join(dict.fromkeys(scans)) or 'no table'} read whole."
        if nodes
        else "The engine tells nothing of how it would answer this."
    )
    return Plan(
        operation=operation,
        inputs=inputs,
        summary=summary,
        nothing_to_do=summary,
        findings=tuple(_findings(nodes, kind)),
        figures={
            "tree": "\n".join(_line(node) for node in nodes),
            "tables_read_whole": list(dict.fromkeys(scans)),
        },
    )


def shown(sql: str | None, kind: str) -> str | None:
    """A statement as it may be kept: without its values. Of SQLite a word in double quotes may be a string, so it is taken for one."""
    return None if sql is None else shape_of(sql, kind, frozenset() if kind == "sqlite" else None).text


def _line(node: dict[str, Any]) -> str:
    rows = f", about {node['rows']:,} rows" if node["rows"] is not None else ""
    mark = "   <-- reads all of it" if node["whole"] and (node["rows"] or LARGE_ROWS) >= LARGE_ROWS else ""
    return f"{'   ' * node['depth']}{'-> ' if node['depth'] else ''}{node['text']}{rows}{mark}"


def _findings(nodes: list[dict[str, Any]], kind: str) -> Iterator[Finding]:
    for node in nodes:
        if node["made_index"]:
            yield Finding(
                rule="index-made-each-time",
                subject=node["table"],
                what=f"SQLite builds an index for this one statement: {node['text']}.",
                why="The time goes into building it at each call, and it is thrown away.",
                instead="CREATE INDEX on the columns in parentheses.",
                severity=Severity.WARNING,
            )
        # DuckDB reads columns, not rows: a scan is how it is meant to work.
        elif node["whole"] and kind == "mysql" and (node["rows"] or 0) >= LARGE_ROWS:
            yield Finding(
                rule="full-scan",
                subject=node["table"],
                what=f"All of the table is read: about {node['rows']:,} rows.",
                why="The time grows with the table, not with the answer.",
                instead="An index that begins with the columns of its condition, where the answer is a small part of the table.",
                severity=Severity.WARNING,
                figures={"rows": node["rows"]},
            )
