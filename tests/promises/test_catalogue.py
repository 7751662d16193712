"""The promises that every operation keeps, tested on each of the catalogue: a new operation is under them the day it is written.

One world for all: a server of its own under local control, rows full of canary values, a recorded workload. Every life ends undone.
"""

from __future__ import annotations

import json
import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import servers
from datareeve.app import App, catalogue
from datareeve.core.operation import Effect

OPERATIONS = catalogue()
CANARY = "canary7f3a"
INPUTS = {
    "databases.add-foreign-key": {
        "table": "orders", "columns": ["customer_id"], "references_table": "customers", "references_columns": ["id"],
    },
    "databases.add-primary-key": {"table": "orders", "columns": ["id"]},
    "databases.analyze-table": {"table": "orders", "columns": ["customer_id"], "statistics_target": 500},
    "databases.create-index": {"table": "orders", "columns": ["customer_id"]},
    "databases.drop-index": {"index": "orders_placed_idx"},
    "databases.end-session": {"root_of_blocking": True},
    "databases.explain-query": {"sql": f"SELECT * FROM orders WHERE note = '{CANARY}'"},
    "databases.repack-table": {"table": "customers"},
    "databases.restore": {"moment": "latest"},
    "databases.vacuum-table": {"table": "orders"},
}  # fmt: skip
NEEDS_BACKUP = {"databases.restore", "databases.drill-restore", "databases.prune-backups"}
NOT_QUIET = {"databases.restore": "each run restores beside production, where it was asked to"}
SCHEMA = (
    "CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL)",
    "CREATE TABLE orders (id int, customer_id int, note text, placed timestamptz)",
    f"INSERT INTO customers SELECT n, 'c' || n || '@{CANARY}.example' FROM generate_series(1, 500) AS n",
    f"INSERT INTO orders SELECT n, 1 + n % 500, '{CANARY} ' || n, now() - n * interval '1 minute' FROM generate_series(1, 20000) AS n",
    "CREATE INDEX orders_placed_idx ON orders (placed)",
    "ANALYZE",
    "CREATE ROLE looker LOGIN",
    "GRANT pg_monitor, pg_read_all_data TO looker",
)
READS = re.compile(
    r"^(BEGIN|COMMIT|ROLLBACK|SELECT|WITH|EXPLAIN|SHOW|SET |RESET|DEALLOCATE|VALUES|TABLE|SAVEPOINT|RELEASE|DECLARE|FETCH|CLOSE|--|/\*)",
    re.IGNORECASE,
)
ESTATE = """version: 1
systems:
  app:
    kind: postgresql
    url: {url}
    server: {{data: {data}, bin: {bin}, os_user: {user}, log: {log}}}
    host: {{memory_bytes: 17179869184, cores: 4}}
    workload: {{kind: trace, path: data/trace.jsonl}}
authority:
  rules:
    - {{decision: allow}}
"""


@pytest.fixture(scope="module")
def world():
    folder = Path(tempfile.mkdtemp(prefix="datareeve-promises-"))
    folder.chmod(0o755)
    with (
        servers.server(log_statement="all", log_line_prefix="%a|%u|") as server,
        server.database(*SCHEMA) as url,
    ):
        made = World(folder, server, url)
        yield made
        made.app.close()
    servers.remove(folder)


class World:
    def __init__(self, folder, server, url):
        self.folder, self.server, self.url = folder, server, url
        (folder / "data").mkdir()
        (folder / "data" / "trace.jsonl").write_text("".join(trace()))
        self.write_estate(url)
        self.app = App.open(folder)
        self.backed_up = False

    def write_estate(self, url):
        local = self.server.local
        text = ESTATE.format(
            url=url, data=local.data, bin=local.bin, user=local.os_user or '""', log=local.log
        )
        (self.folder / "estate.yaml").write_text(text)

    def operation(self, name):
        fields = OPERATIONS.get(name).model_fields
        inputs = dict(INPUTS.get(name, {}))
        return OPERATIONS.make(name, {"system": "app", **inputs} if "system" in fields else inputs)

    def back_up(self):
        if not self.backed_up:
            assert self.apply("databases.back-up").status == "done"
            self.backed_up = True

    def apply(self, name):
        return self.app.apply(self.app.preview(self.operation(name)), by="test")

    def state(self):
        """Everything that an undo gives back: schema, settings, the estate, the documents."""
        dumped = servers.dump_schema(self.server.local.bin, self.url)
        with psycopg.connect(self.url) as connection:
            settings = connection.execute(
                "SELECT name, setting FROM pg_settings WHERE source NOT IN ('client', 'session') ORDER BY 1"
            ).fetchall()
            rows = connection.execute(
                "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM customers)"
            ).fetchone()
        files = sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and ".datareeve" not in path.parts
        )
        return {
            "schema": dumped,
            "settings": settings,
            "rows": rows,
            "files": files,
            "estate": (self.folder / "estate.yaml").read_text(),
        }

    def everything_told(self):
        """All that an operation has written down anywhere but in backups: the ledger, and the files of the project."""
        entries = [entry.model_dump_json() for entry in self.app.ledger.entries()]
        samples = [sample.model_dump_json() for sample in self.app.ledger.samples()]
        files = [
            p.read_text(errors="replace")
            for p in self.folder.rglob("*.*")
            if p.suffix in {".md", ".html", ".ini", ".yaml"}
        ]
        return "\n".join([*entries, *samples, *files])


def trace():
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    for n in range(300):
        moment = (at + timedelta(milliseconds=40 * n)).isoformat()
        asked = (
            {"sql": "SELECT * FROM orders WHERE customer_id = %s", "parameters": [1 + n % 500]}
            if n % 3
            else {"sql": "SELECT id FROM orders WHERE note = %s", "parameters": [f"{CANARY} {n}"]}
        )
        yield json.dumps({"at": moment, "session": "s1", "ms": 4.0, "rows": 1, **asked}) + "\n"


every = pytest.mark.parametrize("name", OPERATIONS.names())
on_databases = pytest.mark.parametrize(
    "name", [n for n in OPERATIONS.names() if n.startswith("databases.")]
)  # test_ai.py has the rest


@every
def test_it_is_documented_with_utterances_and_every_input_described(name):
    operation = OPERATIONS.get(name)
    assert operation.__doc__
    assert len(operation.__doc__) > 80
    assert operation.__doc__.strip().splitlines()[0].endswith((".", ","))
    assert len(operation.examples) >= 3
    assert [field for field, info in operation.model_fields.items() if not info.description] == []


@on_databases
def test_it_is_a_frozen_value(name, world):
    operation = world.operation(name)
    assert operation.model_config["frozen"]
    assert operation == world.operation(name)
    assert hash(type(operation))
    with pytest.raises(ValueError, match="frozen"):
        operation.system = "other"


@on_databases
def test_it_is_planned_by_a_role_without_write_grants_and_only_reads_on_the_wire(name, world):
    """The server's own log of every statement is the witness."""
    if name in NEEDS_BACKUP:
        world.back_up()
    before = world.state()
    log = world.server.local.log
    start = log.stat().st_size
    looker = world.url.replace("postgres@", "looker@")
    app = App.open(world.folder)
    try:
        app.systems["app"].entry = app.systems["app"].entry.model_copy(update={"url": looker})
        plan = app.preview(world.operation(name))
    finally:
        app.close()
    assert plan.operation == name
    whole = log.read_text(errors="replace")[start:].replace(
        "\n\t", "\n "
    )  # the server indents a statement's further lines
    said = [entry for entry in re.split(r"\n(?=\S)", whole) if entry.startswith("datareeve")]
    statements = [
        m[1].strip()
        for entry in said
        if (m := re.search(r"(?:statement|execute [^:]*):\s+(.*)", entry, re.DOTALL))
    ]
    assert [text for text in statements if not READS.match(text)] == []
    assert {entry.split("|")[1] for entry in said} <= {"looker"}
    assert world.state() == before


@on_databases
def test_its_life_done_verified_quiet_twice_undone(name, world):
    if name in NEEDS_BACKUP:
        world.back_up()
    before = world.state()
    operation = world.operation(name)
    plan = world.app.preview(operation)
    assert plan.fingerprint == world.app.preview(operation).fingerprint, (
        "planning twice gives two fingerprints"
    )
    outcome = world.app.apply(plan, by="test")
    assert outcome.status in {"done", "nothing to do"}, [part.reason for part in outcome.parts]
    if operation.effect is Effect.READ:
        assert not list(plan.all_steps())
        assert plan.summary
    assert all(check.verdict == "holds" for part in outcome.parts for check in part.checks)
    assert all(step.undo or step.no_undo or step.effect is Effect.IRREVERSIBLE for step in plan.all_steps())
    if name not in NOT_QUIET:
        again = world.app.preview(operation)
        if not all(leaf.nothing_to_do for leaf in again.leaves()) and operation.learns_on_a_copy():
            again = world.app.rehearse(again)  # looking alone cannot tell: it is tried, and then quiet
        assert not list(again.all_steps()), again.summary
        assert all(leaf.nothing_to_do for leaf in again.leaves())
    if list(plan.all_steps()):
        assert world.app.undo(outcome.run, by="test").status == "undone"
    assert world.state() == before


def test_no_value_of_a_row_was_told_by_any_of_them(world):
    assert world.app.ledger.entries("run"), "this test looks at what the others left"
    told = world.everything_told()
    allowed = f"note = '{CANARY}'"  # given as an input by the test itself
    assert CANARY not in told.replace(allowed, "")
    assert world.app.verify_ledger()["entries"] > 0
