"""The promises on the other engines: every operation that works there only reads, is quiet twice, can be taken back, and tells no value."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3

import duckdb
import pytest

from datareeve.app import App, catalogue

OPERATIONS = catalogue()
CANARY = "canary7f3a"
INPUTS = {
    "databases.explain-query": {"sql": f"SELECT * FROM orders WHERE note = '{CANARY}'"},
    "pipelines.new": {"pipeline": "orders", "table": "orders", "target": "warehouse"},
}
HERE = ("mysql", "sqlite", "duckdb")
PAIRS = [
    pytest.param(kind, name, marks=[pytest.mark.system] if kind == "mysql" else [])
    for kind in HERE
    for name in OPERATIONS.names()
    if kind in OPERATIONS.get(name).goes_to
]
SCHEMA = (
    "CREATE TABLE customers (id INT PRIMARY KEY, email VARCHAR(60))",
    "CREATE TABLE orders (id INT, customer_id INT, note VARCHAR(60))",
    f"INSERT INTO customers VALUES (1, '{CANARY}@example'), (2, NULL)",
    f"INSERT INTO orders VALUES (1, 1, '{CANARY} a'), (1, 2, '{CANARY} b'), (3, 999, NULL)",
)
READS = re.compile(
    r"^(SELECT|SHOW|EXPLAIN|SET SESSION|SET NAMES|SET AUTOCOMMIT|SET STATEMENT|START TRANSACTION (WITH CONSISTENT SNAPSHOT, )?READ ONLY|(RELEASE )?SAVEPOINT|ROLLBACK|--)",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    (folder / "data").mkdir()
    asked = [
        {
            "session": "s",
            "sql": "SELECT * FROM orders WHERE note = ?",
            "parameters": [f"{CANARY} {n}"],
            "ms": 200,
            "rows": 1,
        }
        for n in range(9)
    ]
    (folder / "data" / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    with contextlib.closing(sqlite3.connect(folder / "shop.db", isolation_level=None)) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
    return folder


@pytest.fixture
def opened(folder, request):
    """Gives a function that opens the project with the database of a kind, and what shows that nothing was written to it."""
    with contextlib.ExitStack() as stack:

        def make(kind):
            entry = {"kind": kind, "workload": {"kind": "trace", "path": "data/trace.jsonl"}}
            if kind == "mysql":
                server = request.getfixturevalue("mariadb")
                entry["url"] = stack.enter_context(server.database(*SCHEMA))
                witness = stack.enter_context(statements_of(server))
            else:
                entry["path"] = f"shop.{'db' if kind == 'sqlite' else 'duckdb'}"
                witness = (folder / entry["path"]).read_bytes
            estate = {
                "version": 1,
                "systems": {"shop": entry, "warehouse": {"kind": "duckdb", "path": "warehouse.duckdb"}},
                "authority": {"rules": [{"decision": "allow"}]},
            }
            (folder / "estate.yaml").write_text(json.dumps(estate))
            app = App.open(folder)
            stack.callback(app.close)
            return app, witness

        yield make


@contextlib.contextmanager
def statements_of(server):
    """What the reading account really sent, by the server's own general log."""
    log = server.folder / "data" / "general.log"
    with contextlib.closing(server.connect()) as admin:
        admin.cursor().execute(f"SET GLOBAL general_log_file = '{log}', GLOBAL general_log = ON")
        start = log.stat().st_size
        try:
            yield lambda: re.findall(r"\d Query\t(.*)", log.read_text(errors="replace")[start:])
        finally:
            admin.cursor().execute("SET GLOBAL general_log = OFF")


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_it_only_reads_is_quiet_twice_is_taken_back_and_tells_no_value(opened, folder, kind, name):
    app, witness = opened(kind)
    before = witness()
    operation = OPERATIONS.make(name, {"system": "shop", **INPUTS.get(name, {})})
    plan = app.preview(operation)
    assert plan.fingerprint == app.preview(operation).fingerprint
    outcome = app.apply(plan, by="test")
    assert outcome.status in {"done", "nothing to do"}, [part.reason for part in outcome.parts]
    again = app.preview(operation)
    assert not list(again.all_steps())
    assert all(leaf.nothing_to_do for leaf in again.leaves())
    told = "\n".join(entry.model_dump_json() for entry in app.ledger.entries())
    written = "\n".join(path.read_text() for path in (folder / "data").glob("shop-schema*"))
    assert CANARY not in told + written
    if list(plan.all_steps()):
        assert app.undo(outcome.run, by="test").status == "undone"
        assert not list((folder / "data").glob("shop-schema*"))
    if kind == "mysql":
        sent = witness()[len(before) :]
        assert (
            len(sent) > 10 or name == "databases.find-slow-queries"
        )  # a trace is read without asking the server
        assert [text for text in sent if not READS.match(text)] == []
    else:
        assert witness() == before
