"""How MariaDB, MySQL, SQLite and DuckDB would answer a statement: planned, never run, and without any constant of it.

Every engine's answer is one tree: {"nodes": [{"depth", "text", "table", "whole", "rows", "made_index"}], "parameters": bool}. `whole`: all
of the table is read; `rows`: the engine's estimate, None where it gives none; `made_index`: the engine builds an index for this statement.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.systems import mysql_text, workload_elsewhere
from datareeve.systems.workload_elsewhere import without_values

if TYPE_CHECKING:
    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.mysql import Mysql
    from datareeve.systems.sqlite import Sqlite
    from datareeve.systems.workload_elsewhere import Elsewhere

Node = dict[str, Any]
EXPLAINED = {"read", "write"}


def _node(  # noqa: PLR0913 - what is told of a node
    depth: int,
    text: str,
    table: str = "",
    *,
    whole: bool = False,
    rows: int | None = None,
    made_index: bool = False,
) -> Node:
    return {
        "depth": depth,
        "text": text,
        "table": table,
        "whole": whole,
        "rows": rows,
        "made_index": made_index,
    }


def _statement(recording: Elsewhere | None, sql: str | None, fingerprint: str | None) -> tuple[str, Any]:
    """The statement to plan and its parameters. Errors: `BadInput` `workload.family`, `workload.no-example`."""
    if sql is not None or recording is None:
        return (sql or "").strip().rstrip(";"), None
    family = recording.families.get(fingerprint or "")
    if family is None:
        raise BadInput(
            "workload.family",
            f"The workload has no family {fingerprint}.",
            "databases.find-slow-queries lists them.",
        )
    if not family.examples:
        raise BadInput(
            "workload.no-example",
            f"The source keeps no execution of {fingerprint}, only its shape.",
            "Give the statement itself with sql.",
        )
    example = family.examples[len(family.examples) // 2]
    return example.text.strip().rstrip(";"), example.parameters


# -- MariaDB and MySQL -------------------------------------------------------------------------------------------------------------------


def of_mysql(system: Mysql, sql: str | None, fingerprint: str | None) -> dict[str, Any]:
    """EXPLAIN's table, which tells the way and not the values.

    https://mariadb.com/kb/en/explain/
    """
    recording = workload_elsewhere.of_mysql(system) if fingerprint else None
    text, parameters = _statement(recording, sql, fingerprint)
    if parameters is not None:
        text, parameters = _for_mysql(text, parameters)
    form = "" if system.server()["engine"] == "MariaDB" else "FORMAT=TRADITIONAL "
    rows = system.query(f"EXPLAIN {form}{text}", parameters)
    return {"nodes": [_mysql_node(row) for row in rows]}


def _for_mysql(text: str, parameters: Any) -> tuple[str, Any]:
    def given(token: re.Match[str]) -> str:
        if token.lastgroup != "given":
            return token[0].replace("%", "%%")
        return f"%({token[0][1:]})s" if token[0].startswith(":") else "%s" if token[0] == "?" else token[0]

    return mysql_text.LEXER.sub(given, text), parameters


WAYS = {
    "ALL": "all rows", "index": "the whole index", "range": "a range of", "ref": "equal keys of", "eq_ref": "one row by", "const": "one row by",
    "system": "its one row", "ref_or_null": "equal keys or nulls of", "index_merge": "several ranges of", "fulltext": "the full-text index",
}  # fmt: skip


def _mysql_node(row: dict[str, Any]) -> Node:
    way, key, table = str(row["type"] or ""), row["key"], str(row["table"] or "")
    told = (
        f"{row['select_type']} {table}: {WAYS.get(way, way)}{f' {key}' if key and way != 'ALL' else ''}"
        if table
        else str(row["select_type"])
    )
    extra = f" ({row['Extra']})" if row["Extra"] else ""
    rows = int(row["rows"]) if row["rows"] is not None else None
    return _node(max(int(row["id"] or 1) - 1, 0), told.strip() + extra, table, whole=way == "ALL", rows=rows)


# -- SQLite ------------------------------------------------------------------------------------------------------------------------------


def of_sqlite(system: Sqlite, sql: str | None, fingerprint: str | None) -> dict[str, Any]:
    """EXPLAIN QUERY PLAN, whose text names tables and indexes and shows `?` for values.

    https://www.sqlite.org/eqp.html
    """
    recording = workload_elsewhere.of_file(system, "sqlite") if fingerprint else None
    text, parameters = _statement(recording, sql, fingerprint)
    text = text.replace("%s", "?") if isinstance(parameters, list) else re.sub(r"%\((\w+)\)s", r":\1", text)
    rows = system.explain(text, _bound(text) if parameters is None else parameters)
    depths = {0: -1}
    nodes = []
    for row in rows:
        depth = depths[row["id"]] = depths.get(row["parent"], -1) + 1
        detail = re.sub(r"'[^']*'", "?", row["detail"])
        scan = re.match(r"SCAN (?!CONSTANT|\d|SUBQUERY)([^\s]+)(?! USING)", detail)
        made = "AUTOMATIC" in detail
        named = re.match(r"(?:SCAN|SEARCH) (\S+)", detail)
        nodes.append(
            _node(
                depth,
                detail,
                named[1] if named else "",
                whole=bool(scan) and " USING " not in detail,
                made_index=made,
            )
        )
    return {"nodes": nodes}


def _bound(text: str) -> Any:
    """Nulls for the parameters that a statement leaves open: the way does not depend on them."""
    given = [t[0] for t in workload_elsewhere.STANDARD.finditer(text) if t.lastgroup == "given"]
    named = {name[1:]: None for name in given if name[0] in ":@$"}
    return named or [None] * len(given)


# -- DuckDB ------------------------------------------------------------------------------------------------------------------------------

SHOWN = ("Table", "Type", "Join Type", "Conditions", "Filters", "Groups", "Order By", "Estimated Cardinality")


def of_duckdb(system: Duckdb, sql: str | None, fingerprint: str | None) -> dict[str, Any]:
    """EXPLAIN (FORMAT JSON), its constants shown as `?`.

    https://duckdb.org/docs/stable/guides/meta/explain
    """
    recording = workload_elsewhere.of_file(system, "duckdb") if fingerprint else None
    text, parameters = _statement(recording, sql, fingerprint)
    text = text.replace("%s", "?") if isinstance(parameters, list) else re.sub(r"%\((\w+)\)s", r"$\1", text)
    rows = system.query(f"EXPLAIN (FORMAT JSON) {text}", parameters)
    tree = json.loads(rows[0]["explain_value"]) if rows else []
    return {"nodes": [node for root in tree for node in _duckdb_nodes(root, 0)]}


def _duckdb_nodes(tree: dict[str, Any], depth: int) -> list[Node]:
    extra = tree.get("extra_info") or {}
    told = []
    for key in SHOWN:
        value = extra.get(key)
        if value and key not in {"Estimated Cardinality", "Table", "Type"}:
            told.append(
                f"{key}: {without_values(', '.join(value) if isinstance(value, list) else str(value), 'duckdb')}"
            )
    estimate = str(extra.get("Estimated Cardinality") or "")
    table = str(extra.get("Table") or "").rpartition(".")[2]
    kind = str(extra.get("Type") or "")
    name = " ".join(
        part for part in (tree.get("name", "").strip(), table, f"({kind})" if kind else "") if part
    )
    own = _node(
        depth,
        f"{name}{'; ' if told else ''}{'; '.join(told)}",
        table,
        whole=kind == "Sequential Scan",
        rows=int(estimate) if estimate.isdigit() else None,
    )
    return [own, *(node for child in tree.get("children", ()) for node in _duckdb_nodes(child, depth + 1))]
