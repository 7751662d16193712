"""A check beside others: it rests between its calls too, lets a file go meanwhile, spills what has no room; only what cannot be reached is down."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys

import duckdb
import psycopg
import pytest

import quality_rig as rig
import servers
from datareeve.capabilities.quality import running
from datareeve.capabilities.quality.rule import Rule
from datareeve.core.errors import BadInput, Unreachable
from datareeve.core.estate_data import QualitySettings
from datareeve.systems import measure

COUNT = "SELECT count(*) AS n FROM t"
RULES = (
    Rule(id="range", kind="range", table="t", columns=("n",), arguments={"at_most": 90}),
    Rule(id="unique", kind="unique", table="t", columns=("n",)),
)


def made(db):
    db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, m INTEGER)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(1, 101)])
    db.commit()


@pytest.fixture
def lite(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db")) as db:
        made(db)
    return servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": "t.db"})["shop"]


class Answering:
    """A system, with what it answers `measure` with put right by the test."""

    def __init__(self, system, answer):
        self.system, self.name, self.kind, self.answer, self.calls = (
            system,
            system.name,
            system.kind,
            answer,
            0,
        )

    def read(self, action, **given):
        if action != "measure":
            return self.system.read(action, **given)
        self.calls += 1
        return self.answer(self.system.read(action, **given))


def test_between_two_calls_there_is_a_rest_as_between_two_statements(lite, monkeypatch):
    pauses = []
    monkeypatch.setattr(running, "sleep", pauses.append)
    monkeypatch.setattr(measure, "sleep", lambda _: None)

    def slow(told):
        return {
            **told,
            "statements": {id_: {**one, "seconds": 20.0} for id_, one in told["statements"].items()},
        }

    reader = Answering(lite, slow)
    told = rig.check(reader, rig.of_rules(*RULES), settings=QualitySettings(busy_share=0.25))
    assert told["range"].failing == 10
    assert reader.calls == len(pauses) > 1
    assert pauses == [0.0, *[pytest.approx(60, abs=10)] * (len(pauses) - 1)]


@pytest.mark.parametrize(
    ("error", "down"),
    [
        (BadInput("measure.statements", "Two statements are called 'a'."), ""),
        (Unreachable("sqlite.missing", "gone"), "sqlite.missing: gone"),
    ],
)
def test_only_what_cannot_be_reached_is_down(lite, error, down):
    def refuse(_):
        raise error

    reader = Answering(lite, refuse)
    told = rig.check(reader, rig.of_rules(*RULES))
    assert told.results.down == down
    assert told["range"].reason == f"{error.code}: {error.what}"
    assert reader.calls == 1


WRITER = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as db:
    db.execute("INSERT INTO t VALUES (101, 101)")
"""


def test_a_duckdb_file_is_let_go_in_every_rest(tmp_path, monkeypatch):
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        made(db)
    system = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "t.duckdb"})["shop"]
    wrote = []

    def write(_):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "t.duckdb")]
        wrote.append(subprocess.run(command, timeout=60, check=False, capture_output=True).returncode)

    monkeypatch.setattr(measure, "sleep", write)
    statements = [{"id": "a", "sql": COUNT}, {"id": "b", "sql": COUNT}]
    told = system.read("measure", statements=statements, busy_share=0.5)
    assert wrote == [0]
    assert [told["statements"][id_]["rows"] for id_ in "ab"] == [[{"n": 100}], [{"n": 101}]]
    assert told["snapshots"] == 2


KEEPER = """
import duckdb, sys
db = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("lets_go", [True, False])
def test_a_writer_that_took_the_file_in_a_rest_is_waited_for(tmp_path, monkeypatch, lets_go):
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        made(db)
    system = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "t.duckdb"})["shop"]
    command = [sys.executable, "-c", KEEPER, str(tmp_path / "t.duckdb")]
    writers = []

    def take(_):
        writers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        writers[0].stdout.readline()

    def look(_):
        if lets_go:
            writers[0].communicate(timeout=60)  # it ends when nothing more is said to it

    monkeypatch.setattr(measure, "sleep", take)
    monkeypatch.setattr("datareeve.systems.duckdb_measure.sleep", look)
    monkeypatch.setattr("datareeve.systems.duckdb_measure.WRITER_SECONDS", 30.0 if lets_go else 0.0)
    statements = [{"id": "a", "sql": COUNT}, {"id": "b", "sql": COUNT}]
    try:
        if lets_go:
            told = system.read("measure", statements=statements, busy_share=0.5)
            assert told["statements"]["b"]["rows"] == [{"n": 100}]
        else:
            with pytest.raises(Unreachable, match="open for writing"):
                system.read("measure", statements=statements, busy_share=0.5)
    finally:
        with writers[0]:
            writers[0].kill()


def test_a_sqlite_file_without_a_write_ahead_log_is_let_go_in_every_rest(tmp_path, lite, monkeypatch):
    with contextlib.closing(sqlite3.connect(tmp_path / "t.db", timeout=0, isolation_level=None)) as writer:
        monkeypatch.setattr(measure, "sleep", lambda _: writer.execute("INSERT INTO t VALUES (101, 101)"))
        statements = [{"id": "a", "sql": COUNT}, {"id": "b", "sql": COUNT}]
        told = lite.read("measure", statements=statements, busy_share=0.5)
    assert [told["statements"][id_]["rows"] for id_ in "ab"] == [[{"n": 100}], [{"n": 101}]]
    assert told["snapshots"] == 2


def test_a_backslash_in_a_literal_is_itself_whatever_the_server_says(database, tmp_path):
    with psycopg.connect(database, autocommit=True) as admin:
        name = admin.execute("SELECT current_database()").fetchone()[0]
        admin.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off")
        admin.execute("CREATE TABLE t AS SELECT E'a\\\\' AS w FROM generate_series(1, 5)")
    registry = servers.registry(tmp_path, database)
    with contextlib.closing(registry):
        rule = Rule(id="set", kind="set", table="t", columns=("w",), arguments={"values": ["a\\"]})
        assert rig.check(registry["app"], rig.of_rules(rule))["set"].says == "pass"


@pytest.mark.parametrize(("code", "wanted"), [("duckdb.memory", 0), ("duckdb.timeout", None)])
def test_bits_that_have_no_room_give_way_to_keys_which_are_spilled(tmp_path, code, wanted):
    """What ran out of time is not begun anew."""
    with contextlib.closing(duckdb.connect(str(tmp_path / "t.duckdb"))) as db:
        made(db)
        db.execute("CREATE VIEW seen AS SELECT m FROM t")
    system = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": "t.duckdb"})["shop"]
    error = {"code": code, "what": "too much", "cause": "other"}

    class Short(Answering):
        def read(self, action, **given):
            told = super().read(action, **given)
            for one in given["statements"] if action == "measure" else ():
                if "bitstring_agg" in one["sql"]:
                    told["statements"][one["id"]] = {"error": error, "seconds": 0.0}
            return told

    rule = Rule(id="unique", kind="unique", table="seen", columns=("m",))
    told = rig.check(Short(system, lambda told: told), rig.of_rules(rule))["unique"]
    assert told.failing == wanted
    assert (told.says == "pass") == (wanted == 0)
