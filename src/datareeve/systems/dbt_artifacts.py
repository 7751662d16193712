"""dbt's artifacts as plain data: its manifest (schema v10 to v12), what came of a run (v4 to v6), and the events of its log.

Everything that can hold a value of a row stays behind: of an error its class, the database's code and the file of the compiled SQL are read, of a
test how many rows failed it. Compiled SQL, messages and arguments are never read into anything.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from datareeve.core.errors import Failed
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MANIFESTS = range(10, 13)
RESULTS = range(4, 7)
WRITES = frozenset(("model", "seed", "snapshot"))
GOOD = frozenset(("success", "pass", "warn", "no-op", "partial success"))
NOT_RUN = ("exposure.", "saved_query.")  # listed among the results, though nothing is done for them
_VERSION = re.compile(r"/v(\d+)\.json$")


class Node(Value):
    """A node of a project: what it is, what it writes, and what it rests on."""

    id: str
    kind: str  # model, test, seed, snapshot, unit_test, source, exposure, ...
    name: str
    selector: str = ""  # what names it alone to dbt
    relation: str = ""
    schema_name: str = ""
    materialized: str = ""
    appends: bool = False  # done twice, its rows stand twice
    keeps_failures: bool = False  # a test that writes the rows that failed it
    file: str = ""
    checksum: str = ""
    needs: tuple[str, ...] = ()
    columns: dict[str, str] = Field(default_factory=dict)  # name -> type, where the project says it

    @property
    def writes(self) -> bool:
        """Whether running it changes the database."""
        return (self.kind in WRITES and self.materialized != "ephemeral") or self.keeps_failures


class Manifest(Value):
    """A project."""

    project: str
    adapter: str
    dbt_version: str
    nodes: dict[str, Node]


class NodeResult(Value):
    """What became of one node."""

    id: str
    status: str
    seconds: float | None = None
    failures: int | None = None  # of a test: rows
    rows: int | None = None  # that the database says it wrote
    error: str = ""  # its class: Database Error
    code: str = ""  # the database's own: 23505, Conversion Error
    compiled: str = ""  # the file of its SQL, below the project

    @property
    def good(self) -> bool:
        """Whether it did what it should."""
        return self.status in GOOD


class Results(Value):
    """What came of a dbt command."""

    invocation: str = ""
    generated_at: str = ""
    run: str = ""  # ours, where we started it
    key: str = ""
    seconds: float | None = None
    nodes: tuple[NodeResult, ...] = ()
    before: tuple[str, ...] = ()  # nodes that an interrupted attempt of the same run had finished

    def count(self, *statuses: str) -> int:
        """How many nodes ended so."""
        return sum(node.status in statuses for node in self.nodes)


# -- the manifest ------------------------------------------------------------------------------------------------------------------------


def manifest(text: str) -> Manifest:
    """A manifest. Errors: `Failed` `dbt.manifest`: no JSON, or of a schema that is not known."""
    data = _document(text, "manifest", MANIFESTS)
    told = _mapping(data.get("metadata"))
    every = [
        one
        for part in (
            "nodes",
            "sources",
            "exposures",
            "unit_tests",
            "metrics",
            "saved_queries",
            "semantic_models",
        )
        for one in _mapping(data.get(part)).values()
        if isinstance(one, dict) and one.get("unique_id")
    ]
    return Manifest(
        project=str(told.get("project_name") or ""),
        adapter=str(told.get("adapter_type") or ""),
        dbt_version=str(told.get("dbt_version") or ""),
        nodes={str(one["unique_id"]): _node(one) for one in every},
    )


def _node(told: dict[str, Any]) -> Node:
    config, kind = _mapping(told.get("config")), str(told.get("resource_type") or "")
    materialized = str(config.get("materialized") or "")
    strategy = config.get("incremental_strategy") or "append"
    return Node(
        id=str(told["unique_id"]),
        kind=kind,
        name=str(told.get("name") or ""),
        selector=_selector(told, kind),
        relation=str(told.get("relation_name") or ""),
        schema_name=str(told.get("schema") or ""),
        materialized=materialized,
        appends=materialized == "incremental" and not config.get("unique_key") and strategy == "append",
        keeps_failures=kind == "test" and bool(config.get("store_failures")),
        file=str(told.get("original_file_path") or ""),
        checksum=_checksum(told),
        needs=tuple(dict.fromkeys(map(str, _listed(_mapping(told.get("depends_on")).get("nodes"))))),
        columns={
            str(name): str(_mapping(column).get("data_type") or "")
            for name, column in _mapping(told.get("columns")).items()
        },
    )


def _selector(told: dict[str, Any], kind: str) -> str:
    return (
        f"{kind}:{told.get('name')}"
        if kind == "exposure"
        else "fqn:" + ".".join(map(str, _listed(told.get("fqn"))))
    )


def _checksum(told: dict[str, Any]) -> str:
    """What changes where its code or its configuration does; a generic test has no code of its own but its arguments."""
    code = _mapping(told.get("checksum")).get("checksum") or told.get("checksum") or ""
    config = told.get("unrendered_config") or {}
    test = _mapping(told.get("test_metadata"))
    return (
        json.dumps([str(code), config, test], sort_keys=True, default=str) if code or config or test else ""
    )


# -- what came of a run ------------------------------------------------------------------------------------------------------------------


def results(text: str) -> Results:
    """The results of a command, without what may quote rows. Errors: `Failed` `dbt.run-results`, as of `manifest`."""
    data = _document(text, "run-results", RESULTS)
    told = _mapping(data.get("metadata"))
    env = _mapping(told.get("env"))
    return Results(
        invocation=str(told.get("invocation_id") or ""),
        generated_at=str(told.get("generated_at") or ""),
        run=str(env.get("DATAREEVE_RUN") or ""),
        key=str(env.get("DATAREEVE_KEY") or ""),
        seconds=_number(data.get("elapsed_time")),
        nodes=tuple(
            _result(one)
            for one in _listed(data.get("results"))
            if isinstance(one, dict) and not str(one.get("unique_id")).startswith(NOT_RUN)
        ),
    )


def _result(told: dict[str, Any]) -> NodeResult:
    message, status = str(told.get("message") or ""), str(told.get("status") or "")
    bad = status in ("error", "fail", "runtime error")
    error, compiled = error_of(message) if bad else ("", "")
    affected = _number(_mapping(told.get("adapter_response")).get("rows_affected"))
    failures = _number(told.get("failures"))
    return NodeResult(
        id=str(told.get("unique_id") or ""),
        status=status,
        seconds=_number(told.get("execution_time")),
        failures=None if failures is None else int(failures),
        rows=None if affected is None or affected < 0 else int(affected),
        error=error,
        code=code_of(message) if error else "",
        compiled=compiled,
    )


_ERROR = re.compile(
    r"^\s*(Database|Compilation|Runtime|Parsing|Dependency|Internal|Validation|Env Var) Error", re.MULTILINE
)
_COMPILED = re.compile(r"compiled code at (\S+\.(?:sql|py))\s*$", re.MULTILINE)
_DUCKDB = re.compile(
    r"\b(Conversion|Constraint|Binder|Catalog|Parser|Out of Range|Out of Memory|IO|Invalid Input|Permission|Transaction|Dependency|Not implemented) Error\b"
)
_SNOWFLAKE = re.compile(r"\b\d{6} \(([0-9A-Z]{5})\)")
_SQLSTATES = (  # of PostgreSQL, whose driver's text does not give them
    (re.compile(r"violates not-null constraint"), "23502"),
    (re.compile(r"violates foreign key constraint"), "23503"),
    (re.compile(r"duplicate key value violates unique constraint"), "23505"),
    (re.compile(r"violates check constraint"), "23514"),
    (re.compile(r"invalid input syntax for type"), "22P02"),
    (re.compile(r"value too long for type"), "22001"),
    (re.compile(r"out of range"), "22003"),
    (re.compile(r"division by zero"), "22012"),
    (re.compile(r"permission denied"), "42501"),
    (re.compile(r"relation \".*\" does not exist"), "42P01"),
    (re.compile(r"column \".*\" does not exist"), "42703"),
    (re.compile(r"syntax error at or near"), "42601"),
    (re.compile(r"deadlock detected"), "40P01"),
    (re.compile(r"could not serialize access"), "40001"),
    (re.compile(r"due to statement timeout"), "57014"),
    (re.compile(r"No space left on device|could not extend file"), "53100"),
    (re.compile(r"connection to server .* failed|could not connect|server closed the connection"), "08006"),
)


def error_of(message: str) -> tuple[str, str]:
    """(dbt's class of an error, the file of the compiled SQL); nothing else of what it says."""
    kind, compiled = _ERROR.search(message), _COMPILED.search(message)
    return (f"{kind[1]} Error" if kind else ""), compiled[1] if compiled else ""


def code_of(message: str) -> str:
    """The database's own name of an error, where its message gives it or is known by its fixed words."""
    for pattern in (_SNOWFLAKE, _DUCKDB):
        if found := pattern.search(message):
            return found[0] if pattern is _DUCKDB else found[1]
    return next((code for pattern, code in _SQLSTATES if pattern.search(message)), "")


# -- the log -----------------------------------------------------------------------------------------------------------------------------


class Logged(Value):
    """What a log of events tells: what had begun, what had finished and how, and of errors their classes."""

    begun: tuple[str, ...] = ()
    finished: dict[str, str] = Field(default_factory=dict)  # node -> status
    errors: tuple[str, ...] = ()


_STATUSES = GOOD | {"fail", "error", "skipped", "runtime error"}
_WHERE = re.compile(
    r"\b(?:in|on) (?:model|test|snapshot|seed|macro|analysis|operation|unit_test) [\w.]+(?: \([\w./ -]+\))?"
)
_LINE = re.compile(r"\bline (\d+)\b")


def logged(lines: Iterable[str]) -> Logged:
    """What the events of a log tell; a line that was cut off tells nothing."""
    begun: dict[str, None] = {}
    finished: dict[str, str] = {}
    errors: dict[str, None] = {}
    for event in _events(lines):
        info, node = _mapping(event.get("info")), _mapping(_mapping(event.get("data")).get("node_info"))
        id_, status = str(node.get("unique_id") or ""), str(node.get("node_status") or "")
        if id_ and info.get("name") == "LogStartLine":
            begun[id_] = None
        elif id_ and status in _STATUSES:
            finished[id_] = status
        elif not id_ and info.get("level") == "error":
            errors |= dict.fromkeys(_told(str(info.get("msg") or "")))
    return Logged(begun=tuple(begun), finished=finished, errors=tuple(errors))


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def _told(message: str) -> Iterator[str]:
    """'Compilation Error in model orders (models/orders.sql), line 3': what of an error is dbt's own words and names of files."""
    kind, where, line = _ERROR.search(message), _WHERE.search(message), _LINE.search(message)
    if not kind:
        return
    told = f"{kind[1]} Error" + (f" {where[0]}" if where else "")
    yield told + (f", line {line[1]}" if line and kind[1] in ("Parsing", "Compilation") else "")


# -- lineage -----------------------------------------------------------------------------------------------------------------------------


def lineage(project: Manifest) -> dict[str, Any]:
    """{nodes: [{id, kind, name, relation, columns}], edges: [[from, to]]}: which node is made of which. Tests are left out."""
    shown = {id_: node for id_, node in project.nodes.items() if node.kind not in ("test", "unit_test")}
    return {
        "nodes": [
            {"id": id_, "kind": n.kind, "name": n.name, "relation": n.relation, "columns": n.columns}
            for id_, n in sorted(shown.items())
        ],
        "edges": sorted([need, id_] for id_, n in shown.items() for need in n.needs if need in shown),
    }


def in_order(project: Manifest, wanted: Iterable[str], *, gated: bool = False) -> list[str]:
    """Nodes in an order in which each comes after what it rests on, directly or by way of others; else by name.

    `gated`: as `dbt build` does it, the tests of a node before what is made of it.
    """
    left = dict.fromkeys(sorted(set(wanted) & project.nodes.keys()))
    tests: dict[str, list[str]] = {}
    for id_ in left if gated else ():
        if project.nodes[id_].kind in ("test", "unit_test"):
            for need in project.nodes[id_].needs:
                tests.setdefault(need, []).append(id_)
    placed: dict[str, None] = {}
    for id_ in left:
        _place(project, id_, placed, tests)
    return [id_ for id_ in placed if id_ in left]


def _place(project: Manifest, first: str, placed: dict[str, None], tests: dict[str, list[str]]) -> None:
    """Depth first, without recursion: projects are deep. What rests on itself by way of a test is placed all the same."""
    stack, met = [(first, False)], set(placed)
    while stack:
        id_, done = stack.pop()
        if done:
            placed[id_] = None
        elif id_ not in met and id_ in project.nodes:
            met.add(id_)
            stack.append((id_, True))
            node = project.nodes[id_]
            gates = (
                [test for need in node.needs for test in tests.get(need, ())] if node.kind in WRITES else []
            )
            stack.extend((need, False) for need in sorted({*node.needs, *gates} - {id_}, reverse=True))


def downstream(
    project: Manifest, of: Iterable[str], kinds: Iterable[Literal["model", "exposure", "snapshot", "metric"]]
) -> list[str]:
    """What rests on some nodes, at any distance, of some kinds; the nodes themselves left out."""
    users: dict[str, list[str]] = {}
    for id_, node in project.nodes.items():
        for need in node.needs:
            users.setdefault(need, []).append(id_)
    start = set(of)
    met, todo = set(start), list(start)
    while todo:
        new = [one for one in users.get(todo.pop(), ()) if one not in met]
        met.update(new)
        todo.extend(new)
    return sorted(one for one in met - start if project.nodes[one].kind in set(kinds))


# -- small things ------------------------------------------------------------------------------------------------------------------------


def _document(text: str, what: str, known: range) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    version = _VERSION.search(str(_mapping(_mapping(data).get("metadata")).get("dbt_schema_version") or ""))
    if version is None:
        raise Failed(
            f"dbt.{what}", f"dbt's {what} is no JSON document of dbt's.", "Let dbt make it again: dbt parse."
        )
    if int(version[1]) not in known:
        raise Failed(
            f"dbt.{what}",
            f"dbt's {what} is of schema v{version[1]}; known are v{known[0]} to v{known[-1]}.",
            "Use dbt-core 1.6 to 1.11 for this project.",
        )
    return dict(data)


def _mapping(told: Any) -> dict[str, Any]:
    return told if isinstance(told, dict) else {}


def _listed(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _number(told: Any) -> float | None:
    """A number that is one: not true, nor infinity, nor larger than a float."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or abs(told) > sys.float_info.max:
        return None
    return float(told) if told == told else None  # noqa: PLR0124 - NaN is not itself
